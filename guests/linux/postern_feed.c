// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Feeds the kernel's network stack with frames that came by no NIC: what receiving takes in any
 * case. Loading the module does so and writes lines "postern_feed: NAME VALUE" into the kernel's
 * log.
 *
 *   dev=dummy0 size=64 count=10000     frames as postern_bench's, seemingly from that interface
 *
 * As a driver does: by NAPI, each frame in a page of a pool, its skb built around it, handed over
 * by netif_receive_skb(). Only the headers are written: to copy what is behind them is the NIC's
 * work.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/etherdevice.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <asm/msr.h>
#include <net/page_pool.h>

#include "postern_bench.h"

static char *dev = "dummy0";
module_param(dev, charp, 0444);
MODULE_PARM_DESC(dev, "the interface by which the frames seem to come");
static unsigned int size = 64;
module_param(size, uint, 0444);
MODULE_PARM_DESC(size, "bytes of a frame, without its check sequence");
static unsigned int count = 10000;
module_param(count, uint, 0444);
MODULE_PARM_DESC(count, "frames");

#define FEED_POOL_PAGES 256

static struct net_device *feed_net;
static struct net_device feed_napi_owner;
static struct napi_struct feed_napi;
static struct page_pool *feed_pool;
static unsigned int feed_done;
static DECLARE_COMPLETION(feed_completion);

static unsigned int feed_room(void)
{
	return SKB_DATA_ALIGN(NET_SKB_PAD + size) + SKB_DATA_ALIGN(sizeof(struct skb_shared_info));
}

static struct sk_buff *feed_build(void)
{
	unsigned int offset;
	struct page *page = page_pool_dev_alloc_frag(feed_pool, &offset, feed_room());
	struct sk_buff *skb;

	if (!page)
		return NULL;
	skb = napi_build_skb(page_address(page) + offset, feed_room());
	if (!skb) {
		page_pool_put_full_page(feed_pool, page, true);
		return NULL;
	}
	skb_mark_for_recycle(skb);
	skb_reserve(skb, NET_SKB_PAD);
	skb_put(skb, size);
	return skb;
}

static void feed_one(struct sk_buff *skb, u32 sequence)
{
	struct ethhdr *header = (struct ethhdr *)skb->data;
	struct bench_payload *payload = (struct bench_payload *)(header + 1);

	ether_addr_copy(header->h_dest, feed_net->dev_addr);
	ether_addr_copy(header->h_source, feed_net->dev_addr);
	header->h_proto = htons(BENCH_ETHERTYPE);
	payload->magic = cpu_to_le32(BENCH_MAGIC);
	payload->sequence = cpu_to_le32(sequence);
	skb->protocol = eth_type_trans(skb, feed_net);
	skb_record_rx_queue(skb, 0);
	netif_receive_skb(skb);
}

static int feed_poll(struct napi_struct *napi, int budget)
{
	int work;

	for (work = 0; work < budget && feed_done < count; work++) {
		struct sk_buff *skb = feed_build();

		if (!skb)
			break;
		feed_one(skb, feed_done++);
	}
	if (work < budget && napi_complete_done(napi, work))
		complete(&feed_completion);
	return work;
}

static int feed_create_pool(void)
{
	const struct page_pool_params params = {
		.flags = PP_FLAG_PAGE_FRAG,
		.pool_size = FEED_POOL_PAGES,
		.nid = NUMA_NO_NODE,
	};

	feed_pool = page_pool_create(&params);
	return PTR_ERR_OR_ZERO(feed_pool);
}

static void feed_run(void)
{
	u64 start, end;

	init_dummy_netdev(&feed_napi_owner);
	netif_napi_add(&feed_napi_owner, &feed_napi, feed_poll);
	napi_enable(&feed_napi);
	start = rdtsc_ordered();
	local_bh_disable();
	napi_schedule(&feed_napi);
	local_bh_enable();
	wait_for_completion(&feed_completion);
	end = rdtsc_ordered();
	napi_disable(&feed_napi);
	netif_napi_del(&feed_napi);
	pr_info("feed.count %u\n", feed_done);
	pr_info("feed.ticks %llu\n", end - start);
}

static int __init feed_init(void)
{
	int err;

	if (size < ETH_HLEN + sizeof(struct bench_payload) || feed_room() > PAGE_SIZE)
		return -EINVAL;
	feed_net = dev_get_by_name(&init_net, dev);
	if (!feed_net)
		return -ENODEV;
	err = feed_create_pool();
	if (!err) {
		feed_run();
		page_pool_destroy(feed_pool);
	}
	dev_put(feed_net);
	return err ? err : feed_done == count ? 0 : -ENOMEM;
}

static void __exit feed_exit(void)
{
}

module_init(feed_init);
module_exit(feed_exit);

MODULE_DESCRIPTION("What a kernel takes to receive, without a NIC");
MODULE_AUTHOR("The Postern project");
MODULE_LICENSE("Dual BSD/GPL");
