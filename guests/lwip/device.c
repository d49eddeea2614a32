/* SPDX-License-Identifier: BSD-2-Clause */
#include "guests/lwip/device.h"

#include "abi/pci.h"
#include "guests/lwip/console.h"
#include "guests/lwip/cpu.h"
#include "guests/lwip/interrupts.h"

#define PCI_ADDRESS       0xcf8u
#define PCI_DATA          0xcfcu
#define PCI_ENABLE        0x80000000u
#define PCI_DEVICES       32u
#define PCI_COMMAND       0x04u
#define COMMAND_MEMORY    2u
#define PCI_BAR(n)        (0x10u + 4u * (n))
#define PCI_CAPABILITIES  0x34u
#define CAPABILITY_MSIX   0x11u
#define MSIX_ENABLE       0x80000000u /* of the doubleword with the capability's id */
#define MSIX_ENTRY_SIZE   16u
#define MSI_TO_FIRST_VCPU 0xfee00000u

static uint32_t pci_read(uint32_t device, uint32_t offset)
{
    outl(PCI_ADDRESS, PCI_ENABLE | device << 11 | (offset & 0xfc));
    return inl(PCI_DATA);
}

static void pci_write(uint32_t device, uint32_t offset, uint32_t value)
{
    outl(PCI_ADDRESS, PCI_ENABLE | device << 11 | (offset & 0xfc));
    outl(PCI_DATA, value);
}

static bool is_nic(uint32_t device)
{
    uint32_t id = pci_read(device, 0);

    return id == (POSTERN_PCI_NIC << 16 | POSTERN_PCI_VENDOR) ||
           id == (POSTERN_PCI_MEMBER << 16 | POSTERN_PCI_VENDOR);
}

/* The number of the first NIC on the bus, PCI_DEVICES for none. */
static uint32_t find(void)
{
    uint32_t device = 0;

    while (device < PCI_DEVICES && !is_nic(device)) {
        device++;
    }
    return device;
}

static uint64_t read_bar(uint32_t device, unsigned bar)
{
    uint64_t low = pci_read(device, PCI_BAR(bar));
    uint64_t high = (low & 6) == 4 ? pci_read(device, PCI_BAR(bar + 1)) : 0;

    return high << 32 | (low & ~0xfull);
}

static uint32_t find_msix(uint32_t device)
{
    uint32_t at = pci_read(device, PCI_CAPABILITIES) & 0xfc;

    while (at != 0 && (pci_read(device, at) & 0xff) != CAPABILITY_MSIX) {
        at = pci_read(device, at) >> 8 & 0xfc;
    }
    return at;
}

static void set_vector(const struct device *device, uint32_t index, uint32_t vector)
{
    volatile uint8_t *entry = device->registers + POSTERN_MSIX_TABLE + MSIX_ENTRY_SIZE * index;

    write32(entry, MSI_TO_FIRST_VCPU);
    write32(entry + 4, 0);
    write32(entry + 8, vector);
    write32(entry + 12, 0); /* not masked */
}

static void turn_msix_on(const struct device *device, uint32_t number)
{
    uint32_t at = find_msix(number);

    if (at == 0) {
        give_up("postern-lwip: the NIC has no MSI-X\n");
    }
    for (uint32_t queue = 0; queue < device->queues; queue++) {
        set_vector(device, POSTERN_VECTOR_QUEUE(queue), VECTOR_RING);
    }
    set_vector(device, POSTERN_VECTOR_LINK(device->queues), VECTOR_LINK);
    pci_write(number, at, pci_read(number, at) | MSIX_ENABLE);
}

static void read_mode(struct device *device)
{
    device->mode = read32(device->registers + POSTERN_REG_MODE);
    if (device->mode != POSTERN_MODE_OPEN && device->mode != POSTERN_MODE_GATED) {
        give_up("postern-lwip: unknown mode %u of the NIC\n", device->mode);
    }
}

static void read_registers(struct device *device)
{
    volatile uint8_t *registers = device->registers;
    uint32_t magic = read32(registers + POSTERN_REG_MAGIC);
    uint32_t abi = read32(registers + POSTERN_REG_ABI);
    uint64_t mac = read32(registers + POSTERN_REG_MAC_LOW) |
                   (uint64_t)read32(registers + POSTERN_REG_MAC_HIGH) << 32;

    if (magic != POSTERN_NIC_MAGIC || abi != POSTERN_NIC_ABI) {
        give_up("postern-lwip: unknown NIC: magic 0x%x, ABI %u\n", magic, abi);
    }
    read_mode(device);
    device->port = read32(registers + POSTERN_REG_PORT);
    device->section_size = read32(registers + POSTERN_REG_SECTION_SIZE);
    device->queues = read32(registers + POSTERN_REG_QUEUES);
    device->lanes = 1;
    device->end = read32(registers + POSTERN_REG_END);
    if (device_is_member(device)) {
        device->lanes = read32(registers + POSTERN_REG_LANES);
        device->to_switch = read32(registers + POSTERN_REG_SWITCH);
    }
    if (device->queues > POSTERN_QUEUES_MAX) {
        give_up("postern-lwip: no NIC has %u queues\n", device->queues);
    }
    for (unsigned i = 0; i < sizeof(device->mac); i++) {
        device->mac[i] = (uint8_t)(mac >> 8 * i);
    }
}

bool device_find(struct device *device)
{
    uint32_t number = find();

    if (number == PCI_DEVICES) {
        return false;
    }
    pci_write(number, PCI_COMMAND, pci_read(number, PCI_COMMAND) | COMMAND_MEMORY);
    device->registers = (volatile uint8_t *)read_bar(number, POSTERN_BAR_REGISTERS);
    device->window = read_bar(number, POSTERN_BAR_WINDOW);
    device->fdb =
        pci_read(number, 0) >> 16 == POSTERN_PCI_MEMBER ? read_bar(number, POSTERN_BAR_FDB) : 0;
    read_registers(device);
    turn_msix_on(device, number);
    return true;
}

uint32_t device_link(const struct device *device)
{
    return read32(device->registers + POSTERN_REG_LINK);
}

static bool wants_other_mode(const struct device *device, uint32_t link)
{
    return !device_is_member(device) && (link & POSTERN_LINK_OTHER_MODE) != 0;
}

bool device_wants_reopen(const struct device *device, uint32_t link)
{
    return (link & POSTERN_LINK_RESTORED) != 0 || wants_other_mode(device, link);
}

void device_follow(struct device *device, uint32_t link)
{
    if ((link & POSTERN_LINK_RESTORED) != 0) {
        /* To write it, whatever the value, is to know. */
        write32(device->registers + POSTERN_REG_LINK, 0);
        print("postern-lwip: the VM was restored from a snapshot\n");
    }
    if (wants_other_mode(device, link)) {
        /* To write it, whatever the value, is to be ready. */
        write32(device->registers + POSTERN_REG_MODE, 0);
        read_mode(device);
        print("postern-lwip: the link's mode is now %s\n",
              device->mode == POSTERN_MODE_GATED ? "gated" : "open");
    }
}
