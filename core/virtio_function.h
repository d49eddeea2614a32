/* SPDX-License-Identifier: BSD-2-Clause */
/* A virtio device on a VM's PCI bus: joins virtio/pci.h, which knows no bus, and machine/pci.h,
 * which knows no virtio. */
#ifndef POSTERN_CORE_VIRTIO_FUNCTION_H
#define POSTERN_CORE_VIRTIO_FUNCTION_H

#include "core/vm.h"
#include "virtio/pci.h"

struct virtio_function {
    struct vm *vm;
    struct virtio_pci pci;
    struct pci_function function; /* under the VM's lock */
    bool failure_told;            /* since the VM started */

    /* Of a NIC; NULL of other devices. */
    struct network *network;
    uint32_t member;
    uint32_t noticed; /* queues that were notified through configuration space; VM's lock */
};

/* What the device's model is to be initialised with, for a device with `queues` queues. */
struct virtio_owner virtio_function_owner(struct virtio_function *function, struct vm *vm,
                                          uint32_t queues);

/* Puts an initialised device on the bus of its VM, which has `index` others. */
status_t virtio_function_attach(struct virtio_function *function, struct virtio_device *device,
                                uint32_t class_code, uint32_t index) MUST_CHECK;

/* Has a NIC's network look at what was notified through configuration space, where it could not.
 * False: the access is to be made again. The caller holds no lock. */
bool virtio_function_settle(struct virtio_function *function) MUST_CHECK;

/* The state after reset; the bus is reset already. Under the VM's lock. */
void virtio_function_reset(struct virtio_function *function);

#endif
