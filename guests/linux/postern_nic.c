// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The interface: up and down, and what an interrupt brings about.
 *
 * Locking: the ring's producer half belongs to the transmit lock, its consumer half to NAPI, and
 * what excludes both (sync) is done in NAPI under the transmit lock.
 */
#include <linux/etherdevice.h>
#include <linux/interrupt.h>
#include <linux/io.h>

#include "postern_gate.h"
#include "postern_member.h"
#include "postern_nic.h"

static irqreturn_t postern_ring_interrupt(int irq, void *data)
{
	struct postern_queue *queue = data;

	postern_count(queue, POSTERN_RING_INTERRUPTS);
	napi_schedule(&queue->napi);
	return IRQ_HANDLED;
}

static bool postern_wants_other_mode(const struct postern_nic *nic, u32 link)
{
	return !nic->member && link & POSTERN_LINK_OTHER_MODE;
}

/* Is the port to be opened anew? */
static bool postern_wants_reopen(const struct postern_nic *nic, u32 link)
{
	return link & POSTERN_LINK_RESTORED || postern_wants_other_mode(nic, link);
}

static void postern_read_link(struct postern_nic *nic)
{
	u32 link = readl(nic->registers + POSTERN_REG_LINK);

	WRITE_ONCE(nic->link, link);
	if (postern_wants_reopen(nic, link))
		schedule_work(&nic->reopen_work);
}

static void postern_schedule(struct postern_nic *nic)
{
	unsigned int i;

	for (i = 0; i < postern_used(nic); i++)
		napi_schedule(&nic->queues[i].napi);
}

void postern_look(struct postern_nic *nic)
{
	local_bh_disable();
	postern_schedule(nic);
	local_bh_enable();
}

static irqreturn_t postern_link_interrupt(int irq, void *data)
{
	struct postern_nic *nic = data;

	postern_count(&nic->queues[0], POSTERN_LINK_INTERRUPTS);
	postern_read_link(nic);
	postern_schedule(nic);
	return IRQ_HANDLED;
}

static int postern_queue_irq(struct postern_queue *queue)
{
	return pci_irq_vector(queue->nic->pdev, POSTERN_VECTOR_QUEUE(queue->index));
}

static int postern_link_irq(struct postern_nic *nic)
{
	return pci_irq_vector(nic->pdev, POSTERN_VECTOR_LINK(nic->queue_count));
}

static void postern_free_queue_irqs(struct postern_nic *nic, unsigned int count)
{
	while (count-- > 0) {
		int irq = postern_queue_irq(&nic->queues[count]);

		irq_update_affinity_hint(irq, NULL);
		free_irq(irq, &nic->queues[count]);
	}
}

/* With several queues: its interrupts go to a CPU of its own, and the CPUs share the queues to send
 * by. What cannot be had is left to the kernel's own choice. */
static void postern_place_queue(struct postern_queue *queue)
{
	unsigned int count = postern_used(queue->nic), cpu;
	cpumask_var_t senders;

	if (count == 1)
		return;
	cpu = cpumask_local_spread(queue->index, dev_to_node(&queue->nic->pdev->dev));
	irq_set_affinity_and_hint(postern_queue_irq(queue), cpumask_of(cpu));
	/* A member's queue is chosen by where a packet goes. */
	if (queue->nic->member)
		return;
	if (!zalloc_cpumask_var(&senders, GFP_KERNEL))
		return;
	for (cpu = queue->index; cpu < nr_cpu_ids; cpu += count)
		cpumask_set_cpu(cpu, senders);
	netif_set_xps_queue(queue->nic->dev, senders, queue->index);
	free_cpumask_var(senders);
}

static int postern_request_queue_irqs(struct postern_nic *nic)
{
	unsigned int i;
	int err;

	for (i = 0; i < postern_used(nic); i++) {
		struct postern_queue *queue = &nic->queues[i];

		snprintf(queue->irq_name, sizeof(queue->irq_name), "%s-%u", nic->dev->name, i);
		err = request_irq(postern_queue_irq(queue), postern_ring_interrupt, 0,
				  queue->irq_name, queue);
		if (err) {
			postern_free_queue_irqs(nic, i);
			return err;
		}
		postern_place_queue(queue);
	}
	return 0;
}

static int postern_request_irqs(struct postern_nic *nic)
{
	int err = postern_request_queue_irqs(nic);

	if (err)
		return err;
	snprintf(nic->irq_name, sizeof(nic->irq_name), "%s-link", nic->dev->name);
	err = request_irq(postern_link_irq(nic), postern_link_interrupt, 0, nic->irq_name, nic);
	if (err)
		postern_free_queue_irqs(nic, postern_used(nic));
	return err;
}

static void postern_free_irqs(struct postern_nic *nic)
{
	free_irq(postern_link_irq(nic), nic);
	postern_free_queue_irqs(nic, postern_used(nic));
}

static void postern_close_rings(struct postern_nic *nic)
{
	unsigned int i;

	for (i = 0; i < postern_used(nic); i++)
		postern_port_close(&nic->queues[i].port);
}

/* Tries all, and returns the first error. */
static int postern_open_rings(struct postern_nic *nic)
{
	int err = 0, first = 0;
	unsigned int i;

	for (i = 0; i < postern_used(nic); i++) {
		struct postern_queue *queue = &nic->queues[i];

		queue->up = false;
		queue->reported_fault = POSTERN_FAULT_NONE;
		queue->reported_error = false;
		err = postern_open_ring(queue);
		first = first ? first : err;
	}
	return first;
}

int postern_open_view(struct postern_nic *nic)
{
	unsigned int i;
	int view;

	if (!nic->gated)
		return 0;
	view = postern_view_open(nic->number);
	if (view < 0)
		return view;
	for (i = 0; i < nic->queue_count; i++)
		nic->queues[i].port.view = view;
	return 0;
}

void postern_close_view(struct postern_nic *nic)
{
	if (nic->gated)
		postern_view_close(nic->number);
}

static void postern_ring_all(struct postern_nic *nic)
{
	unsigned int i;

	for (i = 0; i < postern_used(nic); i++)
		postern_doorbell(&nic->queues[i], POSTERN_LINK_DOORBELLS);
}

/* Nobody sends or receives. */
static void postern_close_port(struct postern_nic *nic)
{
	postern_close_rings(nic);
	postern_pool_close(nic);
	postern_close_view(nic);
}

void postern_follow_link(struct postern_nic *nic)
{
	u32 link = readl(nic->registers + POSTERN_REG_LINK);
	unsigned int i;

	ASSERT_RTNL();
	if (link & POSTERN_LINK_RESTORED) {
		/* To write it, whatever the value, is to know. */
		writel(0, nic->registers + POSTERN_REG_LINK);
		netdev_info(nic->dev, "the VM was restored from a snapshot\n");
	}
	if (!postern_wants_other_mode(nic, link))
		return;
	/* To write it, whatever the value, is to be ready. */
	writel(0, nic->registers + POSTERN_REG_MODE);
	nic->gated = readl(nic->registers + POSTERN_REG_MODE) != POSTERN_MODE_OPEN;
	for (i = 0; i < nic->queue_count; i++)
		nic->queues[i].port.gated = nic->gated;
	netdev_info(nic->dev, "the link's mode is now %s\n", nic->gated ? "gated" : "open");
}

static int postern_open_port(struct postern_nic *nic)
{
	int err;

	if (nic->user)
		return -EBUSY;
	postern_follow_link(nic);
	err = postern_open_view(nic);
	if (err)
		return err;
	err = postern_pool_open(nic);
	if (err) {
		postern_close_view(nic);
		return err;
	}
	err = postern_open_rings(nic);
	if (err)
		postern_close_port(nic);
	return err;
}

/* The rings are open. Looks at once: the peer's own opening may have rung before anybody listened
 * here. */
static void postern_start_queues(struct postern_nic *nic)
{
	unsigned int i;

	if (nic->member)
		postern_member_start(nic);
	for (i = 0; i < postern_used(nic); i++)
		napi_enable(&nic->queues[i].napi);
	netif_tx_start_all_queues(nic->dev);
	postern_ring_all(nic);
	postern_look(nic);
}

/* What other devices redirect to here asks this, not the stack's state of the queue. */
static void postern_stop_xdp(struct postern_queue *queue)
{
	struct netdev_queue *txq = postern_txq(queue);

	__netif_tx_lock_bh(txq);
	WRITE_ONCE(queue->up, false);
	__netif_tx_unlock_bh(txq);
}

/* Afterwards nobody sends or receives. */
static void postern_stop_queues(struct postern_nic *nic)
{
	unsigned int i;

	for (i = 0; i < postern_used(nic); i++)
		napi_disable(&nic->queues[i].napi);
	netif_carrier_off(nic->dev);
	/* After the last NAPI, which may have started a queue again. */
	if (nic->member)
		postern_member_stop(nic);
	else
		netif_tx_disable(nic->dev);
	for (i = 0; i < postern_used(nic); i++) {
		postern_stop_xdp(&nic->queues[i]);
		postern_stall_end(&nic->queues[i]);
		postern_tx_purge(&nic->queues[i]);
		postern_limit_reset(&nic->queues[i]);
	}
}

int postern_open(struct net_device *dev)
{
	struct postern_nic *nic = netdev_priv(dev);
	int err;

	netif_carrier_off(dev);
	err = postern_open_port(nic);
	if (err)
		return err;
	err = postern_request_irqs(nic);
	if (err) {
		postern_close_port(nic);
		return err;
	}
	/* After the interrupt is enabled: a change between the two is not missed. */
	postern_read_link(nic);
	postern_start_queues(nic);
	nic->open = true;
	return 0;
}

int postern_stop(struct net_device *dev)
{
	struct postern_nic *nic = netdev_priv(dev);

	if (!nic->open)
		return 0;
	nic->open = false;
	netif_tx_disable(dev);
	postern_free_irqs(nic);
	postern_stop_queues(nic);
	postern_close_port(nic);
	postern_ring_all(nic);
	return 0;
}

/* An interface that is down does so when it opens. For the peer the link goes down and comes up
 * again. */
static void postern_reopen(struct work_struct *work)
{
	struct postern_nic *nic = container_of(work, struct postern_nic, reopen_work);
	int err = 0;

	rtnl_lock();
	if (nic->open && postern_wants_reopen(nic, READ_ONCE(nic->link))) {
		postern_stop(nic->dev);
		err = postern_open(nic->dev);
	}
	rtnl_unlock();
	if (err)
		netdev_err(nic->dev, "it cannot be opened anew (%d)\n", err);
}

static void postern_reopen_end(void *data)
{
	struct postern_nic *nic = data;

	cancel_work_sync(&nic->reopen_work);
}

int postern_reopen_init(struct postern_nic *nic)
{
	INIT_WORK(&nic->reopen_work, postern_reopen);
	return devm_add_action_or_reset(&nic->pdev->dev, postern_reopen_end, nic);
}

int postern_reset(struct postern_nic *nic)
{
	int err;

	ASSERT_RTNL();
	if (!nic->open)
		return -ENETDOWN;
	postern_stop_queues(nic);
	err = postern_open_rings(nic);
	/* Also after an error: NAPI makes a failed crossing good. */
	postern_start_queues(nic);
	return err;
}

int postern_use_queues(struct postern_nic *nic, unsigned int count)
{
	struct net_device *dev = nic->dev;
	bool running = netif_running(dev);
	int err, restarted = 0;

	ASSERT_RTNL();
	if (running)
		postern_stop(dev);
	err = netif_set_real_num_queues(dev, count, count);
	if (running)
		restarted = postern_open(dev);
	return err ? err : restarted;
}

static int postern_change_mtu(struct net_device *dev, int mtu)
{
	struct postern_nic *nic = netdev_priv(dev);
	unsigned int i;

	if (rtnl_dereference(nic->xdp_program) && mtu > POSTERN_XDP_MTU_MAX) {
		netdev_err(dev, "with an XDP program the MTU is at most %u\n", POSTERN_XDP_MTU_MAX);
		return -EINVAL;
	}
	dev->mtu = mtu;
	for (i = 0; nic->open && i < postern_used(nic); i++)
		postern_port_set_mtu(&nic->queues[i].port, mtu);
	return 0;
}

static void postern_get_stats(struct net_device *dev, struct rtnl_link_stats64 *stats)
{
	struct postern_nic *nic = netdev_priv(dev);
	unsigned int i;

	for (i = 0; i < nic->queue_count; i++) {
		const u64 *counters = nic->queues[i].counters;

		stats->rx_packets += READ_ONCE(counters[POSTERN_RX_PACKETS]);
		stats->rx_bytes += READ_ONCE(counters[POSTERN_RX_BYTES]);
		stats->tx_packets += READ_ONCE(counters[POSTERN_TX_PACKETS]);
		stats->tx_bytes += READ_ONCE(counters[POSTERN_TX_BYTES]);
	}
}

/*
 * No ndo_tx_timeout: postern_stall.h says why, and what there is instead. `ethtool --reset` opens
 * the rings anew.
 */
const struct net_device_ops postern_netdev_ops = {
	.ndo_open = postern_open,
	.ndo_stop = postern_stop,
	.ndo_start_xmit = postern_start_xmit,
	.ndo_select_queue = postern_select_queue,
	.ndo_change_mtu = postern_change_mtu,
	.ndo_get_stats64 = postern_get_stats,
	.ndo_eth_ioctl = postern_ioctl,
	.ndo_bpf = postern_bpf,
	.ndo_xdp_xmit = postern_xdp_xmit,
	.ndo_set_mac_address = eth_mac_addr,
	.ndo_validate_addr = eth_validate_addr,
};
