/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One end's side of a link's window (abi/ring.h): for drivers of any guest, and for tests. All of
 * it is inline, needs no library and works in Linux, on bare metal and on a host.
 *
 * Everything in the peer's section is taken for hostile: each word is read once, the copy is
 * checked, and only the copy is used. What no honest peer writes is a fault (postern_ring_fault);
 * a faulty end neither sends nor receives until the peer comes with a new generation or this end
 * is opened again. Payloads are not copied here: the peer may change one at any time, so copy it
 * first and look at the copy.
 *
 * Locking: an end has a producer half (reserve, commit, publish, room, arm_tx) and a consumer half
 * (peek, consume, release, arm_rx, sync_needed). The two may run at the same time; each is for one
 * thread at a time. open, close and sync exclude both.
 *
 * Functions say when a doorbell is due and leave it to the caller. It has to come after the stores
 * that it tells of; one that makes a VM exit does so by itself.
 */
#ifndef POSTERN_ABI_RING_OPS_H
#define POSTERN_ABI_RING_OPS_H

#include "abi/ring.h"

#if defined(POSTERN_LOAD)
/* A test has put its own accesses here, to watch them. */
#include <stdbool.h>
#include <stddef.h>
#elif defined(__KERNEL__)
#include <linux/compiler.h>
#include <asm/barrier.h>
/* The virt_ forms: a kernel for one CPU also talks to a peer on another CPU. */
#define POSTERN_LOAD(p)             READ_ONCE(*(p))
#define POSTERN_STORE(p, value)     WRITE_ONCE(*(p), value)
#define POSTERN_LOAD_ACQUIRE(p)     virt_load_acquire(p)
#define POSTERN_STORE_RELEASE(p, v) virt_store_release(p, v)
#define POSTERN_FULL_BARRIER()      virt_mb()
#else
#include <stdbool.h>
#include <stddef.h>
#define POSTERN_LOAD(p)             __atomic_load_n(p, __ATOMIC_RELAXED)
#define POSTERN_STORE(p, value)     __atomic_store_n(p, value, __ATOMIC_RELAXED)
#define POSTERN_LOAD_ACQUIRE(p)     __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define POSTERN_STORE_RELEASE(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define POSTERN_FULL_BARRIER()      __atomic_thread_fence(__ATOMIC_SEQ_CST)
#endif

/* What the peer did that no honest peer does. */
enum postern_ring_fault {
    POSTERN_FAULT_NONE,
    POSTERN_FAULT_IDENTITY, /* its section has another magic number or version */
    POSTERN_FAULT_HEAD,     /* its head went back, too far, or is unaligned */
    POSTERN_FAULT_TAIL,     /* its tail went back, beyond this end's head, or is unaligned */
    POSTERN_FAULT_PAD,      /* a pad that does not end at the data area's end */
    POSTERN_FAULT_LENGTH,   /* a record too long, empty, unpublished or over the area's end */
    POSTERN_FAULT_META,     /* unknown flags, or offsets that do not fit the payload */
    POSTERN_FAULTS,
};

/* What goes with a payload: struct postern_record without the pads. */
struct postern_ring_meta {
    uint32_t length;
    uint16_t flags;
    uint16_t csum_start;
    uint16_t csum_offset;
    uint16_t gso_type;
    uint16_t gso_size;
    uint16_t header_length;
};

/* An end's own memory, of which nothing is shared. Callers read `up`, `fault`, `max_payload`,
 * `data_size` and `peer_mtu`, and leave the rest alone. */
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

    /* The producer half: positions in the own data area. */
    uint64_t head __attribute__((aligned(64))); /* committed */
    uint64_t published_head;
    uint64_t peer_tail; /* the last known */
    uint32_t pad;       /* of the reservation: bytes */
    uint32_t reserved;  /* of the reservation: bytes of payload, 0 without one */

    /* The consumer half: positions in the peer's data area. */
    uint64_t tail __attribute__((aligned(64))); /* consumed */
    uint64_t published_tail;
    uint64_t peer_head;   /* the last known */
    uint32_t record_size; /* of the record that peek has shown, 0 when there is none */
};

/* Does the step from `old` to `new` of a published index pass `event`? */
static inline bool postern_ring_passes(uint64_t old_index, uint64_t new_index, uint64_t event)
{
    return new_index - event - 1 < new_index - old_index;
}

/* Bytes of a record with `length` bytes of payload (at most POSTERN_RING_MAX_PAYLOAD). */
static inline uint32_t postern_ring_record_size(uint32_t length)
{
    return POSTERN_RECORD_ALIGN +
           ((length + POSTERN_RECORD_ALIGN - 1) & ~(POSTERN_RECORD_ALIGN - 1));
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
 * `seed` is any number that differs from run to run (a clock's): it begins the count of generations
 * in a section that nobody has used yet, so that a section that was cleared does not repeat them.
 */
static inline void postern_ring_open(struct postern_ring *ring, uint32_t mtu, uint32_t seed)
{
    struct postern_ring_header *own = ring->own;
    uint32_t last = POSTERN_LOAD(&own->last);

    ring->generation = (last == 0 ? seed : last) + 1;
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

    /* Down before the indices go back. Partner: postern_ring_fail, which reads the generation after
     * an index that it finds wrong. */
    POSTERN_STORE(&own->generation, 0);
    POSTERN_STORE_RELEASE(&own->head, 0);
    POSTERN_STORE_RELEASE(&own->tail, 0);
    POSTERN_STORE(&own->rx_event, 0);
    POSTERN_STORE(&own->tx_event, POSTERN_EVENT_NEVER);
    POSTERN_STORE(&own->seen, 0);
    POSTERN_STORE(&own->mtu, mtu);
    POSTERN_STORE(&own->last, ring->generation);
    POSTERN_STORE(&own->magic, POSTERN_RING_MAGIC);
    POSTERN_STORE(&own->version, POSTERN_RING_VERSION);
    POSTERN_STORE(&own->zero, 0);
    /* All of the above before the generation. Partner: the acquire in postern_ring_sync. */
    POSTERN_STORE_RELEASE(&own->generation, ring->generation);
}

/* Takes this end down. A doorbell is due. */
static inline void postern_ring_close(struct postern_ring *ring)
{
    ring->up = false;
    ring->reserved = 0;
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

/* Begins with another generation of the peer: skips all that it has published until now. */
static inline void postern_ring_meet(struct postern_ring *ring, uint32_t peer_generation)
{
    const struct postern_ring_header *peer = ring->peer;
    uint64_t head = POSTERN_LOAD(&peer->head);

    ring->peer_generation = peer_generation;
    ring->up = false;
    ring->fault = POSTERN_FAULT_NONE;
    ring->record_size = 0;
    ring->peer_mtu = POSTERN_LOAD(&peer->mtu);
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
    /* The tail and the event before `seen`. Partner: the acquire of `seen` in postern_ring_sync. */
    POSTERN_STORE_RELEASE(&ring->own->seen, ring->seen);
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
        ring->reserved = 0;
        doorbell = true;
    }
    /* Partner: the release of `seen` in postern_ring_meet: the tail that belongs to it is there. */
    ring->peer_seen = POSTERN_LOAD_ACQUIRE(&ring->peer->seen);
    if (peer_generation == 0 || ring->peer_seen != ring->generation) {
        ring->up = false;
    } else if (!ring->up && ring->fault == POSTERN_FAULT_NONE) {
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

/* Producer: are `bytes` (at most data_size) of the own data area free? False also after a fault. */
static inline bool postern_ring_room(struct postern_ring *ring, uint64_t bytes)
{
    uint64_t tail;

    if (ring->data_size - (ring->head - ring->peer_tail) >= bytes) {
        return true;
    }
    /* Partner: the release of the tail in postern_ring_release: the peer has read what is before
     * it, and this end may write there. */
    tail = POSTERN_LOAD_ACQUIRE(&ring->peer->tail);
    if (tail % POSTERN_RECORD_ALIGN != 0 ||
        tail - ring->peer_tail > ring->published_head - ring->peer_tail) {
        postern_ring_fail(ring, POSTERN_FAULT_TAIL);
        return false;
    }
    ring->peer_tail = tail;
    return ring->data_size - (ring->head - tail) >= bytes;
}

/*
 * Producer: where the payload of a record goes, `length` bytes, aligned to POSTERN_RECORD_ALIGN;
 * or NULL when the ring is full, down or faulty, or when no record has that length. Nothing is
 * taken until commit; another reserve replaces this one.
 */
static inline void *postern_ring_reserve(struct postern_ring *ring, uint32_t length)
{
    uint64_t offset = ring->head & (ring->data_size - 1);
    uint64_t rest = ring->data_size - offset;
    uint32_t size;

    ring->reserved = 0;
    if (!postern_ring_works(ring) || length == 0 || length > ring->max_payload) {
        return NULL;
    }
    size = postern_ring_record_size(length);
    ring->pad = size > rest ? (uint32_t)rest : 0;
    if (!postern_ring_room(ring, ring->pad + size)) {
        return NULL;
    }
    ring->reserved = length;
    return ring->data + (ring->pad != 0 ? 0 : offset) + POSTERN_RECORD_ALIGN;
}

static inline void postern_ring_write_record(struct postern_record *record,
                                             const struct postern_ring_meta *meta)
{
    record->length = meta->length;
    record->flags = meta->flags;
    record->csum_start = meta->csum_start;
    record->csum_offset = meta->csum_offset;
    record->gso_type = meta->gso_type;
    record->gso_size = meta->gso_size;
    record->header_length = meta->header_length;
}

/*
 * Producer: takes the reserved record, its payload written, into the ring; the peer sees it after
 * the next publish. `meta` is what abi/ring.h asks of a record, its `length` is the reserved one.
 * Without a reservation (there was a sync since) it does nothing.
 */
static inline void postern_ring_commit(struct postern_ring *ring,
                                       const struct postern_ring_meta *meta)
{
    uint64_t offset = ring->head & (ring->data_size - 1);

    if (ring->reserved == 0 || ring->reserved != meta->length) {
        return;
    }
    if (ring->pad != 0) {
        const struct postern_ring_meta pad = {.length = ring->pad - POSTERN_RECORD_ALIGN,
                                              .flags = POSTERN_RECORD_PAD};

        postern_ring_write_record((struct postern_record *)(void *)(ring->data + offset), &pad);
        offset = 0;
    }
    postern_ring_write_record((struct postern_record *)(void *)(ring->data + offset), meta);
    ring->head += ring->pad + postern_ring_record_size(meta->length);
    ring->reserved = 0;
}

/* Producer: shows the peer all that was committed. Returns whether a doorbell is due. */
static inline bool postern_ring_publish(struct postern_ring *ring)
{
    uint64_t old_head = ring->published_head;

    if (ring->head == old_head) {
        return false;
    }
    ring->published_head = ring->head;
    /* The records before the head. Partner: the acquire of the head in postern_ring_peek. */
    POSTERN_STORE_RELEASE(&ring->own->head, ring->head);
    /* The head before the event is read. Partner: the full barrier in postern_ring_arm_rx: either
     * this end sees the event, or the peer sees the head. */
    POSTERN_FULL_BARRIER();
    return postern_ring_passes(old_head, ring->head, POSTERN_LOAD(&ring->peer->rx_event));
}

/*
 * Producer, when it is full and has published everything: asks for a doorbell when `bytes` of the
 * data area are free. Returns true when they are not: the doorbell will come. False: go on.
 */
static inline bool postern_ring_arm_tx(struct postern_ring *ring, uint64_t bytes)
{
    POSTERN_STORE(&ring->own->tx_event, ring->head + bytes - ring->data_size - 1);
    /* The event before the tail is read. Partner: the full barrier in postern_ring_release. */
    POSTERN_FULL_BARRIER();
    return !postern_ring_room(ring, bytes);
}

/* Is `meta` what abi/ring.h allows of a record that is no pad? */
static inline bool postern_ring_meta_valid(const struct postern_ring_meta *meta)
{
    uint32_t csum_end = (uint32_t)meta->csum_start + meta->csum_offset + 2;

    if ((meta->flags & ~POSTERN_RECORD_FLAGS) != 0 || (meta->flags & POSTERN_RECORD_PAD) != 0) {
        return false;
    }
    if ((meta->flags & POSTERN_RECORD_CSUM) != 0) {
        if ((meta->flags & POSTERN_RECORD_VALID) != 0 || csum_end > meta->length) {
            return false;
        }
    } else if (meta->csum_start != 0 || meta->csum_offset != 0) {
        return false;
    }
    if (meta->gso_type == POSTERN_GSO_NONE) {
        return meta->gso_size == 0 && meta->header_length == 0 &&
               (meta->flags & POSTERN_RECORD_ECN) == 0;
    }
    return (meta->gso_type == POSTERN_GSO_TCP4 || meta->gso_type == POSTERN_GSO_TCP6) &&
           meta->gso_size != 0 && (meta->flags & POSTERN_RECORD_CSUM) != 0 &&
           meta->header_length >= csum_end && meta->header_length < meta->length;
}

/* Consumer: bytes that the peer has published and that are not consumed; 0 also after a fault. */
static inline uint64_t postern_ring_available(struct postern_ring *ring)
{
    uint64_t head;

    if (ring->peer_head == ring->tail) {
        /* Partner: the release of the head in postern_ring_publish: the records are there. */
        head = POSTERN_LOAD_ACQUIRE(&ring->peer->head);
        if (head % POSTERN_RECORD_ALIGN != 0 || head - ring->tail > ring->data_size) {
            postern_ring_fail(ring, POSTERN_FAULT_HEAD);
            return 0;
        }
        ring->peer_head = head;
    }
    return ring->peer_head - ring->tail;
}

/* Consumer: copies the header of the record at the tail, once. Each record's start is inside the
 * data area: positions and the area's size are multiples of POSTERN_RECORD_ALIGN. */
static inline void postern_ring_read_record(const struct postern_ring *ring,
                                            struct postern_ring_meta *meta)
{
    const struct postern_record *record =
        (const struct postern_record *)(const void *)(ring->peer_data +
                                                      (ring->tail & (ring->data_size - 1)));

    meta->length = POSTERN_LOAD(&record->length);
    meta->flags = POSTERN_LOAD(&record->flags);
    meta->csum_start = POSTERN_LOAD(&record->csum_start);
    meta->csum_offset = POSTERN_LOAD(&record->csum_offset);
    meta->gso_type = POSTERN_LOAD(&record->gso_type);
    meta->gso_size = POSTERN_LOAD(&record->gso_size);
    meta->header_length = POSTERN_LOAD(&record->header_length);
}

/*
 * Consumer: the next record's payload, aligned to POSTERN_RECORD_ALIGN, with its checked `meta`; or
 * NULL when there is none. It stays there until release (or sync). The peer may still change its
 * bytes at any time. Works by at most two records: a pad and what follows it.
 */
static inline const void *postern_ring_peek(struct postern_ring *ring,
                                            struct postern_ring_meta *meta)
{
    uint64_t available, offset, rest;

    ring->record_size = 0;
    if (!postern_ring_works(ring)) {
        return NULL;
    }
    available = postern_ring_available(ring);
    if (available == 0) {
        return NULL;
    }
    postern_ring_read_record(ring, meta);
    offset = ring->tail & (ring->data_size - 1);
    rest = ring->data_size - offset;
    if (meta->flags == POSTERN_RECORD_PAD) {
        /* An honest producer pads up to the end, with a record behind; so never a whole area. */
        if (meta->length != rest - POSTERN_RECORD_ALIGN || available <= rest) {
            postern_ring_fail(ring, POSTERN_FAULT_PAD);
            return NULL;
        }
        ring->tail += rest;
        available -= rest;
        offset = 0;
        rest = ring->data_size;
        postern_ring_read_record(ring, meta);
    }
    if (meta->length == 0 || meta->length > ring->max_payload ||
        postern_ring_record_size(meta->length) > (available < rest ? available : rest)) {
        postern_ring_fail(ring, POSTERN_FAULT_LENGTH);
        return NULL;
    }
    if (!postern_ring_meta_valid(meta)) {
        postern_ring_fail(ring, POSTERN_FAULT_META);
        return NULL;
    }
    ring->record_size = postern_ring_record_size(meta->length);
    return ring->peer_data + offset + POSTERN_RECORD_ALIGN;
}

/* Consumer: is done with the record that the last peek has shown. */
static inline void postern_ring_consume(struct postern_ring *ring)
{
    ring->tail += ring->record_size;
    ring->record_size = 0;
}

/* Consumer: gives what was consumed back to the peer. Returns whether a doorbell is due. */
static inline bool postern_ring_release(struct postern_ring *ring)
{
    uint64_t old_tail = ring->published_tail;

    if (ring->tail == old_tail) {
        return false;
    }
    ring->published_tail = ring->tail;
    /* The payloads are read before the tail. Partner: the acquire in postern_ring_room. */
    POSTERN_STORE_RELEASE(&ring->own->tail, ring->tail);
    /* The tail before the event is read. Partner: the full barrier in postern_ring_arm_tx: either
     * this end sees the event, or the peer sees the tail. */
    POSTERN_FULL_BARRIER();
    return postern_ring_passes(old_tail, ring->tail, POSTERN_LOAD(&ring->peer->tx_event));
}

/*
 * Consumer, when it has released everything: asks for a doorbell at the next record. Returns true
 * when there is nothing to do until a doorbell comes. False: sync, peek again.
 */
static inline bool postern_ring_arm_rx(struct postern_ring *ring)
{
    POSTERN_STORE(&ring->own->rx_event, ring->tail);
    /* The event before the head is read. Partner: the full barrier in postern_ring_publish. */
    POSTERN_FULL_BARRIER();
    if (postern_ring_sync_needed(ring)) {
        return false;
    }
    return !postern_ring_works(ring) || POSTERN_LOAD(&ring->peer->head) == ring->tail;
}

#endif
