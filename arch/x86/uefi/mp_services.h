/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_ARCH_X86_UEFI_MP_SERVICES_H
#define POSTERN_ARCH_X86_UEFI_MP_SERVICES_H

#include "arch/x86/boot_info.h"
#include "lib/status.h"

/* Lists the enabled processors by EFI_MP_SERVICES_PROTOCOL (UEFI Platform Initialization
 * specification, "MP Services Protocol"), which gnu-efi does not declare. */
status_t mp_services_list_cpus(struct boot_info *info) MUST_CHECK;

#endif
