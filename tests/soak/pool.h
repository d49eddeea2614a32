/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pool of an end of a link in mode direct, as an honest driver uses it: pages that are posted,
 * for the peer to fill, and behind them places from which packets are lent. Both soaks have it
 * (tests/soak, tests/neighbours); how pages are given and posted is their own.
 */
#ifndef POSTERN_TESTS_SOAK_POOL_H
#define POSTERN_TESTS_SOAK_POOL_H

#include "abi/gate_ring.h"
#include "tests/soak/packet.h"

#define POOL_SIZE        0x20000u
#define POOL_PAGE        4096u
#define POOL_POSTED      8u /* pages */
#define POOL_PLACES      8u
#define POOL_PLACE_PAGES 3u
#define POOL_PAGES       (POOL_POSTED + POOL_PLACES * POOL_PLACE_PAGES)

_Static_assert(POOL_SIZE >= POOL_PAGES * POOL_PAGE, "a pool has room for all pages");
_Static_assert(LENGTH_MAX <= POOL_PLACE_PAGES * POOL_PAGE, "a place has room for any packet");

struct pool {
    uint8_t *pages;
    uint64_t filled, reposted; /* posted pages, in this opening */
    struct {
        bool used;
        uint64_t position; /* of the ring: when the peer has got there the place is free again */
    } places[POOL_PLACES];
};

/* The end opens its ring, and posts POOL_POSTED pages then. Nothing is lent before both ends are up
 * again, when the peer has nothing any more of what was. */
static inline void pool_begin(struct pool *pool)
{
    pool->filled = 0;
    pool->reposted = 0;
    __builtin_memset(pool->places, 0, sizeof(pool->places));
}

/* What is posted as number `number` since the opening. */
static inline struct postern_posted pool_buffer(uint64_t number)
{
    return (struct postern_posted){(uint32_t)(number % POOL_POSTED) * POOL_PAGE, POOL_PAGE};
}

/* Copies a packet of `length` bytes that is in the next posted pages. They are to be posted again,
 * until `reposted` is `filled`. */
static inline void pool_read(struct pool *pool, void *to, uint32_t length)
{
    for (uint32_t done = 0; done < length; done += POOL_PAGE) {
        uint32_t chunk = length - done < POOL_PAGE ? length - done : POOL_PAGE;

        __builtin_memcpy((uint8_t *)to + done, pool->pages + pool_buffer(pool->filled++).offset,
                         chunk);
    }
}

/* Has the packet, of one piece, be lent, if it is long enough and there is a place: that is where
 * it is to be written. Else NULL. The ring is up. */
static inline void *pool_lend(struct pool *pool, const struct postern_ring *ring,
                              struct postern_gate_packet *packet)
{
    uint64_t offset;
    unsigned place = 0;

    if (packet->meta.length < POSTERN_POSTED_MIN || !ring->peer_borrows) {
        return NULL;
    }
    while (place < POOL_PLACES && pool->places[place].used &&
           !postern_ring_returned(ring, pool->places[place].position)) {
        place++;
    }
    if (place == POOL_PLACES) {
        return NULL;
    }
    pool->places[place].used = true;
    pool->places[place].position = ring->head + 2 * ring->data_size; /* until it is sent */
    offset = (POOL_POSTED + (uint64_t)place * POOL_PLACE_PAGES) * POOL_PAGE;
    packet->meta.flags |= POSTERN_RECORD_LENT;
    packet->pieces[0].address = (void *)offset;
    return pool->pages + offset;
}

/* The ring has committed what was to be lent, or does not want it. */
static inline void pool_sent(struct pool *pool, const struct postern_ring *ring)
{
    for (unsigned place = 0; place < POOL_PLACES; place++) {
        if ((int64_t)(pool->places[place].position - ring->head) > 0) {
            pool->places[place].position = ring->head;
        }
    }
}

#endif
