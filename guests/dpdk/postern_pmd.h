/* SPDX-License-Identifier: BSD-2-Clause */
/* DPDK's poll-mode driver for Postern's links: what its files share. */
#ifndef POSTERN_GUESTS_DPDK_POSTERN_PMD_H
#define POSTERN_GUESTS_DPDK_POSTERN_PMD_H

#include <ethdev_driver.h>

#include "guests/libpostern/postern_port.h"

/* Ethernet header and VLAN tag: what a frame is longer than its MTU. */
#define PMD_OVERHEAD (RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN)

/* Packets of a crossing. */
#define PMD_BURST 32u

struct pmd_rx_queue {
    struct postern_port *port;
    struct rte_mempool *pool;
    uint16_t port_id;
    uint16_t room;     /* bytes of an mbuf */
    uint16_t segments; /* of a packet, at most */
    bool is_full;      /* all that packets go to is there */
    struct postern_gate_packet packets[PMD_BURST];
    /* `segments` for each packet: where it goes. */
    struct postern_gate_piece *pieces;
    struct rte_mbuf **mbufs; /* NULL: given away */
    uint64_t no_mbuf;
    uint64_t refused; /* large TCP packets, which this driver does not cut */
};

#define PMD_TX_PIECES 128u

struct pmd_tx_queue {
    struct postern_port *port;
    struct postern_gate_packet packets[PMD_BURST];
    struct postern_gate_piece pieces[PMD_TX_PIECES];
    uint64_t refused; /* of too many segments */
};

struct pmd_device {
    struct postern_port *port;
    struct rte_ether_addr mac;
    struct pmd_rx_queue *rx;
    struct pmd_tx_queue *tx;
    struct postern_port_stats zero; /* what the counters were when they were reset */
    uint64_t zero_no_mbuf;
    uint64_t zero_refused[2];
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
