/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Byte queue limits: the kernel bounds what waits in a ring, and adapts the bound to what the peer
 * takes meanwhile (linux/dynamic_queue_limits.h); what is beyond waits in the queueing discipline.
 *
 * The bytes are the ring's, with headers and pads, and of packets in pages of a pool their records
 * only. Sent is what was published. Taken is what the peer's tail says, and nobody rings for that:
 * the driver looks when the limit seems to be reached, and when NAPI ends. Only if there is too
 * much even then does the stack's queue stop, and the peer is asked to ring, as for a full ring,
 * when it has taken a good part. So a stream whose peer keeps up goes without doorbells.
 *
 * All with the transmit lock, or while nobody sends, unless it says so.
 */
#ifndef POSTERN_GUESTS_LINUX_POSTERN_LIMIT_H
#define POSTERN_GUESTS_LINUX_POSTERN_LIMIT_H

#include <linux/compiler.h>
#include <linux/types.h>

struct postern_queue;

/* Positions in the ring. What is between them is what the kernel believes to be in flight. */
struct postern_limit {
	u64 sent; /* it was told of what is before it */
	u64 done; /* and that the peer has taken what is before it */
};

/* Is anything in flight? The answer may be old without the lock. */
static inline bool postern_limit_in_flight(const struct postern_limit *limit)
{
	return READ_ONCE(limit->done) != READ_ONCE(limit->sent);
}

/* Before the interface is registered, with the ring set up. */
void postern_limit_init(struct postern_queue *queue);
/* Nothing is in flight, and the stack's queue not stopped: the ring was opened, or lost its peer.
 */
void postern_limit_reset(struct postern_queue *queue);
/* Tells of what was published. Returns whether this has stopped the stack's queue, which it does
 * only for the stack's own packets (`stops`): other senders do not ask whether they may. */
bool postern_limit_sent(struct postern_queue *queue, bool stops);
/* Tells of what the peer was last seen to have taken; may start the stack's queue again. */
void postern_limit_taken(struct postern_queue *queue);
/* Looks at what the peer has taken, and tells of it. */
void postern_limit_look(struct postern_queue *queue);
/* Bytes of the ring that have to be free to start the stack's queue again; 0 if it runs. */
u64 postern_limit_wanted(const struct postern_queue *queue);

#endif
