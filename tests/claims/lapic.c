/* SPDX-License-Identifier: BSD-2-Clause */
/* The local APIC in x2APIC mode, its timer, and interrupts between the vCPUs. */
#include "tests/kit/kit.h"

#define LOW          0x51u
#define HIGH         0xa1u
#define TIMER        0x61u
#define ICR_RESERVED BIT(13)

static unsigned order[8];
static unsigned order_count;

static void note_order(struct frame *frame)
{
    order[order_count++ % ARRAY_SIZE(order)] = (unsigned)frame->vector;
    end_of_interrupt();
}

static void open_window(void)
{
    __asm__ volatile("sti\n nop\n nop\n cli" : : : "memory");
}

static bool is_set(uint32_t base, unsigned vector)
{
    return (rdmsr(base + vector / 32) & BIT32(vector % 32)) != 0;
}

CLAIM(lapic_identity, "the id is the vCPU's number, the version has six LVT entries")
{
    CHECK_EQUAL(rdmsr(MSR_X2APIC_ID), 0);
    CHECK_EQUAL(rdmsr(MSR_X2APIC_VERSION) >> 16 & 0xff, 5);
    CHECK_EQUAL(rdmsr(MSR_X2APIC_LDR), 1);
}

CLAIM(self_ipi, "a self IPI comes once, by the register SELF IPI and by the ICR")
{
    wrmsr(MSR_X2APIC_SELF_IPI, LOW);
    CHECK(wait_for_vector(LOW, 1, 50));
    wrmsr(MSR_X2APIC_ICR, ICR_SELF | ICR_ASSERT | LOW);
    CHECK(wait_for_vector(LOW, 2, 50));
    wrmsr(MSR_X2APIC_ICR, ICR_ASSERT | LOW); /* to id 0, this CPU */
    CHECK(wait_for_vector(LOW, 3, 50));
    open_window();
    CHECK_EQUAL(vector_count(LOW), 3);
}

CLAIM(irr_and_isr, "a pending interrupt is in IRR; once taken it is in ISR until its EOI")
{
    wrmsr(MSR_X2APIC_SELF_IPI, LOW);
    CHECK(is_set(MSR_X2APIC_IRR, LOW));
    CHECK(!is_set(MSR_X2APIC_ISR, LOW));
    open_window();
    CHECK_EQUAL(vector_count(LOW), 1);
    CHECK(!is_set(MSR_X2APIC_IRR, LOW));
    CHECK(!is_set(MSR_X2APIC_ISR, LOW));
}

static void check_in_service(struct frame *frame)
{
    order[0] = is_set(MSR_X2APIC_ISR, (unsigned)frame->vector);
    order[1] = (unsigned)rdmsr(MSR_X2APIC_PPR);
    wrmsr(MSR_X2APIC_SELF_IPI, LOW + 1); /* the same class: waits for the EOI */
    open_window();
    order[2] = (unsigned)vector_count(LOW + 1);
    wrmsr(MSR_X2APIC_SELF_IPI, HIGH); /* a higher one: comes at once */
    open_window();
    order[3] = (unsigned)vector_count(HIGH);
    end_of_interrupt();
}

CLAIM(priorities_in_service, "in a handler only a higher class comes; PPR tells the class")
{
    vector_handle(LOW, check_in_service);
    wrmsr(MSR_X2APIC_SELF_IPI, LOW);
    open_window();
    open_window();
    CHECK_EQUAL(order[0], 1);
    CHECK_EQUAL(order[1], LOW & 0xf0);
    CHECK_EQUAL(order[2], 0);
    CHECK_EQUAL(order[3], 1);
    CHECK(wait_for_vector(LOW + 1, 1, 50));
}

CLAIM(priorities_pending, "of several pending interrupts the highest comes first")
{
    order_count = 0;
    vector_handle(LOW, note_order);
    vector_handle(HIGH, note_order);
    wrmsr(MSR_X2APIC_SELF_IPI, LOW);
    wrmsr(MSR_X2APIC_SELF_IPI, HIGH);
    open_window();
    open_window();
    CHECK_EQUAL(order_count, 2);
    CHECK_EQUAL(order[0], HIGH);
    CHECK_EQUAL(order[1], LOW);
}

CLAIM(tpr, "the TPR holds back its class and what is below; CR8 is the same register")
{
    uint64_t cr8 = 0;

    wrmsr(MSR_X2APIC_TPR, 0x50);
    __asm__ volatile("mov %%cr8, %0" : "=r"(cr8));
    CHECK_EQUAL(cr8, 5);
    wrmsr(MSR_X2APIC_SELF_IPI, LOW);
    open_window();
    CHECK_EQUAL(vector_count(LOW), 0);
    wrmsr(MSR_X2APIC_SELF_IPI, HIGH);
    CHECK(wait_for_vector(HIGH, 1, 50));
    __asm__ volatile("mov %0, %%cr8" : : "r"(4ull));
    CHECK_EQUAL(rdmsr(MSR_X2APIC_TPR), 0x40);
    CHECK(wait_for_vector(LOW, 1, 50));
}

CLAIM(cr8_reserved, "a value of CR8 above 15 is #GP(0)")
{
    CHECK_TRAP(TRY("mov %0, %%cr8", : : "r"(16ull)), EXCEPTION_GP, 0);
}

CLAIM(lapic_reserved_bits, "reserved bits of the local APIC's registers are #GP(0)")
{
    CHECK_TRAP(try_wrmsr(MSR_X2APIC_ICR, ICR_RESERVED | LOW), EXCEPTION_GP, 0);
    CHECK_TRAP(try_wrmsr(MSR_X2APIC_ICR, BIT(31)), EXCEPTION_GP, 0);
    CHECK_TRAP(try_wrmsr(MSR_X2APIC_TPR, 0x100), EXCEPTION_GP, 0);
    CHECK_TRAP(try_wrmsr(MSR_X2APIC_EOI, 1), EXCEPTION_GP, 0);
    CHECK_TRAP(try_wrmsr(MSR_X2APIC_ESR, 1), EXCEPTION_GP, 0);
    CHECK_TRAP(try_wrmsr(MSR_X2APIC_SVR, 1ull << 32), EXCEPTION_GP, 0);
    CHECK_TRAP(try_wrmsr(MSR_X2APIC_LVT_TIMER, BIT(19)), EXCEPTION_GP, 0);
    CHECK_TRAP(try_wrmsr(MSR_X2APIC_DIVIDE, 4), EXCEPTION_GP, 0);
    CHECK_TRAP(try_wrmsr(MSR_X2APIC_SELF_IPI, 0x100), EXCEPTION_GP, 0);
}

CLAIM(lapic_read_only, "registers that are read-only, write-only or do not exist are #GP(0)")
{
    static const uint32_t no_write[] = {0x802, 0x803, 0x80a, 0x80d, 0x810, 0x818, 0x820, 0x839};
    static const uint32_t no_read[] = {0x800, 0x801, 0x804, 0x809, 0x80b, 0x80c,
                                       0x80e, 0x831, 0x83a, 0x83f, 0x840, 0x8ff};
    uint64_t value = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(no_write); i++) {
        CHECK_TRAP(try_wrmsr(no_write[i], 0), EXCEPTION_GP, 0);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(no_read); i++) {
        CHECK_TRAP(try_rdmsr(no_read[i], &value), EXCEPTION_GP, 0);
    }
}

CLAIM(illegal_vector, "an IPI with a vector below 16 is not sent, and ESR tells")
{
    wrmsr(MSR_X2APIC_ESR, 0);
    wrmsr(MSR_X2APIC_ICR, ICR_SELF | ICR_ASSERT | 5);
    wrmsr(MSR_X2APIC_ESR, 0); /* latches what came since */
    CHECK_EQUAL(rdmsr(MSR_X2APIC_ESR), 0x20);
}

CLAIM(timer_deadline, "the timer in deadline mode fires once, not before its time, then reads 0")
{
    uint64_t deadline = rdtsc() + tsc_per_ms();

    wrmsr(MSR_X2APIC_LVT_TIMER, TIMER_DEADLINE | TIMER);
    wrmsr(MSR_IA32_TSC_DEADLINE, deadline);
    CHECK_EQUAL(rdmsr(MSR_IA32_TSC_DEADLINE), deadline);
    CHECK(wait_for_vector(TIMER, 1, 50));
    CHECK(rdtsc() >= deadline);
    delay(2);
    open_window();
    CHECK_EQUAL(vector_count(TIMER), 1);
}

CLAIM(timer_deadline_zero, "a deadline of 0 disarms the timer; one in the past fires at once")
{
    wrmsr(MSR_X2APIC_LVT_TIMER, TIMER_DEADLINE | TIMER);
    wrmsr(MSR_IA32_TSC_DEADLINE, rdtsc() + tsc_per_ms());
    wrmsr(MSR_IA32_TSC_DEADLINE, 0);
    delay(3);
    open_window();
    CHECK_EQUAL(vector_count(TIMER), 0);
    wrmsr(MSR_IA32_TSC_DEADLINE, 1);
    CHECK(wait_for_vector(TIMER, 1, 50));
}

CLAIM(timer_one_shot, "the timer's counter goes down, fires at 0 and stays there")
{
    wrmsr(MSR_X2APIC_DIVIDE, 0xb); /* by one */
    wrmsr(MSR_X2APIC_LVT_TIMER, TIMER);
    uint64_t count = 2 * tsc_per_ms(); /* CPUID 0x15 tells the same clock */
    wrmsr(MSR_X2APIC_INITIAL_COUNT, count);
    uint64_t now = rdmsr(MSR_X2APIC_CURRENT_COUNT);
    CHECK(now > 0 && now <= count);
    CHECK(wait_for_vector(TIMER, 1, 100));
    CHECK_EQUAL(rdmsr(MSR_X2APIC_CURRENT_COUNT), 0);
    delay(3);
    open_window();
    CHECK_EQUAL(vector_count(TIMER), 1);
}

CLAIM(timer_periodic, "the periodic timer fires again and again, until its count is 0")
{
    wrmsr(MSR_X2APIC_DIVIDE, 0xb);
    wrmsr(MSR_X2APIC_LVT_TIMER, TIMER_PERIODIC | TIMER);
    wrmsr(MSR_X2APIC_INITIAL_COUNT, tsc_per_ms());
    CHECK(wait_for_vector(TIMER, 4, 200));
    wrmsr(MSR_X2APIC_INITIAL_COUNT, 0);
    open_window();
    uint64_t count = vector_count(TIMER);
    delay(3);
    open_window();
    CHECK_EQUAL(vector_count(TIMER), count);
}

CLAIM(timer_masked, "a masked timer fires nothing")
{
    wrmsr(MSR_X2APIC_LVT_TIMER, TIMER_DEADLINE | TIMER_MASKED | TIMER);
    wrmsr(MSR_IA32_TSC_DEADLINE, rdtsc() + 1);
    delay(2);
    open_window();
    CHECK_EQUAL(vector_count(TIMER), 0);
}

CLAIM(nmi_self, "an NMI that a vCPU sends itself comes with interrupts off")
{
    wrmsr(MSR_X2APIC_ICR, ICR_SELF | ICR_ASSERT | ICR_NMI);
    cpu_pause();
    CHECK_EQUAL(vector_count(EXCEPTION_NMI), 1);
}

static uint64_t nmis_in_handler;

static void send_second_nmi(struct frame *frame)
{
    (void)frame;
    if (vector_count(EXCEPTION_NMI) == 1) {
        wrmsr(MSR_X2APIC_ICR, ICR_SELF | ICR_ASSERT | ICR_NMI);
        cpu_pause();
        nmis_in_handler = vector_count(EXCEPTION_NMI);
    }
}

CLAIM(nmi_blocked_until_iret, "a second NMI waits for the IRET of the first, and comes then")
{
    vector_handle(EXCEPTION_NMI, send_second_nmi);
    wrmsr(MSR_X2APIC_ICR, ICR_SELF | ICR_ASSERT | ICR_NMI);
    for (unsigned i = 0; i < 1000; i++) {
        cpu_pause(); /* nothing that exits */
    }
    CHECK_EQUAL(nmis_in_handler, 1);
    CHECK_EQUAL(vector_count(EXCEPTION_NMI), 2);
}

static void send_to_first(void *vector)
{
    wrmsr(MSR_X2APIC_ICR, ICR_ASSERT | (uint64_t)vector);
}

CLAIM(ipi_between_cpus, "an IPI goes to the vCPU that it names, and to no other")
{
    need_cpu(1);
    cpu_run(1, send_to_first, (void *)(uint64_t)LOW);
    CHECK(wait_for_vector(LOW, 1, 100));
    CHECK_NO_TRAP(cpu_wait(1, 100));
    wrmsr(MSR_X2APIC_ICR, (uint64_t)7 << 32 | ICR_ASSERT | LOW); /* nobody has this id */
    delay(1);
    open_window();
    CHECK_EQUAL(vector_count(LOW), 1);
}

static _Atomic uint64_t seen_by_second;

static void wait_for_low(void *unused)
{
    (void)unused;
    if (wait_for_vector(LOW, 1, 100)) {
        atomic_store(&seen_by_second, vector_count(LOW));
    }
}

CLAIM(ipi_shorthands, "the shorthand 'all but self' reaches the other vCPU only")
{
    need_cpu(1);
    atomic_store(&seen_by_second, 0);
    cpu_run(1, wait_for_low, NULL);
    delay(1);
    wrmsr(MSR_X2APIC_ICR, ICR_OTHERS | ICR_ASSERT | LOW);
    CHECK_NO_TRAP(cpu_wait(1, 300));
    open_window();
    CHECK(atomic_load(&seen_by_second) >= 1);
    CHECK_EQUAL(vector_count(LOW), 0);
}

static void wait_for_nmi(void *unused)
{
    uint64_t end = rdtsc() + 100 * tsc_per_ms();

    (void)unused;
    while (vector_count(EXCEPTION_NMI) == 0 && rdtsc() < end) {
        cpu_pause();
    }
    atomic_store(&seen_by_second, vector_count(EXCEPTION_NMI));
}

static void send_two_nmis(void *unused)
{
    (void)unused;
    wrmsr(MSR_X2APIC_ICR, ICR_ASSERT | ICR_NMI);
    wrmsr(MSR_X2APIC_ICR, ICR_ASSERT | ICR_NMI);
}

CLAIM(nmi_twice, "of two NMIs, one right behind the other, none is lost")
{
    need_cpu(1);
    cpu_run(1, send_two_nmis, NULL);
    CHECK_NO_TRAP(cpu_wait(1, 100));
    delay(1);
    CHECK_EQUAL(vector_count(EXCEPTION_NMI), 2);
}

static void send_three_nmis(struct frame *frame)
{
    (void)frame;
    for (unsigned i = 0; i < 3 && vector_count(EXCEPTION_NMI) == 1; i++) {
        wrmsr(MSR_X2APIC_ICR, ICR_SELF | ICR_ASSERT | ICR_NMI);
    }
}

CLAIM(nmi_merged, "while an NMI is handled, one is remembered: three become one")
{
    vector_handle(EXCEPTION_NMI, send_three_nmis);
    wrmsr(MSR_X2APIC_ICR, ICR_SELF | ICR_ASSERT | ICR_NMI);
    delay(1);
    CHECK_EQUAL(vector_count(EXCEPTION_NMI), 2);
}

CLAIM(nmi_to_other_cpu, "an NMI reaches another vCPU that spins with interrupts off")
{
    need_cpu(1);
    atomic_store(&seen_by_second, 0);
    cpu_run(1, wait_for_nmi, NULL);
    delay(1);
    wrmsr(MSR_X2APIC_ICR, 1ull << 32 | ICR_ASSERT | ICR_NMI);
    CHECK_NO_TRAP(cpu_wait(1, 300));
    CHECK_EQUAL(atomic_load(&seen_by_second), 1);
}
