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
#include <linux/timex.h>

#include "abi/pci.h"
#include "postern_gate.h"
#include "postern_hypercall.h"
#include "postern_nic.h"

/* Interrupts the peer. A peer that is not running misses nothing: it looks when it opens. */
void postern_doorbell(struct postern_nic *nic, enum postern_counter counter)
{
	postern_count(nic, counter);
	if (nic->has_hypercalls)
		postern_hypercall(POSTERN_HC_DOORBELL, nic->number, 0);
	else
		writel(0, nic->registers + POSTERN_REG_DOORBELL);
}

static const char *const postern_fault_names[POSTERN_FAULTS] = {
	[POSTERN_FAULT_IDENTITY] = "another ring version",
	[POSTERN_FAULT_HEAD] = "a wrong head",
	[POSTERN_FAULT_TAIL] = "a wrong tail",
	[POSTERN_FAULT_PAD] = "a wrong pad",
	[POSTERN_FAULT_LENGTH] = "a record's length",
	[POSTERN_FAULT_META] = "a record's flags",
};

/* Says once for each generation of the peer that it broke the ring. */
static void postern_report_fault(struct postern_nic *nic)
{
	u32 fault = nic->port.ring.fault;

	if (fault != POSTERN_FAULT_NONE &&
	    (nic->reported_fault == POSTERN_FAULT_NONE ||
	     nic->reported_generation != nic->port.ring.peer_generation)) {
		postern_count(nic, POSTERN_BROKEN);
		if (net_ratelimit())
			netdev_warn(nic->dev, "the peer broke the ring: %s\n",
				    postern_fault_names[fault]);
	}
	nic->reported_fault = fault;
	nic->reported_generation = nic->port.ring.peer_generation;
}

static void postern_update_carrier(struct postern_nic *nic)
{
	struct net_device *dev = nic->dev;
	bool up = nic->port.ring.up && !READ_ONCE(nic->port.error) && READ_ONCE(nic->peer_runs);

	if (up == netif_carrier_ok(dev))
		return;
	if (up) {
		netif_carrier_on(dev);
		netif_wake_queue(dev);
	} else {
		netif_carrier_off(dev);
	}
	if (!net_ratelimit())
		return;
	if (up)
		netdev_info(dev, "link up, the peer's MTU is %u\n", nic->port.ring.peer_mtu);
	else
		netdev_info(dev, "link down\n");
}

/* Follows the peer to another generation, or tells it that it broke the ring. NAPI only. */
static void postern_sync(struct postern_nic *nic)
{
	bool bell;

	netif_tx_lock(nic->dev);
	bell = postern_port_sync(&nic->port);
	netif_tx_unlock(nic->dev);
	postern_report_fault(nic);
	if (bell)
		postern_doorbell(nic, POSTERN_LINK_DOORBELLS);
}

/* Says once for each time that a crossing failed; the carrier is down until it is made good. */
static void postern_report_error(struct postern_nic *nic)
{
	bool closed = READ_ONCE(nic->port.error) == POSTERN_ERR_NOT_OPEN;

	if (!nic->reported_error) {
		postern_count(nic, POSTERN_GATE_ERRORS);
		if (net_ratelimit())
			netdev_warn(nic->dev, "a crossing failed: %s\n",
				    closed ? "the view is not open"
					   : "the peer has revoked its section");
	}
	nic->reported_error = true;
	postern_update_carrier(nic);
}

/* After a crossing failed: begins anew if the window can be reached again. A crossing may have
 * ended anywhere, so the ring has to be opened again. NAPI only. */
static void postern_recover(struct postern_nic *nic)
{
	int err;

	postern_report_error(nic);
	if (!postern_port_revived(&nic->port))
		return;
	netif_tx_lock(nic->dev);
	err = postern_port_open(&nic->port, nic->dev->mtu, (u32)get_cycles());
	netif_tx_unlock(nic->dev);
	if (err)
		return;
	nic->reported_error = false;
	postern_doorbell(nic, POSTERN_LINK_DOORBELLS);
}

int postern_poll(struct napi_struct *napi, int budget)
{
	struct postern_nic *nic = container_of(napi, struct postern_nic, napi);
	struct postern_port *port = &nic->port;
	int done;

	if (unlikely(READ_ONCE(port->error)))
		postern_recover(nic);
	if (postern_port_sync_needed(port))
		postern_sync(nic);
	postern_update_carrier(nic);
	done = postern_receive(nic, budget);
	if (netif_queue_stopped(nic->dev))
		postern_wake_queue(nic);
	if (done == budget)
		return budget;
	/* Armed while still scheduled: an interrupt from here on is remembered by NAPI, and
	 * napi_complete_done then polls again. */
	if (!postern_port_arm_rx(port))
		return budget;
	if (unlikely(READ_ONCE(port->error)))
		postern_report_error(nic);
	napi_complete_done(napi, done);
	return done;
}

static irqreturn_t postern_ring_interrupt(int irq, void *data)
{
	struct postern_nic *nic = data;

	postern_count(nic, POSTERN_RING_INTERRUPTS);
	napi_schedule(&nic->napi);
	return IRQ_HANDLED;
}

static void postern_read_link(struct postern_nic *nic)
{
	u32 link = readl(nic->registers + POSTERN_REG_LINK);

	WRITE_ONCE(nic->peer_runs, (link & POSTERN_LINK_PEER_RUNS) != 0);
}

static irqreturn_t postern_link_interrupt(int irq, void *data)
{
	struct postern_nic *nic = data;

	postern_count(nic, POSTERN_LINK_INTERRUPTS);
	postern_read_link(nic);
	napi_schedule(&nic->napi);
	return IRQ_HANDLED;
}

static u32 postern_queues(struct postern_nic *nic)
{
	return readl(nic->registers + POSTERN_REG_QUEUES);
}

static int postern_request_irqs(struct postern_nic *nic)
{
	int ring_irq = pci_irq_vector(nic->pdev, POSTERN_VECTOR_QUEUE(0));
	int link_irq = pci_irq_vector(nic->pdev, POSTERN_VECTOR_LINK(postern_queues(nic)));
	int err = request_irq(ring_irq, postern_ring_interrupt, 0, nic->dev->name, nic);

	if (err)
		return err;
	err = request_irq(link_irq, postern_link_interrupt, 0, nic->dev->name, nic);
	if (err)
		free_irq(ring_irq, nic);
	return err;
}

/* Opens the port's view, if it needs one, and the port. */
static int postern_open_port(struct postern_nic *nic)
{
	struct postern_port *port = &nic->port;
	int err;

	if (nic->user)
		return -EBUSY;
	if (port->gated) {
		err = postern_view_open(nic->number);
		if (err < 0)
			return err;
		port->view = err;
	}
	err = postern_port_open(port, nic->dev->mtu, (u32)get_cycles());
	if (err && port->gated)
		postern_view_close(nic->number);
	return err;
}

static void postern_close_port(struct postern_nic *nic)
{
	postern_port_close(&nic->port);
	if (nic->port.gated)
		postern_view_close(nic->number);
}

static int postern_open(struct net_device *dev)
{
	struct postern_nic *nic = netdev_priv(dev);
	int err;

	netif_carrier_off(dev);
	nic->reported_fault = POSTERN_FAULT_NONE;
	nic->reported_error = false;
	err = postern_open_port(nic);
	if (err)
		return err;
	err = postern_request_irqs(nic);
	if (err) {
		postern_close_port(nic);
		return err;
	}
	napi_enable(&nic->napi);
	netif_start_queue(dev);
	postern_doorbell(nic, POSTERN_LINK_DOORBELLS);
	/* After the interrupt is enabled: a change between the two is not missed. */
	postern_read_link(nic);
	/* The peer's own opening may have rung before anybody listened here. */
	local_bh_disable();
	napi_schedule(&nic->napi);
	local_bh_enable();
	return 0;
}

static int postern_stop(struct net_device *dev)
{
	struct postern_nic *nic = netdev_priv(dev);

	netif_tx_disable(dev);
	free_irq(pci_irq_vector(nic->pdev, POSTERN_VECTOR_LINK(postern_queues(nic))), nic);
	free_irq(pci_irq_vector(nic->pdev, POSTERN_VECTOR_QUEUE(0)), nic);
	napi_disable(&nic->napi);
	netif_carrier_off(dev);
	postern_close_port(nic);
	postern_doorbell(nic, POSTERN_LINK_DOORBELLS);
	return 0;
}

static int postern_change_mtu(struct net_device *dev, int mtu)
{
	struct postern_nic *nic = netdev_priv(dev);

	dev->mtu = mtu;
	if (netif_running(dev))
		postern_port_set_mtu(&nic->port, mtu);
	return 0;
}

const struct net_device_ops postern_netdev_ops = {
	.ndo_open = postern_open,
	.ndo_stop = postern_stop,
	.ndo_start_xmit = postern_start_xmit,
	.ndo_change_mtu = postern_change_mtu,
	.ndo_get_stats64 = dev_get_tstats64,
	.ndo_set_mac_address = eth_mac_addr,
	.ndo_validate_addr = eth_validate_addr,
};
