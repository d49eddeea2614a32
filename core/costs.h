/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What exits cost: for each vCPU and reason, how many were handled in how many ticks of the TSC,
 * from the entry into the hypervisor's C code to its end. It is counted only while somebody wants
 * it (TRACE_COSTS in core/trace.h): two RDTSC for each exit then, and nothing else.
 */
#ifndef POSTERN_CORE_COSTS_H
#define POSTERN_CORE_COSTS_H

#include "core/vcpu.h"

/* Class 0 is of those below COSTS_FIRST ticks, each other one of those below twice as many as the
 * one before, and the last one of all the rest. */
#define COSTS_CLASSES 8u
#define COSTS_FIRST   256u

struct costs {
    uint32_t generation; /* of costs_start(): whose counts these are */
    uint64_t ticks[EXIT_REASON_COUNT];
    uint64_t counts[EXIT_REASON_COUNT][COSTS_CLASSES];
};

static inline unsigned costs_class(uint64_t ticks)
{
    unsigned number = 0;

    for (uint64_t limit = COSTS_FIRST; number < COSTS_CLASSES - 1 && ticks >= limit; limit *= 2) {
        number++;
    }
    return number;
}

/* Begins to count, from nothing. STATUS_NO_MEMORY: a page or more for each vCPU. On pCPU 0. */
status_t costs_start(void) MUST_CHECK;
void costs_stop(void);

/* Counts an exit of `vcpu`; on its pCPU. */
void costs_add(struct vcpu *vcpu, uint32_t reason, uint64_t ticks);

/* What was counted for `vcpu` since the last start; NULL if nothing was. The counts may be those of
 * different moments while they are still being counted. */
const struct costs *costs_of(const struct vcpu *vcpu);

#endif
