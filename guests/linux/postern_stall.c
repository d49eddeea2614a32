// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Queues that are stopped for long. An idle link has no timer. */
#include "postern_nic.h"

#define POSTERN_STALL_SECONDS 5

static u64 postern_stops(const struct postern_queue *queue)
{
	return READ_ONCE(queue->counters[POSTERN_TX_STOPS]);
}

void postern_stall_watch(struct postern_queue *queue)
{
	struct postern_stall *stall = &queue->stall;

	/* Under load a queue stops all the time: the timer then goes on from one stop to another.
	 */
	if (timer_pending(&stall->timer))
		return;
	stall->stops = postern_stops(queue);
	mod_timer(&stall->timer, jiffies + POSTERN_STALL_SECONDS * HZ);
}

static void postern_stall_expire(struct timer_list *timer)
{
	struct postern_queue *queue = from_timer(queue, timer, stall.timer);
	struct netdev_queue *txq = postern_txq(queue);

	__netif_tx_lock(txq, smp_processor_id());
	if (!netif_xmit_stopped(txq) || !READ_ONCE(queue->up)) {
		/* It goes on. */
	} else if (postern_stops(queue) != queue->stall.stops) {
		postern_stall_watch(queue);
	} else {
		postern_count(queue, POSTERN_TX_STALLS);
		if (net_ratelimit())
			netdev_warn(queue->nic->dev,
				    "queue %u: the peer has made no room for %u seconds\n",
				    queue->index, POSTERN_STALL_SECONDS);
	}
	__netif_tx_unlock(txq);
}

void postern_stall_init(struct postern_queue *queue)
{
	timer_setup(&queue->stall.timer, postern_stall_expire, 0);
}

void postern_stall_end(struct postern_queue *queue)
{
	del_timer_sync(&queue->stall.timer);
}
