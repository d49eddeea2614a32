/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network device (VIRTIO 1.2, "Network Device"). What its driver sends is gathered in a batch,
 * for the owner to forward when virtio_notify() has returned; what comes for the driver is put into
 * its buffers at once, or is lost. What is to be known of a frame besides its bytes, a checksum
 * still to be made say, is told as a ring's record does (abi/ring.h).
 */
#ifndef POSTERN_VIRTIO_NET_H
#define POSTERN_VIRTIO_NET_H

#include "abi/fdb_ops.h"
#include "abi/ring_ops.h"
#include "virtio/device.h"

#define VIRTIO_NET_PAIRS_MAX ((VIRTIO_QUEUES_MAX - 1) / 2)
#define VIRTIO_NET_FRAME_MAX POSTERN_RING_MAX_PAYLOAD
/* Buffers that a frame may take of a driver with MRG_RXBUF. */
#define VIRTIO_NET_BUFFERS 64u
/* Of a batch: it takes no more when it has this many frames, or no room for the longest one. A
 * frame that may have to be cut into segments counts as many. */
#define VIRTIO_NET_FRAMES      64u
#define VIRTIO_NET_SEGMENTS    256u /* of one frame; one of more is not sent */
#define VIRTIO_NET_BATCH_BYTES (KIB(128) + VIRTIO_NET_FRAME_MAX)
/* Addresses of each kind that the driver may want frames for; with more it gets all. */
#define VIRTIO_NET_MACS  32u
#define VIRTIO_NET_VLANS 4096u
#define VIRTIO_NET_FLOWS 256u

struct virtio_net_frame {
    struct postern_ring_meta meta; /* valid */
    uint8_t *bytes;
};

struct virtio_net_batch {
    uint8_t *bytes; /* the owner's: VIRTIO_NET_BATCH_BYTES, aligned to 8 */
    uint32_t used;
    uint32_t work; /* what the frames count */
    uint32_t count;
    struct virtio_net_frame frames[VIRTIO_NET_FRAMES];
};

struct virtio_net_macs {
    bool all; /* there are more than have room */
    uint32_t count;
    uint64_t macs[VIRTIO_NET_MACS]; /* byte 0 lowest */
};

/* Which frames the driver wants (VIRTIO 1.2, "Packet Receive Filtering"). */
struct virtio_net_filter {
    bool promiscuous;
    bool all_multicast, all_unicast;
    bool no_multicast, no_unicast, no_broadcast;
    struct virtio_net_macs unicast, multicast;
    uint64_t vlans[VIRTIO_NET_VLANS / 64]; /* bits */
};

struct virtio_net {
    struct virtio_device device;
    struct virtio_net_batch *batch;
    uint64_t mac;       /* byte 0 lowest; as it was given */
    uint32_t pairs_max; /* queue pairs that there are */

    /* As the driver has set it up since the reset. */
    uint32_t pairs;
    uint64_t offloads; /* of its GUEST_ features, those in use */
    struct virtio_net_filter filter;
    uint8_t flows[VIRTIO_NET_FLOWS]; /* the pair by which a flow was sent last + 1; 0: none yet */
    uint32_t untold; /* a bit for each pair that has got frames since the driver was told */

    /* Frames. */
    uint64_t sent, received;
    uint64_t refused; /* sent, and not what a driver may send */
    uint64_t filtered;
    uint64_t lost; /* that the driver had no buffers for */
};

/* `features` is VIRTIO_FEATURES, and VIRTIO_F_RING_PACKED if that is to be offered. The owner has
 * vectors for 2 * `pairs` + 1 queues. The batch may be that of several devices, if the owner
 * forwards what is in it after each call of virtio_notify(). */
void virtio_net_init(struct virtio_net *net, const struct virtio_owner *owner, uint64_t features,
                     uint32_t pairs, uint64_t mac, uint16_t mtu, struct virtio_net_batch *batch);

/* How many queues a device with so many pairs has. */
static inline uint32_t virtio_net_queues(uint32_t pairs)
{
    return 2 * pairs + 1;
}

/* Empties a batch. */
static inline void virtio_net_empty(struct virtio_net_batch *batch)
{
    batch->used = 0;
    batch->work = 0;
    batch->count = 0;
}

/* Whether a driver may send by `queue`: a notification of no other one puts anything into the
 * batch.
 */
static inline bool virtio_net_sends(uint32_t queue)
{
    return queue % 2 != 0;
}

/* Shows the driver that the link is up, as it is at first, or down. */
void virtio_net_set_link(struct virtio_net *net, bool up);

/* Whether the driver takes a frame as it is: else its checksum is to be made, or it is to be cut.
 */
bool virtio_net_takes(const struct virtio_net *net, const struct postern_ring_meta *meta);

/* Puts a frame, which the driver takes, into its buffers. False if it is lost; true also for one
 * that the driver does not want. The driver is not told yet. */
bool virtio_net_receive(struct virtio_net *net, const uint8_t *frame,
                        const struct postern_ring_meta *meta);

/* Interrupts the driver if it wants that for what it has got. */
void virtio_net_tell(struct virtio_net *net);

#endif
