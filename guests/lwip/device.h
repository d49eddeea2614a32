/* SPDX-License-Identifier: BSD-2-Clause */
/* The NIC as a PCI function: what abi/pci.h says that it is. */
#ifndef POSTERN_GUESTS_LWIP_DEVICE_H
#define POSTERN_GUESTS_LWIP_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

struct device {
    volatile uint8_t *registers; /* BAR 0 */
    uint64_t window;             /* where BAR 2 is */
    uint64_t fdb;                /* of a network's member: where BAR 4 is; else 0 */
    uint32_t section_size;
    uint32_t queues;
    uint32_t lanes;     /* bit q: queue q is used. Of a link, the first one only */
    uint32_t end;       /* which end of the link, or which member */
    uint32_t to_switch; /* of a member: the lane */
    uint32_t port;
    uint32_t mode; /* POSTERN_MODE_ */
    uint8_t mac[6];
};

/* Finds the first NIC, of a link or of a network, turns its memory on, and has the vectors of its
 * queues come as VECTOR_RING and the last one as VECTOR_LINK. False if there is none; one that it
 * does not know ends the guest. */
bool device_find(struct device *device);

/* The register LINK (abi/pci.h): of a member, bit q: what queue q leads to is running; of a link,
 * bit 0. Costs an exit. */
uint32_t device_link(const struct device *device);

/* Does LINK, as it was read, ask for the port to be opened anew? */
bool device_wants_reopen(const struct device *device, uint32_t link);

/* Of a port that is closed: has it take the mode that is wanted, and acknowledges that the VM was
 * restored. */
void device_follow(struct device *device, uint32_t link);

static inline bool device_is_member(const struct device *device)
{
    return device->fdb != 0;
}

#endif
