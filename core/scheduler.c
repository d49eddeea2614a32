/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/scheduler.h"

#include "arch/x86/apic.h"
#include "arch/x86/cpu.h"
#include "arch/x86/exceptions.h"
#include "core/vcpu.h"
#include "lib/log.h"
#include "lib/pages.h"
#include "lib/panic.h"

#define SLICE_MS 10u
/* How long a vCPU stays in a protected view, if nothing else ends its stay in the guest. */
#define VIEW_STAY_MS 2000u
#define NO_TIMER     UINT64_MAX
/* A timer in the past, or now, fires at once on silicon; one tick ahead is right everywhere. */
#define TIMER_SOON 1u

static struct scheduler *schedulers;
static uint64_t (*service)(uint64_t tsc);
static uint64_t service_due = NO_TIMER;
static uint32_t max_stay_ms;

status_t scheduler_create_all(void)
{
    uint64_t bytes = sizeof(struct scheduler) * pcpu_count();

    schedulers = pages_alloc((bytes + PAGE_SIZE - 1) / PAGE_SIZE, PAGE_SIZE, PAGES_HYPERVISOR);
    if (schedulers == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < pcpu_count(); i++) {
        schedulers[i].pcpu = pcpu_get(i);
        schedulers[i].timer = NO_TIMER;
    }
    return STATUS_OK;
}

void scheduler_set_max_stay(uint32_t ms)
{
    max_stay_ms = ms;
}

struct scheduler *scheduler_get(uint32_t pcpu)
{
    return &schedulers[pcpu];
}

void scheduler_set_service(uint64_t (*function)(uint64_t tsc))
{
    service = function;
}

status_t scheduler_add(struct scheduler *scheduler, struct vcpu *vcpu)
{
    if (scheduler->count == SCHEDULER_MAX_VCPUS) {
        return STATUS_NO_MEMORY;
    }
    scheduler->vcpus[scheduler->count++] = vcpu;
    vcpu->scheduler = scheduler;
    return STATUS_OK;
}

void vcpu_request(struct vcpu *vcpu, uint32_t work)
{
    struct pcpu *owner = vcpu->scheduler->pcpu;

    /* Release: pairs with the acquire of the exchange in vcpu_service(), so that what the request
     * is about is seen with it. */
    uint32_t before = atomic_fetch_or_explicit(&vcpu->work, work, memory_order_release);
    if (owner != this_pcpu()) {
        if ((before & work) != work) {
            apic_send(owner->apic_id, VECTOR_KICK);
        }
        return;
    }
    struct vcpu *loaded = vcpu->scheduler->loaded;
    if (loaded != NULL && loaded != vcpu) {
        /* It may be alone on the CPU so far, without a time slice. */
        atomic_fetch_or_explicit(&loaded->work, VCPU_WORK_YIELD, memory_order_relaxed);
    }
}

void vcpu_request_posted(struct vcpu *vcpu)
{
    struct pcpu *owner = vcpu->scheduler->pcpu;
    enum posted_next next = POSTED_REQUEST;

    /* Here it is out of its guest, even if it goes back there at once: the work bit is enough. */
    if (vcpu_caps()->posted_interrupts && owner != this_pcpu()) {
        next = posted_notify(&vcpu->lapic.posted);
    }
    if (next == POSTED_NOTIFY) {
        apic_send(owner->apic_id, VECTOR_POSTED);
    } else if (next == POSTED_REQUEST) {
        vcpu_request(vcpu, VCPU_WORK_INTERRUPT);
    }
}

static uint64_t earliest_deadline(const struct scheduler *scheduler)
{
    uint64_t earliest = scheduler->pcpu->index == 0 ? service_due : NO_TIMER;

    for (uint32_t i = 0; i < scheduler->count; i++) {
        uint64_t deadline = lapic_timer_deadline(&scheduler->vcpus[i]->lapic);
        earliest = deadline < earliest ? deadline : earliest;
    }
    return earliest;
}

static bool may_lend(const struct scheduler *scheduler)
{
    const struct vcpu *vcpu = scheduler->vcpus[0];

    return scheduler->count == 1 && scheduler->loaded == vcpu &&
           (scheduler->pcpu->index != 0 || service_due == NO_TIMER) &&
           atomic_load_explicit(&vcpu->state, memory_order_relaxed) != VCPU_PARKED &&
           lapic_timer_is_deadline(&vcpu->lapic);
}

static void lend_timer(struct scheduler *scheduler)
{
    struct vcpu *vcpu = scheduler->vcpus[0];

    uint64_t deadline = lapic_read_tsc_deadline(&vcpu->lapic);
    uint64_t soon = rdtsc() + TIMER_SOON;

    scheduler->lent = true;
    vcpu_pass_timer(vcpu, true);
    apic_set_timer(deadline != 0 && deadline < soon ? soon : deadline);
}

void scheduler_take_timer(struct scheduler *scheduler)
{
    if (scheduler->lent) {
        struct vcpu *vcpu = scheduler->vcpus[0];
        scheduler->lent = false;
        /* What the guest set goes on as the model's; so does an expiry that is on its way. */
        uint64_t deadline = apic_timer_pending() ? rdtsc() : apic_get_timer();
        lapic_write_tsc_deadline(&vcpu->lapic, deadline);
        scheduler->timer = deadline == 0 ? NO_TIMER : deadline;
        vcpu_pass_timer(vcpu, false);
    }
}

/* The timer that a guest was lent has expired. */
static void lent_timer_expired(struct scheduler *scheduler, uint64_t now)
{
    struct vcpu *vcpu = scheduler->vcpus[0];

    /* Else it was set anew meanwhile, and this expiry is an older one. One that has passed reads 0;
     * in Bochs 2.7 it still reads as it was set. */
    if (apic_get_timer() <= now) {
        lapic_write_tsc_deadline(&vcpu->lapic, now);
        if (lapic_timer_expire(&vcpu->lapic, now)) {
            vcpu_request(vcpu, VCPU_WORK_INTERRUPT);
        }
    }
}

void scheduler_update_timer(struct scheduler *scheduler)
{
    bool lend = may_lend(scheduler);

    if (scheduler->lent && !lend) {
        scheduler_take_timer(scheduler);
    }
    if (lend) {
        if (!scheduler->lent) {
            lend_timer(scheduler);
        }
        return;
    }
    uint64_t deadline = earliest_deadline(scheduler);

    if (deadline == scheduler->timer) {
        return;
    }
    scheduler->timer = deadline;
    if (deadline == NO_TIMER) {
        apic_set_timer(0);
    } else {
        uint64_t soon = rdtsc() + TIMER_SOON;
        apic_set_timer(deadline < soon ? soon : deadline);
    }
}

void scheduler_timer_interrupt(void)
{
    struct scheduler *scheduler = &schedulers[this_pcpu()->index];
    uint64_t now = rdtsc();

    if (scheduler->lent) {
        lent_timer_expired(scheduler, now);
        return;
    }
    scheduler->timer = NO_TIMER;
    for (uint32_t i = 0; i < scheduler->count; i++) {
        struct vcpu *vcpu = scheduler->vcpus[i];
        if (lapic_timer_expire(&vcpu->lapic, now)) {
            vcpu_request(vcpu, VCPU_WORK_INTERRUPT);
        }
    }
    if (scheduler->pcpu->index == 0 && service_due <= now) {
        /* It is called as soon as this CPU is out of its guest or its HLT. Until then the deadline
         * is no more: set again, it would interrupt this CPU for ever. */
        service_due = NO_TIMER;
        if (scheduler->loaded != NULL) {
            vcpu_request(scheduler->loaded, VCPU_WORK_YIELD);
        }
    }
    scheduler_update_timer(scheduler);
}

/* Whether `vcpu` can enter its guest now. Takes up the requests that do not need its VMCS. */
static bool runnable(struct vcpu *vcpu)
{
    uint32_t work = atomic_load_explicit(&vcpu->work, memory_order_relaxed);

    if ((work & (VCPU_WORK_PARK | VCPU_WORK_RESET)) != 0) {
        return true;
    }
    switch (atomic_load_explicit(&vcpu->state, memory_order_relaxed)) {
    case VCPU_RUNNABLE:
        return true;
    case VCPU_HALTED:
        return (work & ~VCPU_WORK_YIELD) != 0;
    case VCPU_WAITING:
        return (work & VCPU_WORK_STARTUP) != 0;
    case VCPU_PARKED:
        break;
    }
    return false;
}

/* The next vCPU in turn, NULL if none can run. `*contended`: another one waits for the CPU. */
static struct vcpu *choose(struct scheduler *scheduler, bool *contended)
{
    struct vcpu *chosen = NULL;
    uint32_t first = scheduler->last + 1;

    *contended = false;
    for (uint32_t i = 0; i < scheduler->count; i++) {
        uint32_t index = (first + i) % scheduler->count;
        if (!runnable(scheduler->vcpus[index])) {
            continue;
        }
        if (chosen != NULL) {
            *contended = true;
            break;
        }
        chosen = scheduler->vcpus[index];
        scheduler->last = index;
    }
    return chosen;
}

static void run_service(struct scheduler *scheduler)
{
    if (scheduler->pcpu->index == 0 && service != NULL) {
        service_due = service(rdtsc());
        scheduler_update_timer(scheduler);
    }
}

/* Of a vCPU that is alone; 0: without end. */
static uint32_t longest_stay(const struct vcpu *vcpu)
{
    bool has_views = atomic_load_explicit(&vcpu->views_open, memory_order_relaxed) != 0;

    return max_stay_ms == 0 && has_views ? VIEW_STAY_MS : max_stay_ms;
}

NORETURN void scheduler_run(struct scheduler *scheduler)
{
    for (;;) {
        bool contended = false;
        run_service(scheduler);
        struct vcpu *vcpu = choose(scheduler, &contended);
        if (vcpu == NULL) {
            uint64_t before = rdtsc();
            wait_for_interrupt();
            scheduler->idle_ticks += rdtsc() - before;
            continue;
        }
        if (scheduler->loaded != vcpu) {
            if (scheduler->loaded != NULL) {
                vcpu_save_context(scheduler->loaded);
            }
            vcpu_load_context(vcpu);
            scheduler->loaded = vcpu;
            scheduler->slicing = false;
        }
        uint32_t slice = contended ? SLICE_MS : longest_stay(vcpu);
        if (!vcpu->test_stay && (slice != 0 || scheduler->slicing)) {
            vcpu_set_slice(vcpu, slice);
            scheduler->slicing = slice != 0;
        }
        vcpu_run(vcpu);
    }
}
