// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Receiving. NAPI only. */
#include <linux/etherdevice.h>
#include <linux/virtio_net.h>
#include <net/page_pool.h>

#include "postern_nic.h"

/* Looks for a next packet before the peer is asked to ring, for each one that came: some 1500
 * instructions. */
#define POSTERN_LINGER_LOOKS	 128
#define POSTERN_LINGER_CROSSINGS 12

/* A frame up to this long is received into one linear buffer; of a longer one only this much. */
#define POSTERN_LINEAR_MAX  2048u
#define POSTERN_LINEAR_HEAD 256u

/* That are kept for packets to come. */
#define POSTERN_POOL_PAGES 128

struct postern_rx_batch {
	struct postern_gate_packet packets[POSTERN_BATCH_PACKETS];
	struct postern_gate_piece pieces[POSTERN_BATCH_PIECES];
	struct sk_buff *skbs[POSTERN_BATCH_PACKETS];
};

static void postern_destroy_pool(void *pool)
{
	page_pool_destroy(pool);
}

/* The bytes of received packets are in pages of a pool, to which they come back: a page that is
 * allocated is zeroed first, which took more than all the rest of receiving a small packet. */
static int postern_create_pool(struct postern_queue *queue)
{
	struct device *device = &queue->nic->pdev->dev;
	const struct page_pool_params params = {
		.flags = PP_FLAG_PAGE_FRAG,
		.pool_size = POSTERN_POOL_PAGES,
		.nid = NUMA_NO_NODE,
		.dev = device,
	};
	struct page_pool *pool = page_pool_create(&params);

	if (IS_ERR(pool))
		return PTR_ERR(pool);
	queue->pool = pool;
	return devm_add_action_or_reset(device, postern_destroy_pool, pool);
}

int postern_rx_init(struct postern_queue *queue)
{
	if (queue->port.gated) {
		queue->rx_batch =
			devm_kzalloc(&queue->nic->pdev->dev, sizeof(*queue->rx_batch), GFP_KERNEL);
		if (!queue->rx_batch)
			return -ENOMEM;
	}
	return postern_create_pool(queue);
}

static void postern_rx_drop(struct postern_queue *queue, enum postern_counter reason)
{
	postern_count(queue, reason);
	dev_core_stats_rx_dropped_inc(queue->nic->dev);
}

/* A packet with a linear part of `room` bytes; NULL without memory. */
static struct sk_buff *postern_alloc_linear(struct postern_queue *queue, u32 room)
{
	u32 size =
		SKB_DATA_ALIGN(NET_SKB_PAD + room) + SKB_DATA_ALIGN(sizeof(struct skb_shared_info));
	unsigned int offset;
	struct page *page = page_pool_dev_alloc_frag(queue->pool, &offset, size);
	struct sk_buff *skb;

	BUILD_BUG_ON(SKB_DATA_ALIGN(NET_SKB_PAD + POSTERN_LINEAR_MAX) +
			     SKB_DATA_ALIGN(sizeof(struct skb_shared_info)) >
		     PAGE_SIZE);
	if (unlikely(!page))
		return NULL;
	skb = napi_build_skb(page_address(page) + offset, size);
	if (unlikely(!skb)) {
		page_pool_put_full_page(queue->pool, page, true);
		return NULL;
	}
	skb_mark_for_recycle(skb);
	skb_reserve(skb, NET_SKB_PAD);
	skb_put(skb, room);
	return skb;
}

/* A packet with room for `length` bytes, which are not yet written; NULL without memory. */
static struct sk_buff *postern_alloc_skb(struct postern_queue *queue, u32 length)
{
	u32 room = length <= POSTERN_LINEAR_MAX ? length : POSTERN_LINEAR_HEAD;
	struct sk_buff *skb = postern_alloc_linear(queue, room);
	int frag;

	BUILD_BUG_ON(DIV_ROUND_UP(POSTERN_RING_MAX_PAYLOAD - POSTERN_LINEAR_HEAD, PAGE_SIZE) >
		     MAX_SKB_FRAGS);
	if (!skb)
		return NULL;
	for (frag = 0; room < length; frag++) {
		u32 chunk = min_t(u32, length - room, PAGE_SIZE);
		/* What the pool gives next is to be aligned too. */
		u32 size = SKB_DATA_ALIGN(chunk);
		unsigned int offset;
		struct page *page = page_pool_dev_alloc_frag(queue->pool, &offset, size);

		if (!page) {
			kfree_skb(skb);
			return NULL;
		}
		skb_add_rx_frag(skb, frag, page, offset, chunk, size);
		room += chunk;
	}
	return skb;
}

/* For a packet that the peer has sent; NULL: it is dropped. */
static struct sk_buff *postern_expect(struct postern_queue *queue,
				      const struct postern_ring_meta *meta)
{
	struct sk_buff *skb;

	if (meta->length < ETH_HLEN ||
	    (meta->gso_type == POSTERN_GSO_NONE &&
	     meta->length > queue->nic->dev->mtu + POSTERN_FRAME_OVERHEAD)) {
		postern_rx_drop(queue, POSTERN_RX_LENGTH);
		return NULL;
	}
	skb = postern_alloc_skb(queue, meta->length);
	if (!skb)
		postern_rx_drop(queue, POSTERN_RX_NO_MEMORY);
	return skb;
}

/* Gives the packet its checksum and GSO state, after the kernel's own checks for virtio devices.
 * False for a packet that does not pass them. */
static bool postern_apply_meta(struct sk_buff *skb, const struct postern_ring_meta *meta)
{
	struct virtio_net_hdr header = {};

	/* As a rule there is nothing to it. */
	if (!(meta->flags & (POSTERN_RECORD_CSUM | POSTERN_RECORD_VALID)))
		return true;
	if (meta->flags & POSTERN_RECORD_CSUM) {
		header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		header.csum_start = __cpu_to_virtio16(true, meta->csum_start);
		header.csum_offset = __cpu_to_virtio16(true, meta->csum_offset);
	} else if (meta->flags & POSTERN_RECORD_VALID) {
		skb->ip_summed = CHECKSUM_UNNECESSARY;
	}
	if (meta->gso_type != POSTERN_GSO_NONE) {
		header.gso_type = meta->gso_type == POSTERN_GSO_TCP4 ? VIRTIO_NET_HDR_GSO_TCPV4
								     : VIRTIO_NET_HDR_GSO_TCPV6;
		header.gso_size = __cpu_to_virtio16(true, meta->gso_size);
		header.hdr_len = __cpu_to_virtio16(true, meta->header_length);
		if (meta->flags & POSTERN_RECORD_ECN)
			header.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	}
	return virtio_net_hdr_to_skb(skb, &header, true) == 0;
}

/* Can the stack merge packets of this protocol with others? For the rest its looking is in vain. */
static bool postern_may_merge(__be16 protocol)
{
	switch (protocol) {
	case htons(ETH_P_IP):
	case htons(ETH_P_IPV6):
	case htons(ETH_P_8021Q):
	case htons(ETH_P_8021AD):
		return true;
	default:
		return false;
	}
}

/* Gives the packet, with its bytes in it, to the stack: at once, or by the list that the caller
 * hands over. */
static void postern_deliver(struct postern_queue *queue, struct sk_buff *skb,
			    const struct postern_ring_meta *meta, struct list_head *list)
{
	struct net_device *dev = queue->nic->dev;

	if (unlikely(!postern_apply_meta(skb, meta))) {
		postern_rx_drop(queue, POSTERN_RX_REFUSED);
		kfree_skb(skb);
		return;
	}
	postern_count(queue, POSTERN_RX_PACKETS);
	postern_add(queue, POSTERN_RX_BYTES, meta->length);
	skb->protocol = eth_type_trans(skb, dev);
	skb_record_rx_queue(skb, queue->index);
	if (postern_may_merge(skb->protocol))
		napi_gro_receive(&queue->napi, skb);
	else
		list_add_tail(&skb->list, list);
}

static void postern_release(struct postern_queue *queue)
{
	if (postern_ring_release(&queue->port.ring))
		postern_doorbell(queue, POSTERN_RX_DOORBELLS);
}

/* Takes what is there now, `budget` packets at most. */
static int postern_take_open(struct postern_queue *queue, int budget, struct list_head *list)
{
	struct postern_ring *ring = &queue->port.ring;
	struct postern_ring_reader reader = postern_ring_read_begin(ring);
	struct postern_ring_meta meta;
	struct sk_buff *skb;
	const void *payload;
	int done = 0;

	/* A peer that sends large packets need not wait for the whole batch. */
	while (done < budget && reader.tail - ring->published_tail < ring->data_size / 4 &&
	       (payload = postern_ring_read_next(&reader, &meta)) != NULL) {
		done++;
		skb = postern_expect(queue, &meta);
		if (!skb)
			continue;
		if (likely(!skb_is_nonlinear(skb)))
			postern_copy(skb->data, payload, meta.length);
		else
			skb_store_bits(skb, 0, payload, meta.length);
		postern_deliver(queue, skb, &meta, list);
	}
	postern_ring_read_end(ring, &reader);
	postern_release(queue);
	return done;
}

static int postern_receive_open(struct postern_queue *queue, int budget, struct list_head *list)
{
	int done = 0, taken;

	do {
		taken = postern_take_open(queue, budget - done, list);
		done += taken;
	} while (taken > 0 && done < budget);
	return done;
}

/* Makes packets for the first of the `found` ones. Returns for how many: not for all when the
 * pieces run out. The gate drops a packet without pieces. */
static unsigned int postern_expect_batch(struct postern_queue *queue, unsigned int found)
{
	struct postern_rx_batch *batch = queue->rx_batch;
	unsigned int used = 0, i;

	for (i = 0; i < found && used + POSTERN_PACKET_PIECES <= POSTERN_BATCH_PIECES; i++) {
		struct postern_gate_packet *packet = &batch->packets[i];
		struct sk_buff *skb = postern_expect(queue, &packet->meta);

		batch->skbs[i] = skb;
		packet->pieces = &batch->pieces[used];
		packet->piece_count = skb ? postern_pieces(skb, packet->pieces) : 0;
		used += packet->piece_count;
	}
	return i;
}

/* Gives the first `taken` of the `expected` packets to the stack. Of a packet that the peer has
 * changed since it was looked at, not all bytes may be written. */
static void postern_deliver_batch(struct postern_queue *queue, unsigned int taken,
				  unsigned int expected, struct list_head *list)
{
	struct postern_rx_batch *batch = queue->rx_batch;
	unsigned int i;

	for (i = 0; i < expected; i++) {
		struct sk_buff *skb = batch->skbs[i];
		const struct postern_ring_meta *meta = &batch->packets[i].meta;

		if (!skb)
			continue;
		if (i < taken && meta->length == skb->len) {
			postern_deliver(queue, skb, meta, list);
			continue;
		}
		postern_rx_drop(queue, POSTERN_RX_LENGTH);
		kfree_skb(skb);
	}
}

/* A round that finds nothing is one crossing, which also asks for a doorbell. */
static int postern_receive_gated(struct postern_queue *queue, int budget, bool arm,
				 struct list_head *list)
{
	struct postern_gate_batch batch = {.packets = queue->rx_batch->packets};
	unsigned int found, expected;
	int done = 0;

	while (done < budget) {
		batch.count = min(budget - done, POSTERN_BATCH_PACKETS);
		postern_gated_look(&queue->port, &batch, arm);
		found = batch.done;
		if (!found || queue->port.stale)
			break;
		arm = false;
		expected = postern_expect_batch(queue, found);
		batch.count = expected;
		if (postern_gated_batch(&queue->port, POSTERN_GATE_RING_TAKE, &batch) &
		    POSTERN_GATE_DOORBELL)
			postern_doorbell(queue, POSTERN_RX_DOORBELLS);
		postern_deliver_batch(queue, batch.done, expected, list);
		done += batch.done;
		if (batch.done < expected)
			break;
	}
	return done;
}

/* Receives what is there. A gated port that has nothing asks for a doorbell at once, if it may. */
static int postern_receive_all(struct postern_queue *queue, int budget, bool arm)
{
	LIST_HEAD(list);
	int done;

	done = queue->port.gated ? postern_receive_gated(queue, budget, arm, &list)
				 : postern_receive_open(queue, budget, &list);
	netif_receive_skb_list(&list);
	return done;
}

/* Does a packet come soon? After one, within about the time that a doorbell would cost; after a
 * batch, within the time that its sender may take for the next one. A stream whose receiver is the
 * faster end so goes without exits. */
static bool postern_linger(struct postern_queue *queue, int taken)
{
	unsigned int looks = queue->port.gated ? POSTERN_LINGER_CROSSINGS : POSTERN_LINGER_LOOKS;

	looks *= min(taken, POSTERN_BATCH_PACKETS);
	while (looks-- > 0) {
		if (postern_port_pending(&queue->port)) {
			postern_count(queue, POSTERN_LINGERS);
			return true;
		}
		cpu_relax();
	}
	return false;
}

int postern_receive(struct postern_queue *queue, int budget)
{
	int done = 0, taken;

	do {
		taken = postern_receive_all(queue, budget - done, done == 0);
		done += taken;
	} while (taken > 0 && done < budget && postern_linger(queue, taken));
	return done;
}
