/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Postern's NIC in Linux: what the module's files share. */
#ifndef POSTERN_GUESTS_LINUX_POSTERN_NIC_H
#define POSTERN_GUESTS_LINUX_POSTERN_NIC_H

#include <linux/ethtool.h>
#include <linux/if_vlan.h>
#include <linux/netdevice.h>
#include <linux/pci.h>

#include "postern_port.h"

#define POSTERN_FRAME_OVERHEAD (ETH_HLEN + VLAN_HLEN)

enum postern_counter {
	POSTERN_TX_DOORBELLS,
	POSTERN_RX_DOORBELLS,
	POSTERN_LINK_DOORBELLS,
	POSTERN_RING_INTERRUPTS,
	POSTERN_LINK_INTERRUPTS,
	POSTERN_TX_STOPS,
	POSTERN_TX_REFUSED,
	POSTERN_RX_LENGTH,
	POSTERN_RX_REFUSED,
	POSTERN_RX_NO_MEMORY,
	POSTERN_BROKEN,
	POSTERN_GATE_ERRORS,
	POSTERN_COUNTERS,
};

struct postern_file;
struct postern_rx_batch;

struct postern_nic {
	struct postern_port port;
	struct net_device *dev;
	struct pci_dev *pdev;
	void __iomem *registers;
	u32 number; /* for POSTERN_HC_ */
	bool has_hypercalls;
	bool peer_runs; /* what POSTERN_REG_LINK said last */
	/* The fault that was reported last, and whose: NAPI's. */
	u32 reported_fault;
	u32 reported_generation;
	bool reported_error;
	struct postern_rx_batch *batch; /* NAPI's, of a gated port */
	/* The open file of /dev/postern that has it instead of the interface. Under rtnl, as the
	 * list of all. */
	struct postern_file *user;
	struct list_head list;
	phys_addr_t window;
	size_t window_size;
	struct napi_struct napi;
	/* Each has one writer at a time: the transmit lock, NAPI or the interrupt. */
	u64 counters[POSTERN_COUNTERS];
};

static inline void postern_count(struct postern_nic *nic, enum postern_counter counter)
{
	WRITE_ONCE(nic->counters[counter], nic->counters[counter] + 1);
}

/* postern_nic.c */
extern const struct net_device_ops postern_netdev_ops;
int postern_poll(struct napi_struct *napi, int budget);
void postern_doorbell(struct postern_nic *nic, enum postern_counter counter);

/* postern_pci.c. The port of that number, or NULL. Of POSTERN_DEV_ANY: one that is free, if
 * one is. Under rtnl. */
struct postern_nic *postern_find_nic(u32 number);

/* postern_tx.c */
netdev_tx_t postern_start_xmit(struct sk_buff *skb, struct net_device *dev);
/* Starts the queue again when the peer has made room. NAPI only. */
void postern_wake_queue(struct postern_nic *nic);

/* postern_rx.c. Before the interface is registered: */
int postern_rx_init(struct postern_nic *nic);
/* Receives up to `budget` packets and says how many. NAPI only. */
int postern_receive(struct postern_nic *nic, int budget);

/* postern_ethtool.c */
extern const struct ethtool_ops postern_ethtool_ops;

/* postern_dev.c */
int postern_dev_register(void);
void postern_dev_unregister(void);
/* Takes a port that goes away from its user. Under rtnl. */
void postern_dev_detach(struct postern_nic *nic);

#endif
