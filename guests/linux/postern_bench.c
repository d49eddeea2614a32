// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Measures from inside a guest: loading the module measures and writes lines
 * "postern_bench: NAME VALUE" into the kernel's log.
 *
 *   what=exits                                       TSC ticks of an exit of each kind
 *   what=send dev=eth0 size=64 count=10000 burst=32  sends frames and says when
 *   what=receive count=10000                         receives them and says when
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
#include <asm/desc.h>
#include <asm/msr.h>
#include <asm/unaligned.h>

#include "abi/pci.h"
#include "postern_hypercall.h"

#define BENCH_ROUNDS	   1000
#define BENCH_ETHERTYPE	   0x88b5 /* IEEE 802: local experimental, 1 */
#define BENCH_MAGIC	   0x426e7450u
#define BENCH_UART_SCRATCH 0x3ff
#define BENCH_BURST_MAX	   128u
#define BENCH_STALL_MS	   10000

/* After the Ethernet header, little-endian. */
struct bench_payload {
	__le32 magic;
	__le32 sequence;
} __packed;

static char *what = "exits";
module_param(what, charp, 0444);
MODULE_PARM_DESC(what, "exits, send, receive, triple_fault, revoke or grant");
static char *dev = "eth0";
module_param(dev, charp, 0444);
MODULE_PARM_DESC(dev, "send, revoke, grant: the interface");
static unsigned int size = 64;
module_param(size, uint, 0444);
MODULE_PARM_DESC(size, "send: bytes of a frame, without its check sequence");
static unsigned int count = 10000;
module_param(count, uint, 0444);
MODULE_PARM_DESC(count, "send, receive: frames");
static unsigned int burst = 32;
module_param(burst, uint, 0444);
MODULE_PARM_DESC(burst, "send: frames that are handed to the driver at once");
static unsigned int received;
module_param(received, uint, 0444);
MODULE_PARM_DESC(received, "receive: frames that have come");

/* Evaluates to the ticks of BENCH_ROUNDS times `operation`, with nothing in between. */
#define BENCH_TICKS(operation)                                                     \
	({                                                                         \
		unsigned long bench_flags;                                         \
		u64 bench_start, bench_end;                                        \
		int bench_round;                                                   \
                                                                                   \
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

static struct sk_buff *bench_frame(struct net_device *net, u32 sequence)
{
	struct sk_buff *skb = alloc_skb(LL_RESERVED_SPACE(net) + size, GFP_KERNEL);
	struct bench_payload *payload;
	struct ethhdr *header;

	if (!skb)
		return NULL;
	skb_reserve(skb, LL_RESERVED_SPACE(net));
	header = skb_put(skb, sizeof(*header));
	eth_broadcast_addr(header->h_dest);
	ether_addr_copy(header->h_source, net->dev_addr);
	header->h_proto = htons(BENCH_ETHERTYPE);
	payload = skb_put_zero(skb, size - sizeof(*header));
	payload->magic = cpu_to_le32(BENCH_MAGIC);
	payload->sequence = cpu_to_le32(sequence);
	skb_reset_mac_header(skb);
	skb_set_network_header(skb, ETH_HLEN);
	skb->protocol = header->h_proto;
	skb->dev = net;
	return skb;
}

/* Hands frames to the driver until the queue stops. Returns how many it took. */
static unsigned int bench_push(struct net_device *net, struct sk_buff **frames, unsigned int number)
{
	struct netdev_queue *queue = netdev_get_tx_queue(net, 0);
	unsigned int sent = 0;

	local_bh_disable();
	HARD_TX_LOCK(net, queue, smp_processor_id());
	while (sent < number && !netif_xmit_frozen_or_drv_stopped(queue)) {
		if (!dev_xmit_complete(
			    netdev_start_xmit(frames[sent], net, queue, sent + 1 < number)))
			break;
		sent++;
	}
	HARD_TX_UNLOCK(net, queue);
	local_bh_enable();
	return sent;
}

/* Sends all frames, waiting where the queue is stopped. */
static int bench_push_all(struct net_device *net, struct sk_buff **frames, unsigned int number)
{
	unsigned long deadline = jiffies + msecs_to_jiffies(BENCH_STALL_MS);
	unsigned int sent = 0, now;

	while (sent < number) {
		now = netif_running(net) && netif_carrier_ok(net)
			      ? bench_push(net, frames + sent, number - sent)
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
		kfree_skb(frames[now]);
	return sent == number ? 0 : -ETIMEDOUT;
}

static int bench_send_burst(struct net_device *net, u32 sequence, unsigned int number)
{
	struct sk_buff *frames[BENCH_BURST_MAX];
	unsigned int i;

	for (i = 0; i < number; i++) {
		frames[i] = bench_frame(net, sequence + i);
		if (!frames[i]) {
			while (i > 0)
				kfree_skb(frames[--i]);
			return -ENOMEM;
		}
	}
	return bench_push_all(net, frames, number);
}

static int bench_send(void)
{
	struct net_device *net;
	unsigned int sent = 0;
	u64 start;
	int err = 0;

	if (size < ETH_HLEN + sizeof(struct bench_payload) || burst == 0 || burst > BENCH_BURST_MAX)
		return -EINVAL;
	net = dev_get_by_name(&init_net, dev);
	if (!net)
		return -ENODEV;
	if (size > net->mtu + ETH_HLEN) {
		dev_put(net);
		return -EMSGSIZE;
	}
	start = rdtsc_ordered();
	while (sent < count && err == 0) {
		unsigned int number = min(burst, count - sent);

		err = bench_send_burst(net, sent, number);
		if (err == 0)
			sent += number;
		cond_resched();
	}
	pr_info("send.start %llu\n", start);
	pr_info("send.end %llu\n", (u64)rdtsc_ordered());
	pr_info("send.count %u\n", sent);
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
}

static int bench_receive_frame(struct sk_buff *skb, struct net_device *net,
			       struct packet_type *type, struct net_device *orig)
{
	struct bench_payload copy;
	const struct bench_payload *payload = skb_header_pointer(skb, 0, sizeof(copy), &copy);

	if (payload && payload->magic == cpu_to_le32(BENCH_MAGIC)) {
		spin_lock(&bench_lock);
		bench_take(get_unaligned_le32(&payload->sequence));
		spin_unlock(&bench_lock);
	}
	consume_skb(skb);
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
	if (!strcmp(what, "triple_fault"))
		return bench_triple_fault();
	if (!strcmp(what, "revoke") || !strcmp(what, "grant"))
		return bench_grant(what[0] == 'g');
	pr_err("what=%s is none of exits, send, receive, triple_fault, revoke, grant\n", what);
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
