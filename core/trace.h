/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tracing (abi/trace.h): a ring for each pCPU, written by it alone, out of its guests and out of
 * interrupt handlers. What is off costs a load and a branch.
 */
#ifndef POSTERN_CORE_TRACE_H
#define POSTERN_CORE_TRACE_H

#include "core/vcpu.h"
#include "lib/bits.h"
#include "lib/trace_ring.h"

/* A bit for each event that is wanted, and TRACE_COSTS. */
extern _Atomic uint32_t trace_events;

/* The exits' costs are counted (core/costs.h): not an event, but looked at where that of exits is.
 */
#define TRACE_COSTS BIT32(31)

_Static_assert(POSTERN_TRACE_EVENTS < 31, "the events leave it free");

static inline bool trace_wants_any(uint32_t bits)
{
    /* Relaxed: the rings and counts are there as long as a bit may be seen. */
    return UNLIKELY((atomic_load_explicit(&trace_events, memory_order_relaxed) & bits) != 0);
}

static inline bool trace_wants(enum postern_trace_event event)
{
    return trace_wants_any(BIT32(event));
}

/* Writes a record that began at `tsc` and ends now. `vcpu` may be NULL. */
void trace_span(enum postern_trace_event event, const struct vcpu *vcpu, uint64_t tsc,
                uint8_t detail, uint64_t argument);

/* Writes a record of this moment, if it is wanted. */
static inline void trace_point(enum postern_trace_event event, const struct vcpu *vcpu,
                               uint8_t detail, uint64_t argument)
{
    if (trace_wants(event)) {
        trace_span(event, vcpu, 0, detail, argument);
    }
}

/* Begins with the events of the mask; what was recorded before stays readable. STATUS_NO_MEMORY:
 * there is no room for the rings, of TRACE_RING_SIZE for each pCPU. On pCPU 0. */
status_t trace_start(uint32_t events) MUST_CHECK;
void trace_stop(void);

/* Sets bits besides those of events, or clears them. Whoever sees them set sees what was written
 * before. */
void trace_want(uint32_t bits, bool wanted);

/* The ring of a pCPU; NULL if tracing was never on, or there is no such pCPU. */
const struct trace_ring *trace_ring_of(uint32_t pcpu);

#endif
