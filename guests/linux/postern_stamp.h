/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Hardware timestamps: what takes the place of a NIC's clock is the time-stamp counter, which is
 * the same for all VMs of a machine. A packet's time is when its sender took it, which is both when
 * it was sent and when it arrived: the sender writes it into the record, if it is told to.
 */
#ifndef POSTERN_GUESTS_LINUX_POSTERN_STAMP_H
#define POSTERN_GUESTS_LINUX_POSTERN_STAMP_H

#include <linux/ethtool.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <asm/msr.h>

#include "abi/ring_ops.h"

/* Of an interface; written under rtnl. */
struct postern_stamps {
	bool send;    /* records get stamps, and senders that ask are told */
	bool receive; /* stamps of records go to the stack */
};

/* The clock of these times, as /dev/ptpN. Without it, -1 is its index. */
void postern_clock_register(void);
void postern_clock_unregister(void);

/* ndo_eth_ioctl and ethtool's get_ts_info. */
int postern_ioctl(struct net_device *dev, struct ifreq *request, int command);
int postern_get_ts_info(struct net_device *dev, struct ethtool_ts_info *info);

/* The slow halves. */
void postern_stamp_tell(struct sk_buff *skb, u64 stamp);
void postern_stamp_receive(struct sk_buff *skb, u64 stamp);

/* Stamps a record that is about to be sent. */
static inline void postern_stamp_record(const struct postern_stamps *stamps,
					struct postern_ring_meta *meta)
{
	if (likely(!READ_ONCE(stamps->send)))
		return;
	meta->flags |= POSTERN_RECORD_STAMP;
	meta->stamp = rdtsc_ordered();
}

/* The packet goes by that record: a sender that wants the record's time waits for it, and gets no
 * other one. */
static inline void postern_stamp_begin(struct sk_buff *skb, const struct postern_ring_meta *meta)
{
	if (unlikely(meta->flags & POSTERN_RECORD_STAMP) &&
	    skb_shinfo(skb)->tx_flags & SKBTX_HW_TSTAMP)
		skb_shinfo(skb)->tx_flags |= SKBTX_IN_PROGRESS;
}

/* The ring has the packet: its sender gets the record's time, if it waits. */
static inline void postern_stamp_end(struct sk_buff *skb, const struct postern_ring_meta *meta)
{
	if (unlikely(meta->flags & POSTERN_RECORD_STAMP) &&
	    skb_shinfo(skb)->tx_flags & SKBTX_IN_PROGRESS)
		postern_stamp_tell(skb, meta->stamp);
}

/* Gives a received packet its record's time. */
static inline void postern_stamp_apply(const struct postern_stamps *stamps, struct sk_buff *skb,
				       const struct postern_ring_meta *meta)
{
	if (unlikely(meta->flags & POSTERN_RECORD_STAMP) && READ_ONCE(stamps->receive))
		postern_stamp_receive(skb, meta->stamp);
}

#endif
