/* SPDX-License-Identifier: BSD-2-Clause */
/* The NIC as a PCI function: what abi/pci.h says that it is. */
#ifndef POSTERN_GUESTS_LWIP_DEVICE_H
#define POSTERN_GUESTS_LWIP_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

struct device {
    volatile uint8_t *registers; /* BAR 0 */
    uint64_t window;             /* where BAR 2 is */
    uint32_t section_size;
    uint32_t queues; /* of which this guest uses the first */
    uint32_t port;
    uint32_t mode; /* POSTERN_MODE_ */
    uint8_t mac[6];
};

/* Finds the first NIC, turns its memory on, and has its two vectors come as VECTOR_RING and
 * VECTOR_LINK. False if there is none; one that it does not know ends the guest. */
bool device_find(struct device *device);

/* Is the VM of the other end running? Costs an exit. */
bool device_peer_runs(const struct device *device);

#endif
