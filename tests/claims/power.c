/* SPDX-License-Identifier: BSD-2-Clause */
/* Claims that end their VM: the runner goes on behind them. */
#include "tests/kit/kit.h"

#define MARK 0x6b72616dull

static volatile uint64_t *last_words(void)
{
    return (volatile uint64_t *)(ram_size() - 4096);
}

static void no_idt(void)
{
    struct PACKED {
        uint16_t limit;
        uint64_t base;
    } pointer = {0, 0};

    __asm__ volatile("lidt %0\n ud2" : : "m"(pointer));
}

CLAIM(triple_fault, "a triple fault ends the VM, and on_crash restarts it")
{
    if (claim_phase() == 0) {
        restart_expected();
        no_idt();
    }
}

CLAIM(reset_register, "the value 1 in ACPI's reset register restarts the VM; others do nothing")
{
    if (claim_phase() == 0) {
        outb(GUEST_PORT_RESET, 2);
        outb(GUEST_PORT_SLEEP_CONTROL, 0x10); /* S4, and without the enable bit */
        outb(GUEST_PORT_SLEEP_CONTROL, 0x20 | 3 << 2);
        restart_expected();
        outb(GUEST_PORT_RESET, GUEST_RESET_VALUE);
        fail("it goes on");
    }
}

CLAIM(restart_keeps_ram, "RAM that the loader does not write is kept across a restart")
{
    if (claim_phase() == 0) {
        *last_words() = MARK;
        restart_expected();
        outb(GUEST_PORT_RESET, GUEST_RESET_VALUE);
    }
    CHECK_EQUAL(*last_words(), MARK);
}

static uint64_t initialised = MARK, zeroed;

CLAIM(restart_reloads, "a restart loads data anew and clears the bss")
{
    if (claim_phase() == 0) {
        initialised = zeroed = 5;
        restart_expected();
        outb(GUEST_PORT_RESET, GUEST_RESET_VALUE);
    }
    CHECK_EQUAL(initialised, MARK);
    CHECK_EQUAL(zeroed, 0);
}

CLAIM(restart_resets_devices, "a restart resets the local APIC, the UART and the port's BARs")
{
    if (claim_phase() == 0) {
        wrmsr(MSR_X2APIC_TPR, 0xf0);
        outb(GUEST_PORT_UART + 7, 0x77);
        pci_write(need_nic(), 0x04, 2);
        restart_expected();
        outb(GUEST_PORT_RESET, GUEST_RESET_VALUE);
    }
    CHECK_EQUAL(rdmsr(MSR_X2APIC_TPR), 0);
    CHECK(inb(GUEST_PORT_UART + 7) != 0x77);
    CHECK_EQUAL(pci_read(PCI_DEVICE(1), 0x04) & 0xffff, 0);
}

CLAIM(sleep_state_5, "S5 in ACPI's sleep control register ends the VM for good")
{
    if (claim_phase() == 0) {
        restart_expected(); /* by the test, which starts it again */
        outb(GUEST_PORT_SLEEP_CONTROL, 0x20 | GUEST_SLEEP_TYPE_S5 << 2);
        fail("it goes on");
    }
}

static void crash(void *unused)
{
    (void)unused;
    no_idt();
}

CLAIM(triple_fault_of_second_cpu, "a triple fault of any vCPU ends the VM")
{
    if (claim_phase() == 0) {
        need_cpu(1);
        restart_expected();
        cpu_run(1, crash, NULL);
        delay(100);
        fail("it goes on");
    }
}
