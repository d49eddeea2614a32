/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver: a lwIP network interface on a link's end, or on a member's place in a network, where
 * each packet takes the lane that the forwarding database says. Called from the main loop only. */
#ifndef POSTERN_GUESTS_LWIP_NIC_H
#define POSTERN_GUESTS_LWIP_NIC_H

#include <lwip/netif.h>

#include "abi/fdb_ops.h"
#include "abi/pci.h"
#include "guests/lwip/lane.h"
#include "guests/lwip/options.h"

struct nic_counters {
    uint64_t rx_packets, rx_bytes, rx_large, rx_unchecked, rx_dropped;
    uint64_t tx_packets, tx_bytes, tx_full, tx_dropped;
    uint64_t rx_filtered, tx_filtered; /* that a network's rules drop */
    uint64_t links_up;
    struct lane_counters lanes;
};

struct nic {
    struct device device;
    struct lane lanes[POSTERN_QUEUES_MAX];
    uint32_t lane_count;
    struct lane *by_queue[POSTERN_QUEUES_MAX]; /* NULL: there is no such lane */
    struct postern_fdb_reader reader;          /* of a member */
    struct netif netif;
    struct nic_counters counters;
    enum idle idle;
    uint64_t waits; /* how often there was nothing to do */
    uint64_t seen_link_interrupts;
    uint32_t link; /* as device_link() */
};

/* Finds the NIC and opens its lanes. For netif_add() as `init`, with the nic as `state`; `idle` is
 * set. */
err_t nic_init(struct netif *netif);

/* Does what there is to do, a batch of it at most. Returns whether packets were there. */
bool nic_poll(struct nic *nic);

/* Waits in the way of `idle` until there may be something to do, at the latest for `ms`; what was
 * sent is shown to the peer before. */
void nic_wait(struct nic *nic, uint32_t ms);

#endif
