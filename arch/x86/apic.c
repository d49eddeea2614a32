/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/apic.h"

#include "arch/x86/cpu.h"
#include "arch/x86/defs/msr.h"
#include "arch/x86/exceptions.h"
#include "lib/bits.h"

#define MSR_X2APIC_LDR        0x80du
#define MSR_X2APIC_ESR        0x828u
#define MSR_X2APIC_LVT_CMCI   0x82fu
#define MSR_X2APIC_LVT_PERF   0x834u
#define MSR_X2APIC_LVT_LINT0  0x835u
#define MSR_X2APIC_LVT_LINT1  0x836u
#define MSR_X2APIC_LVT_ERROR  0x837u
#define SVR_ENABLE            BIT(8)
#define LVT_MASKED            BIT(16)
#define LVT_TSC_DEADLINE      BIT(18)
#define ICR_ASSERT            BIT(14)
#define ICR_NMI               (4ull << 8)
#define ICR_INIT              (5ull << 8)
#define ICR_STARTUP           (6ull << 8)
#define ICR_ALL_BUT_SELF      (3ull << 18)
#define IOAPIC_SELECT         0u
#define IOAPIC_WINDOW         4u /* in 32-bit words: offset 0x10 */
#define IOAPIC_VERSION        1u
#define IOAPIC_REDIRECTION(n) (0x10u + 2u * (n))

void apic_enable(void)
{
    uint64_t base = rdmsr(MSR_IA32_APIC_BASE) | APIC_BASE_ENABLE;

    /* Disabled to x2APIC directly is not a legal transition. */
    wrmsr(MSR_IA32_APIC_BASE, base);
    wrmsr(MSR_IA32_APIC_BASE, base | APIC_BASE_X2APIC);
    /* Bochs sets the logical destination only at a second write; elsewhere it changes nothing. */
    wrmsr(MSR_IA32_APIC_BASE, base | APIC_BASE_X2APIC);
    wrmsr(MSR_X2APIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
    wrmsr(MSR_X2APIC_TPR, 0);
    wrmsr(MSR_X2APIC_LVT_LINT0, LVT_MASKED);
    wrmsr(MSR_X2APIC_LVT_LINT1, LVT_MASKED);
    wrmsr(MSR_X2APIC_LVT_ERROR, LVT_MASKED | VECTOR_SPURIOUS);
    wrmsr(MSR_X2APIC_LVT_TIMER, LVT_TSC_DEADLINE | VECTOR_TIMER);
    wrmsr(MSR_IA32_TSC_DEADLINE, 0);
}

uint32_t apic_id(void)
{
    return (uint32_t)rdmsr(MSR_X2APIC_ID);
}

void apic_eoi(void)
{
    wrmsr(MSR_X2APIC_EOI, 0);
}

static void send(uint32_t destination, uint64_t command)
{
    /* WRMSR to x2APIC registers is not serializing and may pass earlier stores: what the receiver
     * is to find must be visible first (SDM "MSR Access in x2APIC Mode"). Partner: the acquiring
     * reads of the receiver's interrupt handlers. */
    __asm__ volatile("mfence; lfence" : : : "memory");
    wrmsr(MSR_X2APIC_ICR, (uint64_t)destination << 32 | command);
}

void apic_send(uint32_t destination, unsigned vector)
{
    send(destination, ICR_ASSERT | vector);
}

void apic_send_nmi_to_others(void)
{
    send(0, ICR_ALL_BUT_SELF | ICR_ASSERT | ICR_NMI);
}

void apic_send_init(uint32_t destination)
{
    send(destination, ICR_ASSERT | ICR_INIT);
}

void apic_send_startup(uint32_t destination, unsigned page)
{
    send(destination, ICR_ASSERT | ICR_STARTUP | page);
}

void apic_set_timer(uint64_t deadline)
{
    wrmsr(MSR_IA32_TSC_DEADLINE, deadline);
}

uint64_t apic_get_timer(void)
{
    return rdmsr(MSR_IA32_TSC_DEADLINE);
}

bool apic_timer_pending(void)
{
    return (rdmsr(MSR_X2APIC_IRR + VECTOR_TIMER / 32) >> VECTOR_TIMER % 32 & 1) != 0;
}

static void ioapic_write(volatile uint32_t *ioapic, uint32_t reg, uint32_t value)
{
    ioapic[IOAPIC_SELECT] = reg;
    ioapic[IOAPIC_WINDOW] = value;
}

static uint32_t ioapic_read(volatile uint32_t *ioapic, uint32_t reg)
{
    ioapic[IOAPIC_SELECT] = reg;
    return ioapic[IOAPIC_WINDOW];
}

void ioapic_route(uint64_t base, uint32_t gsi, unsigned vector)
{
    volatile uint32_t *ioapic = (volatile uint32_t *)base;
    uint32_t inputs = (ioapic_read(ioapic, IOAPIC_VERSION) >> 16 & 0xff) + 1;

    for (uint32_t input = 0; input < inputs; input++) {
        ioapic_write(ioapic, IOAPIC_REDIRECTION(input), (uint32_t)LVT_MASKED);
    }
    if (gsi < inputs) {
        ioapic_write(ioapic, IOAPIC_REDIRECTION(gsi) + 1, apic_id() << 24);
        ioapic_write(ioapic, IOAPIC_REDIRECTION(gsi), vector);
    }
}

void pic_disable(void)
{
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
}
