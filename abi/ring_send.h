/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The producer half of an end: packets into the own data area. Part of abi/ring_ops.h, which says
 * what holds for all of it.
 */
#ifndef POSTERN_ABI_RING_SEND_H
#define POSTERN_ABI_RING_SEND_H

#include "abi/ring_pool.h"

/* Producer: are `bytes` (at most data_size) of the own data area free? False also after a fault,
 * and when only the tail of a peer that is not up would tell. */
static inline bool postern_ring_room(struct postern_ring *ring, uint64_t bytes)
{
    uint64_t tail;

    if (ring->data_size - (ring->head - ring->peer_tail) >= bytes) {
        return true;
    }
    if (!ring->up) {
        return false;
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
 * A batch of records on its way into the ring, in the caller's own variable: what is written to the
 * ring's memory in between cannot make the compiler read it again.
 */
struct postern_ring_writer {
    uint8_t *data;
    uint64_t mask;  /* the data area's size less 1 */
    uint64_t head;  /* after the records so far */
    uint64_t limit; /* the peer has consumed what is in the way up to here */
    uint32_t max_payload;
};

/* Begins a batch: behind what is committed, in place of a reservation. A ring that is down or
 * faulty takes nothing. */
static inline struct postern_ring_writer postern_ring_write_begin(const struct postern_ring *ring)
{
    return (struct postern_ring_writer){
        .data = ring->data,
        .mask = ring->data_size - 1,
        .head = ring->head,
        .limit = ring->peer_tail + ring->data_size,
        .max_payload = postern_ring_works(ring) ? ring->max_payload : 0,
    };
}

/* Is there room for `bytes` more? Looks at the peer's tail only when it has to. */
static inline bool postern_ring_writer_room(struct postern_ring *ring,
                                            struct postern_ring_writer *writer, uint64_t bytes)
{
    if (writer->limit - writer->head >= bytes) {
        return true;
    }
    if (!postern_ring_room(ring, writer->head - ring->head + bytes)) {
        return false;
    }
    writer->limit = ring->peer_tail + ring->data_size;
    return true;
}

static inline void postern_ring_write_words(uint8_t *to, const void *from)
{
    uint64_t words[2];

    __builtin_memcpy(words, from, sizeof(words));
    __builtin_memcpy(to, words, sizeof(words));
}

/* Adds a record of `size` bytes, its headers written, with that `meta`. Returns where its payload
 * is to be written; or NULL when the ring is full. */
static inline __attribute__((always_inline)) void *postern_ring_write_record(
    struct postern_ring *ring, struct postern_ring_writer *writer,
    const struct postern_ring_meta *meta, uint32_t size)
{
    uint64_t offset = writer->head & writer->mask;
    uint64_t rest = writer->mask + 1 - offset;
    uint64_t pad = __builtin_expect(size > rest, 0) ? rest : 0;
    uint8_t *record = writer->data + offset;

    if (!postern_ring_writer_room(ring, writer, pad + size)) {
        return NULL;
    }
    if (pad != 0) {
        const struct postern_record filler = {.length = (uint32_t)pad - POSTERN_RECORD_ALIGN,
                                              .flags = POSTERN_RECORD_PAD};

        postern_ring_write_words(record, &filler);
        record = writer->data;
    }
    postern_ring_write_words(record, meta);
    record += sizeof(struct postern_record);
    if (__builtin_expect((meta->flags & POSTERN_RECORD_STAMP) != 0, 0)) {
        const struct postern_stamp stamp = {.tsc = meta->stamp};

        postern_ring_write_words(record, &stamp);
        record += sizeof(struct postern_stamp);
    }
    writer->head += pad + size;
    return record;
}

/*
 * Adds a record with that `meta` (what abi/ring.h asks of one; the stamp counts only with its
 * flag), neither POSTED nor LENT. Returns where its payload is to be written, aligned to
 * POSTERN_RECORD_ALIGN, with room up to the next multiple of that; or NULL when the ring is full,
 * or when no record has that length: then the batch is as it was.
 */
static inline void *postern_ring_write_next(struct postern_ring *ring,
                                            struct postern_ring_writer *writer,
                                            const struct postern_ring_meta *meta)
{
    if (meta->length - 1 >= writer->max_payload) {
        return NULL;
    }
    return postern_ring_write_record(ring, writer, meta,
                                     postern_ring_inline_size(meta->length, meta->flags));
}

/* Takes the batch, its payloads written, into the ring; the peer sees it after the next publish. A
 * batch that is not ended has not been. */
static inline void postern_ring_write_end(struct postern_ring *ring,
                                          const struct postern_ring_writer *writer)
{
    ring->head = writer->head;
    ring->reserved = writer->head;
}

/* A batch of one record: as postern_ring_write_next. Nothing is taken until commit; another reserve
 * replaces this one. */
static inline void *postern_ring_reserve(struct postern_ring *ring,
                                         const struct postern_ring_meta *meta)
{
    struct postern_ring_writer writer = postern_ring_write_begin(ring);
    void *payload = postern_ring_write_next(ring, &writer, meta);

    ring->reserved = writer.head;
    return payload;
}

/* Takes the reserved record, its payload written, into the ring. Without a reservation (there was a
 * sync since) it does nothing. */
static inline void postern_ring_commit(struct postern_ring *ring)
{
    ring->head = ring->reserved;
}

/* Producer: shows the peer all that was committed. Returns whether a doorbell is due. */
static inline bool postern_ring_publish(struct postern_ring *ring)
{
    uint64_t old_head = ring->published_head;

    if (ring->head == old_head) {
        return false;
    }
    ring->published_head = ring->head;
    /* The records before the head. Partner: the acquire of the head in postern_ring_available. */
    POSTERN_STORE_RELEASE(&ring->own->head, ring->head);
    if (ring->peer_polls) {
        return false;
    }
    /* The head before the event is read. Partner: the full barrier in postern_ring_arm_rx: either
     * this end sees the event, or the peer sees the head. */
    POSTERN_FULL_BARRIER();
    return postern_ring_passes(old_head, ring->head, POSTERN_LOAD(&ring->peer->rx_event));
}

/*
 * Producer, when it waits for room and has published everything: asks for a doorbell when `bytes`
 * of the data area, up to all of it, are free. Returns true when they are not: the doorbell will
 * come. False: go on, or, in an end that polls, look again.
 */
static inline bool postern_ring_arm_tx(struct postern_ring *ring, uint64_t bytes)
{
    if (ring->polls) {
        return false;
    }
    POSTERN_STORE(&ring->own->tx_event, ring->head + bytes - ring->data_size - 1);
    /* The event before the tail is read. Partner: the full barrier in postern_ring_release. */
    POSTERN_FULL_BARRIER();
    return !postern_ring_room(ring, bytes);
}

#endif
