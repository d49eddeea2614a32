/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The consumer half of an end: packets out of the peer's data area. Part of abi/ring_ops.h, which
 * says what holds for all of it.
 */
#ifndef POSTERN_ABI_RING_RECEIVE_H
#define POSTERN_ABI_RING_RECEIVE_H

#include "abi/ring_pool.h"

/* Is `meta` what abi/ring.h allows of a record that is no pad? */
static inline bool postern_ring_meta_valid(const struct postern_ring_meta *meta)
{
    uint32_t csum_end = (uint32_t)meta->csum_start + meta->csum_offset + 2;

    if ((meta->flags & ~POSTERN_RECORD_FLAGS) != 0 || (meta->flags & POSTERN_RECORD_PAD) != 0 ||
        (meta->flags & POSTERN_RECORD_POOL) == POSTERN_RECORD_POOL) {
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

/* A batch of records on its way out of the ring, in the caller's own variable. */
struct postern_ring_reader {
    const uint8_t *data;
    uint64_t mask;      /* the data area's size less 1 */
    uint64_t tail;      /* after the records so far */
    uint64_t available; /* bytes that are known to be published behind it */
    const struct postern_ring *ring;
    uint64_t filled; /* own posted buffers, by the records so far */
    uint32_t max_payload;
    uint32_t size;  /* of the last record */
    uint64_t sizes; /* and what that was made of */
    /* Why there was no next record, or NONE. */
    enum postern_ring_fault fault;
    bool posted; /* the last record was POSTED */
};

/* Begins a batch: of nothing when the ring is down or faulty. Looks at the peer's head only when
 * all that was known is consumed. */
static inline struct postern_ring_reader postern_ring_read_begin(struct postern_ring *ring)
{
    return (struct postern_ring_reader){
        .data = ring->peer_data,
        .mask = ring->data_size - 1,
        .tail = ring->tail,
        .available = postern_ring_works(ring) ? postern_ring_available(ring) : 0,
        .ring = ring,
        .filled = ring->filled,
        .max_payload = ring->max_payload,
    };
}

/* Copies the header of the record at `offset`, once, into all of `meta` but the stamp. Each
 * record's start is inside the data area: positions and the area's size are multiples of
 * POSTERN_RECORD_ALIGN. Returns whether it is a packet without offloads. */
static inline bool postern_ring_read_record(const uint8_t *data, uint64_t offset,
                                            struct postern_ring_meta *meta)
{
    const uint64_t *record = (const uint64_t *)(const void *)(data + offset);
    const uint64_t words[2] = {POSTERN_LOAD(&record[0]), POSTERN_LOAD(&record[1])};

    __builtin_memcpy(meta, words, sizeof(words));
    return (words[0] >> 32 | words[1]) == 0;
}

/* The record's size, if it is no longer than what is published and not over the area's end; else 0.
 * As a rule it is the last record's: found by a branch, not by a computation that the address of
 * the next record would have to wait for. */
static inline uint32_t postern_ring_check_size(struct postern_ring_reader *reader,
                                               const struct postern_ring_meta *meta, uint64_t rest)
{
    const uint16_t flags = meta->flags & (POSTERN_RECORD_STAMP | POSTERN_RECORD_POOL);
    uint64_t sizes = meta->length | (uint64_t)flags << 32;

    if (sizes != reader->sizes) {
        if (meta->length - 1 >= reader->max_payload) {
            return 0;
        }
        reader->sizes = sizes;
        reader->size = postern_ring_record_size(meta->length, meta->flags);
        /* Keeps compilers from turning the branch into a conditional move. */
        __asm__ volatile("" : "+r"(reader->size));
    }
    return reader->size <= reader->available && reader->size <= rest ? reader->size : 0;
}

static inline const void *postern_ring_read_fails(struct postern_ring_reader *reader,
                                                  enum postern_ring_fault fault)
{
    reader->fault = fault;
    reader->available = 0;
    return NULL;
}

/* The payload of a record that is POSTED or LENT, which would be at `place` in another. */
static inline const void *postern_ring_read_pool(struct postern_ring_reader *reader,
                                                 const struct postern_ring_meta *meta,
                                                 const void *place)
{
    const void *payload = NULL;
    unsigned count;

    if ((meta->flags & POSTERN_RECORD_LENT) != 0) {
        payload =
            postern_ring_borrow(reader->ring, (const struct postern_lent *)place, meta->length);
        return payload != NULL ? payload : postern_ring_read_fails(reader, POSTERN_FAULT_LENT);
    }
    count = postern_ring_count_filled(reader->ring, reader->filled, meta->length);
    if (count == 0) {
        return postern_ring_read_fails(reader, POSTERN_FAULT_LENGTH);
    }
    reader->filled += count;
    reader->posted = true;
    return NULL;
}

/* After a next that returned NULL: whether it was a record that is POSTED. */
static inline bool postern_ring_read_posted(struct postern_ring_reader *reader)
{
    bool posted = reader->posted;

    reader->posted = false;
    return posted;
}

/*
 * The next record's payload, aligned to POSTERN_RECORD_ALIGN unless it is LENT, with its checked
 * `meta`; or NULL when there is none. The peer may still change its bytes at any time. Works by at
 * most two records: a pad and what follows it.
 *
 * An end that posts buffers gets NULL for a record that is POSTED too, and asks
 * postern_ring_read_posted(): its payload is in the first buffers that are not filled yet, as many
 * as its length takes.
 */
static inline const void *postern_ring_read_next(struct postern_ring_reader *reader,
                                                 struct postern_ring_meta *meta)
{
    uint64_t offset = reader->tail & reader->mask, rest = reader->mask + 1 - offset, pad = 0;
    const uint8_t *payload;
    uint32_t size;
    bool plain;

    if (reader->available == 0) {
        return NULL;
    }
    plain = postern_ring_read_record(reader->data, offset, meta);
    if (__builtin_expect(meta->flags == POSTERN_RECORD_PAD, 0)) {
        /* An honest producer pads up to the end, with a record behind; so never a whole area. */
        if (meta->length != rest - POSTERN_RECORD_ALIGN || reader->available <= rest) {
            return postern_ring_read_fails(reader, POSTERN_FAULT_PAD);
        }
        pad = rest;
        reader->available -= pad;
        offset = 0;
        rest = reader->mask + 1;
        plain = postern_ring_read_record(reader->data, 0, meta);
    }
    size = postern_ring_check_size(reader, meta, rest);
    if (size == 0) {
        return postern_ring_read_fails(reader, POSTERN_FAULT_LENGTH);
    }
    payload = reader->data + offset + sizeof(struct postern_record);
    meta->stamp = 0;
    if (!plain) {
        if (!postern_ring_meta_valid(meta)) {
            return postern_ring_read_fails(reader, POSTERN_FAULT_META);
        }
        if ((meta->flags & POSTERN_RECORD_STAMP) != 0) {
            meta->stamp = POSTERN_LOAD(&((const struct postern_stamp *)(const void *)payload)->tsc);
            payload += sizeof(struct postern_stamp);
        }
        if ((meta->flags & POSTERN_RECORD_POOL) != 0) {
            payload = postern_ring_read_pool(reader, meta, payload);
            if (reader->fault != POSTERN_FAULT_NONE) {
                return NULL;
            }
        }
    }
    reader->tail += pad + size;
    reader->available -= size;
    return payload;
}

/* Consumes the batch: its payloads have been read. Notes what was wrong behind it. */
static inline void postern_ring_read_end(struct postern_ring *ring,
                                         const struct postern_ring_reader *reader)
{
    ring->tail = reader->tail;
    ring->filled = reader->filled;
    ring->record_size = 0;
    if (reader->fault != POSTERN_FAULT_NONE) {
        postern_ring_fail(ring, reader->fault);
    }
}

/* A batch of one record, as postern_ring_read_next. It stays there until consume and release, or
 * sync. Not for an end that posts buffers. */
static inline const void *postern_ring_peek(struct postern_ring *ring,
                                            struct postern_ring_meta *meta)
{
    struct postern_ring_reader reader = postern_ring_read_begin(ring);
    const void *payload = postern_ring_read_next(&reader, meta);

    ring->record_size = (uint32_t)(reader.tail - ring->tail);
    if (reader.fault != POSTERN_FAULT_NONE) {
        postern_ring_fail(ring, reader.fault);
    }
    return payload;
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
    if (ring->peer_polls) {
        return false;
    }
    /* The tail before the event is read. Partner: the full barrier in postern_ring_arm_tx: either
     * this end sees the event, or the peer sees the tail. */
    POSTERN_FULL_BARRIER();
    return postern_ring_passes(old_tail, ring->tail, POSTERN_LOAD(&ring->peer->tx_event));
}

/* Consumer, when it has released everything: whether the peer has nothing for it, no news either.
 * Looks for itself, after what the caller has made sure that it cannot miss. */
static inline bool postern_ring_is_idle(const struct postern_ring *ring)
{
    if (postern_ring_sync_needed(ring)) {
        return false;
    }
    return !postern_ring_works(ring) || POSTERN_LOAD(&ring->peer->head) == ring->tail;
}

/*
 * Consumer, when it has released everything: asks for a doorbell at the next record. Returns true
 * when there is nothing to do until a doorbell comes. False: sync, peek again; in an end that polls
 * always.
 */
static inline bool postern_ring_arm_rx(struct postern_ring *ring)
{
    if (ring->polls) {
        return false;
    }
    POSTERN_STORE(&ring->own->rx_event, ring->tail);
    /* The event before the head is read. Partner: the full barrier in postern_ring_publish. */
    POSTERN_FULL_BARRIER();
    return postern_ring_is_idle(ring);
}

#endif
