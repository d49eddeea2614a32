/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What senders leave to the network, for receivers that do not do it: checksums that are still to
 * be made, and TCP segments that are to be cut. A frame is told of as a ring's record tells
 * (abi/ring.h).
 *
 * Pure functions over the caller's own memory, which nobody else writes. Whatever a frame has in
 * it, nothing outside of it is read.
 */
#ifndef POSTERN_NET_OFFLOAD_H
#define POSTERN_NET_OFFLOAD_H

#include "abi/ring_ops.h"
#include "lib/types.h"

/* Makes the checksum that `meta` (valid, no GSO) asks for, if it does, and takes that out of it. */
void offload_checksum(uint8_t *frame, struct postern_ring_meta *meta);

/* A large segment that is being cut. */
struct offload_cut {
    const uint8_t *frame;
    struct postern_ring_meta meta;
    uint32_t ip;   /* where the IP header is in the frame */
    uint32_t done; /* bytes of the payload */
};

/* Begins to cut a frame with GSO; `meta` is valid. False: its headers are not those of TCP over IP,
 * of the version that `meta` tells. */
bool offload_cut_begin(struct offload_cut *cut, const uint8_t *frame,
                       const struct postern_ring_meta *meta);

/* The most bytes that a segment has. */
static inline uint32_t offload_cut_size(const struct offload_cut *cut)
{
    uint32_t size = (uint32_t)cut->meta.header_length + cut->meta.gso_size;

    return size < cut->meta.length ? size : cut->meta.length;
}

/* Writes the next segment to `to`, which has room for offload_cut_size() bytes. Its checksum is
 * still to be made: `segment` says so. False: there is none any more. */
bool offload_cut_next(struct offload_cut *cut, uint8_t *to, struct postern_ring_meta *segment);

#endif
