/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The pool of a port in mode direct: pages of this kernel, which the peer fills with packets, and
 * which go to the stack as they are.
 *
 * A queue has a fixed set of pages. They are given to the peer while the port is open, and posted
 * (abi/ring_pool.h) while no packet has them. The driver has a reference to each; a page is posted
 * again when that is the only one left.
 *
 * The peer may write into a page at any time, also while the stack has it. So the first bytes of a
 * packet, all headers among them, are copied before anybody looks at them. What the peer can still
 * change is what it might have sent in the first place.
 */
#ifndef POSTERN_GUESTS_LINUX_POSTERN_POOL_H
#define POSTERN_GUESTS_LINUX_POSTERN_POOL_H

#include <linux/skbuff.h>

struct postern_nic;
struct postern_pool;
struct postern_queue;

/* Of a packet in pages of the pool, so much is copied. */
#define POSTERN_POOL_HEAD 256u

/* Maps the peer's pool, and tells the rings. Another mode than direct: nothing, as all of these.
 * Before the interface is registered. */
int postern_pool_init(struct postern_nic *nic);
/* Gives pages to the peer: before the rings are opened. Returns an errno. Under rtnl. */
int postern_pool_open(struct postern_nic *nic);
/* Takes them all back, and lets go of them: when the rings are closed. Under rtnl. */
void postern_pool_close(struct postern_nic *nic);
/* Posts all pages that no packet has: the ring was just opened, and has none posted. */
void postern_pool_begin(struct postern_queue *queue);

/* All of the following: NAPI only. Posts pages that have come back, when there are many. */
void postern_pool_refill(struct postern_queue *queue);
/* The next posted packet, of `length` bytes, into the skb, in whose linear part there is room for
 * POSTERN_POOL_HEAD of them, or for all, if these are fewer. */
void postern_pool_fill(struct postern_queue *queue, struct sk_buff *skb, u32 length);
/* All its bytes to `to`; NULL: nowhere. */
void postern_pool_copy(struct postern_queue *queue, void *to, u32 length);

#endif
