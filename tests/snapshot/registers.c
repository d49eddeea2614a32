/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/snapshot/registers.h"

#define CFG_BAR0 0x10u
#define PCI_ALL  7u /* I/O, memory, bus master */

static registers_t find(uint32_t id, uint32_t number, uint32_t *address)
{
    for (uint32_t i = 0; i < 32; i++) {
        *address = PCI_DEVICE(i);
        if (pci_read(*address, 0) == ((VIRTIO_PCI_DEVICE_BASE + id) << 16 | VIRTIO_PCI_VENDOR) &&
            number-- == 0) {
            pci_write(*address, 4, PCI_ALL);
            return (registers_t)(uint64_t)(pci_read(*address, CFG_BAR0) & ~0xfu);
        }
    }
    return NULL;
}

registers_t registers_find(uint32_t id, uint32_t *address)
{
    registers_t registers = find(id, 0, address);

    if (registers == NULL) {
        error("this VM has no such virtio device");
    }
    return registers;
}

registers_t registers_find_next(uint32_t id, uint32_t number)
{
    uint32_t address;

    return find(id, number, &address);
}

void registers_negotiate(registers_t registers, uint64_t features)
{
    set8(registers, VIRTIO_COMMON_STATUS, 0);
    set8(registers, VIRTIO_COMMON_STATUS, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    set32(registers, VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 0);
    set32(registers, VIRTIO_COMMON_DRIVER_FEATURE, (uint32_t)features);
    set32(registers, VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 1);
    set32(registers, VIRTIO_COMMON_DRIVER_FEATURE, (uint32_t)(features >> 32));
    set8(registers, VIRTIO_COMMON_STATUS, REGISTERS_READY & ~VIRTIO_DRIVER_OK);
}

struct queue_areas registers_start_queue(registers_t registers, uint32_t number, uint32_t size,
                                         uint32_t vector)
{
    uint8_t *ring = ram_alloc(3 * SIZE_4K, SIZE_4K);
    struct queue_areas areas = {.descriptors = (volatile uint64_t *)ring,
                                .available = (volatile uint16_t *)(ring + SIZE_4K),
                                .used = (volatile uint16_t *)(ring + 2 * SIZE_4K)};

    set16(registers, VIRTIO_COMMON_QUEUE_SELECT, number);
    set16(registers, VIRTIO_COMMON_QUEUE_SIZE, size);
    set16(registers, VIRTIO_COMMON_QUEUE_VECTOR, vector);
    set64(registers, VIRTIO_COMMON_QUEUE_DESCRIPTORS, areas.descriptors);
    set64(registers, VIRTIO_COMMON_QUEUE_DRIVER, areas.available);
    set64(registers, VIRTIO_COMMON_QUEUE_DEVICE, areas.used);
    set16(registers, VIRTIO_COMMON_QUEUE_ENABLE, 1);
    return areas;
}
