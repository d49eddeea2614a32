/* SPDX-License-Identifier: BSD-2-Clause */
/* What is known of the machine that the hypervisor runs on. */
#ifndef POSTERN_CORE_MACHINE_H
#define POSTERN_CORE_MACHINE_H

#include "arch/x86/boot_info.h"
#include "arch/x86/vmx_caps.h"
#include "lib/pages.h"

struct machine {
    const struct boot_info *info;
    uint64_t start_tsc; /* when the firmware handed over */
    struct vmx_raw raw;
    struct vmx_caps caps;
};

const struct machine *machine_get(void);

/* Ends all VMs and then switches the machine off. Returns at once. pCPU 0 only. */
void machine_request_power_off(void);
/* Goes off once that was asked for, all VMs have ended and there was time to read the answer.
 * Returns otherwise: the TSC at which to call again, UINT64_MAX for after any VM's end. pCPU 0
 * only.
 */
uint64_t machine_power_off_if_due(uint64_t now);

/* Bytes outside the guests and their windows that the hypervisor holds: its image and what it
 * allocated. The guests' images, kept to restart them, are not in it. */
static inline uint64_t machine_hypervisor_bytes(const struct machine *machine)
{
    return machine->info->image_size + pages_used(PAGES_HYPERVISOR);
}

#endif
