/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pools of a link in mode direct, as a ring uses them: buffers that the receiver posts and the
 * sender fills, and payloads that the sender lends. Part of abi/ring_ops.h, which says what holds
 * for all of it. Nothing here gives or takes pages: that is the hypervisor's part (docs/abi.md).
 *
 * No number of a buffer goes back to the receiver: buffers are filled in the order in which they
 * were posted, so a sender can only lie about how many bytes it has written.
 *
 * All of a port's queues share its pools; which of them uses which part of one is for the guest to
 * say.
 */
#ifndef POSTERN_ABI_RING_POOL_H
#define POSTERN_ABI_RING_POOL_H

#include "abi/ring_end.h"

/* From how many bytes on a posted buffer is used. To find one and to count it off takes some 150
 * instructions of both gates, to post it again some 30, and its owner copies the headers anyway:
 * below, to copy the packet twice costs less. */
#define POSTERN_POSTED_MIN 512u

/*
 * After init, before open: this end has pools of `size` bytes, as the NIC's register says.
 * `peer_pool` is where the peer's is mapped; NULL, if it is not: then this end fills no posted
 * buffers and refuses payloads that are LENT.
 */
static inline void postern_ring_set_pool(struct postern_ring *ring, void *peer_pool, uint64_t size)
{
    ring->peer_pool = (uint8_t *)peer_pool;
    ring->pool_size = size;
}

static inline bool postern_ring_in_pool(const struct postern_ring *ring, uint64_t offset,
                                        uint64_t size)
{
    return offset <= ring->pool_size && size <= ring->pool_size - offset;
}

static inline uint64_t *postern_ring_posted_entry(const struct postern_ring *ring, uint64_t number)
{
    return (uint64_t *)(void *)((uint8_t *)ring->own + POSTERN_POSTED_OFFSET) +
           number % POSTERN_POSTED_MAX;
}

/* Consumer: is there a place for another posted buffer? */
static inline bool postern_ring_may_post(const struct postern_ring *ring)
{
    return ring->posted - ring->filled < POSTERN_POSTED_MAX;
}

/*
 * Consumer: posts a buffer in the own pool. It is the peer's after the next publish_posted, and the
 * caller's again when a record has filled it, or, after a new opening of this end, when both ends
 * are up again. Until then the peer may write there at any time. False: POSTERN_POSTED_MAX are
 * posted already, or the pool has no such buffer.
 */
static inline bool postern_ring_post(struct postern_ring *ring, struct postern_posted buffer)
{
    uint64_t entry;

    if (buffer.size == 0 || !postern_ring_in_pool(ring, buffer.offset, buffer.size) ||
        !postern_ring_may_post(ring)) {
        return false;
    }
    __builtin_memcpy(&entry, &buffer, sizeof(entry));
    POSTERN_STORE(postern_ring_posted_entry(ring, ring->posted), entry);
    ring->posted++;
    return true;
}

/* Consumer: shows the peer all that was posted. No doorbell: a sender does not wait for buffers. */
static inline void postern_ring_publish_posted(struct postern_ring *ring)
{
    if (ring->posted != ring->published_posted) {
        ring->published_posted = ring->posted;
        /* The entries, and what was read of the buffers before. Partner: the acquire in
         * postern_ring_find_posted. */
        POSTERN_STORE_RELEASE(&ring->own->posted, ring->posted);
    }
}

/* How many of the own buffers from number `first` on `length` bytes fill; 0: there are too few. */
static inline unsigned postern_ring_count_filled(const struct postern_ring *ring, uint64_t first,
                                                 uint32_t length)
{
    for (unsigned count = 0; count < POSTERN_POSTED_SPAN && first + count != ring->published_posted;
         count++) {
        struct postern_posted buffer;

        /* The own section: nobody else writes there. */
        __builtin_memcpy(&buffer, postern_ring_posted_entry(ring, first + count), sizeof(buffer));
        if (buffer.size >= length) {
            return count + 1;
        }
        length -= buffer.size;
    }
    return 0;
}

/* Producer: how many of the peer's buffers are posted and not filled; looks again if that may be
 * too few for a record. 0 after a fault. */
static inline uint64_t postern_ring_outstanding(struct postern_ring *ring)
{
    uint64_t posted;

    if (ring->peer_posted - ring->peer_filled >= POSTERN_POSTED_SPAN) {
        return ring->peer_posted - ring->peer_filled;
    }
    /* Partner: the release in postern_ring_publish_posted: the entries are there, and the peer has
     * read what was in the buffers. */
    posted = POSTERN_LOAD_ACQUIRE(&ring->peer->posted);
    if (posted - ring->peer_filled > POSTERN_POSTED_MAX) {
        postern_ring_fail(ring, POSTERN_FAULT_POSTED);
        return 0;
    }
    ring->peer_posted = posted;
    return posted - ring->peer_filled;
}

/*
 * Producer: the next of the peer's posted buffers, as many as `length` bytes take, each inside of
 * its pool. Returns how many: 0, if there are too few, or this end does not reach them. They are
 * used up when postern_ring_use_posted() says so; the record has to follow.
 */
static inline unsigned postern_ring_find_posted(struct postern_ring *ring, uint32_t length,
                                                struct postern_posted buffers[POSTERN_POSTED_SPAN])
{
    const uint8_t *entries = (const uint8_t *)ring->peer + POSTERN_POSTED_OFFSET;
    uint64_t first = ring->peer_filled, outstanding;

    if (ring->peer_pool == NULL) {
        return 0;
    }
    outstanding = postern_ring_outstanding(ring);
    for (unsigned count = 0; count < POSTERN_POSTED_SPAN && count < outstanding; count++) {
        struct postern_posted *buffer = &buffers[count];
        uint64_t entry;

        entry = POSTERN_LOAD((const uint64_t *)(const void *)entries +
                             (first + count) % POSTERN_POSTED_MAX);
        __builtin_memcpy(buffer, &entry, sizeof(*buffer));
        if (buffer->size == 0 || !postern_ring_in_pool(ring, buffer->offset, buffer->size)) {
            postern_ring_fail(ring, POSTERN_FAULT_POSTED);
            return 0;
        }
        if (buffer->size >= length) {
            return count + 1;
        }
        length -= buffer->size;
    }
    return 0;
}

/* Producer: the payload of a record that is POSTED is in the first `count` of them. */
static inline void postern_ring_use_posted(struct postern_ring *ring, unsigned count)
{
    ring->peer_filled += count;
}

/* The payload of a record that is LENT; NULL: it is not all in the peer's pool. */
static inline const void *postern_ring_borrow(const struct postern_ring *ring,
                                              const struct postern_lent *lent, uint32_t length)
{
    uint64_t offset = POSTERN_LOAD(&lent->offset);

    if (ring->peer_pool == NULL || !postern_ring_in_pool(ring, offset, length)) {
        return NULL;
    }
    return ring->peer_pool + offset;
}

/*
 * Producer: has the peer consumed all that was committed when the head was at `position`? What was
 * lent before is this end's again then, and also when `peer_generation` has changed since. It is as
 * old as the last look at the peer's tail: postern_ring_room() of data_size makes one.
 */
static inline bool postern_ring_returned(const struct postern_ring *ring, uint64_t position)
{
    return (int64_t)(ring->peer_tail - position) >= 0;
}

#endif
