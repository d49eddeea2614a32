/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vCPU that moves from one pCPU to another: the scheduler on CPUs that are coroutines. Each runs
 * until it would execute HLT or enter a guest, and goes on when it is interrupted. What it does to
 * the hardware is a list of words, each behind the CPU's number.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <cmocka.h>

#include "arch/x86/apic.h"
#include "arch/x86/cpu.h"
#include "arch/x86/pcpu.h"
#include "arch/x86/vmx_insn.h"
#include "core/scheduler.h"
#include "core/trace.h"
#include "core/vcpu.h"
#include "lib/format.h"
#include "lib/pages.h"
#include "lib/panic.h"

#define CPUS       3u
#define VMS        3u
#define STACK_SIZE 0x40000u
#define TSC_HZ     1000000000u
#define TICKS      100u /* each stay in a guest takes */
#define VECTOR     0x45u

static struct {
    struct pcpu pcpu;
    ucontext_t context;
    uint8_t stack[STACK_SIZE];
    uint64_t timer;
} cpus[CPUS];
static uint32_t here; /* the CPU that runs; 0 also while the test itself does: the monitor */
static ucontext_t test;
static bool in_coroutine;
static uint64_t tsc_now;
static char done[4096];
static void (*on_clear)(void); /* what else happens just then */

static void note(const char *format, const char *what)
{
    size_t at = strlen(done);

    (void)format_string(done + at, sizeof(done) - at, "%u:", here);
    at = strlen(done);
    (void)format_string(done + at, sizeof(done) - at, format, what);
    at = strlen(done);
    (void)format_string(done + at, sizeof(done) - at, " ");
}

/* Back to who has the CPU run; until its next interrupt. */
static void rest(void)
{
    assert_true(in_coroutine);
    (void)swapcontext(&cpus[here].context, &test);
}

static void run_cpu(uint32_t cpu)
{
    uint32_t before = here;

    assert_false(in_coroutine);
    here = cpu;
    in_coroutine = true;
    (void)swapcontext(&test, &cpus[cpu].context);
    in_coroutine = false;
    here = before;
}

/* The privileged instructions. */
static struct pcpu *fake_this_pcpu(void)
{
    return &cpus[here].pcpu;
}

static bool fake_clear(uint64_t vmcs)
{
    note("vmclear-%s", (const char *)vmcs);
    if (on_clear != NULL) {
        on_clear();
        on_clear = NULL;
    }
    return true;
}

static bool fake_invept(uint64_t type, uint64_t pointer)
{
    note(type == INVEPT_ALL && pointer == 0 ? "invept-all" : "invept-%s", "else");
    return true;
}

static bool fake_invvpid(uint64_t type, uint16_t vpid)
{
    assert_int_equal(type, INVVPID_SINGLE);
    note("invvpid-%s", vpid == 1 ? "a" : vpid == 2 ? "b" : "c");
    return true;
}

static void (*on_request)(
    void); /* what happens in the middle of a request, just before it is made */

static void reach_request(void)
{
    void (*happens)(void) = on_request;

    on_request = NULL;
    if (happens != NULL) {
        happens();
    }
}

static enum posted_next fake_notify(struct posted_interrupts *posted)
{
    reach_request();
    return posted_notify(posted);
}

#undef atomic_fetch_or
#define atomic_fetch_or(p, value) (reach_request(), __atomic_fetch_or(p, value, __ATOMIC_SEQ_CST))
#define posted_notify             fake_notify
#define this_pcpu                 fake_this_pcpu
#define vmx_clear                 fake_clear
#define invept                    fake_invept
#define invvpid                   fake_invvpid
#define rdtsc()                   (tsc_now)
#define cpu_pause()               ((void)0)
#define wait_for_interrupt        rest
#define take_interrupts()         ((void)0)
#define rdmsr(msr)                ((void)(msr), 0ull)
#define wrmsr(msr, value)         ((void)(msr), (void)(value))
#define xsetbv(index, value)      ((void)(index), (void)(value))
#define xsave(area, mask)         ((void)(area), (void)(mask))
#define xrstor(area, mask)        ((void)(area), (void)(mask))
#define read_cr2()                0ull
#define read_dr0()                0ull
#define read_dr1()                0ull
#define read_dr2()                0ull
#define read_dr3()                0ull
#define read_dr6()                0ull
#define write_cr2(value)          ((void)(value))
#define write_dr0(value)          ((void)(value))
#define write_dr1(value)          ((void)(value))
#define write_dr2(value)          ((void)(value))
#define write_dr3(value)          ((void)(value))
#define write_dr6(value)          ((void)(value))
#include "core/scheduler.c"
#include "core/scheduler_move.c"
#include "core/vcpu_context.c"

/* What the scheduler calls. */
_Atomic uint32_t trace_events;
static struct vmx_caps caps;
static struct vm vms[VMS];
static struct vcpu vcpus[VMS];
static struct config_vm configs[VMS];
static uint8_t registers[VMS][4096], areas[VMS][4096];
static char names[VMS][2] = {"a", "b", "c"};

void trace_span(enum postern_trace_event event, const struct vcpu *vcpu, uint64_t tsc,
                uint8_t detail, uint64_t argument)
{
    (void)event, (void)vcpu, (void)tsc, (void)detail, (void)argument;
}

uint32_t pcpu_count(void)
{
    return CPUS;
}

struct pcpu *pcpu_get(uint32_t index)
{
    return &cpus[index].pcpu;
}

void *pages_alloc_bytes(uint64_t size)
{
    static struct scheduler room[CPUS];

    assert_int_equal(size, sizeof(room));
    memset(room, 0, sizeof(room));
    return room;
}

void panic(const char *format, ...)
{
    print_error("panic: %s\n", format);
    abort();
}

void log_line(enum log_level level, const char *format, ...)
{
    (void)level, (void)format;
}

const struct vmx_caps *vcpu_caps(void)
{
    return &caps;
}

void vmx_vcpu_load(struct vmx_vcpu *vcpu)
{
    note("vmptrld-%s", vcpu->vmcs);
}

status_t vmx_vmcs_prepare(void *vmcs)
{
    note("park-%s", vmcs);
    return STATUS_OK;
}

void vmx_host_state(struct vmx_vcpu *vcpu)
{
    note("host-%s", vcpu->vmcs);
}

void vcpu_pass_timer(struct vcpu *vcpu, bool pass)
{
    note(pass ? "lend-%s" : "take-%s", vcpu->vmx.vmcs);
}

void vcpu_set_waits(struct vcpu *vcpu, bool on)
{
    note(on ? "waits-%s" : "shares-%s", vcpu->vmx.vmcs);
}

void vcpu_set_slice(struct vcpu *vcpu, uint32_t ms)
{
    (void)vcpu, (void)ms;
}

void vcpu_set_spin_exits(struct vcpu *vcpu, bool on)
{
    (void)vcpu, (void)on;
}

void vcpu_log_sync(struct vcpu *vcpu)
{
    (void)vcpu;
}

void vm_vcpu_parked(struct vm *vm)
{
    (void)vm;
}

/* It is in its guest until it is interrupted. */
void vcpu_run(struct vcpu *vcpu)
{
    uint32_t work = atomic_exchange(&vcpu->work, 0);

    tsc_now += TICKS;
    if ((work & VCPU_WORK_PARK) != 0) {
        vcpu->parking = true;
        return;
    }
    note("run-%s", vcpu->vmx.vmcs);
    rest();
}

void apic_send(uint32_t destination, unsigned vector)
{
    uint32_t cpu = destination - 10;

    note(vector == VECTOR_KICK ? "kick-%s" : "notify-%s", cpu == 0 ? "0" : cpu == 1 ? "1" : "2");
    if (vector == VECTOR_KICK && !in_coroutine) {
        run_cpu(cpu);
    }
}

void apic_set_timer(uint64_t deadline)
{
    cpus[here].timer = deadline;
}

uint64_t apic_get_timer(void)
{
    return cpus[here].timer;
}

bool apic_timer_pending(void)
{
    return false;
}

static void enter(void)
{
    scheduler_run(scheduler_get(here));
}

static void make_vcpu(uint32_t i, enum vcpu_state state)
{
    static const struct lapic_ops none;

    vms[i].config = &configs[i];
    vms[i].vcpus = &vcpus[i];
    vms[i].vcpu_count = 1;
    atomic_store(&vms[i].state, VM_RUNNING);
    vcpus[i].vm = &vms[i];
    vcpus[i].vpid = (uint16_t)(i + 1);
    vcpus[i].vmx.vmcs = names[i];
    vcpus[i].vmx.launched = 1;
    vcpus[i].context.xsave_area = areas[i];
    vcpus[i].lapic.page = registers[i];
    lapic_init(&vcpus[i].lapic, &none, &vcpus[i], 0, 1);
    lapic_reset(&vcpus[i].lapic, LAPIC_X2APIC);
    atomic_store(&vcpus[i].state, state);
}

static void make_cpu(uint32_t i)
{
    cpus[i].pcpu = (struct pcpu){.index = i, .apic_id = 10 + i};
    cpus[i].timer = 0;
    assert_int_equal(getcontext(&cpus[i].context), 0);
    cpus[i].context.uc_stack.ss_sp = cpus[i].stack;
    cpus[i].context.uc_stack.ss_size = STACK_SIZE;
    cpus[i].context.uc_link = NULL;
    makecontext(&cpus[i].context, enter, 0);
}

static int begin(void **state)
{
    (void)state;
    configs[0].weight = configs[1].weight = configs[2].weight = 100;
    memset(vcpus, 0, sizeof(vcpus));
    memset(vms, 0, sizeof(vms));
    memset(registers, 0, sizeof(registers));
    caps = (struct vmx_caps){.vpid = true};
    on_clear = NULL;
    tsc_now = 1000;
    here = 0;
    for (uint32_t i = 0; i < CPUS; i++) {
        make_cpu(i);
    }
    assert_int_equal(scheduler_create_all(TSC_HZ), STATUS_OK);
    for (uint32_t i = 0; i < VMS; i++) {
        make_vcpu(i, VCPU_RUNNABLE);
    }
    done[0] = '\0';
    return 0;
}

static void add(uint32_t cpu, uint32_t vcpu)
{
    assert_int_equal(scheduler_add(scheduler_get(cpu), &vcpus[vcpu]), STATUS_OK);
}

static void move(uint32_t vcpu, uint32_t cpu)
{
    assert_int_equal(scheduler_move(&vcpus[vcpu], scheduler_get(cpu)), STATUS_OK);
    assert_ptr_equal(atomic_load(&vcpus[vcpu].scheduler), scheduler_get(cpu));
}

/* What was done since the last time. */
static void expect_done(const char *words)
{
    assert_string_equal(done, words);
    done[0] = '\0';
}

static void forget(void)
{
    done[0] = '\0';
}

/* In its guest, alone: its registers and its VMCS leave the one CPU before the other has them,
 * which makes the VMCS its own and forgets what it has cached. */
static void one_that_runs_moves(void **state)
{
    (void)state;
    add(1, 0);
    run_cpu(1);
    expect_done("1:vmptrld-a 1:waits-a 1:run-a ");
    move(0, 2);
    expect_done("0:kick-1 1:vmclear-a 0:kick-2 2:vmptrld-a 2:host-a 2:invept-all 2:invvpid-a "
                "2:waits-a 2:run-a ");
    assert_int_equal(vcpus[0].vmx.launched, 0);
    assert_int_equal(scheduler_get(1)->count, 0);
    assert_null(scheduler_get(1)->loaded);
    assert_int_equal(scheduler_get(2)->count, 1);
    /* The descriptor's target, in its upper half. */
    assert_int_equal(atomic_load(&vcpus[0].lapic.posted.control) >> 32, 12);
    vcpus[0].vmx.launched = 1;
    /* What was cached here may be older than what was to be flushed meanwhile: it is forgotten
     * again. */
    move(0, 1);
    expect_done("0:kick-2 2:vmclear-a 0:kick-1 1:vmptrld-a 1:host-a 1:invept-all 1:invvpid-a "
                "1:waits-a 1:run-a ");
    assert_int_equal(vcpus[0].vmx.launched, 0);
    /* To where it is: nothing. */
    move(0, 1);
    expect_done("");
}

/* To and from the CPU of the monitor, which is out of its guest then. */
static void the_monitors_cpu(void **state)
{
    (void)state;
    add(0, 0);
    run_cpu(0);
    forget();
    move(0, 1);
    expect_done("0:vmclear-a 0:kick-1 1:vmptrld-a 1:host-a 1:invept-all 1:invvpid-a 1:waits-a "
                "1:run-a ");
    move(0, 0);
    expect_done("0:kick-1 1:vmclear-a ");
    run_cpu(0);
    expect_done("0:vmptrld-a 0:host-a 0:invept-all 0:invvpid-a 0:waits-a 0:run-a ");
}

/* Its VMCS may still be on the CPU, with another vCPU loaded, which goes on. */
static void one_that_waits_for_its_turn_moves(void **state)
{
    (void)state;
    add(1, 0);
    add(1, 1);
    run_cpu(1);
    run_cpu(1);
    assert_ptr_equal(scheduler_get(1)->loaded, &vcpus[0]);
    forget();
    move(1, 2);
    expect_done("0:kick-1 1:vmclear-b 1:waits-a 1:run-a 0:kick-2 2:vmptrld-b 2:host-b 2:invept-all "
                "2:invvpid-b 2:waits-b 2:run-b ");
    assert_int_equal(vcpus[0].vmx.launched, 1);
    assert_int_equal(scheduler_get(1)->shares.count, 1);
    /* And comes back to one that had the CPU alone meanwhile: that shares it from now on. */
    move(1, 1);
    expect_done("0:kick-2 2:vmclear-b 0:kick-1 1:shares-a 1:vmptrld-b 1:host-b 1:invept-all "
                "1:invvpid-b 1:shares-b 1:run-b ");
}

/* The VM is off: there is no VMCS, perhaps. It starts where it is by then. */
static void one_that_is_parked_moves(void **state)
{
    (void)state;
    make_vcpu(0, VCPU_PARKED);
    vcpus[0].vmx.vmcs = NULL;
    add(1, 0);
    move(0, 2);
    expect_done("0:kick-1 0:kick-2 ");
    assert_false(vcpus[0].arrives);
    vcpus[0].vmx.vmcs = names[0];
    atomic_store(&vcpus[0].state, VCPU_WAITING);
    vcpu_request(&vcpus[0], VCPU_WORK_RESET);
    expect_done("0:kick-2 2:vmptrld-a 2:waits-a 2:run-a ");
}

static uint32_t asking_cpu, asked_work;

/* What is asked of it while it is on no CPU's list. */
static void ask(void)
{
    uint32_t cpu = here;

    here = asking_cpu;
    vcpu_request(&vcpus[0], asked_work);
    here = cpu;
}

/* Whoever asks between the two, and from wherever: the second CPU sees it. */
static void nothing_is_lost_on_the_way(void **state)
{
    (void)state;
    for (asking_cpu = 0; asking_cpu < CPUS; asking_cpu++) {
        assert_int_equal(begin(NULL), 0);
        add(1, 0);
        run_cpu(1);
        atomic_store(&vcpus[0].state, VCPU_HALTED);
        on_clear = ask;
        asked_work = VCPU_WORK_INTERRUPT;
        forget();
        move(0, 2);
        assert_non_null(strstr(done, "2:run-a "));
        /* It halts there, and is told there. */
        forget();
        vcpu_request(&vcpus[0], VCPU_WORK_INTERRUPT);
        expect_done("0:kick-2 2:run-a ");
    }
}

/* It ends between the two: it parks on the second. */
static void one_that_ends_meanwhile_parks(void **state)
{
    (void)state;
    add(1, 0);
    run_cpu(1);
    on_clear = ask;
    asking_cpu = 2;
    asked_work = VCPU_WORK_PARK;
    forget();
    move(0, 2);
    expect_done("0:kick-1 1:vmclear-a 2:kick-1 0:kick-2 2:vmptrld-a 2:host-a 2:invept-all "
                "2:invvpid-a 2:waits-a 2:park-a ");
    assert_int_equal(atomic_load(&vcpus[0].state), VCPU_PARKED);
    assert_null(scheduler_get(2)->loaded);
}

/* In HLT, or paused: it does not run there until something wakes it. */
static void one_that_stands_still_moves(void **state)
{
    (void)state;
    add(1, 0);
    run_cpu(1);
    atomic_store(&vcpus[0].state, VCPU_HALTED);
    forget();
    move(0, 2);
    expect_done("0:kick-1 1:vmclear-a 0:kick-2 ");
    vcpu_request(&vcpus[0], VCPU_WORK_INTERRUPT);
    assert_non_null(strstr(done, "0:kick-2 2:vmptrld-a 2:host-a "));
    atomic_store(&vms[0].state, VM_PAUSED);
    atomic_store(&vcpus[0].state, VCPU_RUNNABLE);
    forget();
    move(0, 1);
    expect_done("0:kick-2 2:vmclear-a 0:kick-1 ");
    atomic_store(&vms[0].state, VM_RUNNING);
    vcpu_kick(&vcpus[0]);
    assert_non_null(strstr(done, "0:kick-1 1:vmptrld-a 1:host-a "));
}

/* Has a vCPU that runs set its timer, as its guest would. */
static void set_deadline(uint32_t vcpu, uint64_t deadline)
{
    struct scheduler *scheduler = atomic_load(&vcpus[vcpu].scheduler);
    uint32_t before = here;

    assert_true(lapic_write_msr(&vcpus[vcpu].lapic, 0x832, tsc_now, 2u << 17 | VECTOR));
    lapic_write_tsc_deadline(&vcpus[vcpu].lapic, deadline);
    here = scheduler->pcpu->index;
    scheduler_update_timer(scheduler);
    here = before;
}

/* It is taken back while the VMCS is still there, goes on at the new CPU, and the old one has none
 * of it. Who has been lent the new one's has it no more. */
static void timers_go_along(void **state)
{
    (void)state;
    add(1, 0);
    add(2, 1);
    run_cpu(1);
    run_cpu(2);
    forget();
    set_deadline(0, 5000);
    set_deadline(1, 7000);
    expect_done("1:lend-a 2:lend-b ");
    cpus[1].timer = 6000; /* the guest sets it itself */
    move(0, 2);
    assert_non_null(strstr(done, "0:kick-1 1:take-a 1:vmclear-a 0:kick-2 2:shares-b 2:take-b "));
    assert_int_equal(lapic_timer_deadline(&vcpus[0].lapic), 6000);
    assert_int_equal(lapic_timer_deadline(&vcpus[1].lapic), 7000);
    assert_int_equal(cpus[1].timer, 0);
    assert_int_equal(cpus[2].timer, 6000);
    /* It comes while nobody is there: the interrupt is its new CPU's affair. */
    tsc_now = 6000;
    here = 2;
    scheduler_timer_interrupt();
    here = 0;
    assert_true((atomic_load(&vcpus[0].work) & VCPU_WORK_INTERRUPT) != 0 ||
                atomic_load(&scheduler_get(2)->running) == &vcpus[0]);
    assert_int_equal(lapic_timer_deadline(&vcpus[0].lapic), UINT64_MAX);
}

/* One whose time has come on the way is served at once. */
static void expire(void)
{
    tsc_now = 9000;
}

static void timer_expires_on_the_way(void **state)
{
    (void)state;
    add(1, 0);
    run_cpu(1);
    set_deadline(0, 5000);
    atomic_store(&vcpus[0].state, VCPU_HALTED);
    on_clear = expire;
    move(0, 2);
    assert_in_range(cpus[2].timer, 1, tsc_now + TIMER_SOON);
}

/* Posted ones are notified of where it is; while it is out of its guest they are requests. */
static void notifications_go_along(void **state)
{
    (void)state;
    caps.posted_interrupts = true;
    add(1, 0);
    run_cpu(1);
    move(0, 2);
    posted_allow(&vcpus[0].lapic.posted);
    assert_true(posted_request(&vcpus[0].lapic.posted, VECTOR));
    forget();
    vcpu_request_posted(&vcpus[0]);
    expect_done("0:notify-2 ");
    assert_true(posted_suppress(&vcpus[0].lapic.posted));
    forget();
    vcpu_request_posted(&vcpus[0]);
    assert_non_null(strstr(done, "0:kick-2 "));
}

static void move_away(void)
{
    move(0, 2);
    forget();
}

static void move_away_and_enter(void)
{
    move_away();
    posted_allow(&vcpus[0].lapic.posted);
}

/* It has moved, and sleeps in HLT or is in its guest again, by the time that somebody who was about
 * to tell it something does so: where it is by then. */
static void who_asks_looks_where_it_is_last(void **state)
{
    (void)state;
    add(1, 0);
    run_cpu(1);
    atomic_store(&vcpus[0].state, VCPU_HALTED);
    on_request = move_away;
    vcpu_request(&vcpus[0], VCPU_WORK_INTERRUPT);
    assert_non_null(strstr(done, "0:kick-2 2:vmptrld-a "));
    move(0, 1);
    caps.posted_interrupts = true;
    posted_allow(&vcpus[0].lapic.posted);
    assert_true(posted_request(&vcpus[0].lapic.posted, VECTOR));
    on_request = move_away_and_enter;
    vcpu_request_posted(&vcpus[0]);
    expect_done("0:notify-2 ");
}

static void a_full_cpu_takes_nobody(void **state)
{
    (void)state;
    add(1, 0);
    run_cpu(1);
    forget();
    scheduler_get(2)->count = SCHEDULER_MAX_VCPUS;
    assert_int_equal(scheduler_move(&vcpus[0], scheduler_get(2)), STATUS_NO_MEMORY);
    expect_done("");
    assert_ptr_equal(atomic_load(&vcpus[0].scheduler), scheduler_get(1));
}

/* It neither has time saved up there nor waits for what it had elsewhere. */
static void share_begins_anew(void **state)
{
    uint64_t ran[2] = {0, 0};

    (void)state;
    configs[0].weight = 300;
    add(1, 0);
    add(2, 1);
    run_cpu(1);
    for (unsigned i = 0; i < 1000; i++) {
        run_cpu(2);
    }
    move(0, 2);
    for (uint32_t i = 0; i < 2; i++) {
        ran[i] = vcpus[i].ran_ticks;
    }
    for (unsigned i = 0; i < 400; i++) {
        run_cpu(2);
    }
    assert_in_range(vcpus[0].ran_ticks - ran[0], 298 * TICKS, 302 * TICKS);
    assert_in_range(vcpus[1].ran_ticks - ran[1], 98 * TICKS, 102 * TICKS);
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_that_runs_moves),
        TEST(the_monitors_cpu),
        TEST(one_that_waits_for_its_turn_moves),
        TEST(one_that_is_parked_moves),
        TEST(nothing_is_lost_on_the_way),
        TEST(one_that_ends_meanwhile_parks),
        TEST(one_that_stands_still_moves),
        TEST(timers_go_along),
        TEST(timer_expires_on_the_way),
        TEST(notifications_go_along),
        TEST(who_asks_looks_where_it_is_last),
        TEST(a_full_cpu_takes_nobody),
        TEST(share_begins_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
