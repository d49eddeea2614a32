/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtualization-exception information area (SDM "Virtualization Exceptions"), for exceptions
 * that the hypervisor delivers itself: where the CPU has no #VE, or where the default view has to
 * be restored first. The page is the guest's to write: nothing in it is trusted but whether it is
 * busy.
 */
#ifndef POSTERN_VMFUNC_VE_H
#define POSTERN_VMFUNC_VE_H

#include "lib/types.h"

#define VE_REASON_EPT_VIOLATION 48u
#define VE_BUSY                 0xffffffffu

struct ve_information {
    uint32_t reason;
    uint32_t busy; /* VE_BUSY from a delivery until the handler clears it */
    uint64_t qualification;
    uint64_t linear;
    uint64_t gpa;
    uint16_t view;
};

_Static_assert(offsetof(struct ve_information, view) == 32, "the CPU's layout");

/* Fills the area as the CPU would. False, and nothing is written, while it is busy: then there is
 * no #VE. */
static inline bool ve_fill(volatile struct ve_information *area, uint64_t qualification,
                           uint64_t linear, uint64_t gpa, uint16_t view)
{
    if (area->busy != 0) {
        return false;
    }
    area->reason = VE_REASON_EPT_VIOLATION;
    area->qualification = qualification;
    area->linear = linear;
    area->gpa = gpa;
    area->view = view;
    area->busy = VE_BUSY;
    return true;
}

#endif
