// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Sending for XDP. With the queue's transmit lock, as its other senders; a queue that the stack may
 * not use for lack of room may still have enough for a frame.
 */
#include "postern_member.h"
#include "postern_nic.h"

/* What a record says of the frame. False for one that cannot go: in several pieces, or too long. */
static bool postern_xdp_describe(const struct postern_queue *queue, struct xdp_frame *frame,
				 struct postern_ring_meta *meta)
{
	if (unlikely(xdp_frame_has_frags(frame) || frame->len < ETH_HLEN ||
		     frame->len > queue->port.ring.max_payload))
		return false;
	*meta = (struct postern_ring_meta){.length = frame->len};
	postern_stamp_record(&queue->nic->stamps, meta);
	return true;
}

static int postern_xdp_send_open(struct postern_queue *queue, struct xdp_frame **frames, int count,
				 bool more)
{
	struct postern_ring *ring = &queue->port.ring;
	struct postern_ring_writer writer = postern_ring_write_begin(ring);
	struct postern_ring_meta meta;
	void *payload;
	int sent;

	for (sent = 0; sent < count; sent++) {
		if (!postern_xdp_describe(queue, frames[sent], &meta))
			break;
		payload = postern_ring_write_next(ring, &writer, &meta);
		if (!payload)
			break;
		postern_copy(payload, frames[sent]->data, frames[sent]->len);
	}
	postern_ring_write_end(ring, &writer);
	if ((!more || sent < count) && postern_ring_publish(ring))
		postern_doorbell(queue, POSTERN_TX_DOORBELLS);
	return sent;
}

static int postern_xdp_send_gated(struct postern_queue *queue, struct xdp_frame **frames, int count,
				  bool more)
{
	struct postern_gate_packet packets[XDP_BULK_QUEUE_SIZE];
	struct postern_gate_piece pieces[XDP_BULK_QUEUE_SIZE];
	struct postern_gate_batch batch = {
		.packets = packets,
		.room = postern_port_tx_low(&queue->port),
		.more = more,
	};
	int i;

	for (i = 0; i < min(count, XDP_BULK_QUEUE_SIZE); i++) {
		if (!postern_xdp_describe(queue, frames[i], &packets[i].meta))
			break;
		pieces[i] = (struct postern_gate_piece){frames[i]->data, frames[i]->len};
		packets[i].pieces = &pieces[i];
		packets[i].piece_count = 1;
	}
	batch.count = i;
	if (postern_gated_batch(&queue->port, POSTERN_GATE_RING_SEND, &batch) &
	    POSTERN_GATE_DOORBELL)
		postern_doorbell(queue, POSTERN_TX_DOORBELLS);
	return batch.done;
}

/* Copies frames into the ring, up to XDP_BULK_QUEUE_SIZE as all callers have, and gives their pages
 * back. Returns how many; the rest is the caller's. */
static int postern_xdp_send(struct postern_queue *queue, struct xdp_frame **frames, int count,
			    bool more)
{
	struct netdev_queue *txq = postern_txq(queue);
	int sent = 0, i;
	u64 bytes = 0;

	__netif_tx_lock(txq, smp_processor_id());
	/* Off while the rings are closed and opened, under this lock. */
	if (likely(READ_ONCE(queue->up)))
		sent = queue->port.gated ? postern_xdp_send_gated(queue, frames, count, more)
					 : postern_xdp_send_open(queue, frames, count, more);
	for (i = 0; i < sent; i++)
		bytes += frames[i]->len;
	postern_tx_published(queue, false);
	postern_add(queue, POSTERN_TX_PACKETS, sent);
	postern_add(queue, POSTERN_TX_BYTES, bytes);
	postern_add(queue, POSTERN_XDP_XMIT, sent);
	postern_add(queue, POSTERN_XDP_XMIT_DROPS, count - sent);
	__netif_tx_unlock(txq);
	/* These are of the CPU's NAPI, which has redirected them. */
	for (i = 0; i < sent; i++)
		xdp_return_frame_rx_napi(frames[i]);
	if (unlikely(postern_port_ails(&queue->port)))
		napi_schedule(&queue->napi);
	return sent;
}

void postern_xdp_flush_tx(struct postern_queue *queue)
{
	struct postern_xdp *xdp = &queue->xdp;
	unsigned int i = postern_xdp_send(queue, xdp->tx, xdp->tx_count, false);

	for (; i < xdp->tx_count; i++)
		xdp_return_frame_rx_napi(xdp->tx[i]);
	xdp->tx_count = 0;
}

/* The queue for what is redirected to here. */
static struct postern_queue *postern_xdp_queue(struct postern_nic *nic)
{
	struct postern_queue *queue;

	/* The switch knows where to, whatever it is. */
	if (nic->member)
		return &nic->queues[postern_member_switch(nic->member)];
	queue = &nic->queues[smp_processor_id() % postern_used(nic)];
	return READ_ONCE(queue->up) ? queue : &nic->queues[0];
}

int postern_xdp_xmit(struct net_device *dev, int count, struct xdp_frame **frames, u32 flags)
{
	struct postern_nic *nic = netdev_priv(dev);
	struct postern_queue *queue = postern_xdp_queue(nic);

	if (unlikely(flags & ~XDP_XMIT_FLAGS_MASK))
		return -EINVAL;
	if (!READ_ONCE(queue->up))
		return -ENETDOWN;
	return postern_xdp_send(queue, frames, count, !(flags & XDP_XMIT_FLUSH));
}
