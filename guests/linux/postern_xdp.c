// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* XDP: programs and the packets that they see. */
#include <linux/bpf.h>
#include <linux/bpf_trace.h>
#include <linux/etherdevice.h>
#include <linux/filter.h>
#include <linux/rtnetlink.h>
#include <net/checksum.h>
#include <net/page_pool.h>
#include <net/tcp.h>

#include "postern_nic.h"

#define POSTERN_XDP_POOL_PAGES 256
#define POSTERN_XDP_MTU_TEXT   __stringify(POSTERN_XDP_MTU_MAX)

/* A frame has headroom before it, and behind it what becomes of the page's end in an skb. */
static_assert(XDP_PACKET_HEADROOM + POSTERN_XDP_FRAME_MAX +
		      SKB_DATA_ALIGN(sizeof(struct skb_shared_info)) <=
	      PAGE_SIZE);

static void postern_xdp_release_queue(struct postern_queue *queue)
{
	struct postern_xdp *xdp = &queue->xdp;

	if (!xdp->pool)
		return;
	/* Each holds the pool. */
	xdp_rxq_info_unreg(&xdp->rxq);
	page_pool_destroy(xdp->pool);
	xdp->pool = NULL;
}

void postern_xdp_release(struct postern_nic *nic)
{
	unsigned int i;

	for (i = 0; i < nic->queue_count; i++)
		postern_xdp_release_queue(&nic->queues[i]);
}

/* What a queue needs for programs: from the first one on, until the device goes. */
static int postern_xdp_prepare_queue(struct postern_queue *queue)
{
	struct postern_nic *nic = queue->nic;
	const struct page_pool_params params = {
		.pool_size = POSTERN_XDP_POOL_PAGES,
		.nid = NUMA_NO_NODE,
		.dev = &nic->pdev->dev,
	};
	struct postern_xdp *xdp = &queue->xdp;
	struct page_pool *pool;
	int err;

	if (xdp->pool)
		return 0;
	pool = page_pool_create(&params);
	if (IS_ERR(pool))
		return PTR_ERR(pool);
	err = xdp_rxq_info_reg(&xdp->rxq, nic->dev, queue->index, queue->napi.napi_id);
	if (err)
		goto err_pool;
	err = xdp_rxq_info_reg_mem_model(&xdp->rxq, MEM_TYPE_PAGE_POOL, pool);
	if (err)
		goto err_rxq;
	xdp->pool = pool;
	return 0;

err_rxq:
	xdp_rxq_info_unreg(&xdp->rxq);
err_pool:
	page_pool_destroy(pool);
	return err;
}

static int postern_xdp_prepare(struct postern_nic *nic)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < nic->queue_count && !err; i++)
		err = postern_xdp_prepare_queue(&nic->queues[i]);
	return err;
}

/* Attaches a program, or with NULL detaches the one there is, while packets come: NAPI takes the
 * pointer once in a round. */
static int postern_xdp_attach(struct net_device *dev, struct bpf_prog *program,
			      struct netlink_ext_ack *extack)
{
	struct postern_nic *nic = netdev_priv(dev);
	struct bpf_prog *old = rtnl_dereference(nic->xdp_program);
	int err;

	if (program && dev->mtu > POSTERN_XDP_MTU_MAX) {
		NL_SET_ERR_MSG_MOD(extack,
				   "an XDP program needs an MTU of at most " POSTERN_XDP_MTU_TEXT);
		return -EINVAL;
	}
	err = program ? postern_xdp_prepare(nic) : 0;
	if (err) {
		NL_SET_ERR_MSG_MOD(extack, "no memory for the pages that XDP programs see");
		return err;
	}
	rcu_assign_pointer(nic->xdp_program, program);
	if (old)
		bpf_prog_put(old);
	return 0;
}

int postern_bpf(struct net_device *dev, struct netdev_bpf *bpf)
{
	if (bpf->command != XDP_SETUP_PROG)
		return -EINVAL;
	return postern_xdp_attach(dev, bpf->prog, bpf->extack);
}

struct bpf_prog *postern_xdp_program(const struct postern_nic *nic)
{
	return rcu_dereference_bh(nic->xdp_program);
}

struct page *postern_xdp_page(struct postern_queue *queue)
{
	return page_pool_dev_alloc_pages(queue->xdp.pool);
}

void *postern_xdp_frame(struct page *page)
{
	return page_address(page) + XDP_PACKET_HEADROOM;
}

void postern_xdp_put(struct postern_queue *queue, struct page *page)
{
	page_pool_recycle_direct(queue->xdp.pool, page);
}

/* Makes the checksum that the peer has left open: a program is to see what would be on a wire, and
 * may send it anywhere. */
static void postern_xdp_make_checksum(u8 *frame, const struct postern_ring_meta *meta)
{
	__wsum sum = csum_partial(frame + meta->csum_start, meta->length - meta->csum_start, 0);
	__sum16 folded = csum_fold(sum);

	put_unaligned(folded ? folded : CSUM_MANGLED_0,
		      (__sum16 *)(frame + meta->csum_start + meta->csum_offset));
}

/* What the program has let pass, as it has left it. What the peer said of the checksums may not be
 * true of it any more. */
static struct sk_buff *postern_xdp_pass(struct postern_queue *queue, struct xdp_buff *xdp,
					const struct postern_ring_meta *meta)
{
	struct sk_buff *skb = napi_build_skb(xdp->data_hard_start, xdp->frame_sz);
	unsigned int size = xdp->data - xdp->data_meta;

	if (unlikely(!skb))
		return NULL;
	skb_mark_for_recycle(skb);
	skb_reserve(skb, xdp->data - xdp->data_hard_start);
	skb_put(skb, xdp->data_end - xdp->data);
	if (size > 0)
		skb_metadata_set(skb, size);
	postern_stamp_apply(&queue->nic->stamps, skb, meta);
	return skb;
}

/* Queues the frame to be sent back, until the next flush. */
static bool postern_xdp_send_back(struct postern_queue *queue, struct xdp_buff *buff)
{
	struct postern_xdp *xdp = &queue->xdp;
	struct xdp_frame *frame = xdp_convert_buff_to_frame(buff);

	if (unlikely(!frame))
		return false;
	xdp->tx[xdp->tx_count++] = frame;
	if (xdp->tx_count == ARRAY_SIZE(xdp->tx))
		postern_xdp_flush_tx(queue);
	return true;
}

/* The program's decision is done; false: the page is still the caller's. */
static bool postern_xdp_act(struct postern_queue *queue, struct bpf_prog *program,
			    struct xdp_buff *buff, u32 action)
{
	struct net_device *dev = queue->nic->dev;

	switch (action) {
	case XDP_TX:
		if (unlikely(!postern_xdp_send_back(queue, buff)))
			break;
		postern_count(queue, POSTERN_XDP_TX);
		return true;
	case XDP_REDIRECT:
		if (unlikely(xdp_do_redirect(dev, buff, program)))
			break;
		queue->xdp.redirected = true;
		postern_count(queue, POSTERN_XDP_REDIRECT);
		return true;
	case XDP_DROP:
		postern_count(queue, POSTERN_XDP_DROP);
		return false;
	default:
		bpf_warn_invalid_xdp_action(dev, program, action);
		fallthrough;
	case XDP_ABORTED:
		break;
	}
	trace_xdp_exception(dev, program, action);
	postern_count(queue, POSTERN_XDP_ABORTED);
	return false;
}

struct sk_buff *postern_xdp_run(struct postern_queue *queue, struct bpf_prog *program,
				struct page *page, const struct postern_ring_meta *meta)
{
	struct sk_buff *skb = NULL;
	struct xdp_buff buff;
	u32 action;

	if (meta->flags & POSTERN_RECORD_CSUM)
		postern_xdp_make_checksum(postern_xdp_frame(page), meta);
	xdp_init_buff(&buff, PAGE_SIZE, &queue->xdp.rxq);
	xdp_prepare_buff(&buff, page_address(page), XDP_PACKET_HEADROOM, meta->length, true);
	action = bpf_prog_run_xdp(program, &buff);
	if (action != XDP_PASS) {
		if (!postern_xdp_act(queue, program, &buff, action))
			postern_xdp_put(queue, page);
		return NULL;
	}
	postern_count(queue, POSTERN_XDP_PASS);
	skb = postern_xdp_pass(queue, &buff, meta);
	if (unlikely(!skb)) {
		postern_rx_drop(queue, POSTERN_RX_NO_MEMORY);
		postern_xdp_put(queue, page);
	}
	return skb;
}

struct sk_buff *postern_xdp_cut(struct sk_buff *skb, const struct postern_ring_meta *meta)
{
	struct sk_buff *segments = NULL;

	/* No TCP makes smaller ones, and a hostile peer is not to have one packet become tens of
	 * thousands. */
	if (meta->gso_size >= TCP_MIN_SND_MSS) {
		skb_reset_mac_header(skb);
		skb->protocol = eth_hdr(skb)->h_proto;
		skb_set_network_header(skb, ETH_HLEN);
		segments = skb_gso_segment(skb, 0);
	}
	if (IS_ERR_OR_NULL(segments)) {
		kfree_skb(skb);
		return NULL;
	}
	consume_skb(skb);
	return segments;
}

struct sk_buff *postern_xdp_run_segment(struct postern_queue *queue, struct bpf_prog *program,
					struct sk_buff *segment,
					const struct postern_ring_meta *whole)
{
	const struct postern_ring_meta meta = {
		.length = segment->len,
		.flags = whole->flags & POSTERN_RECORD_STAMP,
		.stamp = whole->stamp,
	};
	struct page *page = NULL;

	if (unlikely(meta.length > POSTERN_XDP_FRAME_MAX)) {
		postern_rx_drop(queue, POSTERN_RX_LENGTH);
	} else {
		page = postern_xdp_page(queue);
		if (likely(page))
			skb_copy_bits(segment, 0, postern_xdp_frame(page), meta.length);
		else
			postern_rx_drop(queue, POSTERN_RX_NO_MEMORY);
	}
	consume_skb(segment);
	if (unlikely(!page))
		return NULL;
	postern_count(queue, POSTERN_XDP_SEGMENTS);
	return postern_xdp_run(queue, program, page, &meta);
}

void postern_xdp_flush(struct postern_queue *queue)
{
	struct postern_xdp *xdp = &queue->xdp;

	if (xdp->tx_count > 0)
		postern_xdp_flush_tx(queue);
	if (xdp->redirected) {
		xdp->redirected = false;
		xdp_do_flush();
	}
}
