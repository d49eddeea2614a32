/* SPDX-License-Identifier: BSD-2-Clause */
/* The local APIC as a page of memory: multiboot kernels may change its mode. */
#include "tests/kit/kit.h"

#define BASE         (GUEST_LAPIC_BASE | APIC_BASE_BSP)
#define VECTOR       0x63u
#define TIMER        0x64u
#define ICR_LOGICAL  (1u << 11)
#define CPUID_APIC   (1u << 9)
#define REG_ID       (0x20 / 4)
#define REG_VERSION  (0x30 / 4)
#define REG_TPR      (0x80 / 4)
#define REG_EOI      (0xb0 / 4)
#define REG_LDR      (0xd0 / 4)
#define REG_DFR      (0xe0 / 4)
#define REG_SVR      (0xf0 / 4)
#define REG_ICR      (0x300 / 4)
#define REG_ICR_HIGH (0x310 / 4)
#define REG_TIMER    (0x320 / 4)
#define REG_INITIAL  (0x380 / 4)

static volatile uint32_t *const lapic = (volatile uint32_t *)GUEST_LAPIC_BASE;

static void end_by_page(struct frame *frame)
{
    (void)frame;
    if ((rdmsr(MSR_IA32_APIC_BASE) & APIC_BASE_X2APIC) != 0) {
        end_of_interrupt(); /* another CPU, which stays in x2APIC mode */
    } else {
        lapic[REG_EOI] = 0;
    }
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

CLAIM(xapic_logical, "logical destinations are those of LDR and DFR, flat and in clusters")
{
    static const struct {
        uint32_t ldr, dfr, destination;
        bool mine;
    } cases[] = {
        {0x04, 0xffffffff, 0x04, true},  {0x04, 0xffffffff, 0x0f, true},
        {0x04, 0xffffffff, 0x0b, false}, {0x24, 0x0fffffff, 0x24, true},
        {0x24, 0x0fffffff, 0xf4, true},  {0x24, 0x0fffffff, 0x14, false},
        {0x24, 0x0fffffff, 0x2b, false}, {0x00, 0xffffffff, 0x01, false},
    };
    uint64_t expected = 0;

    vector_handle(VECTOR, end_by_page);
    enter_xapic();
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        lapic[REG_LDR] = cases[i].ldr << 24;
        lapic[REG_DFR] = cases[i].dfr;
        lapic[REG_ICR_HIGH] = cases[i].destination << 24;
        lapic[REG_ICR] = ICR_ASSERT | ICR_LOGICAL | VECTOR;
        expected += cases[i].mine;
        __asm__ volatile("sti; nop; nop; cli" : : : "memory");
        if (vector_count(VECTOR) != expected) {
            fail("LDR 0x%x, DFR 0x%x, destination 0x%x", cases[i].ldr, cases[i].dfr,
                 cases[i].destination);
        }
    }
}

CLAIM(xapic_cpuid, "CPUID shows a local APIC while IA32_APIC_BASE has it on")
{
    CHECK((cpuid(1, 0).edx & CPUID_APIC) != 0);
    wrmsr(MSR_IA32_APIC_BASE, BASE);
    CHECK_EQUAL(cpuid(1, 0).edx & CPUID_APIC, 0);
    wrmsr(MSR_IA32_APIC_BASE, BASE | APIC_BASE_ENABLE);
    CHECK((cpuid(1, 0).edx & CPUID_APIC) != 0);
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
