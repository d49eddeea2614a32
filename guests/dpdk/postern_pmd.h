/* SPDX-License-Identifier: BSD-2-Clause */
/* DPDK's poll-mode driver for Postern's links: what its files share. */
#ifndef POSTERN_GUESTS_DPDK_POSTERN_PMD_H
#define POSTERN_GUESTS_DPDK_POSTERN_PMD_H

#include <ethdev_driver.h>

#include "abi/pci.h"
#include "guests/libpostern/postern_port.h"

/* Ethernet header and VLAN tag: what a frame is longer than its MTU. */
#define PMD_OVERHEAD (RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN)

/* Packets of a crossing. */
#define PMD_BURST 32u

struct pmd_rx_queue {
    struct postern_queue *queue;
    struct rte_mempool *pool;
    uint16_t port_id;
    uint16_t room;     /* bytes of an mbuf */
    uint16_t segments; /* of a packet, at most */
    bool is_full;      /* all that packets go to is there */
    struct postern_gate_frame frames[PMD_BURST];
    struct rte_mbuf **mbufs; /* `segments` for each packet; NULL: given away */
    /* With several segments: where they go. */
    struct postern_gate_packet packets[PMD_BURST];
    struct postern_gate_piece *pieces;
    uint64_t no_mbuf;
    uint64_t refused; /* large TCP packets, which this driver does not cut */
};

#define PMD_TX_PIECES 128u

struct pmd_tx_queue {
    struct postern_queue *queue;
    struct postern_gate_frame frames[PMD_BURST];
    /* For a burst with packets of several segments. */
    struct postern_gate_packet packets[PMD_BURST];
    struct postern_gate_piece pieces[PMD_TX_PIECES];
    uint64_t refused; /* of too many segments */
};

/* Of a queue. */
struct pmd_counters {
    struct postern_port_stats port;
    uint64_t no_mbuf;
    uint64_t rx_refused;
    uint64_t tx_refused;
};

struct pmd_device {
    struct postern_port *port;
    struct rte_ether_addr mac;
    /* NULL: that the application has not set up. */
    struct pmd_rx_queue *rx[POSTERN_QUEUES_MAX];
    struct pmd_tx_queue *tx[POSTERN_QUEUES_MAX];
    /* What the counters were when they were reset. */
    struct pmd_counters zero[POSTERN_QUEUES_MAX];
};

/* postern_rxtx.c: bursts, called by one thread each. */
uint16_t pmd_rx_burst(void *queue, struct rte_mbuf **mbufs, uint16_t count);
uint16_t pmd_tx_burst(void *queue, struct rte_mbuf **mbufs, uint16_t count);
/* Makes room for frames of up to `frame` bytes. Returns 0 or -ENOMEM. */
int pmd_rx_prepare(struct pmd_rx_queue *queue, uint32_t frame, int socket);
/* Frees what the queue has to receive into. */
void pmd_rx_empty(struct pmd_rx_queue *queue);

/* postern_stats.c */
int pmd_stats_get(struct rte_eth_dev *dev, struct rte_eth_stats *stats);
int pmd_stats_reset(struct rte_eth_dev *dev);
int pmd_xstats_get_names(struct rte_eth_dev *dev, struct rte_eth_xstat_name *names, unsigned size);
int pmd_xstats_get(struct rte_eth_dev *dev, struct rte_eth_xstat *xstats, unsigned size);

#endif
