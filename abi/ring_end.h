/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One end of a link's window: its state, and how it meets the peer. Part of abi/ring_ops.h, which
 * says what holds for all of it.
 */
#ifndef POSTERN_ABI_RING_END_H
#define POSTERN_ABI_RING_END_H

#include "abi/access.h"
#include "abi/ring.h"

/* What the peer did that no honest peer does. */
enum postern_ring_fault {
    POSTERN_FAULT_NONE,
    POSTERN_FAULT_IDENTITY, /* its section has another magic number or version */
    POSTERN_FAULT_HEAD,     /* its head went back, too far, or is unaligned */
    POSTERN_FAULT_TAIL,     /* its tail went back, beyond this end's head, or is unaligned */
    POSTERN_FAULT_PAD,      /* a pad that does not end at the data area's end */
    POSTERN_FAULT_LENGTH,   /* a record too long, empty, unpublished or over the area's end */
    POSTERN_FAULT_META,     /* unknown flags, or offsets that do not fit the payload */
    POSTERN_FAULT_POSTED,   /* its posted buffers: too many, or outside of its pool */
    POSTERN_FAULT_LENT,     /* a payload outside of its pool */
    POSTERN_FAULTS,
};

/* What goes with a payload: struct postern_record, which is not a pad, and the stamp, or 0. */
struct postern_ring_meta {
    uint32_t length;
    uint16_t flags;
    uint16_t csum_start;
    uint16_t csum_offset;
    uint16_t gso_type;
    uint16_t gso_size;
    uint16_t header_length;
    uint64_t stamp;
};

/* An end's own memory, of which nothing is shared. Callers read `up`, `fault`, `max_payload`,
 * `data_size` and `peer_mtu`, in the producer half `published_head` and `peer_tail`, which is not
 * beyond it; they may set `polls` before they open, and leave the rest alone. */
struct postern_ring {
    /* Written by open, close, sync and, of these, `fault` by both halves. */
    struct postern_ring_header *own;
    const struct postern_ring_header *peer;
    uint8_t *data;
    const uint8_t *peer_data;
    uint64_t data_size;
    uint32_t max_payload;
    uint32_t generation;
    uint32_t peer_generation;
    uint32_t peer_seen;
    uint32_t seen; /* what the own section says */
    uint32_t peer_mtu;
    uint32_t fault; /* enum postern_ring_fault */
    bool up;        /* both ends have synchronised with each other */
    bool polls;     /* POSTERN_RING_POLLS: this end never asks for a doorbell */
    bool peer_polls;
    bool peer_borrows; /* POSTERN_RING_BORROWS: the peer takes records that are LENT */
    /* abi/ring_pool.h. Both ends' pools have one size; 0: there are none. */
    uint64_t pool_size;
    uint8_t *peer_pool; /* or NULL, where this end does not reach it */

    /* The producer half: positions in the own data area. */
    uint64_t head __attribute__((aligned(64))); /* committed */
    uint64_t published_head;
    uint64_t peer_tail; /* the last known */
    uint64_t reserved;  /* where the head goes with the reservation; the head without one */
    /* Of the peer's posted buffers: */
    uint64_t peer_posted; /* the last known */
    uint64_t peer_filled; /* by committed records */

    /* The consumer half: positions in the peer's data area. */
    uint64_t tail __attribute__((aligned(64))); /* consumed */
    uint64_t published_tail;
    uint64_t peer_head;   /* the last known */
    uint32_t record_size; /* of the record that peek has shown, 0 when there is none */
    /* Of the own posted buffers: */
    uint64_t posted;
    uint64_t published_posted;
    uint64_t filled; /* by consumed records */
};

/* Does the step from `old` to `new` of a published index pass `event`? */
static inline bool postern_ring_passes(uint64_t old_index, uint64_t new_index, uint64_t event)
{
    return new_index - event - 1 < new_index - old_index;
}

/* Bytes of a record with its payload, of `length` bytes, at most MAX_PAYLOAD, in it. */
static inline uint32_t postern_ring_inline_size(uint32_t length, uint16_t flags)
{
    uint32_t headers =
        (flags & POSTERN_RECORD_STAMP) != 0 ? 2 * POSTERN_RECORD_ALIGN : POSTERN_RECORD_ALIGN;

    return headers + ((length + POSTERN_RECORD_ALIGN - 1) & ~(POSTERN_RECORD_ALIGN - 1));
}

/* Bytes of a record with those flags and that payload, wherever it is. */
static inline uint32_t postern_ring_record_size(uint32_t length, uint16_t flags)
{
    if ((flags & POSTERN_RECORD_POOL) != 0) {
        length = (flags & POSTERN_RECORD_LENT) != 0 ? sizeof(struct postern_lent) : 0;
    }
    return postern_ring_inline_size(length, flags);
}

/* Bytes that are enough for any record, and the pad before it. */
static inline uint32_t postern_ring_record_room(const struct postern_ring *ring)
{
    return 2 * postern_ring_record_size(ring->max_payload, POSTERN_RECORD_STAMP);
}

/*
 * Sets `ring` up over a window: `own` and `peer` are the sections, `section_size` each, as the
 * NIC's register says. Returns false when the size is none that a section has. Touches no section.
 */
static inline bool postern_ring_init(struct postern_ring *ring, void *own, const void *peer,
                                     uint32_t section_size)
{
    if (section_size < POSTERN_SECTION_MIN || section_size > POSTERN_SECTION_MAX ||
        (section_size & (section_size - 1)) != 0) {
        return false;
    }
    *ring = (struct postern_ring){
        .own = own,
        .peer = peer,
        .data = (uint8_t *)own + section_size / 2,
        .peer_data = (const uint8_t *)peer + section_size / 2,
        .data_size = section_size / 2,
        .max_payload = POSTERN_RING_PAYLOAD(section_size),
    };
    return true;
}

/* Tells the peer of this end's MTU, which binds nobody. For whoever may call open or sync. */
static inline void postern_ring_set_mtu(struct postern_ring *ring, uint32_t mtu)
{
    POSTERN_STORE(&ring->own->mtu, mtu);
}

/*
 * Opens this end with a new generation, whatever was there before; a doorbell is due, and a sync.
 * `seed` is any number that differs from opening to opening (a clock's). It is how far the number
 * of this generation is from the last one's, so nobody can have claimed that number before, nor is
 * it repeated in a section that was cleared.
 */
static inline void postern_ring_open(struct postern_ring *ring, uint32_t mtu, uint32_t seed)
{
    struct postern_ring_header *own = ring->own;
    uint32_t last = POSTERN_LOAD(&own->last);

    /* Never the last one again: the step is 1 to 2^31. */
    ring->generation = last + 1 + (seed >> 1);
    if (ring->generation == 0) {
        ring->generation = 1;
    }
    ring->peer_generation = 0;
    ring->peer_seen = 0;
    ring->seen = 0;
    ring->fault = POSTERN_FAULT_NONE;
    ring->up = false;
    ring->head = 0;
    ring->published_head = 0;
    ring->peer_tail = 0;
    ring->reserved = 0;
    ring->tail = 0;
    ring->published_tail = 0;
    ring->peer_head = 0;
    ring->record_size = 0;
    ring->peer_posted = 0;
    ring->peer_filled = 0;
    ring->posted = 0;
    ring->published_posted = 0;
    ring->filled = 0;

    /* Down before the indices go back. Partner: postern_ring_fail, which reads the generation after
     * an index that it finds wrong. */
    POSTERN_STORE(&own->generation, 0);
    POSTERN_STORE_RELEASE(&own->head, 0);
    POSTERN_STORE_RELEASE(&own->tail, 0);
    POSTERN_STORE_RELEASE(&own->posted, 0);
    POSTERN_STORE(&own->start, 0);
    POSTERN_STORE(&own->first_posted, 0);
    POSTERN_STORE(&own->rx_event, 0);
    POSTERN_STORE(&own->tx_event, POSTERN_EVENT_NEVER);
    POSTERN_STORE(&own->seen, 0);
    POSTERN_STORE(&own->mtu, mtu);
    POSTERN_STORE(&own->last, ring->generation);
    POSTERN_STORE(&own->magic, POSTERN_RING_MAGIC);
    POSTERN_STORE(&own->version, POSTERN_RING_VERSION);
    POSTERN_STORE(&own->flags, (ring->polls ? POSTERN_RING_POLLS : 0) |
                                   (ring->peer_pool != NULL ? POSTERN_RING_BORROWS : 0));
    /* All of the above before the generation. Partner: the acquire in postern_ring_sync. */
    POSTERN_STORE_RELEASE(&own->generation, ring->generation);
}

/* Takes this end down. A doorbell is due. */
static inline void postern_ring_close(struct postern_ring *ring)
{
    ring->up = false;
    ring->reserved = ring->head;
    ring->record_size = 0;
    /* What was consumed and published before the end. Partner: the acquire in postern_ring_sync. */
    POSTERN_STORE_RELEASE(&ring->own->generation, 0);
}

/* Notes a fault, unless the peer is only being opened again: then its indices go back to 0, and the
 * next sync makes it good. */
static inline void postern_ring_fail(struct postern_ring *ring, enum postern_ring_fault fault)
{
    /* After the acquire of the index that looked wrong. Partner: the releases in
     * postern_ring_open, which come after generation 0. */
    if (POSTERN_LOAD(&ring->peer->generation) == ring->peer_generation) {
        POSTERN_STORE(&ring->fault, fault);
    }
}

static inline bool postern_ring_works(const struct postern_ring *ring)
{
    return ring->up && POSTERN_LOAD(&ring->fault) == POSTERN_FAULT_NONE;
}

/* Would postern_ring_sync change something? Cheap; for each round of the consumer. */
static inline bool postern_ring_sync_needed(const struct postern_ring *ring)
{
    return POSTERN_LOAD(&ring->peer->generation) != ring->peer_generation ||
           POSTERN_LOAD(&ring->peer->seen) != ring->peer_seen ||
           (POSTERN_LOAD(&ring->fault) != POSTERN_FAULT_NONE && ring->seen != 0);
}

/* Begins with another generation of the peer: skips all that it has published until now, and
 * forgets what was meant for the one before, which may be in buffers that are no longer. */
static inline void postern_ring_meet(struct postern_ring *ring, uint32_t peer_generation)
{
    const struct postern_ring_header *peer = ring->peer;
    uint64_t head = POSTERN_LOAD(&peer->head);
    uint16_t flags = POSTERN_LOAD(&peer->flags);

    ring->head = ring->published_head;
    ring->reserved = ring->head;
    ring->peer_generation = peer_generation;
    ring->up = false;
    ring->fault = POSTERN_FAULT_NONE;
    ring->record_size = 0;
    ring->peer_mtu = POSTERN_LOAD(&peer->mtu);
    ring->peer_polls = (flags & POSTERN_RING_POLLS) != 0;
    ring->peer_borrows = (flags & POSTERN_RING_BORROWS) != 0;
    if (peer_generation == 0) {
        head = ring->tail;
    } else if (POSTERN_LOAD(&peer->magic) != POSTERN_RING_MAGIC ||
               POSTERN_LOAD(&peer->version) != POSTERN_RING_VERSION) {
        ring->fault = POSTERN_FAULT_IDENTITY;
    } else if (head % POSTERN_RECORD_ALIGN != 0) {
        ring->fault = POSTERN_FAULT_HEAD;
    }
    ring->tail = head;
    ring->published_tail = head;
    ring->peer_head = head;
    ring->seen = ring->fault == POSTERN_FAULT_NONE ? peer_generation : 0;
    POSTERN_STORE(&ring->own->tail, head);
    POSTERN_STORE(&ring->own->rx_event, head);
    POSTERN_STORE(&ring->own->start, ring->head);
    POSTERN_STORE(&ring->own->first_posted, ring->filled);
    /* All of it before `seen`. Partner: the acquire of `seen` in postern_ring_sync. */
    POSTERN_STORE_RELEASE(&ring->own->seen, ring->seen);
}

/* Begins to receive from the peer's generation, which has seen this end's: skips what it had
 * published for the one before. Returns whether a doorbell is due: there is room. */
static inline bool postern_ring_begin_receiving(struct postern_ring *ring)
{
    uint64_t start = POSTERN_LOAD(&ring->peer->start);

    if (start == ring->tail) {
        return false;
    }
    if (start % POSTERN_RECORD_ALIGN != 0 || start - ring->tail > ring->data_size) {
        postern_ring_fail(ring, POSTERN_FAULT_HEAD);
        return false;
    }
    ring->tail = start;
    ring->published_tail = start;
    ring->peer_head = start;
    POSTERN_STORE(&ring->own->rx_event, start);
    POSTERN_STORE_RELEASE(&ring->own->tail, start);
    return true;
}

/* Begins to send to the peer's generation, which has seen this end's. */
static inline void postern_ring_begin_sending(struct postern_ring *ring)
{
    uint64_t tail = POSTERN_LOAD(&ring->peer->tail);

    /* Not ahead of what is published, and not so far behind that what is committed and not yet
     * published would not fit. */
    if (tail % POSTERN_RECORD_ALIGN != 0 || ring->published_head - tail > ring->data_size ||
        ring->head - tail > ring->data_size) {
        postern_ring_fail(ring, POSTERN_FAULT_TAIL);
        return;
    }
    ring->peer_tail = tail;
    ring->peer_filled = POSTERN_LOAD(&ring->peer->first_posted);
    ring->peer_posted = ring->peer_filled;
    ring->up = true;
}

/*
 * Brings this end up to date with the peer's generation, and tells the peer of a fault. Afterwards
 * `up`, `fault` and `peer_mtu` hold. Returns whether a doorbell is due. A reservation and a record
 * that peek has shown are gone when the peer's generation was another.
 */
static inline bool postern_ring_sync(struct postern_ring *ring)
{
    bool doorbell = false;
    /* Partner: the release of the generation in postern_ring_open: what belongs to it is there. */
    uint32_t peer_generation = POSTERN_LOAD_ACQUIRE(&ring->peer->generation);

    if (peer_generation != ring->peer_generation) {
        postern_ring_meet(ring, peer_generation);
        doorbell = true;
    }
    /* Partner: the release of `seen` in postern_ring_meet: what belongs to it is there. */
    ring->peer_seen = POSTERN_LOAD_ACQUIRE(&ring->peer->seen);
    if (peer_generation == 0 || ring->peer_seen != ring->generation) {
        ring->up = false;
    } else if (!ring->up && ring->fault == POSTERN_FAULT_NONE) {
        doorbell = postern_ring_begin_receiving(ring) || doorbell;
        postern_ring_begin_sending(ring);
    }
    if (ring->fault != POSTERN_FAULT_NONE) {
        ring->up = false;
        if (ring->seen != 0) {
            ring->seen = 0;
            POSTERN_STORE(&ring->own->seen, 0);
            doorbell = true;
        }
    }
    return doorbell;
}

#endif
