/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver: a lwIP network interface on a link's end. Called from the main loop only. */
#ifndef POSTERN_GUESTS_LWIP_NIC_H
#define POSTERN_GUESTS_LWIP_NIC_H

#include <lwip/netif.h>

#include "guests/lwip/options.h"
#include "guests/lwip/port.h"

struct nic_counters {
    uint64_t rx_packets, rx_bytes, rx_large, rx_unchecked, rx_dropped;
    uint64_t tx_packets, tx_bytes, tx_full, tx_dropped;
    uint64_t doorbells, links_up, faults, gate_errors;
};

struct nic {
    struct device device;
    struct port port;
    struct netif netif;
    struct nic_counters counters;
    enum idle idle;
    uint64_t waits; /* how often there was nothing to do */
    uint64_t seen_link_interrupts;
    bool peer_runs;
    bool error_known;    /* that of the port: it was reported */
    bool unflushed;      /* there is what the peer does not see yet */
    bool out_of_room;    /* a packet has found none */
    uint32_t last_fault; /* that was counted, and whose */
    uint32_t last_fault_generation;
};

/* Finds the NIC and opens its port. For netif_add() as `init`, with the nic as `state`; `idle` is
 * set. */
err_t nic_init(struct netif *netif);

/* Does what there is to do, a batch of it at most. Returns whether packets were there. */
bool nic_poll(struct nic *nic);

/* Waits in the way of `idle` until there may be something to do, at the latest for `ms`; what was
 * sent is shown to the peer before. */
void nic_wait(struct nic *nic, uint32_t ms);

#endif
