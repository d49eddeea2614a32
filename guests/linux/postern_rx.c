// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Receiving. NAPI only. */
#include <linux/etherdevice.h>
#include <linux/virtio_net.h>
#include <net/page_pool.h>

#include "postern_member.h"
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

/* Where a packet's bytes go, if anywhere: to the stack, or into a page for a program to see. */
struct postern_place {
	struct sk_buff *skb;
	struct page *page;
	u32 length;
};

struct postern_rx_batch {
	struct postern_gate_packet packets[POSTERN_BATCH_PACKETS];
	struct postern_gate_piece pieces[POSTERN_BATCH_PIECES];
	struct postern_place places[POSTERN_BATCH_PACKETS];
};

/* A round of receiving. */
struct postern_round {
	struct bpf_prog *program; /* that sees packets first, or NULL */
	u32 longest;		  /* frame, but for large packets */
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
	queue->rx_batch =
		devm_kzalloc(&queue->nic->pdev->dev, sizeof(*queue->rx_batch), GFP_KERNEL);
	if (!queue->rx_batch)
		return -ENOMEM;
	return postern_create_pool(queue);
}

void postern_rx_drop(struct postern_queue *queue, enum postern_counter reason)
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

static inline bool postern_is_nowhere(const struct postern_place *place)
{
	return !place->skb && !place->page;
}

static inline bool postern_is_posted(const struct postern_ring_meta *meta)
{
	return meta->flags & POSTERN_RECORD_POSTED;
}

/* For a packet that the peer has sent; nowhere: it is dropped. A large packet comes to a program in
 * segments, which are cut out of an skb. */
static struct postern_place postern_expect(struct postern_queue *queue,
					   const struct postern_round *round,
					   const struct postern_ring_meta *meta)
{
	struct postern_place place = {.length = meta->length};

	if (meta->length < ETH_HLEN ||
	    (meta->gso_type == POSTERN_GSO_NONE && meta->length > round->longest)) {
		postern_rx_drop(queue, POSTERN_RX_LENGTH);
		return place;
	}
	if (unlikely(round->program) && meta->gso_type == POSTERN_GSO_NONE)
		place.page = postern_xdp_page(queue);
	else if (postern_is_posted(meta))
		place.skb = postern_alloc_linear(queue, min(meta->length, POSTERN_POOL_HEAD));
	else
		place.skb = postern_alloc_skb(queue, meta->length);
	if (postern_is_nowhere(&place))
		postern_rx_drop(queue, POSTERN_RX_NO_MEMORY);
	return place;
}

/* Counts the packet as dropped, and frees its place. */
static void postern_refuse(struct postern_queue *queue, const struct postern_place *place,
			   enum postern_counter reason)
{
	postern_rx_drop(queue, reason);
	if (place->page)
		postern_xdp_put(queue, place->page);
	else
		kfree_skb(place->skb);
}

/* Copies the packet to its place. */
static void postern_fill(const struct postern_place *place, const void *payload)
{
	if (unlikely(place->page))
		postern_copy(postern_xdp_frame(place->page), payload, place->length);
	else if (likely(!skb_is_nonlinear(place->skb)))
		postern_copy(place->skb->data, payload, place->length);
	else
		skb_store_bits(place->skb, 0, payload, place->length);
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

/* Gives the packet to the stack. At once, so that what is freed there the next packet gets; to
 * collect packets for netif_receive_skb_list is of use for the protocols above only. */
static void postern_hand_over(struct postern_queue *queue, struct sk_buff *skb)
{
	skb->protocol = eth_type_trans(skb, queue->nic->dev);
	skb_record_rx_queue(skb, queue->index);
	if (postern_may_merge(skb->protocol))
		napi_gro_receive(&queue->napi, skb);
	else
		netif_receive_skb(skb);
}

/* Shows a large packet, which it takes, to the program by segments. */
static void postern_show_segments(struct postern_queue *queue, const struct postern_round *round,
				  struct sk_buff *skb, const struct postern_ring_meta *meta)
{
	struct sk_buff *segments = postern_xdp_cut(skb, meta), *segment, *next;

	if (!segments)
		postern_rx_drop(queue, POSTERN_RX_REFUSED);
	skb_list_walk_safe(segments, segment, next)
	{
		skb_mark_not_on_list(segment);
		skb = postern_xdp_run_segment(queue, round->program, segment, meta);
		if (skb)
			postern_hand_over(queue, skb);
	}
}

/* Shows a packet to the program, and gives the stack what it leaves to it. */
static void postern_show(struct postern_queue *queue, const struct postern_round *round,
			 const struct postern_place *place, const struct postern_ring_meta *meta)
{
	struct sk_buff *skb;

	if (place->skb) {
		postern_show_segments(queue, round, place->skb, meta);
		return;
	}
	skb = postern_xdp_run(queue, round->program, place->page, meta);
	if (skb)
		postern_hand_over(queue, skb);
}

/* Of a member: would the switch have let the packet pass? */
static bool postern_accepts(const struct postern_queue *queue, const struct postern_place *place)
{
	if (place->page)
		return postern_member_accepts(queue, postern_xdp_frame(place->page), place->length);
	return postern_member_accepts(queue, place->skb->data, skb_headlen(place->skb));
}

/* What becomes of the packet, with its bytes in its place. */
static void postern_deliver(struct postern_queue *queue, const struct postern_round *round,
			    const struct postern_place *place, const struct postern_ring_meta *meta)
{
	if (queue->nic->member && unlikely(!postern_accepts(queue, place))) {
		postern_refuse(queue, place, POSTERN_RX_FILTERED);
		return;
	}
	if (unlikely(place->skb && !postern_apply_meta(place->skb, meta))) {
		postern_refuse(queue, place, POSTERN_RX_REFUSED);
		return;
	}
	postern_count(queue, POSTERN_RX_PACKETS);
	postern_add(queue, POSTERN_RX_BYTES, meta->length);
	if (unlikely(round->program)) {
		postern_show(queue, round, place, meta);
		return;
	}
	postern_stamp_apply(&queue->nic->stamps, place->skb, meta);
	postern_hand_over(queue, place->skb);
}

static void postern_release(struct postern_queue *queue)
{
	if (postern_ring_release(&queue->port.ring))
		postern_doorbell(queue, POSTERN_RX_DOORBELLS);
}

/* Takes what is there now, `budget` packets at most. */
static int postern_take_open(struct postern_queue *queue, int budget,
			     const struct postern_round *round)
{
	struct postern_ring *ring = &queue->port.ring;
	struct postern_ring_reader reader = postern_ring_read_begin(ring);
	struct postern_ring_meta meta;
	struct postern_place place;
	const void *payload;
	int done = 0;

	/* A peer that sends large packets need not wait for the whole batch. */
	while (done < budget && reader.tail - ring->published_tail < ring->data_size / 4 &&
	       (payload = postern_ring_read_next(&reader, &meta)) != NULL) {
		done++;
		place = postern_expect(queue, round, &meta);
		if (unlikely(postern_is_nowhere(&place)))
			continue;
		postern_fill(&place, payload);
		postern_deliver(queue, round, &place, &meta);
	}
	postern_ring_read_end(ring, &reader);
	postern_release(queue);
	return done;
}

static int postern_receive_open(struct postern_queue *queue, int budget,
				const struct postern_round *round)
{
	int done = 0, taken;

	do {
		taken = postern_take_open(queue, budget - done, round);
		done += taken;
	} while (taken > 0 && done < budget);
	return done;
}

/* Points `pieces` to the packet's place. Returns how many there are. */
static unsigned int postern_place_pieces(const struct postern_place *place,
					 struct postern_gate_piece *pieces)
{
	if (place->skb)
		return postern_pieces(place->skb, pieces);
	if (!place->page)
		return 0;
	pieces[0] = (struct postern_gate_piece){postern_xdp_frame(place->page), place->length};
	return 1;
}

/* Makes places for the first of the `found` packets. Returns for how many: not for all when the
 * pieces run out. The gate drops a packet without pieces, unless it is in the pool already. */
static unsigned int postern_expect_batch(struct postern_queue *queue,
					 const struct postern_round *round, unsigned int found)
{
	struct postern_rx_batch *batch = queue->rx_batch;
	unsigned int used = 0, i;

	for (i = 0; i < found && used + POSTERN_PACKET_PIECES <= POSTERN_BATCH_PIECES; i++) {
		struct postern_gate_packet *packet = &batch->packets[i];
		struct postern_place *place = &batch->places[i];

		*place = (struct postern_place){};
		if (!postern_is_posted(&packet->meta))
			*place = postern_expect(queue, round, &packet->meta);
		packet->pieces = &batch->pieces[used];
		packet->piece_count = postern_place_pieces(place, packet->pieces);
		used += packet->piece_count;
	}
	return i;
}

/* Is it still the packet that the place was made for? */
static bool postern_fits(const struct postern_place *place, const struct postern_ring_meta *meta)
{
	return meta->length == place->length &&
	       (!place->page || meta->gso_type == POSTERN_GSO_NONE);
}

/* A packet in the pool gets its place when it has been taken. */
static void postern_deliver_posted(struct postern_queue *queue, const struct postern_round *round,
				   const struct postern_ring_meta *meta)
{
	struct postern_place place = postern_expect(queue, round, meta);

	postern_count(queue, POSTERN_RX_POSTED);
	if (place.skb)
		postern_pool_fill(queue, place.skb, meta->length);
	else
		postern_pool_copy(queue, place.page ? postern_xdp_frame(place.page) : NULL,
				  meta->length);
	if (!postern_is_nowhere(&place))
		postern_deliver(queue, round, &place, meta);
}

/* Delivers the first `taken` of the `expected` packets. Of a packet that the peer has changed since
 * it was looked at, not all bytes may be written. */
static void postern_deliver_batch(struct postern_queue *queue, const struct postern_round *round,
				  unsigned int taken, unsigned int expected)
{
	struct postern_rx_batch *batch = queue->rx_batch;
	unsigned int i;

	for (i = 0; i < expected; i++) {
		const struct postern_place *place = &batch->places[i];
		const struct postern_ring_meta *meta = &batch->packets[i].meta;

		const bool posted = i < taken && postern_is_posted(meta);

		if (!postern_is_nowhere(place)) {
			if (i < taken && !posted && postern_fits(place, meta))
				postern_deliver(queue, round, place, meta);
			else
				postern_refuse(queue, place, POSTERN_RX_LENGTH);
		}
		if (posted)
			postern_deliver_posted(queue, round, meta);
	}
}

/* A round that finds nothing is one crossing, which also asks for a doorbell. */
static int postern_receive_gated(struct postern_queue *queue, int budget, bool arm,
				 const struct postern_round *round)
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
		expected = postern_expect_batch(queue, round, found);
		batch.count = expected;
		if (postern_gated_batch(&queue->port, POSTERN_GATE_RING_TAKE, &batch) &
		    POSTERN_GATE_DOORBELL)
			postern_doorbell(queue, POSTERN_RX_DOORBELLS);
		postern_deliver_batch(queue, round, batch.done, expected);
		done += batch.done;
		if (batch.done < expected)
			break;
	}
	return done;
}

/* Receives what is there. A gated port that has nothing asks for a doorbell at once, if it may. */
static int postern_receive_all(struct postern_queue *queue, int budget, bool arm)
{
	struct postern_round round = {
		.program = postern_xdp_program(queue->nic),
		.longest = queue->nic->dev->mtu + POSTERN_FRAME_OVERHEAD,
	};
	int done;

	/* The MTU may grow as soon as the program is detached, which this round still has. */
	if (unlikely(round.program))
		round.longest = min_t(u32, round.longest, POSTERN_XDP_FRAME_MAX);
	done = queue->port.gated ? postern_receive_gated(queue, budget, arm, &round)
				 : postern_receive_open(queue, budget, &round);
	if (unlikely(round.program))
		postern_xdp_flush(queue);
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
	bool waits = !postern_busy_polled(queue), more;
	int done = 0, taken;

	do {
		taken = postern_receive_all(queue, budget - done, waits && queue->recent == 0);
		done += taken;
		postern_pool_refill(queue);
		queue->recent += taken;
		/* The next poll comes at once, and lingers then. */
		if (done == budget)
			break;
		more = waits && queue->recent > 0 && postern_linger(queue, queue->recent);
		queue->recent = 0;
	} while (more);
	return done;
}
