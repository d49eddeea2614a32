/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Postern's NIC in Linux: what the module's files share. */
#ifndef POSTERN_GUESTS_LINUX_POSTERN_NIC_H
#define POSTERN_GUESTS_LINUX_POSTERN_NIC_H

#include <linux/ethtool.h>
#include <linux/if_vlan.h>
#include <linux/netdevice.h>
#include <linux/pci.h>
#include <asm/unaligned.h>

#include "abi/pci.h"
#include "postern_limit.h"
#include "postern_pool.h"
#include "postern_port.h"
#include "postern_stall.h"
#include "postern_stamp.h"
#include "postern_xdp.h"

#define POSTERN_FRAME_OVERHEAD (ETH_HLEN + VLAN_HLEN)

/* Of a queue. Each has one writer at a time: the transmit lock, NAPI or the interrupt. */
enum postern_counter {
	POSTERN_RX_PACKETS,
	POSTERN_RX_BYTES,
	POSTERN_TX_PACKETS,
	POSTERN_TX_BYTES,
	POSTERN_TX_DOORBELLS,
	POSTERN_RX_DOORBELLS,
	POSTERN_LINK_DOORBELLS,
	POSTERN_RING_INTERRUPTS,
	POSTERN_LINK_INTERRUPTS,
	POSTERN_POLLS,
	POSTERN_BUSY_POLLS, /* that used up their budget */
	POSTERN_REARMS,	    /* that asked for a doorbell */
	POSTERN_LINGERS,    /* a packet came before the peer was asked to ring */
	POSTERN_TX_STOPS,
	POSTERN_TX_STALLS, /* of them, that lasted for seconds */
	POSTERN_TX_REFUSED,
	POSTERN_TX_FILTERED, /* of a member: what the network's switch would drop */
	POSTERN_TX_GIVEN_UP, /* of a member: the lane's peer takes nothing */
	POSTERN_RX_LENGTH,
	POSTERN_RX_REFUSED,
	POSTERN_RX_FILTERED,
	POSTERN_RX_NO_MEMORY,
	POSTERN_BROKEN,
	POSTERN_GATE_ERRORS,
	POSTERN_RX_POSTED, /* of the packets, those in pages of the pool */
	POSTERN_POSTS,	   /* pages */
	POSTERN_XDP_PASS,  /* the program's verdicts ... */
	POSTERN_XDP_DROP,
	POSTERN_XDP_ABORTED, /* also unknown ones, and what could not be redirected */
	POSTERN_XDP_TX,
	POSTERN_XDP_REDIRECT,
	POSTERN_XDP_SEGMENTS, /* that large packets were cut into for it */
	POSTERN_XDP_XMIT,     /* sent by TX, or redirected to here */
	POSTERN_XDP_XMIT_DROPS,
	POSTERN_COUNTERS,
};

/* Of a crossing. A packet has one piece for its linear part, and one for each page. */
#define POSTERN_BATCH_PACKETS 16
#define POSTERN_PACKET_PIECES (MAX_SKB_FRAGS + 1)
#define POSTERN_BATCH_PIECES  64

#define POSTERN_IRQ_NAME      (IFNAMSIZ + 8)

struct page_pool;
struct postern_member;
struct postern_file;
struct postern_rx_batch;
struct postern_tx_batch;

/* A ring of the port's, with all that serves it: it shares nothing with the others. */
struct postern_queue {
	struct postern_port port;
	struct postern_nic *nic;
	unsigned int index;
	/* NAPI's: the peer's end of this queue is open and both have met. */
	bool up;
	/* The fault that was reported last, and whose: NAPI's. */
	u32 reported_fault;
	u32 reported_generation;
	bool reported_error;
	/* While the port is gated: NAPI's, and the transmit lock's. */
	struct postern_rx_batch *rx_batch;
	struct postern_tx_batch *tx_batch;
	struct page_pool *pool;	       /* NAPI's */
	struct postern_pool *own_pool; /* of an open port in mode direct: NAPI's */
	int recent;		       /* NAPI's: packets that came since it lingered */
	struct postern_xdp xdp;
	struct postern_stall stall;
	struct postern_limit limit;
	struct napi_struct napi;
	char irq_name[POSTERN_IRQ_NAME];
	u64 counters[POSTERN_COUNTERS];
};

struct postern_nic {
	struct net_device *dev;
	struct pci_dev *pdev;
	void __iomem *registers;
	u32 number; /* for POSTERN_HC_ */
	bool has_hypercalls;
	/* Or direct: the window is reached through the gate. Changes under rtnl while nobody uses
	 * the port. */
	bool gated;
	u32 pool_size; /* bytes of each end's pool; 0 in other modes than direct */
	bool open;     /* under rtnl; an interface that is up may have failed to open again */
	u32 link;      /* what POSTERN_REG_LINK said last */
	struct work_struct reopen_work; /* for another mode, or in a VM that was restored */
	struct postern_member *member;	/* NULL: it is an end of a link */
	/* Of the interface: written under rtnl, read by everybody. */
	struct bpf_prog __rcu *xdp_program;
	struct postern_stamps stamps;
	/* The open file of /dev/postern that has the port instead of the interface. Under rtnl, as
	 * the list of all. */
	struct postern_file *user;
	struct list_head list;
	phys_addr_t window;
	size_t window_size;
	unsigned int queue_count; /* of the device; the interface's real_num_tx_queues are used */
	char irq_name[POSTERN_IRQ_NAME];
	struct postern_queue queues[POSTERN_QUEUES_MAX];
};

static inline void postern_add(struct postern_queue *queue, enum postern_counter counter, u64 value)
{
	WRITE_ONCE(queue->counters[counter], queue->counters[counter] + value);
}

static inline void postern_count(struct postern_queue *queue, enum postern_counter counter)
{
	postern_add(queue, counter, 1);
}

/* A program that busy-polls its socket calls NAPI again and again, and at its end once more as an
 * interrupt would: until then there is no need to linger, nor to ask for a doorbell. */
static inline bool postern_busy_polled(const struct postern_queue *queue)
{
	return test_bit(NAPI_STATE_IN_BUSY_POLL, &queue->napi.state);
}

static inline struct netdev_queue *postern_txq(const struct postern_queue *queue)
{
	return netdev_get_tx_queue(queue->nic->dev, queue->index);
}

/* Is the VM running that the queue leads to? */
static inline bool postern_peer_runs(const struct postern_queue *queue)
{
	u32 link = READ_ONCE(queue->nic->link);

	return queue->nic->member ? link >> queue->index & 1 : link & POSTERN_LINK_PEER_RUNS;
}

/* The queues that the interface uses. */
static inline unsigned int postern_used(const struct postern_nic *nic)
{
	return nic->dev->real_num_tx_queues;
}

/* Small packets by words, the last of which may copy some bytes a second time: a string
 * instruction takes tens of cycles to begin. */
#define POSTERN_COPY_WORDS 256u

static inline void postern_copy(void *to, const void *from, unsigned int length)
{
	const unsigned int word = sizeof(u64);
	unsigned int done;

	if (unlikely(length < word) || length > POSTERN_COPY_WORDS) {
		memcpy(to, from, length);
		return;
	}
	for (done = 0; done + 2 * word <= length; done += 2 * word) {
		u64 first = get_unaligned((const u64 *)(from + done));
		u64 second = get_unaligned((const u64 *)(from + done + word));

		put_unaligned(first, (u64 *)(to + done));
		put_unaligned(second, (u64 *)(to + done + word));
	}
	if (done + word < length)
		put_unaligned(get_unaligned((const u64 *)(from + done)), (u64 *)(to + done));
	if (done < length)
		put_unaligned(get_unaligned((const u64 *)(from + length - word)),
			      (u64 *)(to + length - word));
}

/* postern_poll.c */
int postern_poll(struct napi_struct *napi, int budget);
void postern_doorbell(struct postern_queue *queue, enum postern_counter counter);
/* Begins the queue's ring anew. Under the transmit lock, or before the queue is started. */
int postern_open_ring(struct postern_queue *queue);

/* postern_nic.c */
extern const struct net_device_ops postern_netdev_ops;
/* ndo_open and ndo_stop; stop does nothing to one that failed to open again. Under rtnl. */
int postern_open(struct net_device *dev);
int postern_stop(struct net_device *dev);
/* Opens all rings anew, of an interface that is up. Under rtnl. */
int postern_reset(struct postern_nic *nic);
/* Before the interface is registered; the device's end ends it. */
int postern_reopen_init(struct postern_nic *nic);
/* Takes up the mode that the link is to have, and notes that the port was restored. Nobody uses it.
 * Under rtnl. */
void postern_follow_link(struct postern_nic *nic);
/* Has NAPI look at all rings of an interface that is open. */
void postern_look(struct postern_nic *nic);
/* Opens the port's view, if it needs one, for all queues; closes it. Under rtnl. */
int postern_open_view(struct postern_nic *nic);
void postern_close_view(struct postern_nic *nic);
/* Has the interface use so many queues, at most those of the device. Under rtnl. */
int postern_use_queues(struct postern_nic *nic, unsigned int count);

/* postern_pci.c. The port of that number, or NULL. Of POSTERN_DEV_ANY: an end of a link, one that
 * is free if one is. Under rtnl. */
struct postern_nic *postern_find_nic(u32 number);

/* postern_tx.c. Before the interface is registered: */
int postern_tx_init(struct postern_queue *queue);
netdev_tx_t postern_start_xmit(struct sk_buff *skb, struct net_device *dev);
u16 postern_select_queue(struct net_device *dev, struct sk_buff *skb, struct net_device *sb_dev);
/* What was sent was published: tells of it, and waits if there is too much in the ring now for the
 * stack to go on. `stops` as of postern_limit_sent(). With the transmit lock. */
void postern_tx_published(struct postern_queue *queue, bool stops);
/* Starts the queue again, which has nothing to wait for any more: the ring lost its peer, or has
 * another, or gives this one up. With the transmit lock. */
void postern_tx_restart(struct postern_queue *queue);
/* Starts the queue again when the peer has made room. NAPI only. */
void postern_wake_queue(struct postern_queue *queue);
/* Tells of what the peer has taken, unless somebody sends just now. NAPI only. */
void postern_tx_look(struct postern_queue *queue);
/* Drops what waits for a crossing. With the transmit lock, or while nobody sends. */
void postern_tx_purge(struct postern_queue *queue);

/* postern_rx.c. Before the interface is registered: */
int postern_rx_init(struct postern_queue *queue);
/* Counts a received packet that goes nowhere. NAPI only. */
void postern_rx_drop(struct postern_queue *queue, enum postern_counter reason);
/* Receives up to `budget` packets and says how many. NAPI only. */
int postern_receive(struct postern_queue *queue, int budget);

/* postern_ethtool.c */
extern const struct ethtool_ops postern_ethtool_ops;

/* postern_dev.c */
int postern_dev_register(void);
void postern_dev_unregister(void);
/* Takes a port that goes away from its user. Under rtnl. */
void postern_dev_detach(struct postern_nic *nic);

#endif
