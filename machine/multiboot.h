/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loading a multiboot 1 kernel (Multiboot Specification 0.6.96): an ELF32 file, or any file whose
 * multiboot header has the address fields. It is entered in 32-bit protected mode with paging off,
 * EAX holding the magic and EBX the address of the multiboot information. Small kernels for tests
 * and experiments are made so.
 */
#ifndef POSTERN_MACHINE_MULTIBOOT_H
#define POSTERN_MACHINE_MULTIBOOT_H

#include "machine/guest_kernel.h"

/* What EAX holds at the entry. */
#define MULTIBOOT_ENTRY_MAGIC 0x2badb002u

/* Whether the file has a multiboot header. */
bool multiboot_recognise(const uint8_t *file, uint64_t size);

/* As guest_kernel_check() and guest_kernel_load(), for a file with a multiboot header. */
status_t multiboot_check(const struct guest_kernel_request *request, char *error,
                         size_t error_size) MUST_CHECK;
status_t multiboot_load(const struct guest_kernel_request *request, struct guest_entry *entry,
                        char *error, size_t error_size) MUST_CHECK;

#endif
