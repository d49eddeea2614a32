// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Sending. With the transmit lock. */
#include <linux/etherdevice.h>
#include <linux/tcp.h>
#include <linux/virtio_net.h>

#include "postern_nic.h"

/* What the peer must know to finish the packet. False for a packet that a record cannot describe.
 */
static bool postern_describe(const struct sk_buff *skb, struct postern_ring_meta *meta)
{
	struct virtio_net_hdr header;

	/* The stack sends none: the interface does not offer NETIF_F_FRAGLIST. */
	if (skb_has_frag_list(skb))
		return false;
	if (virtio_net_hdr_from_skb(skb, &header, true, true, 0))
		return false;
	*meta = (struct postern_ring_meta){.length = skb->len};
	if (header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		meta->flags = POSTERN_RECORD_CSUM;
		meta->csum_start = skb_checksum_start_offset(skb);
		meta->csum_offset = skb->csum_offset;
	} else if (header.flags & VIRTIO_NET_HDR_F_DATA_VALID) {
		meta->flags = POSTERN_RECORD_VALID;
	}
	if (skb_is_gso(skb)) {
		meta->gso_type = skb_shinfo(skb)->gso_type & SKB_GSO_TCPV4 ? POSTERN_GSO_TCP4
									   : POSTERN_GSO_TCP6;
		meta->gso_size = skb_shinfo(skb)->gso_size;
		meta->header_length = skb_tcp_all_headers(skb);
		if (header.gso_type & VIRTIO_NET_HDR_GSO_ECN)
			meta->flags |= POSTERN_RECORD_ECN;
	}
	/* A packet from elsewhere may be odd; the peer must not find this end faulty for it. */
	return postern_ring_meta_valid(meta);
}

/* Stops the queue until the peer has made room. All that was sent is published. */
static void postern_stop_queue(struct postern_nic *nic)
{
	netif_stop_queue(nic->dev);
	postern_count(nic, POSTERN_TX_STOPS);
	/* The full barrier in arm_tx also puts the stop before the look at the tail; with the
	 * transmit lock in postern_wake_queue it leaves no gap. */
	if (!postern_port_arm_tx(&nic->port))
		netif_start_queue(nic->dev);
}

/* Does what the result of postern_port_send asks for. */
static void postern_finish_xmit(struct postern_nic *nic, int result)
{
	if (result & POSTERN_GATE_DOORBELL)
		postern_doorbell(nic, POSTERN_TX_DOORBELLS);
	if (result & POSTERN_GATE_FULL)
		postern_stop_queue(nic);
	if (postern_port_ails(&nic->port))
		napi_schedule(&nic->napi);
}

netdev_tx_t postern_start_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct postern_nic *nic = netdev_priv(dev);
	struct postern_port *port = &nic->port;
	struct postern_ring_meta meta;
	unsigned int length = skb->len;
	bool more = netdev_xmit_more();
	int result;

	if (!postern_describe(skb, &meta) || length > port->ring.max_payload) {
		postern_count(nic, POSTERN_TX_REFUSED);
		/* Packets before this one of the same batch may still be unpublished. */
		result = postern_port_send(port, NULL, NULL, more);
		goto drop;
	}
	result = postern_port_send(port, skb, &meta, more);
	if (!(result & POSTERN_PORT_SENT)) {
		if (!postern_port_works(port))
			goto drop;
		postern_finish_xmit(nic, result);
		return NETDEV_TX_BUSY;
	}
	skb_tx_timestamp(skb);
	dev_sw_netstats_tx_add(dev, 1, length);
	dev_consume_skb_any(skb);
	postern_finish_xmit(nic, result);
	return NETDEV_TX_OK;

drop:
	dev_core_stats_tx_dropped_inc(dev);
	dev_kfree_skb_any(skb);
	postern_finish_xmit(nic, result);
	return NETDEV_TX_OK;
}

void postern_wake_queue(struct postern_nic *nic)
{
	netif_tx_lock(nic->dev);
	if (netif_queue_stopped(nic->dev) && postern_port_works(&nic->port) &&
	    postern_port_room(&nic->port))
		netif_wake_queue(nic->dev);
	netif_tx_unlock(nic->dev);
}
