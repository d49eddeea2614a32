/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio device as a PCI function, modern only (VIRTIO 1.2, "Virtio Over PCI Bus"): what its
 * registers do. The PCI bus itself is the owner's: it gives the function this identity, these BARs
 * and capabilities, and MSI-X with a vector for each queue and one for changes of the
 * configuration.
 *
 * Under the owner's lock, as virtio/device.h.
 */
#ifndef POSTERN_VIRTIO_PCI_H
#define POSTERN_VIRTIO_PCI_H

#include "virtio/device.h"

#define VIRTIO_PCI_VENDOR      0x1af4u
#define VIRTIO_PCI_DEVICE_BASE 0x1040u /* plus the model's id */
#define VIRTIO_PCI_REVISION    1u

/* BAR 0: memory with all registers, and the MSI-X table. */
#define VIRTIO_PCI_BAR          0u
#define VIRTIO_PCI_BAR_SIZE     0x4000u
#define VIRTIO_PCI_COMMON       0x0000u
#define VIRTIO_PCI_ISR          0x0100u
#define VIRTIO_PCI_DEVICE       0x0200u
#define VIRTIO_PCI_NOTIFY       0x1000u /* plus 4 times the queue */
#define VIRTIO_PCI_MSIX_TABLE   0x2000u
#define VIRTIO_PCI_MSIX_PENDING 0x3000u

/* BAR 2: one register of I/O space, to which a driver writes the queue that it notifies. An OUT
 * tells the hypervisor what it writes; a store would have to be fetched and decoded. */
#define VIRTIO_PCI_IO_BAR      2u
#define VIRTIO_PCI_IO_BAR_SIZE 0x4u

/* A capability as it stands in configuration space, without the link to the next one: those two
 * bytes are 0. The first three of BAR 0 and that of BAR 2, which drivers take first, then
 * notification by BAR 0, then the access through configuration space. */
struct virtio_pci_capability {
    uint8_t bytes[20];
    uint8_t size;
};
#define VIRTIO_PCI_CAPABILITIES 6u
extern const struct virtio_pci_capability virtio_pci_capabilities[VIRTIO_PCI_CAPABILITIES];
/* The one for access through configuration space, and its fields that are more than bytes. */
#define VIRTIO_PCI_ACCESS        5u
#define VIRTIO_PCI_ACCESS_BAR    4u
#define VIRTIO_PCI_ACCESS_OFFSET 8u
#define VIRTIO_PCI_ACCESS_LENGTH 12u
#define VIRTIO_PCI_ACCESS_DATA   16u

struct virtio_pci {
    struct virtio_device *device;
    uint32_t device_feature_select, driver_feature_select;
    uint32_t queue_select;
};

/* After a reset of the bus. */
void virtio_pci_reset(struct virtio_pci *pci);

/* Whether a write to a BAR would notify a queue that there is, and which. */
bool virtio_pci_notifies(const struct virtio_pci *pci, unsigned bar, uint64_t offset,
                         uint64_t value, uint32_t *queue);

/* An access of 1, 2, 4 or 8 bytes to a BAR, but for BAR 0's MSI-X. A write that notifies returns
 * true when it is to be made once more, since there is more to do. */
uint64_t virtio_pci_read(struct virtio_pci *pci, unsigned bar, uint64_t offset, unsigned size);
bool virtio_pci_write(struct virtio_pci *pci, unsigned bar, uint64_t offset, unsigned size,
                      uint64_t value) MUST_CHECK;

#endif
