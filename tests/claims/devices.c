/* SPDX-License-Identifier: BSD-2-Clause */
/* I/O APIC, UART, RTC, PCI configuration space and the ACPI tables. */
#include "tests/kit/kit.h"

#define UART_IER       (GUEST_PORT_UART + 1u)
#define UART_IIR       (GUEST_PORT_UART + 2u)
#define UART_MCR       (GUEST_PORT_UART + 4u)
#define UART_SCRATCH   (GUEST_PORT_UART + 7u)
#define UART_VECTOR    0x71u
#define IOAPIC_VERSION 1u
#define REDIRECTION(n) (0x10u + 2u * (n))
#define LEVEL          BIT32(15)
#define MASKED         BIT32(16)
#define RTC_SECONDS    0u
#define RTC_STATUS_D   0xdu
#define NVRAM          0x50u

static volatile uint32_t *const ioapic = (volatile uint32_t *)GUEST_IOAPIC_BASE;

static uint32_t ioapic_get(uint32_t index)
{
    ioapic[0] = index;
    return ioapic[4];
}

static void ioapic_set(uint32_t index, uint32_t value)
{
    ioapic[0] = index;
    ioapic[4] = value;
}

CLAIM(ioapic_identity, "the I/O APIC has 24 inputs, all masked after a restart")
{
    CHECK_EQUAL(ioapic_get(IOAPIC_VERSION) >> 16 & 0xff, 23);
    for (unsigned i = 0; i < 24; i++) {
        CHECK((ioapic_get(REDIRECTION(i)) & MASKED) != 0);
    }
}

CLAIM(ioapic_registers, "a redirection entry holds what is written; the index register too")
{
    ioapic_set(REDIRECTION(9), MASKED | 0x99);
    ioapic_set(REDIRECTION(9) + 1, 0x01000000);
    CHECK_EQUAL(ioapic_get(REDIRECTION(9)), MASKED | 0x99);
    CHECK_EQUAL(ioapic_get(REDIRECTION(9) + 1), 0x01000000);
    CHECK_EQUAL(ioapic[0], REDIRECTION(9) + 1);
    ioapic_set(REDIRECTION(9) + 1, 0);
    ioapic_set(REDIRECTION(9), MASKED);
}

static unsigned uart_interrupts;

static void on_uart(struct frame *frame)
{
    (void)frame;
    uart_interrupts++;
    (void)inb(UART_IIR); /* "transmitter empty" ends by being read */
    end_of_interrupt();
}

static void raise_uart(uint32_t redirection)
{
    uint64_t before = vector_count(UART_VECTOR);

    uart_interrupts = 0;
    vector_handle(UART_VECTOR, on_uart);
    outb(UART_MCR, 0x08);
    ioapic_set(REDIRECTION(GUEST_UART_GSI) + 1, 0);
    ioapic_set(REDIRECTION(GUEST_UART_GSI), redirection | UART_VECTOR);
    outb(UART_IER, 0x02);
    (void)wait_for_vector(UART_VECTOR, before + 1, 20);
    outb(UART_IER, 0);
    ioapic_set(REDIRECTION(GUEST_UART_GSI), MASKED);
}

CLAIM(ioapic_edge, "the UART's interrupt comes through the I/O APIC, edge-triggered")
{
    raise_uart(0);
    CHECK_EQUAL(uart_interrupts, 1);
}

CLAIM(ioapic_level, "and level-triggered, with an EOI that reaches the I/O APIC")
{
    raise_uart(LEVEL);
    CHECK_EQUAL(uart_interrupts, 1);
    raise_uart(LEVEL); /* Remote IRR was cleared, or this one would not come */
    CHECK_EQUAL(uart_interrupts, 1);
}

CLAIM(ioapic_masked, "a masked input raises nothing")
{
    raise_uart(MASKED);
    CHECK_EQUAL(uart_interrupts, 0);
}

CLAIM(uart_scratch, "the UART is a 16550A: a scratch register, FIFOs")
{
    outb(UART_SCRATCH, 0xa5);
    CHECK_EQUAL(inb(UART_SCRATCH), 0xa5);
    outb(UART_IIR, 1);
    CHECK_EQUAL(inb(UART_IIR) & 0xc0, 0xc0);
    outb(UART_IIR, 0);
}

static uint8_t rtc(uint8_t index)
{
    outb(GUEST_PORT_RTC, index);
    return inb(GUEST_PORT_RTC + 1);
}

CLAIM(rtc_valid, "the RTC's time is valid and in range")
{
    CHECK((rtc(RTC_STATUS_D) & 0x80) != 0);
    CHECK((rtc(RTC_SECONDS) & 0x7f) < 0x60);
    CHECK((rtc(2) & 0x7f) < 0x60);
    CHECK(rtc(7) >= 1 && rtc(7) <= 0x31);
    CHECK(rtc(8) >= 1 && rtc(8) <= 0x12);
}

CLAIM(rtc_memory, "the RTC has CMOS RAM")
{
    outb(GUEST_PORT_RTC, NVRAM);
    outb(GUEST_PORT_RTC + 1, 0x3c);
    CHECK_EQUAL(rtc(NVRAM), 0x3c);
}

CLAIM(pci_host_bridge, "00:00.0 is a host bridge without resources; what does not exist is ones")
{
    CHECK_EQUAL(pci_read(PCI_DEVICE(0), 8) >> 16, 0x0600);
    for (uint32_t bar = 0x10; bar < 0x28; bar += 4) {
        CHECK_EQUAL(pci_read(PCI_DEVICE(0), bar), 0);
    }
    CHECK_EQUAL(pci_read(PCI_DEVICE(31), 0), 0xffffffff);
    CHECK_EQUAL(pci_read(PCI_DEVICE(0) | 7 << 8, 0), 0xffffffff);
    CHECK_EQUAL(pci_read(1 << 16, 0), 0xffffffff); /* another bus */
}

CLAIM(pci_sub_accesses, "parts of a register of configuration space are read by narrower accesses")
{
    uint32_t nic = need_nic();

    (void)pci_read(nic, 0);
    CHECK_EQUAL(inb(0xcfc), POSTERN_PCI_VENDOR & 0xff);
    CHECK_EQUAL(inb(0xcfd), POSTERN_PCI_VENDOR >> 8);
    CHECK_EQUAL(inb(0xcfe), POSTERN_PCI_NIC);
}

CLAIM(pci_disabled, "without the enable bit there is no configuration access")
{
    outl(0xcf8, PCI_DEVICE(0));
    CHECK_EQUAL(inl(0xcfc), 0xffffffff);
}

CLAIM(nic_identity, "the port is an Ethernet controller with the contract's number")
{
    uint32_t nic = need_nic();
    volatile uint32_t *registers = map_physical(nic_bar(nic, 0), SIZE_4K);

    CHECK_EQUAL(pci_read(nic, 8) >> 8, 0x020000);
    CHECK_EQUAL(registers[POSTERN_REG_MAGIC / 4], POSTERN_NIC_MAGIC);
    CHECK_EQUAL(registers[POSTERN_REG_ABI / 4], POSTERN_NIC_ABI);
    CHECK_EQUAL(registers[POSTERN_REG_SECTION_SIZE / 4], 64 << 10);
}

CLAIM(nic_registers, "registers of other widths read ones, unnamed ones 0; writes do nothing")
{
    volatile uint32_t *registers = map_physical(nic_bar(need_nic(), 0), SIZE_4K);

    CHECK_EQUAL(*(volatile uint8_t *)registers, 0xff);
    CHECK_EQUAL(*(volatile uint64_t *)registers, ~0ull);
    CHECK_EQUAL(registers[0x800 / 4], 0);
    registers[POSTERN_REG_MAGIC / 4] = 0;
    CHECK_EQUAL(registers[POSTERN_REG_MAGIC / 4], POSTERN_NIC_MAGIC);
}

CLAIM(nic_bar_size, "all ones in a BAR read back as its size")
{
    uint32_t nic = need_nic();
    uint32_t old = pci_read(nic, 0x10);

    pci_write(nic, 4, 0);
    pci_write(nic, 0x10, 0xffffffff);
    CHECK_EQUAL(pci_read(nic, 0x10) & ~0xfu, ~(POSTERN_BAR_REGISTERS_SIZE - 1));
    pci_write(nic, 0x10, old);
    pci_write(nic, 4, 2);
}

CLAIM(nic_msix,
      "the port has MSI-X with a vector for each queue and one for the link, masked at first")
{
    uint32_t nic = need_nic();
    uint32_t capability = pci_read(nic, pci_read(nic, 0x34) & 0xff);
    volatile uint32_t *registers = map_physical(nic_bar(nic, 0), POSTERN_BAR_REGISTERS_SIZE);
    volatile uint32_t *table = registers + POSTERN_MSIX_TABLE / 4;

    CHECK_EQUAL(capability & 0xff, 0x11);
    uint32_t last = capability >> 16 & 0x7ff;
    CHECK_EQUAL(last, POSTERN_VECTOR_LINK(registers[POSTERN_REG_QUEUES / 4]));
    for (uint32_t vector = 0; vector <= last; vector++) {
        CHECK_EQUAL(table[4 * vector + 3] & 1, 1);
    }
}

static bool sums_to_zero(const uint8_t *bytes, uint32_t size)
{
    uint8_t sum = 0;

    for (uint32_t i = 0; i < size; i++) {
        sum = (uint8_t)(sum + bytes[i]);
    }
    return sum == 0;
}

CLAIM(acpi_tables, "RSDP, XSDT and the tables that it lists have their signatures and checksums")
{
    const uint8_t *rsdp = (const uint8_t *)(uint64_t)GUEST_ACPI_BASE;
    uint64_t address = 0;
    uint32_t size = 0;

    CHECK(memcmp(rsdp, "RSD PTR ", 8) == 0);
    CHECK(sums_to_zero(rsdp, 20) && sums_to_zero(rsdp, 36));
    memcpy(&address, rsdp + 24, 8);
    const uint8_t *xsdt = (const uint8_t *)address;
    CHECK(memcmp(xsdt, "XSDT", 4) == 0);
    memcpy(&size, xsdt + 4, 4);
    CHECK(sums_to_zero(xsdt, size));
    CHECK(size >= 36 + 2 * 8);
    for (uint32_t at = 36; at < size; at += 8) {
        uint32_t table_size = 0;
        memcpy(&address, xsdt + at, 8);
        memcpy(&table_size, (const uint8_t *)address + 4, 4);
        CHECK(sums_to_zero((const uint8_t *)address, table_size));
    }
}
