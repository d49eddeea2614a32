/* SPDX-License-Identifier: BSD-2-Clause */
/* Ways to reach code with every register chosen, in either ring, in the default view or in another.
 */
#ifndef POSTERN_TESTS_ATTACK_ENTER_H
#define POSTERN_TESTS_ATTACK_ENTER_H

#include "tests/attack/attack.h"

#define TIMEOUT_TICKS 20000u
#define RFLAGS_START  0x202ull /* interrupts on, for the timeout */

/* What enter() loads. */
struct registers {
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rip, cs, rflags, rsp, ss;
};

/* Selectors of both rings. */
void registers_set_ring(struct registers *registers, unsigned ring);

/* Goes there, for TIMEOUT_TICKS at most; what exception ended it. */
struct trap enter(const struct registers *registers);

/* Memory for hostile registers to point to: pages at SCRATCH, each word of which is such a pointer,
 * writable in both rings and not executable; nothing is mapped around them. */
#define SCRATCH       (CLAIM_BASE + 0x10000000ull)
#define SCRATCH_SIZE  0x10000ull
#define SCRATCH_POINT (SCRATCH + 0x4800)
void scratch_init(void);
void scratch_fill(void);
/* The part of it around SCRATCH_POINT, with the stack: a fifth of it. */
void scratch_fill_near(void);

/*
 * A page of the gate behind code that changes views: at `offset` of the linear page LANDING, with
 * the CPU in view `view`. The guest's page tables lead LANDING to a page of RAM with VMFUNC in it
 * until its translation is cached, then to the gate's `page`. VMFUNC is fetched by the cached one,
 * what follows by a walk in the new view. registers->rax and rcx are set, rip is ignored.
 */
#define LANDING (CLAIM_BASE + 0x20001000ull)
struct trap land(uint32_t page, uint32_t offset, uint64_t view, struct registers *registers);

#endif
