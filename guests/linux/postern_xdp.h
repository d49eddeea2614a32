/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * XDP: a BPF program sees each received packet before the stack and decides what becomes of it.
 *
 * What it sees is a whole frame in a page of its own, with XDP_PACKET_HEADROOM before it, however
 * it came: a checksum that the peer left open is made first, and a large TCP packet is cut into its
 * segments first. So a program is attached and detached without the peer's knowing, and the peer
 * may go on sending as it likes; what that costs here, it can save by `ethtool -K tx off`.
 */
#ifndef POSTERN_GUESTS_LINUX_POSTERN_XDP_H
#define POSTERN_GUESTS_LINUX_POSTERN_XDP_H

#include <linux/if_vlan.h>
#include <linux/netdevice.h>
#include <net/xdp.h>

#include "abi/ring_ops.h"

/* With a program attached: a frame, with tags, has to fit into a page. */
#define POSTERN_XDP_MTU_MAX   3500
#define POSTERN_XDP_FRAME_MAX (POSTERN_XDP_MTU_MAX + ETH_HLEN + VLAN_HLEN)

struct bpf_prog;
struct page_pool;
struct postern_nic;
struct postern_queue;

/* Of a queue. NAPI's, but for the pool, which is made under rtnl before there is a program. */
struct postern_xdp {
	/* Whole pages: those of the queue's other pool are shared by packets, and one that is
	 * redirected may leave its pool for good. */
	struct page_pool *pool;
	struct xdp_rxq_info rxq;
	struct xdp_frame *tx[XDP_BULK_QUEUE_SIZE];
	unsigned int tx_count;
	bool redirected;
};

/* Frees what attaching has made: when the interface is gone, or was never there. */
void postern_xdp_release(struct postern_nic *nic);

/* ndo_bpf and ndo_xdp_xmit. */
int postern_bpf(struct net_device *dev, struct netdev_bpf *bpf);
int postern_xdp_xmit(struct net_device *dev, int count, struct xdp_frame **frames, u32 flags);

/* All of the following: NAPI only. The program is what postern_xdp_program() says, which holds
 * until NAPI's round ends. */
struct bpf_prog *postern_xdp_program(const struct postern_nic *nic);
/* A page for a frame, or NULL, and where the frame goes in it. */
struct page *postern_xdp_page(struct postern_queue *queue);
void *postern_xdp_frame(struct page *page);
/* A page that was not needed. */
void postern_xdp_put(struct postern_queue *queue, struct page *page);
/* Has the program decide on a frame that is in `page`, which it takes. Returns what the stack is
 * to have, or NULL. */
struct sk_buff *postern_xdp_run(struct postern_queue *queue, struct bpf_prog *program,
				struct page *page, const struct postern_ring_meta *meta);
/* Cuts a large packet, which it takes, into segments: a list, or NULL if that cannot be done. */
struct sk_buff *postern_xdp_cut(struct sk_buff *skb, const struct postern_ring_meta *meta);
/* As postern_xdp_run for one of the segments, which it takes, of the packet with that meta. */
struct sk_buff *postern_xdp_run_segment(struct postern_queue *queue, struct bpf_prog *program,
					struct sk_buff *segment,
					const struct postern_ring_meta *meta);
/* Sends back and hands on what the program decided so. */
void postern_xdp_flush(struct postern_queue *queue);
/* The first half of it. */
void postern_xdp_flush_tx(struct postern_queue *queue);

#endif
