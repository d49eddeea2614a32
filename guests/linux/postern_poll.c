// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A queue's NAPI: follows the peer and what befalls the ring, and receives.
 *
 * Locking: as in postern_nic.c.
 */
#include <linux/etherdevice.h>
#include <linux/io.h>
#include <linux/timex.h>

#include "postern_hypercall.h"
#include "postern_member.h"
#include "postern_nic.h"

/* Interrupts the peer. A peer that is not running misses nothing: it looks when it opens. */
void postern_doorbell(struct postern_queue *queue, enum postern_counter counter)
{
	struct postern_nic *nic = queue->nic;

	postern_count(queue, counter);
	if (nic->has_hypercalls)
		postern_hypercall(POSTERN_HC_DOORBELL, nic->number, queue->index);
	else
		writel(queue->index, nic->registers + POSTERN_REG_DOORBELL);
}

static const char *const postern_fault_names[POSTERN_FAULTS] = {
	[POSTERN_FAULT_IDENTITY] = "another ring version",
	[POSTERN_FAULT_HEAD] = "a wrong head",
	[POSTERN_FAULT_TAIL] = "a wrong tail",
	[POSTERN_FAULT_PAD] = "a wrong pad",
	[POSTERN_FAULT_LENGTH] = "a record's length",
	[POSTERN_FAULT_META] = "a record's flags",
	[POSTERN_FAULT_POSTED] = "its posted buffers",
	[POSTERN_FAULT_LENT] = "a lent payload outside of its pool",
};

/* Says once for each generation of the peer that it broke the ring. */
static void postern_report_fault(struct postern_queue *queue)
{
	const struct postern_ring *ring = &queue->port.ring;
	u32 fault = ring->fault;

	if (fault != POSTERN_FAULT_NONE && (queue->reported_fault == POSTERN_FAULT_NONE ||
					    queue->reported_generation != ring->peer_generation)) {
		postern_count(queue, POSTERN_BROKEN);
		if (net_ratelimit())
			netdev_warn(queue->nic->dev, "queue %u: the peer broke the ring: %s\n",
				    queue->index, postern_fault_names[fault]);
	}
	queue->reported_fault = fault;
	queue->reported_generation = ring->peer_generation;
}

/* A link's first queue is the interface's carrier. */
static void postern_set_carrier(struct postern_queue *queue, bool up)
{
	struct net_device *dev = queue->nic->dev;

	if (up)
		netif_carrier_on(dev);
	else
		netif_carrier_off(dev);
	if (!net_ratelimit())
		return;
	if (up)
		netdev_info(dev, "link up, the peer's MTU is %u\n", queue->port.ring.peer_mtu);
	else
		netdev_info(dev, "link down\n");
}

static void postern_set_up(struct postern_queue *queue, bool up)
{
	if (queue->nic->member) {
		postern_member_set_up(queue, up);
		return;
	}
	WRITE_ONCE(queue->up, up);
	if (queue->index == 0)
		postern_set_carrier(queue, up);
}

/* Follows the ring's state. NAPI only. */
static void postern_update_queue(struct postern_queue *queue)
{
	struct netdev_queue *txq = postern_txq(queue);
	bool up = postern_port_works(&queue->port) && postern_peer_runs(queue);

	if (likely(up == queue->up))
		return;
	postern_set_up(queue, up);
	__netif_tx_lock(txq, smp_processor_id());
	if (!up)
		postern_tx_purge(queue);
	/* Also of a queue that is down: what the stack still has for it is to be dropped. */
	postern_tx_restart(queue);
	__netif_tx_unlock(txq);
}

/* Follows the peer to another generation, or tells it that it broke the ring. NAPI only. */
static void postern_sync(struct postern_queue *queue)
{
	struct netdev_queue *txq = postern_txq(queue);
	bool bell;

	__netif_tx_lock(txq, smp_processor_id());
	bell = postern_port_sync(&queue->port);
	__netif_tx_unlock(txq);
	postern_report_fault(queue);
	if (bell)
		postern_doorbell(queue, POSTERN_LINK_DOORBELLS);
}

/* Says once for each time that a crossing failed; the carrier is down until it is made good. */
static void postern_report_error(struct postern_queue *queue)
{
	bool closed = READ_ONCE(queue->port.error) == POSTERN_ERR_NOT_OPEN;

	if (!queue->reported_error) {
		postern_count(queue, POSTERN_GATE_ERRORS);
		if (net_ratelimit())
			netdev_warn(queue->nic->dev, "a crossing failed: %s\n",
				    closed ? "the view is not open"
					   : "the peer has taken back what it reached");
	}
	queue->reported_error = true;
	postern_update_queue(queue);
}

int postern_open_ring(struct postern_queue *queue)
{
	int err = postern_port_open(&queue->port, queue->nic->dev->mtu, (u32)get_cycles());

	postern_limit_reset(queue);
	if (!err)
		postern_pool_begin(queue);
	return err;
}

/* After a crossing failed: begins anew if the window can be reached again. A crossing may have
 * ended anywhere, so the ring has to be opened again. NAPI only. */
static void postern_recover(struct postern_queue *queue)
{
	struct netdev_queue *txq = postern_txq(queue);
	int err;

	postern_report_error(queue);
	if (!postern_port_revived(&queue->port))
		return;
	__netif_tx_lock(txq, smp_processor_id());
	err = postern_open_ring(queue);
	__netif_tx_unlock(txq);
	if (err)
		return;
	queue->reported_error = false;
	postern_doorbell(queue, POSTERN_LINK_DOORBELLS);
}

int postern_poll(struct napi_struct *napi, int budget)
{
	struct postern_queue *queue = container_of(napi, struct postern_queue, napi);
	struct postern_port *port = &queue->port;
	int done;

	postern_count(queue, POSTERN_POLLS);
	if (unlikely(READ_ONCE(port->error)))
		postern_recover(queue);
	if (postern_port_sync_needed(port))
		postern_sync(queue);
	postern_update_queue(queue);
	done = postern_receive(queue, budget);
	if (netif_xmit_stopped(postern_txq(queue)))
		postern_wake_queue(queue);
	if (done == budget) {
		postern_count(queue, POSTERN_BUSY_POLLS);
		return budget;
	}
	if (postern_busy_polled(queue))
		return done;
	postern_tx_look(queue);
	/* Armed while still scheduled: an interrupt from here on is remembered by NAPI, and
	 * napi_complete_done then polls again. */
	if (!postern_port_arm_rx(port))
		return budget;
	postern_count(queue, POSTERN_REARMS);
	if (unlikely(READ_ONCE(port->error)))
		postern_report_error(queue);
	napi_complete_done(napi, done);
	return done;
}
