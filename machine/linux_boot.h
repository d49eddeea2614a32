/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loading a Linux kernel by the 64-bit boot protocol (Linux, Documentation/arch/x86/boot.rst,
 * "64-bit Boot Protocol"). The kernel file is untrusted input: every field is checked against the
 * file's size and the VM's memory before it is used.
 */
#ifndef POSTERN_MACHINE_LINUX_BOOT_H
#define POSTERN_MACHINE_LINUX_BOOT_H

#include "lib/status.h"

/* Selectors in the GDT that the kernel is entered with. */
#define LINUX_BOOT_CS 0x10u
#define LINUX_BOOT_DS 0x18u

struct linux_boot_request {
    uint8_t *ram; /* the guest's memory, guest-physical 0 at its start */
    uint64_t ram_size;
    const uint8_t *kernel; /* a bzImage */
    uint64_t kernel_size;
    const uint8_t *initrd; /* NULL: none */
    uint64_t initrd_size;
    const char *cmdline;
    uint64_t rsdp; /* guest-physical, 0: none */
};

/* Registers at the entry, all guest-physical addresses; CS and the data segments as above, flat. */
struct linux_boot_entry {
    uint64_t rip, rsi, rsp, cr3;
    uint64_t gdt_base;
    uint32_t gdt_limit;
};

/* Whether linux_boot_load() would go through, without touching `ram`, which may be NULL. The same
 * errors. */
status_t linux_boot_check(const struct linux_boot_request *request, char *error,
                          size_t error_size) MUST_CHECK;

/* Puts kernel, initrd, command line, boot_params, page tables and a GDT into the guest's memory.
 * STATUS_INVALID for a file that is no such kernel, STATUS_NO_MEMORY when the memory is too small;
 * `error` then names what is wrong. What lies elsewhere in memory is not touched. */
status_t linux_boot_load(const struct linux_boot_request *request, struct linux_boot_entry *entry,
                         char *error, size_t error_size) MUST_CHECK;

#endif
