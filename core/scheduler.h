/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler of one pCPU: it runs the vCPUs that are pinned there. A vCPU that is alone runs
 * without a time slice; several share the CPU in slices, and in parts as their VMs' weights say
 * (core/shares.h). An idle pCPU waits in HLT, with nothing periodic.
 *
 * The CPU's TSC-deadline timer serves the vCPUs' timers. A vCPU that has the CPU to itself is lent
 * it: its guest sets the timer with no exit, and only its expiry comes here.
 */
#ifndef POSTERN_CORE_SCHEDULER_H
#define POSTERN_CORE_SCHEDULER_H

#include "arch/x86/pcpu.h"
#include "core/shares.h"
#include "core/vm.h"

#define SCHEDULER_MAX_VCPUS (CONFIG_MAX_VMS * CONFIG_MAX_VCPUS)

_Static_assert(SCHEDULER_MAX_VCPUS <= SHARES_MAX && CONFIG_WEIGHT_MAX <= SHARES_WEIGHT_MAX,
               "a share for each vCPU");

/* What is to be done on a scheduler's pCPU. */
struct scheduler_call {
    void (*function)(struct scheduler *scheduler, void *context);
    void *context;
};

struct scheduler {
    struct pcpu *pcpu;
    _Atomic(const struct scheduler_call *) call; /* to be answered; NULL: none */
    uint32_t count;
    struct vcpu *vcpus[SCHEDULER_MAX_VCPUS];
    struct shares shares; /* by the same index */
    struct vcpu *loaded;  /* whose VMCS and registers are on the CPU; NULL: nobody's */
    /* Which is between its choice and its way back out of the guest; NULL: none. */
    _Atomic(struct vcpu *) running;
    bool slicing;        /* the loaded VMCS may have the preemption timer on */
    bool spin_exits;     /* and it may exit when it spins */
    bool lent;           /* the timer is the only vCPU's: its guest sets it */
    uint64_t timer;      /* the deadline that the APIC timer is set to; UINT64_MAX: none */
    uint64_t slice_end;  /* the TSC at which the turn ends; UINT64_MAX: nobody else waits */
    uint64_t idle_ticks; /* TSC ticks spent in HLT */
};

/* Limits each stay in a guest even where a vCPU is alone; 0, the default: no limit. */
void scheduler_set_max_stay(uint32_t ms);

/* Makes one scheduler per pCPU. */
status_t scheduler_create_all(uint64_t tsc_hz) MUST_CHECK;
struct scheduler *scheduler_get(uint32_t pcpu);

/* Pins `vcpu`, with its VM's weight; before any scheduler runs, or on the scheduler's pCPU.
 * STATUS_NO_MEMORY if it has SCHEDULER_MAX_VCPUS. */
status_t scheduler_add(struct scheduler *scheduler, struct vcpu *vcpu) MUST_CHECK;

/* Takes a vCPU that is not loaded away from this pCPU, which is the scheduler's. */
void scheduler_remove(struct scheduler *scheduler, const struct vcpu *vcpu);

/* Moves a vCPU to another pCPU's scheduler, in whatever state it and its VM are: between two
 * instructions of its guest. Its share of time begins anew there. STATUS_NO_MEMORY if that has
 * SCHEDULER_MAX_VCPUS. As scheduler_call(): on pCPU 0, the caller holds no lock. In
 * core/scheduler_move.c. */
status_t scheduler_move(struct vcpu *vcpu, struct scheduler *to) MUST_CHECK;

/* Has `function` run on the scheduler's pCPU, out of any guest, and waits until it has. Nothing of
 * a guest's can hold that up. For the monitor, on pCPU 0; the caller holds no lock. */
void scheduler_call(struct scheduler *scheduler,
                    void (*function)(struct scheduler *scheduler, void *context), void *context);

/* Runs the vCPUs of this pCPU for ever. */
NORETURN void scheduler_run(struct scheduler *scheduler);

/* Sets bits of vcpu->work and, if another pCPU owns the vCPU, interrupts that one. Any CPU. */
void vcpu_request(struct vcpu *vcpu, uint32_t work);

/* Has the pCPU of `vcpu` choose anew whom to run, whatever bits of vcpu->work are set already. Any
 * CPU. */
void vcpu_kick(struct vcpu *vcpu);

/* Has `vcpu` look at an edge-triggered interrupt that was posted to it. Where the CPU can take it
 * while it is in its guest that is no exit there. Any CPU. */
void vcpu_request_posted(struct vcpu *vcpu);

/* Sets this pCPU's timer to its vCPUs' earliest deadline, after one has changed. */
void scheduler_update_timer(struct scheduler *scheduler);

/* Takes the timer back from the guest that it is lent to, if it is. On this pCPU. */
void scheduler_take_timer(struct scheduler *scheduler);

/* The handler of VECTOR_TIMER. */
void scheduler_timer_interrupt(void);

/* Called by scheduler_run() on pCPU 0 whenever it is out of a guest and on its timer: the monitor's
 * share of time. Returns the TSC of the next call wanted, UINT64_MAX for none. Set before
 * scheduler_run(). */
void scheduler_set_service(uint64_t (*service)(uint64_t tsc));

#endif
