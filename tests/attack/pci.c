/* SPDX-License-Identifier: BSD-2-Clause */
/* The port's PCI function, with BARs where something else is and random words in its registers. */
#include "tests/attack/attack.h"

#define FUZZ 1500u

static void move_bar2(unsigned port, uint64_t gpa)
{
    move_bar(port, POSTERN_BAR_WINDOW, gpa);
    (void)nic_of(port); /* its memory on */
}

CLAIM(bar_over_everything,
      "a window moved onto RAM, the gate, a device or another window takes nothing's place")
{
    static const uint64_t places[] = {0,
                                      0x400000,
                                      0x3fe0000,
                                      0xfec00000,
                                      0xfec00000,
                                      0xfed00000,
                                      0xfee00000,
                                      0xfffe0000,
                                      0x4000000,
                                      0x1000000000,
                                      0x1008000000,
                                      0x1010000000,
                                      0xffffffffffe0000};
    uint32_t first = *(volatile uint32_t *)GATE_BASE;
    uint64_t *ram = (uint64_t *)0x3fe0000;

    *ram = 0x1234567;
    for (unsigned port = 0; port < PORTS; port++) {
        if (port != PORT_OPEN) {
            (void)view_open(port);
        }
        for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
            move_bar2(port, places[i]);
            CHECK_EQUAL(*ram, 0x1234567);
            CHECK_EQUAL(*(volatile uint32_t *)GATE_BASE, first);
            CHECK_TRAP(TRY("movl $0, (%0)", : : "r"(GATE_BASE) : "memory"), EXCEPTION_GP, 0);
        }
        move_bar2(port, 0x1000000000 + port * 2ull * POSTERN_SECTION_MAX);
    }
    check_crossing(PORT_GATED);
    check_crossing(PORT_OTHER);
}

CLAIM(bar0_over_everything, "registers moved onto RAM, the gate or a device take nothing's place")
{
    static const uint32_t places[] = {0, 0x400000, 0xfec00000, 0xfed00000, 0xfee00000, 0xffffe000};

    (void)view_open(PORT_GATED);
    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        pci_write(nic_of(PORT_GATED), 0x10, places[i]);
        check_crossing(PORT_GATED);
    }
}

CLAIM(tables_run_out,
      "a window moved through all gibibytes uses up the VM's own tables, until its restart")
{
    if (claim_phase() == 0) {
        for (uint64_t i = 0; i < 60; i++) {
            (void)view_open(PORT_GATED);
            move_bar2(PORT_GATED, 0x1000000000 + i * SIZE_1G + 0x20000 * i);
            move_bar2(PORT_OPEN, 0x1040000000 + i * SIZE_1G);
        }
        restart_expected();
        outb(GUEST_PORT_RESET, GUEST_RESET_VALUE);
    }
}

CLAIM(pci_fuzz, "random words in configuration space harm nobody, with the view open")
{
    uint64_t view = view_open(PORT_GATED);

    in_bochs_let_others_in();
    random_seed(9);
    for (unsigned i = 0; i < FUZZ; i++) {
        uint32_t device = PCI_DEVICE((uint32_t)(random_next() % 5)) | (uint32_t)(random_next() % 2)
                                                                          << 16;
        pci_write(device, (uint32_t)random_next() & 0xff, (uint32_t)random_next());
        (void)pci_read(device, (uint32_t)random_next() & 0xff);
        if (i % 16 == 0) {
            CHECK_EQUAL(cross(view, POSTERN_GATE_NOTHING, NULL), 0);
        }
    }
    for (uint16_t port = 0xcf8; port < 0xd00; port++) {
        outb(port, (uint8_t)random_next());
        (void)inb(port);
    }
}

CLAIM(msix_fuzz, "random messages in the MSI-X table interrupt nobody else")
{
    uint32_t device = nic_of(PORT_GATED);
    volatile uint32_t *table =
        (volatile uint32_t *)((uint8_t *)map_physical(nic_bar(device, 0), 0x2000) + 0x1000);

    random_seed(10);
    pci_write(device, 0x40, 1u << 31);
    for (unsigned i = 0; i < 500; i++) {
        /* Delivery modes but INIT and startup, to vCPUs that are not there too. */
        table[4 * (i % 2)] = 0xfee00000 | (uint32_t)(random_next() & 0xffff0);
        table[4 * (i % 2) + 2] = (uint32_t)random_next() & 0xff;
        table[4 * (i % 2) + 3] = (uint32_t)random_next() & 1;
        (void)hypercall(POSTERN_HC_DOORBELL, PORT_GATED, 0, 0);
    }
    pci_write(device, 0x40, 0);
    for (unsigned i = 0; i < 8; i++) {
        table[i] = i % 4 == 3 ? 1 : 0;
    }
}
