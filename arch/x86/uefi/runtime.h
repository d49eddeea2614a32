/* SPDX-License-Identifier: BSD-2-Clause */
/* The one runtime service that Postern calls: switching the machine off. */
#ifndef POSTERN_ARCH_X86_UEFI_RUNTIME_H
#define POSTERN_ARCH_X86_UEFI_RUNTIME_H

#include "arch/x86/boot_info.h"

/* Switches the machine off by EFI_RUNTIME_SERVICES.ResetSystem(). Runs the firmware's code in ring
 * 0 with its regions mapped as it left them: all guests are off, the other CPUs are stopped. Stops
 * this CPU if the firmware comes back. */
NORETURN void uefi_power_off(const struct boot_info *info);

#endif
