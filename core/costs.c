/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/costs.h"

#include "core/trace.h"
#include "core/vm.h"
#include "lib/pages.h"
#include "lib/string.h"

/* Each vCPU's owner clears its own counts when it finds that they are of another start: nobody else
 * writes to them. */
static _Atomic uint32_t generation;

static status_t create(struct vm *vm)
{
    for (uint32_t i = 0; i < vm->config->vcpus; i++) {
        if (vm->vcpus[i].costs == NULL) {
            vm->vcpus[i].costs = pages_alloc_bytes(sizeof(struct costs));
        }
        if (vm->vcpus[i].costs == NULL) {
            return STATUS_NO_MEMORY;
        }
    }
    return STATUS_OK;
}

status_t costs_start(void)
{
    for (uint32_t i = 0; i < vm_count(); i++) {
        status_t status = create(vm_get(i));
        if (status != STATUS_OK) {
            return status;
        }
    }
    atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed);
    trace_want(TRACE_COSTS, true);
    return STATUS_OK;
}

void costs_stop(void)
{
    trace_want(TRACE_COSTS, false);
}

void costs_add(struct vcpu *vcpu, uint32_t reason, uint64_t ticks)
{
    struct costs *costs = vcpu->costs;
    uint32_t now = atomic_load_explicit(&generation, memory_order_relaxed);

    if (costs->generation != now) {
        memset(costs, 0, sizeof(*costs));
        costs->generation = now;
    }
    if (reason < EXIT_REASON_COUNT) {
        costs->ticks[reason] += ticks;
        costs->counts[reason][costs_class(ticks)]++;
    }
}

const struct costs *costs_of(const struct vcpu *vcpu)
{
    const struct costs *costs = vcpu->costs;
    uint32_t now = atomic_load_explicit(&generation, memory_order_relaxed);

    return costs != NULL && now != 0 && costs->generation == now ? costs : NULL;
}
