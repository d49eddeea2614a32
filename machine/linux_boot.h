/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loading a Linux kernel by the 64-bit boot protocol (Linux, Documentation/arch/x86/boot.rst,
 * "64-bit Boot Protocol").
 */
#ifndef POSTERN_MACHINE_LINUX_BOOT_H
#define POSTERN_MACHINE_LINUX_BOOT_H

#include "machine/guest_kernel.h"

/* Selectors in the GDT that the kernel is entered with. */
#define LINUX_BOOT_CS 0x10u
#define LINUX_BOOT_DS 0x18u

/* As guest_kernel_check() and guest_kernel_load(), for a bzImage: boot_params, page tables and a
 * GDT come with the kernel. */
status_t linux_boot_check(const struct guest_kernel_request *request, char *error,
                          size_t error_size) MUST_CHECK;
status_t linux_boot_load(const struct guest_kernel_request *request, struct guest_entry *entry,
                         char *error, size_t error_size) MUST_CHECK;

#endif
