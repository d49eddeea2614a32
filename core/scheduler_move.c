/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vCPU's way from one pCPU to another. Each of the two schedulers changes its list on its own
 * pCPU, out of any guest; what the first has left in memory the second takes up.
 *
 * In between the vCPU is on nobody's list, and vcpu->scheduler is still the first. Requests are not
 * lost meanwhile: their bits are in vcpu->work, where the second looks once it has the vCPU
 * (scheduler_add()). Nobody who waits for the vCPU to leave its guest waits longer than that: it is
 * out of it.
 */
#include "core/scheduler.h"
#include "core/vcpu.h"
#include "lib/panic.h"

/* What the CPU holds of it goes to memory: registers, and the VMCS, which another CPU may load only
 * then (SDM "Software Use of Virtual-Machine Control Structures"). It may be held there since an
 * earlier turn, while another vCPU is loaded. One that is parked has left nothing, and its VMCS may
 * be gone. */
static void unload(struct scheduler *scheduler, struct vcpu *vcpu)
{
    /* With its VMCS current, if it is lent. */
    scheduler_take_timer(scheduler);
    if (scheduler->loaded == vcpu) {
        vcpu_save_context(vcpu);
        scheduler->loaded = NULL;
    }
    if (atomic_load(&vcpu->state) != VCPU_PARKED) {
        vcpu_depart(vcpu);
    }
}

static void leave(struct scheduler *scheduler, void *context)
{
    unload(scheduler, context);
    scheduler_remove(scheduler, context);
}

static void come(struct scheduler *scheduler, void *context)
{
    ASSERT(scheduler_add(scheduler, context) == STATUS_OK);
    /* Its timers are this CPU's from now on, and one that this CPU was lent is it no more. */
    scheduler_update_timer(scheduler);
}

status_t scheduler_move(struct vcpu *vcpu, struct scheduler *to)
{
    struct scheduler *from = atomic_load(&vcpu->scheduler);

    if (from == to) {
        return STATUS_OK;
    }
    /* Nobody else adds one meanwhile: that is pCPU 0's. */
    if (to->count == SCHEDULER_MAX_VCPUS) {
        return STATUS_NO_MEMORY;
    }
    scheduler_call(from, leave, vcpu);
    scheduler_call(to, come, vcpu);
    return STATUS_OK;
}
