/* SPDX-License-Identifier: BSD-2-Clause */
/* Taking the machine over, once the firmware's boot services have ended. */
#ifndef POSTERN_CORE_HYPERVISOR_H
#define POSTERN_CORE_HYPERVISOR_H

#include "arch/x86/boot_info.h"
#include "core/config.h"
#include "lib/types.h"

/* What the boot menu's entry may ask for besides a configuration. */
struct hypervisor_options {
    uint32_t max_stay_ms; /* limit of each stay in a guest, for machines on which an interrupt does
                           * not always end it; 0: none */
    bool tests;           /* hypercalls for Postern's own tests */
    bool fallback;        /* views, #VE and dirty pages by exits even where the CPU could itself */
    bool no_apicv; /* deliver virtual interrupts by injection even where the CPU could itself */
};

/* Runs the VMs of `config` on the machine of `info`; both must stay where they are. Interrupts are
 * off, paging is the firmware's identity map. */
NORETURN void hypervisor_start(const struct boot_info *info, const struct config *config,
                               const struct hypervisor_options *options);

#endif
