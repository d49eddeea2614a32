/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loading a guest's kernel, of either kind: a Linux bzImage or a multiboot kernel. The file's
 * contents tell which it is. The file is untrusted input: every field is checked against the file's
 * size and the VM's memory before it is used.
 */
#ifndef POSTERN_MACHINE_GUEST_KERNEL_H
#define POSTERN_MACHINE_GUEST_KERNEL_H

#include "lib/status.h"

enum guest_kernel_kind { GUEST_KERNEL_LINUX, GUEST_KERNEL_MULTIBOOT };

struct guest_kernel_request {
    uint8_t *ram; /* the guest's memory, guest-physical 0 at its start */
    uint64_t ram_size;
    const uint8_t *kernel;
    uint64_t kernel_size;
    const uint8_t *initrd; /* NULL: none. A multiboot kernel gets it as its module */
    uint64_t initrd_size;
    const char *cmdline;
    uint64_t rsdp; /* guest-physical, 0: none */
};

/* How vCPU 0 enters the kernel: with flat segments, interrupts off, and either in 64-bit mode with
 * paging on or in 32-bit protected mode without. Registers that are not named are 0. */
struct guest_entry {
    enum guest_kernel_kind kind;
    bool long_mode;
    uint64_t rip, rsp, rax, rbx, rsi;
    uint64_t cr3; /* in long mode */
    uint64_t gdt_base;
    uint32_t gdt_limit;
    uint32_t code_selector, data_selector;
};

/* Whether guest_kernel_load() would go through, without touching `ram`, which may be NULL. The same
 * errors. */
status_t guest_kernel_check(const struct guest_kernel_request *request, char *error,
                            size_t error_size) MUST_CHECK;

/* Puts kernel, initrd and what the kernel is told into the guest's memory. STATUS_INVALID for a
 * file that is no kernel, STATUS_NO_MEMORY when the memory is too small; `error` then names what is
 * wrong. What lies elsewhere in memory is not touched. */
status_t guest_kernel_load(const struct guest_kernel_request *request, struct guest_entry *entry,
                           char *error, size_t error_size) MUST_CHECK;

/* What the loaders share. */

/* The memory map that the kernel is told, in the ranges and types of e820. */
#define GUEST_MEMORY_RANGES   3u
#define GUEST_MEMORY_RAM      1u
#define GUEST_MEMORY_RESERVED 2u

struct guest_memory_range {
    uint64_t base, size;
    uint32_t type;
};

void guest_memory_map(uint64_t ram_size, struct guest_memory_range map[GUEST_MEMORY_RANGES]);

#endif
