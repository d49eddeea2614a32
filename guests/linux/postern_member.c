// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A member's place in a network. */
#include <linux/if_ether.h>
#include <linux/io.h>
#include <linux/timer.h>

#include "abi/fdb_ops.h"
#include "postern_member.h"

struct postern_lane {
	struct postern_queue *queue;
	/* Runs while the queue is stopped. */
	struct timer_list timer;
	bool stalled; /* under the transmit lock */
};

struct postern_member {
	struct postern_fdb_reader reader;
	unsigned int to_switch; /* the lane */
	bool stopping;		/* no queue is to be started any more */
	spinlock_t lock;	/* of the queues' `up` and the carrier: NAPIs' */
	struct postern_lane lanes[POSTERN_QUEUES_MAX];
};

/* The peer had its time: what waits for it is dropped, and so is what comes. */
static void postern_lane_timeout(struct timer_list *timer)
{
	struct postern_lane *lane = from_timer(lane, timer, timer);
	struct postern_queue *queue = lane->queue;
	struct netdev_queue *txq = postern_txq(queue);

	__netif_tx_lock(txq, smp_processor_id());
	if (netif_xmit_stopped(txq) && !READ_ONCE(queue->nic->member->stopping)) {
		lane->stalled = true;
		postern_tx_purge(queue);
		postern_tx_restart(queue);
	}
	__netif_tx_unlock(txq);
}

static int postern_member_map_fdb(struct postern_nic *nic, struct postern_fdb_reader *reader)
{
	struct pci_dev *pdev = nic->pdev;
	resource_size_t length = pci_resource_len(pdev, POSTERN_BAR_FDB);
	u32 self = readl(nic->registers + POSTERN_REG_END);
	u32 lanes = readl(nic->registers + POSTERN_REG_LANES);
	const struct postern_fdb *fdb;

	if (length < POSTERN_FDB_SIZE)
		return dev_err_probe(&pdev->dev, -ENODEV, "BAR %u has %pa bytes for the database\n",
				     POSTERN_BAR_FDB, &length);
	/* It is memory, which the switch writes. */
	fdb = devm_memremap(&pdev->dev, pci_resource_start(pdev, POSTERN_BAR_FDB), POSTERN_FDB_SIZE,
			    MEMREMAP_WB);
	if (IS_ERR(fdb))
		return PTR_ERR(fdb);
	if (self >= nic->queue_count || lanes >> nic->queue_count ||
	    !postern_fdb_init(reader, fdb, self, lanes))
		return dev_err_probe(&pdev->dev, -ENODEV, "no member %u has lanes %#x of %u\n",
				     self, lanes, nic->queue_count);
	return 0;
}

int postern_member_init(struct postern_nic *nic)
{
	struct device *device = &nic->pdev->dev;
	struct postern_member *member = devm_kzalloc(device, sizeof(*member), GFP_KERNEL);
	unsigned int i;
	int err;

	if (!member)
		return -ENOMEM;
	err = postern_member_map_fdb(nic, &member->reader);
	if (err)
		return err;
	member->to_switch = readl(nic->registers + POSTERN_REG_SWITCH);
	if (!postern_member_has(member, member->to_switch))
		return dev_err_probe(device, -EOPNOTSUPP,
				     "this VM is the network's switch, and Linux cannot be that\n");
	spin_lock_init(&member->lock);
	for (i = 0; i < nic->queue_count; i++) {
		member->lanes[i].queue = &nic->queues[i];
		timer_setup(&member->lanes[i].timer, postern_lane_timeout, 0);
	}
	nic->member = member;
	return 0;
}

bool postern_member_has(const struct postern_member *member, unsigned int index)
{
	return index < POSTERN_QUEUES_MAX && (member->reader.lanes >> index & 1);
}

unsigned int postern_member_switch(const struct postern_member *member)
{
	return member->to_switch;
}

const void *postern_member_peer(const struct postern_queue *queue, const void *peer)
{
	/* A header of zeros is a closed end's. */
	BUILD_BUG_ON(sizeof(struct postern_ring_header) > PAGE_SIZE);
	return postern_member_has(queue->nic->member, queue->index) ? peer
								    : page_address(ZERO_PAGE(0));
}

void postern_member_name(const struct postern_queue *queue, char *name, size_t size)
{
	if (queue->index == queue->nic->member->to_switch)
		strscpy(name, "switch", size);
	else
		snprintf(name, size, "direct%u", queue->index);
}

/* The tag that the stack still holds apart comes before the type. */
static void postern_member_tag(const struct sk_buff *skb, struct postern_fdb_frame *frame)
{
	if (skb->vlan_proto != htons(ETH_P_8021Q)) {
		frame->tagged = false;
		frame->vlan = 0;
		frame->ethertype = ntohs(skb->vlan_proto);
		return;
	}
	if (frame->tagged)
		frame->ethertype = ETH_P_8021Q;
	frame->tagged = true;
	frame->vlan = skb_vlan_tag_get_id(skb);
}

/* A lane, or POSTERN_FDB_. */
static int postern_member_lookup(const struct postern_member *member, const struct sk_buff *skb)
{
	u8 buffer[VLAN_ETH_HLEN];
	u32 length = min_t(u32, skb->len, sizeof(buffer));
	const u8 *bytes = skb_header_pointer(skb, 0, length, buffer);
	struct postern_fdb_frame frame;

	if (unlikely(!bytes || !postern_fdb_parse(bytes, length, &frame)))
		return POSTERN_FDB_SWITCH;
	if (skb_vlan_tag_present(skb))
		postern_member_tag(skb, &frame);
	return postern_fdb_lookup(&member->reader, &frame);
}

u16 postern_member_select(const struct postern_nic *nic, const struct sk_buff *skb)
{
	int lane = postern_member_lookup(nic->member, skb);

	/* What is to be dropped the switch's lane drops. */
	if (lane < 0 || !READ_ONCE(nic->queues[lane].up))
		return nic->member->to_switch;
	return lane;
}

bool postern_member_stalled(struct postern_queue *queue)
{
	struct postern_lane *lane = &queue->nic->member->lanes[queue->index];

	if (likely(!lane->stalled))
		return false;
	lane->stalled = !postern_port_room(&queue->port, postern_port_tx_high(&queue->port));
	return lane->stalled;
}

bool postern_member_filters(const struct postern_queue *queue, const struct sk_buff *skb)
{
	const struct postern_member *member = queue->nic->member;

	return queue->index == member->to_switch &&
	       postern_member_lookup(member, skb) == POSTERN_FDB_DROP;
}

void postern_member_stopped(struct postern_queue *queue)
{
	mod_timer(&queue->nic->member->lanes[queue->index].timer,
		  jiffies + msecs_to_jiffies(POSTERN_GIVE_UP_MS));
}

bool postern_member_accepts(const struct postern_queue *queue, const u8 *frame, u32 length)
{
	const struct postern_member *member = queue->nic->member;
	struct postern_fdb_frame parsed;

	if (queue->index == member->to_switch)
		return true;
	return postern_fdb_parse(frame, length, &parsed) &&
	       postern_fdb_accepts(&member->reader, queue->index, &parsed);
}

void postern_member_set_up(struct postern_queue *queue, bool up)
{
	struct postern_nic *nic = queue->nic;
	bool any = false;
	unsigned int i;

	spin_lock(&nic->member->lock);
	WRITE_ONCE(queue->up, up);
	for (i = 0; i < nic->queue_count; i++)
		any |= nic->queues[i].up;
	if (any != netif_carrier_ok(nic->dev)) {
		if (any)
			netif_carrier_on(nic->dev);
		else
			netif_carrier_off(nic->dev);
		if (net_ratelimit())
			netdev_info(nic->dev, "link %s\n", any ? "up" : "down");
	}
	spin_unlock(&nic->member->lock);
}

void postern_member_start(struct postern_nic *nic)
{
	unsigned int i;

	for (i = 0; i < nic->queue_count; i++)
		nic->member->lanes[i].stalled = false;
	WRITE_ONCE(nic->member->stopping, false);
}

void postern_member_stop(struct postern_nic *nic)
{
	unsigned int i;

	WRITE_ONCE(nic->member->stopping, true);
	/* A timer that has not seen this has started its queue before the queue's lock is taken
	 * here. Then nobody sends, so no timer is set again. */
	netif_tx_disable(nic->dev);
	for (i = 0; i < nic->queue_count; i++)
		del_timer_sync(&nic->member->lanes[i].timer);
}
