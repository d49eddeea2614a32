// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Byte queue limits. */
#include <linux/sizes.h>

#include "postern_nic.h"

/* The kernel's limit goes down by itself to what is taken from one doorbell to the next, twice. So
 * that the two exits of a doorbell are for many packets, this is the least unless the user wants
 * less, and half of it goes from one to the next. */
static u64 postern_limit_least(const struct postern_queue *queue)
{
	return min_t(u64, queue->port.ring.data_size / 4, SZ_512K);
}

/* What may still be sent; below 0: what is too much. */
static int postern_limit_left(const struct postern_queue *queue)
{
#ifdef CONFIG_BQL
	return dql_avail(&postern_txq(queue)->dql);
#else
	return INT_MAX;
#endif
}

static bool postern_limit_stopped(const struct postern_queue *queue)
{
	return test_bit(__QUEUE_STATE_STACK_XOFF, &postern_txq(queue)->state);
}

void postern_limit_init(struct postern_queue *queue)
{
	netdev_queue_set_dql_min_limit(postern_txq(queue), postern_limit_least(queue));
}

void postern_limit_reset(struct postern_queue *queue)
{
	struct netdev_queue *txq = postern_txq(queue);

	WRITE_ONCE(queue->limit.sent, queue->port.ring.published_head);
	WRITE_ONCE(queue->limit.done, queue->limit.sent);
	netdev_tx_reset_queue(txq);
	/* The limit is 0 now, and would stop the queue with the first packet. It goes to its least
	 * with the first byte that is taken. */
	netdev_tx_sent_queue(txq, 1);
	netdev_tx_completed_queue(txq, 1, 1);
}

void postern_limit_taken(struct postern_queue *queue)
{
	struct postern_limit *limit = &queue->limit;
	/* Of what the kernel was told, and of no more: it takes that for its own bug. A new peer's
	 * tail may be behind. */
	u64 tail = min(queue->port.ring.peer_tail, limit->sent);
	s64 taken = tail - limit->done;

	if (taken <= 0)
		return;
	WRITE_ONCE(limit->done, tail);
	netdev_tx_completed_queue(postern_txq(queue), 1, taken);
}

void postern_limit_look(struct postern_queue *queue)
{
	if (!postern_limit_in_flight(&queue->limit))
		return;
	/* For all of the ring to be free it looks at the tail. */
	postern_port_room(&queue->port, queue->port.ring.data_size);
	postern_limit_taken(queue);
}

bool postern_limit_sent(struct postern_queue *queue, bool stops)
{
	struct netdev_queue *txq = postern_txq(queue);
	s64 bytes = queue->port.ring.published_head - queue->limit.sent;
	bool stopped = postern_limit_stopped(queue);

	if (!bytes)
		return false;
	/* First, so that the kernel does not take a late look for a starved peer. In a queue that
	 * is stopped, as some senders do not mind, the doorbell is waited for. */
	if (unlikely(postern_limit_left(queue) < bytes) && !stopped)
		postern_limit_look(queue);
	WRITE_ONCE(queue->limit.sent, queue->limit.sent + bytes);
	__netdev_tx_sent_queue(txq, bytes, !stops);
	return unlikely(postern_limit_stopped(queue)) && !stopped;
}

u64 postern_limit_wanted(const struct postern_queue *queue)
{
	const struct postern_limit *limit = &queue->limit;
	u64 size = queue->port.ring.data_size, most;

	if (!postern_limit_stopped(queue))
		return 0;
	most = limit->sent - limit->done + postern_limit_left(queue);
	return size - min(size, most - min(most, postern_limit_least(queue)) / 2);
}
