/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/kit/devices.h"

#include "lib/bits.h"
#include "tests/kit/memory.h"

#define PCI_ADDRESS 0xcf8u
#define PCI_DATA    0xcfcu
#define PCI_ENABLE  BIT32(31)
#define PCI_COMMAND 0x04u
#define PCI_MEMORY  2u
#define PCI_BAR(n)  (0x10u + 4u * (n))
#define SVR_ENABLED 0x1ffu
#define MSIX_CAP    0x40u
#define MSIX_ENABLE BIT32(31)
#define MSI_TO_CPU  0xfee00000u /* with the APIC id in bits 19:12 */

uint64_t tsc_per_ms(void)
{
    struct cpuid_result r = cpuid(0x15, 0);

    if (r.eax == 0 || r.ebx == 0 || r.ecx == 0) {
        error("CPUID leaf 0x15 tells no TSC frequency");
    }
    return (uint64_t)r.ecx * r.ebx / r.eax / 1000;
}

bool wait_for_vector(unsigned vector, uint64_t count, uint64_t ms)
{
    uint64_t end = rdtsc() + ms * tsc_per_ms();

    while (vector_count(vector) < count) {
        if (rdtsc() > end) {
            return false;
        }
        __asm__ volatile("sti\n pause\n pause\n cli" : : : "memory");
    }
    return true;
}

void delay(uint64_t ms)
{
    uint64_t end = rdtsc() + ms * tsc_per_ms();

    while (rdtsc() < end) {
        cpu_pause();
    }
}

/* Into x2APIC mode, whatever mode a claim has left. */
static void enter_x2apic(void)
{
    uint64_t base = rdmsr(MSR_IA32_APIC_BASE);

    if ((base & APIC_BASE_X2APIC) == 0) {
        wrmsr(MSR_IA32_APIC_BASE, base | APIC_BASE_ENABLE);
        wrmsr(MSR_IA32_APIC_BASE, base | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
    }
}

void apic_init(void)
{
    enter_x2apic();
    wrmsr(MSR_X2APIC_LVT_TIMER, TIMER_MASKED);
    wrmsr(MSR_X2APIC_INITIAL_COUNT, 0);
    wrmsr(MSR_X2APIC_TPR, 0);
    wrmsr(MSR_X2APIC_SVR, SVR_ENABLED);
    /* What pends is taken and what is in service is ended: each handler ends its own, a claim that
     * failed may not have. */
    __asm__ volatile("sti\n nop\n nop\n cli" : : : "memory");
    for (unsigned i = 0; i < 256; i++) {
        uint64_t in_service = 0;
        for (uint32_t word = 0; word < 8; word++) {
            in_service |= rdmsr(MSR_X2APIC_ISR + word);
        }
        if (in_service == 0) {
            return;
        }
        end_of_interrupt();
        __asm__ volatile("sti\n nop\n nop\n cli" : : : "memory");
    }
}

uint32_t pci_read(uint32_t address, uint32_t offset)
{
    outl(PCI_ADDRESS, PCI_ENABLE | address | (offset & 0xfc));
    return inl(PCI_DATA);
}

void pci_write(uint32_t address, uint32_t offset, uint32_t value)
{
    outl(PCI_ADDRESS, PCI_ENABLE | address | (offset & 0xfc));
    outl(PCI_DATA, value);
}

uint32_t need_nic(void)
{
    for (uint32_t i = 0; i < 32; i++) {
        if (pci_read(PCI_DEVICE(i), 0) == (POSTERN_PCI_NIC << 16 | POSTERN_PCI_VENDOR)) {
            uint32_t command = pci_read(PCI_DEVICE(i), PCI_COMMAND);
            pci_write(PCI_DEVICE(i), PCI_COMMAND, command | PCI_MEMORY);
            return PCI_DEVICE(i);
        }
    }
    skip("this VM has no link");
}

uint64_t nic_bar(uint32_t address, unsigned bar)
{
    uint64_t low = pci_read(address, PCI_BAR(bar));
    uint64_t high = (low & 6) == 4 ? pci_read(address, PCI_BAR(bar + 1)) : 0;

    return high << 32 | (low & ~0xfull);
}

volatile uint32_t *nic_enable_msix(uint32_t address, uint32_t first)
{
    uint8_t *registers = map_physical(nic_bar(address, 0), POSTERN_BAR_REGISTERS_SIZE);
    volatile uint32_t *table = (volatile uint32_t *)(registers + POSTERN_MSIX_TABLE);
    uint32_t last = pci_read(address, MSIX_CAP) >> 16 & 0x7ff;

    for (uint32_t n = 0; n <= last; n++) {
        table[4 * n] = MSI_TO_CPU | (uint32_t)rdmsr(MSR_X2APIC_ID) << 12;
        table[4 * n + 1] = 0;
        table[4 * n + 2] = first + n;
        table[4 * n + 3] = 0;
    }
    pci_write(address, MSIX_CAP, MSIX_ENABLE);
    return table;
}
