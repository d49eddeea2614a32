/* SPDX-License-Identifier: BSD-2-Clause */
/* The local APIC as a page of memory: multiboot kernels may change its mode. */
#include "tests/kit/kit.h"

#define BASE         (GUEST_LAPIC_BASE | APIC_BASE_BSP)
#define VECTOR       0x63u
#define TIMER        0x64u
#define REG_ID       (0x20 / 4)
#define REG_VERSION  (0x30 / 4)
#define REG_TPR      (0x80 / 4)
#define REG_EOI      (0xb0 / 4)
#define REG_SVR      (0xf0 / 4)
#define REG_ICR      (0x300 / 4)
#define REG_ICR_HIGH (0x310 / 4)
#define REG_TIMER    (0x320 / 4)
#define REG_INITIAL  (0x380 / 4)

static volatile uint32_t *const lapic = (volatile uint32_t *)GUEST_LAPIC_BASE;

static void end_by_page(struct frame *frame)
{
    (void)frame;
    lapic[REG_EOI] = 0;
}

static void enter_xapic(void)
{
    wrmsr(MSR_IA32_APIC_BASE, BASE);
    wrmsr(MSR_IA32_APIC_BASE, BASE | APIC_BASE_ENABLE);
    lapic[REG_SVR] = 0x1ff;
}

CLAIM(xapic_transitions, "the local APIC goes from off to xAPIC to x2APIC and back by off only")
{
    CHECK_TRAP(try_wrmsr(MSR_IA32_APIC_BASE, BASE | APIC_BASE_ENABLE), EXCEPTION_GP, 0);
    CHECK_TRAP(try_wrmsr(MSR_IA32_APIC_BASE, BASE | APIC_BASE_X2APIC), EXCEPTION_GP, 0);
    CHECK_NO_TRAP(try_wrmsr(MSR_IA32_APIC_BASE, BASE));
    CHECK_TRAP(try_wrmsr(MSR_IA32_APIC_BASE, BASE | APIC_BASE_ENABLE | APIC_BASE_X2APIC),
               EXCEPTION_GP, 0);
    CHECK_NO_TRAP(try_wrmsr(MSR_IA32_APIC_BASE, BASE | APIC_BASE_ENABLE));
    CHECK_NO_TRAP(try_wrmsr(MSR_IA32_APIC_BASE, BASE | APIC_BASE_ENABLE | APIC_BASE_X2APIC));
    CHECK_EQUAL(rdmsr(MSR_IA32_APIC_BASE), BASE | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
}

CLAIM(xapic_page, "its page answers in xAPIC mode, and in no other")
{
    CHECK_EQUAL(lapic[REG_ID], 0xffffffff);
    enter_xapic();
    CHECK_EQUAL(lapic[REG_ID], 0);
    CHECK_EQUAL(lapic[REG_VERSION] >> 16 & 0xff, 5);
    lapic[REG_TPR] = 0x50;
    CHECK_EQUAL(lapic[REG_TPR], 0x50);
    lapic[REG_TPR] = 0;
}

CLAIM(xapic_msrs, "the MSRs of x2APIC mode are #GP in xAPIC mode")
{
    enter_xapic();
    CHECK_TRAP(try_wrmsr(MSR_X2APIC_SVR, 0x1ff), EXCEPTION_GP, 0);
    CHECK_TRAP(try_wrmsr(MSR_X2APIC_ICR, ICR_SELF | VECTOR), EXCEPTION_GP, 0);
}

CLAIM(xapic_ipi, "IPIs and EOIs work by the page")
{
    vector_handle(VECTOR, end_by_page);
    enter_xapic();
    lapic[REG_ICR_HIGH] = 0;
    lapic[REG_ICR] = ICR_ASSERT | VECTOR; /* to id 0 */
    CHECK(wait_for_vector(VECTOR, 1, 50));
    lapic[REG_ICR] = ICR_SELF | ICR_ASSERT | VECTOR;
    CHECK(wait_for_vector(VECTOR, 2, 50));
}

CLAIM(xapic_timer, "the timer works by the page, and by IA32_TSC_DEADLINE")
{
    vector_handle(TIMER, end_by_page);
    enter_xapic();
    lapic[REG_TIMER] = TIMER;
    lapic[REG_INITIAL] = 10000;
    CHECK(wait_for_vector(TIMER, 1, 100));
    lapic[REG_TIMER] = TIMER_DEADLINE | TIMER;
    wrmsr(MSR_IA32_TSC_DEADLINE, rdtsc() + tsc_per_ms());
    CHECK(wait_for_vector(TIMER, 2, 100));
}
