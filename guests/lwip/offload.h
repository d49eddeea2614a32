/* SPDX-License-Identifier: BSD-2-Clause */
/* What a ring's record tells of checksums: for frames that are sent, and of those received. */
#ifndef POSTERN_GUESTS_LWIP_OFFLOAD_H
#define POSTERN_GUESTS_LWIP_OFFLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/ring_ops.h"

/*
 * Describes a frame of `length` bytes that is to be sent, of which the first `available` are at
 * `frame`. The checksum of a TCP segment or UDP datagram is left to whoever takes the packet away
 * from the machine: the sum of its pseudo-header goes into the field, as CSUM wants it. False if
 * the headers do not lie in a row or tell nonsense.
 */
bool offload_describe(uint8_t *frame, uint32_t available, uint32_t length,
                      struct postern_ring_meta *meta);

/* Need the checksums of TCP and UDP not be looked at? */
static inline bool offload_trusts(const struct postern_ring_meta *meta)
{
    return (meta->flags & (POSTERN_RECORD_CSUM | POSTERN_RECORD_VALID)) != 0;
}

#endif
