/* SPDX-License-Identifier: BSD-2-Clause */
/* MONITOR and MWAIT, which this VM's configuration shows it, and the gate's function that waits.
 * CPU 0 has its pCPU alone, CPU 1 shares it with the peer. */
#include "abi/gate_ring.h"
#include "tests/views/views.h"

#define LEAF1_MONITOR       BIT32(3)
#define MISC_ENABLE_MONITOR BIT(18)
#define ALARM_VECTOR        0x60u
#define ALARM_MS            5u
#define WAITS               100u
#define ANSWER_MS           2000u

static uint64_t line[8] __attribute__((aligned(64)));

static void need_mwait(void)
{
    if ((cpuid(1, 0).ecx & LEAF1_MONITOR) == 0) {
        skip("this CPU has no MONITOR and MWAIT");
    }
}

CLAIM(mwait_is_shown, "a VM with mwait sees MONITOR and leaf 5, with no state deeper than C1")
{
    uint64_t misc = 0;

    need_mwait();
    struct cpuid_result r = cpuid(5, 0);
    CHECK((r.eax & 0xffff) >= 8 && (r.ebx & 0xffff) >= (r.eax & 0xffff));
    CHECK_EQUAL(r.ecx, 3);
    CHECK_EQUAL(r.edx & ~0x10u, 0);
    CHECK_NO_TRAP(try_rdmsr(MSR_IA32_MISC_ENABLE, &misc));
    CHECK((misc & MISC_ENABLE_MONITOR) != 0);
}

static uint64_t monitor_in_user(uint64_t argument)
{
    __asm__ volatile("monitor" : : "a"(argument), "c"(0), "d"(0));
    return 0;
}

static uint64_t mwait_in_user(uint64_t argument)
{
    __asm__ volatile("mwait" : : "a"(argument), "c"(0));
    return 0;
}

CLAIM(mwait_faults, "unknown extensions are #GP(0), and in ring 3 both are #UD")
{
    need_mwait();
    CHECK_TRAP(TRY("monitor", : : "a"(line), "c"(1), "d"(0)), EXCEPTION_GP, 0);
    CHECK_TRAP(TRY("mwait", : : "a"(0), "c"(1ull << 1)), EXCEPTION_GP, 0);
    CHECK_TRAP(run_user(monitor_in_user, user_address(line), NULL), EXCEPTION_UD, 0);
    CHECK_TRAP(run_user(mwait_in_user, 0, NULL), EXCEPTION_UD, 0);
}

/* Waits that a store has already ended; the count of exits. */
static int64_t exits_of_waits(void)
{
    int64_t before = hypercall(POSTERN_HC_EXITS, 0, 0, 0);

    for (unsigned i = 0; i < WAITS; i++) {
        CHECK_NO_TRAP(TRY("monitor", : : "a"(line), "c"(0), "d"(0)));
        *(volatile uint64_t *)line = i;
        CHECK_NO_TRAP(TRY("mwait", : : "a"(0), "c"(1)));
    }
    return hypercall(POSTERN_HC_EXITS, 0, 0, 0) - before - 1;
}

CLAIM(mwait_alone_does_not_exit, "on a CPU of its own MONITOR and MWAIT cause no exits")
{
    need_mwait();
    /* Others may come: the hypervisor's timer. */
    CHECK(exits_of_waits() < WAITS / 2);
}

static int64_t shared_exits;

static void wait_on_shared(void *argument)
{
    (void)argument;
    CHECK_TRAP(TRY("monitor", : : "a"(line), "c"(1), "d"(0)), EXCEPTION_GP, 0);
    CHECK_TRAP(TRY("mwait", : : "a"(0), "c"(2)), EXCEPTION_GP, 0);
    CHECK_NO_TRAP(TRY("monitor", : : "a"(line), "c"(0), "d"(0)));
    CHECK_NO_TRAP(TRY("mwait", : : "a"(0), "c"(0))); /* nothing is stored: it ends by itself */
    shared_exits = exits_of_waits();
}

CLAIM(mwait_shared_gives_way, "on a shared CPU MWAIT lets others have it, and ends by itself")
{
    need_mwait();
    need_cpu(1);
    cpu_run(1, wait_on_shared, NULL);
    CHECK_NO_TRAP(cpu_wait(1, ANSWER_MS));
    CHECK(shared_exits >= 2 * (int64_t)WAITS);
}

static struct postern_ring ring;

static struct postern_gate_ring ring_call(void)
{
    uint64_t window = window_of(GATED_PORT);

    CHECK(postern_ring_init(&ring, (void *)window, (const void *)(window + SECTION_SIZE),
                            SECTION_SIZE));
    return (struct postern_gate_ring){.ring = &ring};
}

CLAIM(gate_waits, "a wait in a view comes back, at the latest by an interrupt that is masked")
{
    need_mwait();
    uint32_t view = open_view();
    struct postern_gate_ring call = ring_call();
    uint64_t end = rdtsc() + ANSWER_MS * tsc_per_ms();

    wrmsr(MSR_X2APIC_LVT_TIMER, TIMER_DEADLINE | ALARM_VECTOR);
    wrmsr(MSR_IA32_TSC_DEADLINE, rdtsc() + ALARM_MS * tsc_per_ms());
    while (vector_count(ALARM_VECTOR) == 0 && rdtsc() < end) {
        CHECK_EQUAL(cross(view, POSTERN_GATE_RING_WAIT, &call), POSTERN_GATE_WAIT);
        __asm__ volatile("sti; nop; cli" : : : "memory");
    }
    CHECK_EQUAL(vector_count(ALARM_VECTOR), 1);
}

static uint32_t user_view;
static struct postern_gate_ring user_call;

static uint64_t wait_as_user(uint64_t gate)
{
    return (uint64_t)((postern_gate_t)gate)(user_view, POSTERN_GATE_RING_WAIT, &user_call);
}

CLAIM(gate_waits_for_kernels_only, "in ring 3 a wait is POSTERN_ERR_PERMISSION")
{
    uint64_t result = 0;

    user_view = open_view();
    user_call = ring_call();
    CHECK_NO_TRAP(run_user(wait_as_user, USER_BASE + gate_address(), &result));
    CHECK_EQUAL(result, POSTERN_ERR_PERMISSION);
}
