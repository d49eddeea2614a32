// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Measures from inside a guest: loading the module measures and writes lines
 * "postern_bench: NAME VALUE" into the kernel's log.
 *
 *   what=exits                                       TSC ticks of an exit of each kind
 *   what=send dev=eth0 size=64 count=10000 burst=32  sends frames and says when
 *     to=02:50:4f:01:00:02                           to one station, by the queue that leads there
 *     frames=allocated                               each by alloc_skb, as pktgen does
 *     frames=built                                   each as drivers build what they receive: what
 *                                                    a guest that forwards packets sends
 *     frames=shared                                  a burst is one frame again and again, as
 *                                                    pktgen does with clone_skb
 *   what=receive count=10000                         receives them and says when
 *   what=hang ms=5000                                keeps this CPU, interrupts and all
 *   what=triple_fault                                ends this VM, to see what that does to others
 *   what=revoke dev=eth0                             takes this end's section from the peer
 *   what=grant dev=eth0                              gives it back
 *
 * The TSCs of a machine's guests are one clock, so a receiver's last tick less its sender's first
 * one is what the packets took from end to end.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/etherdevice.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/pci.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <asm/desc.h>
#include <asm/msr.h>
#include <asm/unaligned.h>
#include <net/page_pool.h>

#include "abi/pci.h"
#include "postern_bench.h"
#include "postern_hypercall.h"

#define BENCH_ROUNDS	   1000
#define BENCH_METADATA	   0x6174656du /* "meta", by guests/initramfs/xdp.c */
#define BENCH_UART_SCRATCH 0x3ff
#define BENCH_BURST_MAX	   128u
#define BENCH_STALL_MS	   10000

static char *what = "exits";
module_param(what, charp, 0444);
MODULE_PARM_DESC(what, "exits, send, receive, hang, triple_fault, revoke or grant");
static char *dev = "eth0";
module_param(dev, charp, 0444);
MODULE_PARM_DESC(dev, "send, revoke, grant: the interface");
static unsigned int size = 64;
module_param(size, uint, 0444);
MODULE_PARM_DESC(size, "send: bytes of a frame, without its check sequence");
static char *to;
module_param(to, charp, 0444);
MODULE_PARM_DESC(to, "send: the destination's address; all, if it is not given");
static unsigned int count = 10000;
module_param(count, uint, 0444);
MODULE_PARM_DESC(count, "send, receive: frames");
static unsigned int burst = 32;
module_param(burst, uint, 0444);
MODULE_PARM_DESC(burst, "send: frames that are handed to the driver at once");
static char *frames = "allocated";
module_param(frames, charp, 0444);
MODULE_PARM_DESC(frames, "send: allocated, built or shared");
static unsigned int ms = 5000;
module_param(ms, uint, 0444);
MODULE_PARM_DESC(ms, "hang: milliseconds");
static unsigned int received;
module_param(received, uint, 0444);
MODULE_PARM_DESC(received, "receive: frames that have come");

/* Evaluates to the ticks of BENCH_ROUNDS times `operation`, with nothing in between. */
#define BENCH_TICKS(operation)                                                     \
	({                                                                         \
		unsigned long bench_flags;                                         \
		u64 bench_start, bench_end;                                        \
		int bench_round;                                                   \
		local_irq_save(bench_flags);                                       \
		bench_start = rdtsc_ordered();                                     \
		for (bench_round = 0; bench_round < BENCH_ROUNDS; bench_round++) { \
			operation;                                                 \
			barrier();                                                 \
		}                                                                  \
		bench_end = rdtsc_ordered();                                       \
		local_irq_restore(bench_flags);                                    \
		bench_end - bench_start;                                           \
	})

static void bench_print_exit(const char *name, u64 ticks, u64 empty)
{
	pr_info("exit.%s %llu\n", name, (ticks - min(ticks, empty)) / BENCH_ROUNDS);
}

/* The bare instruction: the kernel's own may go through its paravirtual operations. */
static inline void bench_cpuid(u32 leaf)
{
	u32 eax = leaf, ebx, ecx = 0, edx;

	asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
}

static void bench_mmio(u64 empty)
{
	struct pci_dev *pdev = pci_get_device(POSTERN_PCI_VENDOR, POSTERN_PCI_NIC, NULL);
	void __iomem *registers;
	u64 ticks;

	if (!pdev)
		return;
	registers = pci_iomap(pdev, POSTERN_BAR_REGISTERS, 0);
	/* Before a driver has enabled the device its registers are nowhere. */
	if (registers && readl(registers + POSTERN_REG_MAGIC) == POSTERN_NIC_MAGIC) {
		ticks = BENCH_TICKS((void)readl(registers + POSTERN_REG_MAGIC));
		bench_print_exit("mmio", ticks, empty);
	}
	if (registers)
		pci_iounmap(pdev, registers);
	pci_dev_put(pdev);
}

static int bench_exits(void)
{
	u64 ticks, empty = BENCH_TICKS((void)0);

	if (postern_present()) {
		ticks = BENCH_TICKS((void)postern_hypercall(POSTERN_HC_VERSION, 0, 0));
		bench_print_exit("hypercall", ticks, empty);
	}
	ticks = BENCH_TICKS(bench_cpuid(POSTERN_CPUID_BASE));
	bench_print_exit("cpuid", ticks, empty);
	ticks = BENCH_TICKS((void)inb(BENCH_UART_SCRATCH));
	bench_print_exit("pio", ticks, empty);
	bench_mmio(empty);
	return 0;
}

static u8 bench_destination[ETH_ALEN];

static int bench_set_destination(void)
{
	if (!to)
		eth_broadcast_addr(bench_destination);
	return !to || mac_pton(to, bench_destination) ? 0 : -EINVAL;
}

/* A broadcast goes by the first queue, of whatever there is. */
static u16 bench_queue(struct net_device *net, struct sk_buff *skb)
{
	const struct net_device_ops *ops = net->netdev_ops;

	return to && ops->ndo_select_queue ? ops->ndo_select_queue(net, skb, NULL) : 0;
}

enum bench_frames { BENCH_ALLOCATED, BENCH_BUILT, BENCH_SHARED };

static int bench_frames_kind(void)
{
	static const char *const names[] = {"allocated", "built", "shared"};
	int kind = match_string(names, ARRAY_SIZE(names), frames);

	if (kind < 0)
		pr_err("frames=%s is none of allocated, built, shared\n", frames);
	return kind;
}

/* Of frames that are built. */
static struct page_pool *bench_pool;

static int bench_create_pool(struct net_device *net)
{
	const struct page_pool_params params = {
		.flags = PP_FLAG_PAGE_FRAG,
		.pool_size = 2 * BENCH_BURST_MAX,
		.nid = NUMA_NO_NODE,
		.dev = net->dev.parent,
	};
	struct page_pool *pool = page_pool_create(&params);

	if (IS_ERR(pool))
		return PTR_ERR(pool);
	bench_pool = pool;
	return 0;
}

static unsigned int bench_built_size(const struct net_device *net)
{
	return SKB_DATA_ALIGN(LL_RESERVED_SPACE(net) + size) +
	       SKB_DATA_ALIGN(sizeof(struct skb_shared_info));
}

/* In softirq, or with it disabled. */
static struct sk_buff *bench_build(const struct net_device *net)
{
	unsigned int length = bench_built_size(net), offset;
	struct page *page = page_pool_dev_alloc_frag(bench_pool, &offset, length);
	struct sk_buff *skb;

	if (!page)
		return NULL;
	skb = napi_build_skb(page_address(page) + offset, length);
	if (skb)
		skb_mark_for_recycle(skb);
	else
		page_pool_put_full_page(bench_pool, page, false);
	return skb;
}

static struct sk_buff *bench_frame(struct net_device *net, enum bench_frames kind, u32 sequence)
{
	struct sk_buff *skb = kind == BENCH_BUILT
				      ? bench_build(net)
				      : alloc_skb(LL_RESERVED_SPACE(net) + size, GFP_KERNEL);
	struct bench_payload *payload;
	struct ethhdr *header;

	if (!skb)
		return NULL;
	skb_reserve(skb, LL_RESERVED_SPACE(net));
	header = skb_put(skb, sizeof(*header));
	ether_addr_copy(header->h_dest, bench_destination);
	ether_addr_copy(header->h_source, net->dev_addr);
	header->h_proto = htons(BENCH_ETHERTYPE);
	payload = skb_put_zero(skb, size - sizeof(*header));
	payload->magic = cpu_to_le32(BENCH_MAGIC);
	payload->sequence = cpu_to_le32(sequence);
	skb_reset_mac_header(skb);
	skb_set_network_header(skb, ETH_HLEN);
	skb->protocol = header->h_proto;
	skb->dev = net;
	skb_set_queue_mapping(skb, bench_queue(net, skb));
	return skb;
}

/* Hands frames to the driver until the queue stops. Returns how many it took. */
static unsigned int bench_push(struct net_device *net, struct sk_buff **skbs, unsigned int number)
{
	struct netdev_queue *queue = skb_get_tx_queue(net, skbs[0]);
	unsigned int sent = 0;

	local_bh_disable();
	HARD_TX_LOCK(net, queue, smp_processor_id());
	while (sent < number && !netif_xmit_frozen_or_drv_stopped(queue)) {
		bool more = sent + 1 < number;

		if (!dev_xmit_complete(netdev_start_xmit(skbs[sent], net, queue, more)))
			break;
		sent++;
	}
	HARD_TX_UNLOCK(net, queue);
	local_bh_enable();
	return sent;
}

/* Sends all frames, waiting where the queue is stopped. */
static int bench_push_all(struct net_device *net, struct sk_buff **skbs, unsigned int number)
{
	unsigned long deadline = jiffies + msecs_to_jiffies(BENCH_STALL_MS);
	unsigned int sent = 0, now;

	while (sent < number) {
		now = netif_running(net) && netif_carrier_ok(net)
			      ? bench_push(net, skbs + sent, number - sent)
			      : 0;
		if (now > 0) {
			sent += now;
			deadline = jiffies + msecs_to_jiffies(BENCH_STALL_MS);
			continue;
		}
		if (time_after(jiffies, deadline) || signal_pending(current))
			break;
		cond_resched();
	}
	for (now = sent; now < number; now++)
		kfree_skb(skbs[now]);
	return sent == number ? 0 : -ETIMEDOUT;
}

/* Makes frames, all or none. */
static int bench_make(struct net_device *net, enum bench_frames kind, u32 sequence,
		      struct sk_buff **skbs, unsigned int number)
{
	unsigned int i;

	for (i = 0; i < number; i++) {
		/* One of them is as good as all, with a reference for each. */
		skbs[i] = kind == BENCH_SHARED && i > 0 ? skb_get(skbs[0])
							: bench_frame(net, kind, sequence + i);
		if (!skbs[i]) {
			while (i > 0)
				kfree_skb(skbs[--i]);
			return -ENOMEM;
		}
	}
	return 0;
}

static int bench_send_burst(struct net_device *net, enum bench_frames kind, u32 sequence,
			    unsigned int number)
{
	struct sk_buff *skbs[BENCH_BURST_MAX];
	int err;

	if (kind == BENCH_BUILT)
		local_bh_disable();
	err = bench_make(net, kind, sequence, skbs, number);
	if (kind == BENCH_BUILT)
		local_bh_enable();
	return err ? err : bench_push_all(net, skbs, number);
}

/* Can such frames be sent there? */
static int bench_check(const struct net_device *net, enum bench_frames kind)
{
	if (size > net->mtu + ETH_HLEN ||
	    (kind == BENCH_BUILT && bench_built_size(net) > PAGE_SIZE))
		return -EMSGSIZE;
	return kind == BENCH_SHARED && !(net->priv_flags & IFF_TX_SKB_SHARING) ? -EOPNOTSUPP : 0;
}

static int bench_send(void)
{
	struct net_device *net;
	unsigned int sent = 0;
	int err, kind = bench_frames_kind();
	u64 start;

	if (kind < 0)
		return kind;
	if (size < ETH_HLEN + sizeof(struct bench_payload) || burst == 0 || burst > BENCH_BURST_MAX)
		return -EINVAL;
	err = bench_set_destination();
	if (err)
		return err;
	net = dev_get_by_name(&init_net, dev);
	if (!net)
		return -ENODEV;
	err = bench_check(net, kind);
	if (err == 0 && kind == BENCH_BUILT)
		err = bench_create_pool(net);
	if (err) {
		dev_put(net);
		return err;
	}
	start = rdtsc_ordered();
	while (sent < count && err == 0) {
		unsigned int number = min(burst, count - sent);

		err = bench_send_burst(net, kind, sent, number);
		if (err == 0)
			sent += number;
		cond_resched();
	}
	pr_info("send.start %llu\n", start);
	pr_info("send.end %llu\n", (u64)rdtsc_ordered());
	pr_info("send.count %u\n", sent);
	if (bench_pool)
		page_pool_destroy(bench_pool);
	dev_put(net);
	return err;
}

/* Revokes or grants the own section of the interface's link. */
static int bench_grant(bool granted)
{
	struct net_device *net = postern_present() ? dev_get_by_name(&init_net, dev) : NULL;
	void __iomem *registers;
	long result;

	if (!net)
		return -ENODEV;
	registers = net->dev.parent
			    ? pci_iomap(to_pci_dev(net->dev.parent), POSTERN_BAR_REGISTERS, 0)
			    : NULL;
	dev_put(net);
	if (!registers)
		return -ENODEV;
	result = postern_hypercall(POSTERN_HC_WINDOW_GRANT, readl(registers + POSTERN_REG_PORT),
				   granted);
	iounmap(registers);
	return result ? -EIO : 0;
}

/* A neighbour that takes nothing any more. */
static int bench_hang(void)
{
	local_irq_disable();
	mdelay(ms);
	local_irq_enable();
	return 0;
}

/* Without an IDT a breakpoint ends in a triple fault. */
static int bench_triple_fault(void)
{
	static const struct desc_ptr no_idt;

	local_irq_disable();
	load_idt(&no_idt);
	asm volatile("int3");
	return -EIO;
}

static u64 bench_first_tick;
static u32 bench_expected;
static u32 bench_out_of_order;
static u32 bench_with_metadata;
static DEFINE_SPINLOCK(bench_lock);

/* With the lock. */
static void bench_take(u32 sequence)
{
	u64 now = rdtsc_ordered();

	if (received == 0)
		bench_first_tick = now;
	if (sequence != bench_expected)
		bench_out_of_order++;
	bench_expected = sequence + 1;
	received++;
	if (received != count)
		return;
	pr_info("receive.first %llu\n", bench_first_tick);
	pr_info("receive.last %llu\n", now);
	pr_info("receive.count %u\n", received);
	pr_info("receive.out_of_order %u\n", bench_out_of_order);
	pr_info("receive.metadata %u\n", bench_with_metadata);
}

/* Has an XDP program left BENCH_METADATA with the frame? */
static bool bench_has_metadata(const struct sk_buff *skb)
{
	return skb_metadata_len(skb) == sizeof(u32) &&
	       get_unaligned((u32 *)skb_metadata_end(skb) - 1) == BENCH_METADATA;
}

static int bench_receive_frame(struct sk_buff *skb, struct net_device *net,
			       struct packet_type *type, struct net_device *orig)
{
	struct bench_payload copy;
	const struct bench_payload *payload = skb_header_pointer(skb, 0, sizeof(copy), &copy);

	if (payload && payload->magic == cpu_to_le32(BENCH_MAGIC)) {
		spin_lock(&bench_lock);
		bench_with_metadata += bench_has_metadata(skb);
		bench_take(get_unaligned_le32(&payload->sequence));
		spin_unlock(&bench_lock);
	}
	/* In softirq. Given back as by a driver that has sent it on: the next packet gets it. */
	napi_consume_skb(skb, 1);
	return NET_RX_SUCCESS;
}

static struct packet_type bench_packet_type = {
	.type = htons(BENCH_ETHERTYPE),
	.func = bench_receive_frame,
};

static bool bench_listens;

static int __init bench_init(void)
{
	if (!strcmp(what, "exits"))
		return bench_exits();
	if (!strcmp(what, "send"))
		return bench_send();
	if (!strcmp(what, "receive")) {
		bench_listens = true;
		dev_add_pack(&bench_packet_type);
		return 0;
	}
	if (!strcmp(what, "hang"))
		return bench_hang();
	if (!strcmp(what, "triple_fault"))
		return bench_triple_fault();
	if (!strcmp(what, "revoke") || !strcmp(what, "grant"))
		return bench_grant(what[0] == 'g');
	pr_err("what=%s is none of exits, send, receive, hang, triple_fault, revoke, grant\n",
	       what);
	return -EINVAL;
}

static void __exit bench_exit(void)
{
	if (bench_listens)
		dev_remove_pack(&bench_packet_type);
}

module_init(bench_init);
module_exit(bench_exit);

MODULE_DESCRIPTION("Measurements of Postern from inside a guest");
MODULE_AUTHOR("The Postern project");
MODULE_LICENSE("Dual BSD/GPL");
