// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Sending. With the transmit lock. */
#include <linux/etherdevice.h>
#include <linux/tcp.h>
#include <linux/virtio_net.h>

#include "postern_member.h"
#include "postern_nic.h"

/* Packets that wait for a crossing, or, with the queue stopped, for room in the ring. */
struct postern_tx_batch {
	struct postern_gate_packet packets[POSTERN_BATCH_PACKETS];
	struct postern_gate_piece pieces[POSTERN_BATCH_PIECES];
	struct sk_buff *skbs[POSTERN_BATCH_PACKETS];
	unsigned int count;
	unsigned int used; /* of the pieces */
};

int postern_tx_init(struct postern_queue *queue)
{
	/* Of an open port, too: its mode may change. */
	queue->tx_batch =
		devm_kzalloc(&queue->nic->pdev->dev, sizeof(*queue->tx_batch), GFP_KERNEL);
	return queue->tx_batch ? 0 : -ENOMEM;
}

/* Describes a packet with offloads, or with pages. */
static bool postern_describe_more(const struct sk_buff *skb, struct postern_ring_meta *meta)
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

/* What the peer must know to finish the packet. False for a packet that a record cannot carry. */
static bool postern_describe(const struct postern_queue *queue, const struct sk_buff *skb,
			     struct postern_ring_meta *meta)
{
	if (unlikely(skb->len > queue->port.ring.max_payload))
		return false;
	if (skb->ip_summed == CHECKSUM_PARTIAL || skb_is_gso(skb) || skb_is_nonlinear(skb))
		return postern_describe_more(skb, meta);
	*meta = (struct postern_ring_meta){.length = skb->len};
	if (skb->ip_summed == CHECKSUM_UNNECESSARY)
		meta->flags = POSTERN_RECORD_VALID;
	return true;
}

/* Describes the packet. False for one that is to be dropped. */
static bool postern_may_send(struct postern_queue *queue, const struct sk_buff *skb,
			     struct postern_ring_meta *meta)
{
	if (unlikely(!postern_describe(queue, skb, meta))) {
		postern_count(queue, POSTERN_TX_REFUSED);
		return false;
	}
	if (queue->nic->member && unlikely(postern_member_filters(queue, skb))) {
		postern_count(queue, POSTERN_TX_FILTERED);
		return false;
	}
	return true;
}

/* Has the peer made the room that the stopped queue waits for? If not, it is asked to ring then.
 * The queue may be stopped for two reasons, and there is one event: so for what takes longer. */
static bool postern_tx_may_go_on(struct postern_queue *queue)
{
	u64 wanted = postern_limit_wanted(queue);

	if (netif_tx_queue_stopped(postern_txq(queue)))
		wanted = max(wanted, postern_port_tx_high(&queue->port));
	return !postern_port_arm_tx(&queue->port, wanted);
}

/* The queue was stopped until the peer has made room. All that was sent is published. False: it has
 * made room already, and the queue goes on. */
static bool postern_tx_wait(struct postern_queue *queue)
{
	struct netdev_queue *txq = postern_txq(queue);

	postern_count(queue, POSTERN_TX_STOPS);
	if (!queue->nic->member)
		postern_stall_watch(queue);
	/* The full barrier in arm_tx also puts the stop before the look at the tail; with the
	 * transmit lock in postern_wake_queue it leaves no gap. */
	while (postern_tx_may_go_on(queue)) {
		netif_tx_start_queue(txq);
		postern_limit_taken(queue);
		/* The limit may have become less. */
		if (!netif_xmit_stopped(txq))
			return false;
	}
	if (queue->nic->member)
		postern_member_stopped(queue);
	return true;
}

/* There is no room in the ring. As postern_tx_wait(). */
static bool postern_stop_queue(struct postern_queue *queue)
{
	netif_tx_stop_queue(postern_txq(queue));
	return postern_tx_wait(queue);
}

void postern_tx_published(struct postern_queue *queue, bool stops)
{
	if (unlikely(postern_limit_sent(queue, stops)))
		postern_tx_wait(queue);
}

void postern_tx_restart(struct postern_queue *queue)
{
	struct netdev_queue *txq = postern_txq(queue);

	postern_limit_reset(queue);
	netif_tx_start_queue(txq);
	netif_schedule_queue(txq);
}

/* The ring has the packet's bytes. */
static void postern_sent(struct postern_queue *queue, struct sk_buff *skb,
			 const struct postern_ring_meta *meta)
{
	postern_stamp_end(skb, meta);
	postern_count(queue, POSTERN_TX_PACKETS);
	postern_add(queue, POSTERN_TX_BYTES, skb->len);
	/* In softirq or with it disabled, as always but in netpoll, packets are given back in
	 * bulk. */
	if (likely(!in_hardirq() && !irqs_disabled()))
		napi_consume_skb(skb, 1);
	else
		dev_consume_skb_any(skb);
}

static void postern_tx_drop(struct postern_queue *queue, struct sk_buff *skb)
{
	dev_core_stats_tx_dropped_inc(queue->nic->dev);
	dev_kfree_skb_any(skb);
}

/* Copies the packet to where its payload goes. False for one that is not as long as it says. */
static bool postern_copy_out(const struct sk_buff *skb, void *payload)
{
	if (likely(!skb_is_nonlinear(skb))) {
		postern_copy(payload, skb->data, skb->len);
		return true;
	}
	return skb_copy_bits(skb, 0, payload, skb->len) == 0;
}

/* Puts the packet, if there is one, into the ring, and shows the peer all that is there, unless
 * there is `more` to come at once. */
static netdev_tx_t postern_xmit_open(struct postern_queue *queue, struct sk_buff *skb,
				     const struct postern_ring_meta *meta, bool more)
{
	struct postern_ring *ring = &queue->port.ring;
	netdev_tx_t result = NETDEV_TX_OK;
	bool full;

	if (likely(skb)) {
		void *payload = postern_ring_reserve(ring, meta);

		if (likely(payload && postern_copy_out(skb, payload))) {
			postern_ring_commit(ring);
			skb_tx_timestamp(skb);
			postern_sent(queue, skb, meta);
		} else if (payload || !postern_ring_works(ring)) {
			postern_tx_drop(queue, skb);
		} else {
			result = NETDEV_TX_BUSY;
		}
	}
	full = !postern_ring_room(ring, postern_port_tx_low(&queue->port));
	if (full || !more || result == NETDEV_TX_BUSY) {
		if (postern_ring_publish(ring))
			postern_doorbell(queue, POSTERN_TX_DOORBELLS);
		postern_tx_published(queue, true);
	}
	if (full)
		postern_stop_queue(queue);
	return result;
}

/* Keeps the first `count` packets of the batch no longer. */
static void postern_batch_advance(struct postern_tx_batch *batch, unsigned int count)
{
	batch->count -= count;
	memmove(batch->skbs, batch->skbs + count, batch->count * sizeof(batch->skbs[0]));
	memmove(batch->packets, batch->packets + count, batch->count * sizeof(batch->packets[0]));
	/* Pieces are not moved: they are free again when none is waiting any more. */
	if (batch->count == 0)
		batch->used = 0;
}

static bool postern_batch_full(const struct postern_tx_batch *batch)
{
	return batch->count == POSTERN_BATCH_PACKETS ||
	       batch->used + POSTERN_PACKET_PIECES > POSTERN_BATCH_PIECES;
}

void postern_tx_purge(struct postern_queue *queue)
{
	struct postern_tx_batch *batch = queue->tx_batch;
	unsigned int i;

	if (!batch)
		return;
	for (i = 0; i < batch->count; i++)
		postern_tx_drop(queue, batch->skbs[i]);
	postern_batch_advance(batch, batch->count);
}

/* Crosses with what waits, and shows it to the peer unless there is `more` to come at once. Returns
 * whether the ring has room for whatever comes next. */
static bool postern_flush(struct postern_queue *queue, bool more)
{
	struct postern_tx_batch *waiting = queue->tx_batch;
	struct postern_gate_batch batch = {
		.packets = waiting->packets,
		.count = waiting->count,
		.room = postern_port_tx_low(&queue->port),
		.more = more,
	};
	long result = postern_gated_batch(&queue->port, POSTERN_GATE_RING_SEND, &batch);
	unsigned int i;

	if (result & POSTERN_GATE_DOORBELL)
		postern_doorbell(queue, POSTERN_TX_DOORBELLS);
	for (i = 0; i < batch.done; i++)
		postern_sent(queue, waiting->skbs[i], &waiting->packets[i].meta);
	postern_batch_advance(waiting, batch.done);
	postern_tx_published(queue, true);
	if (waiting->count > 0 && !postern_port_works(&queue->port))
		postern_tx_purge(queue);
	return waiting->count == 0 && !(result & POSTERN_GATE_FULL);
}

/* Crosses with all that waits, or stops the queue. Ends: room that the peer has made is used up by
 * what goes into it. */
static void postern_flush_all(struct postern_queue *queue)
{
	while (!postern_flush(queue, false) && !postern_stop_queue(queue))
		;
}

/* A crossing for each batch of the stack's rather than for each packet. */
static netdev_tx_t postern_xmit_gated(struct postern_queue *queue, struct sk_buff *skb,
				      const struct postern_ring_meta *meta, bool more)
{
	struct postern_tx_batch *batch = queue->tx_batch;
	struct postern_gate_packet *packet;
	bool room = true;

	if (postern_batch_full(batch))
		room = postern_flush(queue, more);
	if (postern_batch_full(batch)) {
		postern_flush_all(queue);
		return NETDEV_TX_BUSY;
	}
	if (skb) {
		packet = &batch->packets[batch->count];
		packet->meta = *meta;
		packet->pieces = &batch->pieces[batch->used];
		packet->piece_count = postern_pieces(skb, packet->pieces);
		skb_tx_timestamp(skb);
		batch->skbs[batch->count++] = skb;
		batch->used += packet->piece_count;
	}
	if (!more || !room)
		postern_flush_all(queue);
	return NETDEV_TX_OK;
}

netdev_tx_t postern_start_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct postern_nic *nic = netdev_priv(dev);
	struct postern_queue *queue = &nic->queues[skb_get_queue_mapping(skb)];
	bool more = netdev_xmit_more();
	struct postern_ring_meta meta;
	netdev_tx_t result;

	/* Nothing before it is unpublished: the queue was stopped with all of it shown. */
	if (nic->member && unlikely(postern_member_stalled(queue))) {
		postern_count(queue, POSTERN_TX_GIVEN_UP);
		postern_tx_drop(queue, skb);
		return NETDEV_TX_OK;
	}
	if (likely(postern_may_send(queue, skb, &meta))) {
		postern_stamp_record(&nic->stamps, &meta);
		postern_stamp_begin(skb, &meta);
	} else {
		postern_tx_drop(queue, skb);
		/* Packets before this one of the same batch may still be unpublished. */
		skb = NULL;
	}
	result = queue->port.gated ? postern_xmit_gated(queue, skb, &meta, more)
				   : postern_xmit_open(queue, skb, &meta, more);
	if (unlikely(postern_port_ails(&queue->port)))
		napi_schedule(&queue->napi);
	return skb ? result : NETDEV_TX_OK;
}

/* A queue that the peer has not opened carries nothing: its flows go by the first, whose state is
 * the carrier. */
u16 postern_select_queue(struct net_device *dev, struct sk_buff *skb, struct net_device *sb_dev)
{
	struct postern_nic *nic = netdev_priv(dev);
	u16 index;

	if (nic->member)
		return postern_member_select(nic, skb);
	index = netdev_pick_tx(dev, skb, sb_dev);
	return READ_ONCE(nic->queues[index].up) ? index : 0;
}

void postern_wake_queue(struct postern_queue *queue)
{
	struct netdev_queue *txq = postern_txq(queue);

	__netif_tx_lock(txq, smp_processor_id());
	while (netif_xmit_stopped(txq) && postern_port_works(&queue->port) &&
	       postern_tx_may_go_on(queue)) {
		netif_tx_wake_queue(txq);
		postern_limit_taken(queue);
		if (queue->port.gated)
			postern_flush_all(queue);
	}
	__netif_tx_unlock(txq);
}

void postern_tx_look(struct postern_queue *queue)
{
	struct netdev_queue *txq = postern_txq(queue);

	if (!postern_limit_in_flight(&queue->limit) || !__netif_tx_trylock(txq))
		return;
	postern_limit_look(queue);
	__netif_tx_unlock(txq);
}
