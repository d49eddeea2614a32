/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/trace.h"

#include "arch/x86/cpu.h"
#include "arch/x86/pcpu.h"
#include "core/vm.h"
#include "lib/pages.h"

_Atomic uint32_t trace_events;

/* Allocated when they are first wanted, and kept. */
static struct trace_ring *rings;

static status_t create_rings(void)
{
    uint32_t count = pcpu_count();
    /* In one piece: all of it or nothing. */
    uint8_t *bytes = pages_alloc_bytes((TRACE_RING_SIZE + sizeof(struct trace_ring)) * count);

    if (bytes == NULL) {
        return STATUS_NO_MEMORY;
    }
    rings = (struct trace_ring *)(void *)(bytes + (size_t)TRACE_RING_SIZE * count);
    for (uint32_t i = 0; i < count; i++) {
        rings[i].words = (uint64_t *)(void *)(bytes + (size_t)TRACE_RING_SIZE * i);
    }
    return STATUS_OK;
}

status_t trace_start(uint32_t events)
{
    status_t status = rings != NULL ? STATUS_OK : create_rings();

    if (status == STATUS_OK) {
        trace_stop();
        trace_want(events, true);
    }
    return status;
}

void trace_stop(void)
{
    trace_want(~TRACE_COSTS, false);
}

void trace_want(uint32_t bits, bool wanted)
{
    if (wanted) {
        /* Release: who sees an event wanted sees the rings, by the data that it depends on. */
        atomic_fetch_or_explicit(&trace_events, bits, memory_order_release);
    } else {
        atomic_fetch_and_explicit(&trace_events, ~bits, memory_order_relaxed);
    }
}

const struct trace_ring *trace_ring_of(uint32_t pcpu)
{
    return rings != NULL && pcpu < pcpu_count() ? &rings[pcpu] : NULL;
}

NOINLINE void trace_span(enum postern_trace_event event, const struct vcpu *vcpu, uint64_t tsc,
                         uint8_t detail, uint64_t argument)
{
    uint64_t now = rdtsc();
    uint64_t ticks = tsc != 0 ? now - tsc : 0;
    const struct postern_trace_record record = {
        .tsc = tsc != 0 ? tsc : now,
        .ticks = ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX,
        .event = (uint8_t)event,
        .vm = vcpu != NULL ? (uint8_t)vcpu->vm->id : POSTERN_TRACE_NOBODY,
        .vcpu = vcpu != NULL ? (uint8_t)vcpu->id : POSTERN_TRACE_NOBODY,
        .detail = detail,
        .argument = argument,
    };

    trace_ring_put(&rings[this_pcpu()->index], &record);
}
