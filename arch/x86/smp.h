/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting the other CPUs (SDM "Multiple-Processor Management", "MP Initialization"). */
#ifndef POSTERN_ARCH_X86_SMP_H
#define POSTERN_ARCH_X86_SMP_H

#include "arch/x86/boot_info.h"
#include "arch/x86/pcpu.h"
#include "lib/status.h"

/* Sends INIT and SIPI to every CPU but this one and waits, at most 200 ms each, until it is online.
 * Each then runs `entry` on its own stack, with its own tables and APIC on; `entry` does not
 * return. One that does not start is named in the log and fails the call. */
status_t smp_start(const struct boot_info *info, void (*entry)(struct pcpu *)) MUST_CHECK;

#endif
