/* SPDX-License-Identifier: BSD-2-Clause */
/* The other vCPUs: their start, and memory between them. */
#include "tests/kit/kit.h"

static _Atomic uint64_t counter;
static _Atomic uint64_t answer;

static void tell_id(void *unused)
{
    (void)unused;
    atomic_store(&answer, rdmsr(MSR_X2APIC_ID) | (uint64_t)cpuid(0xb, 0).edx << 32);
}

CLAIM(smp_start, "INIT and SIPI start the second vCPU, whose APIC id is 1")
{
    need_cpu(1);
    cpu_start(1); /* also one that runs */
    cpu_run(1, tell_id, NULL);
    CHECK_NO_TRAP(cpu_wait(1, 100));
    CHECK_EQUAL(atomic_load(&answer), 1ull << 32 | 1);
}

static void read_apic_base(void *unused)
{
    (void)unused;
    atomic_store(&answer, rdmsr(MSR_IA32_APIC_BASE));
}

CLAIM(smp_bsp_flag, "the first vCPU alone is the bootstrap processor")
{
    need_cpu(1);
    CHECK((rdmsr(MSR_IA32_APIC_BASE) & APIC_BASE_BSP) != 0);
    cpu_run(1, read_apic_base, NULL);
    CHECK_NO_TRAP(cpu_wait(1, 100));
    CHECK_EQUAL(atomic_load(&answer) & APIC_BASE_BSP, 0);
}

static void count_up(void *times)
{
    for (uint64_t i = 0; i < (uint64_t)times; i++) {
        atomic_fetch_add(&counter, 1);
    }
}

CLAIM(smp_atomic, "locked additions of two vCPUs lose nothing")
{
    need_cpu(1);
    atomic_store(&counter, 0);
    cpu_run(1, count_up, (void *)20000);
    count_up((void *)20000);
    CHECK_NO_TRAP(cpu_wait(1, 1000));
    CHECK_EQUAL(atomic_load(&counter), 40000);
}

static void read_tsc(void *unused)
{
    (void)unused;
    atomic_store(&answer, rdtsc());
}

CLAIM(smp_one_clock, "both vCPUs read one TSC")
{
    need_cpu(1);
    for (unsigned i = 0; i < 20; i++) {
        uint64_t before = rdtsc();
        cpu_run(1, read_tsc, NULL);
        CHECK_NO_TRAP(cpu_wait(1, 100));
        CHECK(before <= atomic_load(&answer));
        CHECK(atomic_load(&answer) <= rdtsc());
    }
}

static void cause_fault(void *unused)
{
    (void)unused;
    __asm__ volatile("ud2");
}

CLAIM(smp_own_exceptions, "an exception of the second vCPU is its own")
{
    need_cpu(1);
    cpu_run(1, cause_fault, NULL);
    CHECK_TRAP(cpu_wait(1, 100), EXCEPTION_UD, 0);
}

static void read_tpr(void *unused)
{
    (void)unused;
    atomic_store(&answer, rdmsr(MSR_X2APIC_TPR));
}

CLAIM(smp_own_registers, "each vCPU has its own local APIC and its own MSRs")
{
    need_cpu(1);
    wrmsr(MSR_X2APIC_TPR, 0x30);
    cpu_run(1, read_tpr, NULL);
    CHECK_NO_TRAP(cpu_wait(1, 100));
    CHECK_EQUAL(atomic_load(&answer), 0);
}

static void change_apic(void *unused)
{
    (void)unused;
    wrmsr(MSR_X2APIC_LVT_LINT0, 0x77);
    wrmsr(MSR_X2APIC_DIVIDE, 0xb);
}

static uint64_t apic_at_start[3];

static void read_apic(void *unused)
{
    (void)unused;
    apic_at_start[0] = rdmsr(MSR_X2APIC_LVT_LINT0);
    apic_at_start[1] = rdmsr(MSR_X2APIC_DIVIDE);
    apic_at_start[2] = rdmsr(MSR_X2APIC_ID);
}

CLAIM(init_resets_apic, "an INIT resets the local APIC, but for its id")
{
    need_cpu(1);
    cpu_run(1, change_apic, NULL);
    CHECK_NO_TRAP(cpu_wait(1, 100));
    cpu_start(1);
    cpu_run(1, read_apic, NULL);
    CHECK_NO_TRAP(cpu_wait(1, 100));
    CHECK_EQUAL(apic_at_start[0], TIMER_MASKED); /* the reset value of each entry */
    CHECK_EQUAL(apic_at_start[1], 0);
    CHECK_EQUAL(apic_at_start[2], 1);
}

CLAIM(init_stops, "an INIT stops the second vCPU until the next SIPI")
{
    need_cpu(1);
    cpu_start(1);
    atomic_store(&answer, 0);
    wrmsr(MSR_X2APIC_ICR, 1ull << 32 | ICR_INIT | ICR_ASSERT);
    delay(1);
    cpu_run(1, read_tsc, NULL);
    delay(5);
    CHECK_EQUAL(atomic_load(&answer), 0);
    cpu_start(1);
}
