/* SPDX-License-Identifier: BSD-2-Clause */
/* The firmware's handles, for the files of this folder only. */
#ifndef POSTERN_ARCH_X86_UEFI_EFI_STATE_H
#define POSTERN_ARCH_X86_UEFI_EFI_STATE_H

#include <efi.h>

struct boot_info;

extern EFI_HANDLE efi_image;
extern EFI_SYSTEM_TABLE *efi_system;
extern EFI_BOOT_SERVICES *efi_boot;
extern EFI_LOADED_IMAGE *efi_loaded;

/* memory_map.c: whole pages of EfiLoaderData below `limit`, NULL if there are none. */
void *efi_pages(UINTN bytes, UINT64 limit);

#endif
