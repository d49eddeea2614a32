/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gate: the code through which a guest crosses into a protected view. The hypervisor writes it
 * and no guest can change it. Its first page, the trampoline, is executable in every view; the
 * pages after it, the protected code, are executable in protected views only. All are readable.
 *
 * Offset 0 of the trampoline is a function in the System V calling convention, for kernels and for
 * programs of ring 3:
 *
 *     int64_t gate(uint32_t view, uint32_t function, void *arguments);
 *
 * It enters the view, does the function there and comes back. All of the gate's pages have to be
 * mapped side by side, in their order, and so have stack and arguments be mapped (in the guest's
 * own page tables, anywhere in its RAM). A crossing may be interrupted and faulted at any
 * instruction, and may go on on another vCPU to which the view is open; the hypervisor restores the
 * view when the protected code goes on. R15 holds the view and R14 the stack pointer meanwhile.
 *
 * Results: what the function returns, or a POSTERN_ERR_ number (abi/hypercall.h): NOT_OPEN before
 * or in mid-crossing, FAULT when the protected code touched what the view does not map, UNKNOWN for
 * a function that does not exist.
 */
#ifndef POSTERN_ABI_GATE_H
#define POSTERN_ABI_GATE_H

/* Crosses and does nothing. Returns 0. */
#define POSTERN_GATE_NOTHING 0u
/* Copies bytes between the window and RAM, or within. Returns 0. */
#define POSTERN_GATE_COPY 1u
/* One 64-bit access to `window`: a load with acquire into `value`, a store of it with release. */
#define POSTERN_GATE_LOAD  2u
#define POSTERN_GATE_STORE 3u

#ifndef __ASSEMBLER__
#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdint.h>
#endif

/* All addresses are linear addresses of the caller. */
struct postern_gate_copy {
    uint64_t to;
    uint64_t from;
    uint64_t size;
};

struct postern_gate_access {
    uint64_t window; /* 8-byte aligned */
    uint64_t value;
};

typedef int64_t (*postern_gate_t)(uint32_t view, uint32_t function, void *arguments);
#endif

#endif
