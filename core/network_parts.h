/* SPDX-License-Identifier: BSD-2-Clause */
/* What the three files of networks share. Nobody else includes this. */
#ifndef POSTERN_CORE_NETWORK_PARTS_H
#define POSTERN_CORE_NETWORK_PARTS_H

#include "core/network.h"

/* Makes the hypervisor's switch, with the rules of the configuration, over `own` and the sections.
 */
status_t network_switch_create(struct network *network) MUST_CHECK;

/* Switches frames that `member` has sent. STATUS_BUSY when there are more, or when another CPU does
 * so now: the member is to ring again. The caller holds no lock. */
status_t network_serve(struct network *network, uint32_t member) MUST_CHECK;

/* Below: with the network's lock. */

/* A frame in the hypervisor's memory, where its checksum may be made. */
struct network_frame {
    uint8_t *bytes;
    struct postern_ring_meta meta; /* valid */
};

/* Switches a frame that `member` has sent. Returns a bit for each member whose doorbell is due. */
uint32_t network_forward(struct network *network, uint32_t member, struct network_frame *frame,
                         uint64_t now);

/* Ends an exit's work for `member`: shows the receivers what they have got, gives the lock back,
 * and rings. */
void network_finish(struct network *network, uint32_t member, uint32_t bells);

/* Nanoseconds, for network_forward(). */
uint64_t network_now(void);

/* Makes `meta` that of a frame that grows by `growth` in its header. False if it then is none. */
bool network_grow_meta(struct postern_ring_meta *meta, int growth) MUST_CHECK;

/* Of a network that has members with virtio's NIC: what these take. */
status_t network_nets_create(struct network *network) MUST_CHECK;

/* Whether such a member takes a frame whole, with GSO or without. */
bool network_net_takes(struct network *network, uint32_t member,
                       const struct postern_ring_meta *meta);

/* Puts a frame into such a member's buffers, as it wants it. */
void network_net_put(struct network *network, const struct switch_output *output,
                     struct network_frame *frame, uint32_t member);

/* Interrupts those that have got frames and want that; whether there was any. */
bool network_nets_tell(struct network *network);

#endif
