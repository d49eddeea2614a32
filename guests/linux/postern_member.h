/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A member's place in a network (docs/abi.md, "The forwarding database"): queue q of its interface
 * is its lane to member q, one of them the lane to the switch. A lane that leads nowhere is a queue
 * too, whose peer is down for good.
 *
 * Which lane a frame takes is decided when the stack asks for its queue. So each lane has a queue
 * of its own in the stack, and one that is full stops none of the others. A lane that nobody
 * empties for POSTERN_GIVE_UP_MS drops what is sent to it until there is room again: otherwise a
 * member could hold up whoever has something to say to others too, by the packets that wait for it.
 */
#ifndef POSTERN_GUESTS_LINUX_POSTERN_MEMBER_H
#define POSTERN_GUESTS_LINUX_POSTERN_MEMBER_H

#include "postern_nic.h"

#define POSTERN_GIVE_UP_MS 200

/* Of a port that is a member's: sets nic->member. Before its queues. */
int postern_member_init(struct postern_nic *nic);
/* What the queue has to take for its peer's slice: `peer`, if the lane leads anywhere. */
const void *postern_member_peer(const struct postern_queue *queue, const void *peer);
/* Does the queue lead anywhere? */
bool postern_member_has(const struct postern_member *member, unsigned int index);
/* The lane to the switch. */
unsigned int postern_member_switch(const struct postern_member *member);
/* Writes the lane's name, as "direct2" or "switch". */
void postern_member_name(const struct postern_queue *queue, char *name, size_t size);

/* The queue for a packet that the stack is about to send. */
u16 postern_member_select(const struct postern_nic *nic, const struct sk_buff *skb);

/* With the transmit lock: */

/* Is the lane one that nobody empties? */
bool postern_member_stalled(struct postern_queue *queue);
/* Would the switch drop the packet? Asked on the lane to the switch only: the other lanes were
 * chosen since it would not. */
bool postern_member_filters(const struct postern_queue *queue, const struct sk_buff *skb);
/* The queue was stopped. */
void postern_member_stopped(struct postern_queue *queue);

/* NAPI only. Would the switch have let the frame pass that came by this queue? */
bool postern_member_accepts(const struct postern_queue *queue, const u8 *frame, u32 length);
/* NAPI only. The lane has come up or gone down: the carrier is there while any is up. */
void postern_member_set_up(struct postern_queue *queue, bool up);

/* Around the time in which the stack may send. */
void postern_member_start(struct postern_nic *nic);
void postern_member_stop(struct postern_nic *nic);

#endif
