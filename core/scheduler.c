/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/scheduler.h"

#include "arch/x86/apic.h"
#include "arch/x86/cpu.h"
#include "arch/x86/exceptions.h"
#include "core/trace.h"
#include "core/vcpu.h"
#include "core/vcpu_log.h"
#include "lib/bits.h"
#include "lib/log.h"
#include "lib/pages.h"
#include "lib/panic.h"

#define SLICE_MS 10u
/* How long a vCPU stays in a protected view, if nothing else ends its stay in the guest. */
#define VIEW_STAY_MS 2000u
#define NO_TIMER     UINT64_MAX
/* A timer in the past, or now, fires at once on silicon; one tick ahead is right everywhere. */
#define TIMER_SOON 1u
/* Between two looks whether a call was answered. */
#define CALL_PAUSES 1000u

static struct scheduler *schedulers;
static uint64_t (*service)(uint64_t tsc);
static uint64_t service_due = NO_TIMER;
static uint32_t max_stay_ms;
static uint64_t slice_ticks; /* of the TSC */

status_t scheduler_create_all(uint64_t tsc_hz)
{
    slice_ticks = tsc_hz / 1000 * SLICE_MS;
    schedulers = pages_alloc_bytes(sizeof(struct scheduler) * pcpu_count());
    if (schedulers == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < pcpu_count(); i++) {
        schedulers[i].pcpu = pcpu_get(i);
        schedulers[i].timer = NO_TIMER;
        schedulers[i].slice_end = NO_TIMER;
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

/* A guest may wait by MWAIT while nobody else is to have the CPU. */
static void update_waits(struct scheduler *scheduler)
{
    if (scheduler->loaded != NULL) {
        vcpu_set_waits(scheduler->loaded, scheduler->count == 1);
    }
}

status_t scheduler_add(struct scheduler *scheduler, struct vcpu *vcpu)
{
    if (scheduler->count == SCHEDULER_MAX_VCPUS) {
        return STATUS_NO_MEMORY;
    }
    (void)shares_add(&scheduler->shares, vcpu->vm->config->weight);
    scheduler->vcpus[scheduler->count++] = vcpu;
    update_waits(scheduler);
    /* Before the next look at its requests, in choose() or vcpu_run(). Partner: vcpu_request(),
     * which sets one and then looks for whom to tell: either that one is this pCPU, or it is seen
     * here. */
    atomic_store(&vcpu->scheduler, scheduler);
    atomic_thread_fence(memory_order_seq_cst);
    return STATUS_OK;
}

void scheduler_remove(struct scheduler *scheduler, const struct vcpu *vcpu)
{
    uint32_t index = 0;

    ASSERT(scheduler->loaded != vcpu);
    scheduler_take_timer(scheduler);
    while (scheduler->vcpus[index] != vcpu) {
        index++;
        ASSERT(index < scheduler->count);
    }
    scheduler->count--;
    for (uint32_t i = index; i < scheduler->count; i++) {
        scheduler->vcpus[i] = scheduler->vcpus[i + 1];
    }
    shares_remove(&scheduler->shares, index);
    update_waits(scheduler);
    scheduler_update_timer(scheduler);
}

static void answer_call(struct scheduler *scheduler)
{
    const struct scheduler_call *call =
        atomic_load_explicit(&scheduler->call, memory_order_acquire);

    if (UNLIKELY(call != NULL)) {
        call->function(scheduler, call->context);
        /* Release: pairs with the acquire in scheduler_call(). */
        atomic_store_explicit(&scheduler->call, NULL, memory_order_release);
    }
}

/* Gets the pCPU to where it answers calls, whatever it is at. */
static void call_out(struct scheduler *scheduler)
{
    struct vcpu *running = atomic_load(&scheduler->running);

    if (running != NULL) {
        atomic_fetch_or_explicit(&running->work, VCPU_WORK_YIELD, memory_order_relaxed);
    }
    apic_send(scheduler->pcpu->apic_id, VECTOR_KICK);
}

void scheduler_call(struct scheduler *scheduler,
                    void (*function)(struct scheduler *scheduler, void *context), void *context)
{
    const struct scheduler_call call = {function, context};

    if (scheduler->pcpu == this_pcpu()) {
        function(scheduler, context);
        return;
    }
    atomic_store_explicit(&scheduler->call, &call, memory_order_release);
    while (atomic_load_explicit(&scheduler->call, memory_order_acquire) != NULL) {
        /* Again and again: a vCPU that is just being chosen forgets that it was to yield. */
        call_out(scheduler);
        for (unsigned i = 0; i < CALL_PAUSES; i++) {
            cpu_pause();
        }
    }
}

/* An interrupt wakes a vCPU that is halted, at once. One that was preempted, as its clock's ticks
 * go on, gains nothing by it: whoever has the CPU was chosen with this one waiting, and has a time
 * slice. */
static bool waits_for_its_turn(const struct vcpu *vcpu, uint32_t work)
{
    return work == VCPU_WORK_INTERRUPT &&
           atomic_load_explicit(&vcpu->state, memory_order_relaxed) == VCPU_RUNNABLE;
}

void vcpu_request(struct vcpu *vcpu, uint32_t work)
{
    /* Release: pairs with the acquire of the exchange in vcpu_service(), so that what the request
     * is about is seen with it. And sequentially consistent, before the look at where the vCPU is:
     * if it moves meanwhile, see scheduler_add(). */
    uint32_t before = atomic_fetch_or(&vcpu->work, work);
    const struct scheduler *scheduler = atomic_load(&vcpu->scheduler);

    if (scheduler->pcpu != this_pcpu()) {
        if ((before & work) != work) {
            apic_send(scheduler->pcpu->apic_id, VECTOR_KICK);
        }
        return;
    }
    struct vcpu *loaded = scheduler->loaded;
    if (loaded != NULL && loaded != vcpu && !waits_for_its_turn(vcpu, work)) {
        /* It may be alone on the CPU so far, without a time slice. */
        atomic_fetch_or_explicit(&loaded->work, VCPU_WORK_YIELD, memory_order_relaxed);
    }
}

void vcpu_kick(struct vcpu *vcpu)
{
    struct pcpu *owner = vcpu->scheduler->pcpu;

    if (owner != this_pcpu()) {
        apic_send(owner->apic_id, VECTOR_KICK);
    }
}

void vcpu_request_posted(struct vcpu *vcpu)
{
    enum posted_next next = POSTED_REQUEST;

    /* Here it is out of its guest, even if it goes back there at once: the work bit is enough. */
    if (vcpu_caps()->posted_interrupts && vcpu->scheduler->pcpu != this_pcpu()) {
        next = posted_notify(&vcpu->lapic.posted);
    }
    if (next == POSTED_NOTIFY) {
        /* Looked for behind SN, which was clear: where that was, or where it is by now. If it has
         * left its guest in between it has seen the request. */
        apic_send(vcpu->scheduler->pcpu->apic_id, VECTOR_POSTED);
    } else if (next == POSTED_REQUEST) {
        vcpu_request(vcpu, VCPU_WORK_INTERRUPT);
    }
}

static uint64_t earliest_deadline(const struct scheduler *scheduler)
{
    uint64_t earliest = scheduler->pcpu->index == 0 ? service_due : NO_TIMER;

    earliest = scheduler->slice_end < earliest ? scheduler->slice_end : earliest;
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
           vcpu->vm->tsc_offset == 0 && /* else it counts by another TSC than the CPU's timer */
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
        /* What the guest set goes on as the model's; so does an expiry that is on its way. Looked
         * for behind the deadline, which reads 0 from the expiry on: one in between is seen. */
        uint64_t deadline = apic_get_timer();
        if (apic_timer_pending()) {
            deadline = rdtsc();
        }
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
     * in Bochs 2.7 it still reads as it was set, and scheduler_take_timer() would take it for one
     * that is to come. */
    if (apic_get_timer() <= now) {
        apic_set_timer(0);
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

/* It has the loaded vCPU leave its guest, if there is one. */
static void end_turn(const struct scheduler *scheduler)
{
    if (scheduler->loaded != NULL) {
        vcpu_request(scheduler->loaded, VCPU_WORK_YIELD);
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
        end_turn(scheduler);
    }
    if (scheduler->slice_end <= now) {
        scheduler->slice_end = NO_TIMER;
        end_turn(scheduler);
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
    if (atomic_load_explicit(&vcpu->vm->state, memory_order_relaxed) == VM_PAUSED) {
        return (work & VCPU_WORK_SAVE) != 0; /* it does not enter the guest for that */
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

/* Whose turn it is; NULL if none can run. `*contended`: another one waits for the CPU. */
static struct vcpu *choose(struct scheduler *scheduler, bool *contended)
{
    uint64_t wanting = 0;

    for (uint32_t i = 0; i < scheduler->count; i++) {
        wanting |= runnable(scheduler->vcpus[i]) ? BIT(i) : 0;
    }
    *contended = (wanting & (wanting - 1)) != 0;
    int chosen = shares_choose(&scheduler->shares, wanting);
    return chosen >= 0 ? scheduler->vcpus[chosen] : NULL;
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

/*
 * The turn's end, by two timers. The preemption timer stands still while exits are handled: a guest
 * that does nothing but exit would have the CPU for a hundred slices. The APIC's does not, but in
 * Bochs it ends no stay of a guest whose interrupts are off. It is left as it is where it comes
 * earlier anyway, as it does for the guests' own ticks, and where the slice is no more.
 */
static void set_slice(struct scheduler *scheduler, struct vcpu *vcpu, bool contended)
{
    uint32_t stay = contended ? SLICE_MS : longest_stay(vcpu);

    scheduler->slice_end = contended ? rdtsc() + slice_ticks : NO_TIMER;
    if (scheduler->slice_end < scheduler->timer) {
        scheduler_update_timer(scheduler);
    }
    if (!vcpu->test_stay && (stay != 0 || scheduler->slicing)) {
        vcpu_set_slice(vcpu, stay);
        scheduler->slicing = stay != 0;
    }
}

static void load(struct scheduler *scheduler, struct vcpu *vcpu)
{
    if (scheduler->loaded != NULL) {
        vcpu_save_context(scheduler->loaded);
    }
    vcpu_load_context(vcpu);
    if (vcpu->arrives) {
        vcpu_arrive(vcpu);
    }
    vcpu_set_waits(vcpu, scheduler->count == 1);
    scheduler->loaded = vcpu;
    /* Whatever its last turn has left there. */
    scheduler->slicing = true;
    scheduler->spin_exits = true;
    trace_point(POSTERN_TRACE_RUN, vcpu, 0, 0);
}

/* Has the vCPU enter its guest, and counts the time until it is back. */
static void run(struct scheduler *scheduler, struct vcpu *vcpu)
{
    uint64_t before = rdtsc();

    /* Partner: vm_is_still(), which looks here behind its request to leave. */
    atomic_store(&scheduler->running, vcpu);
    vcpu_run(vcpu);
    if (UNLIKELY(atomic_load_explicit(&vcpu->vm->dirty.logging, memory_order_relaxed))) {
        vcpu_log_sync(vcpu); /* nothing stays in the log of one that does not run */
    }
    atomic_store_explicit(&scheduler->running, NULL, memory_order_release);
    uint64_t ticks = rdtsc() - before;
    vcpu->ran_ticks += ticks;
    shares_charge(&scheduler->shares, scheduler->shares.last, ticks);
    if (vcpu->gives_way) {
        vcpu->gives_way = false;
        shares_give_way(&scheduler->shares);
    }
}

/* The vCPU's VM ends. Nothing of it stays on this CPU, which could write to its VMCS later: the
 * memory may then be somebody else's. */
static void park(struct scheduler *scheduler, struct vcpu *vcpu)
{
    ASSERT(vmx_vmcs_prepare(vcpu->vmx.vmcs) == STATUS_OK);
    scheduler->loaded = NULL;
    vcpu->parking = false;
    if (atomic_exchange(&vcpu->state, VCPU_PARKED) != VCPU_PARKED) {
        vm_vcpu_parked(vcpu->vm);
    }
}

NORETURN void scheduler_run(struct scheduler *scheduler)
{
    for (;;) {
        bool contended = false;
        if (max_stay_ms != 0) {
            /* One that ended no stay is still pending: maybe the timer of a vCPU in HLT. */
            take_interrupts();
        }
        answer_call(scheduler);
        run_service(scheduler);
        struct vcpu *vcpu = choose(scheduler, &contended);
        if (vcpu == NULL) {
            uint64_t before = rdtsc();
            wait_for_interrupt();
            scheduler->idle_ticks += rdtsc() - before;
            if (trace_wants(POSTERN_TRACE_IDLE)) {
                trace_span(POSTERN_TRACE_IDLE, NULL, before, 0, 0);
            }
            continue;
        }
        if (scheduler->loaded != vcpu) {
            load(scheduler, vcpu);
        }
        set_slice(scheduler, vcpu, contended);
        if (contended || scheduler->spin_exits) {
            vcpu_set_spin_exits(vcpu, contended);
            scheduler->spin_exits = contended;
        }
        run(scheduler, vcpu);
        if (vcpu->parking) {
            park(scheduler, vcpu);
        }
    }
}
