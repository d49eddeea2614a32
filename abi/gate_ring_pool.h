/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the gate's functions for rings do with pools (abi/ring_pool.h). Part of abi/gate_ring_ops.h.
 * Not on the way of a short packet, nor of any in another mode than direct.
 */
#ifndef POSTERN_ABI_GATE_RING_POOL_H
#define POSTERN_ABI_GATE_RING_POOL_H

#include "abi/gate_ring_copy.h"
#include "abi/hypercall.h"

/* Copies the packet's pieces, which have to have as many bytes as its meta says, to buffers that
 * have room for them. */
static inline bool postern_gate_fill(uint8_t *pool, const struct postern_posted *buffer,
                                     const struct postern_gate_packet *packet)
{
    uint64_t rest = packet->meta.length, done = 0;

    for (uint64_t i = 0; i < packet->piece_count; i++) {
        const uint8_t *from = packet->pieces[i].address;
        uint64_t size = packet->pieces[i].size;

        if (size > rest) {
            return false;
        }
        rest -= size;
        while (size != 0) {
            uint64_t chunk;

            if (done == buffer->size) {
                buffer++;
                done = 0;
            }
            chunk = size < buffer->size - done ? size : buffer->size - done;
            POSTERN_COPY(pool + buffer->offset + done, from, chunk);
            from += chunk;
            size -= chunk;
            done += chunk;
        }
    }
    return rest == 0;
}

/* What SEND asks of a packet that is LENT. */
static inline bool postern_gate_may_lend(const struct postern_ring *ring,
                                         const struct postern_gate_packet *packet)
{
    return ring->peer_borrows && packet->piece_count == 1 &&
           packet->pieces[0].size == packet->meta.length &&
           postern_ring_in_pool(ring, (uintptr_t)packet->pieces[0].address, packet->meta.length);
}

/* In mode direct SEND's writer takes only packets that go inline in any case. */
static inline struct postern_ring_writer postern_gate_write_begin(const struct postern_ring *ring)
{
    struct postern_ring_writer writer = postern_ring_write_begin(ring);

    if (ring->pool_size != 0 && writer.max_payload != 0) {
        writer.max_payload = POSTERN_POSTED_MIN - 1;
    }
    return writer;
}

enum postern_gate_sent {
    POSTERN_GATE_SENT,
    POSTERN_GATE_NOT_SENT, /* the ring is full or down, or no record has that length */
    POSTERN_GATE_WRONG,    /* the pieces do not fit the meta; the writer may have moved */
};

/* A packet that the writer has not taken: by the pools if it can be, else inline. */
static inline enum postern_gate_sent postern_gate_send_long(
    struct postern_ring *ring, struct postern_ring_writer *writer,
    const struct postern_gate_packet *packet)
{
    struct postern_ring_meta meta = packet->meta;
    struct postern_posted buffers[POSTERN_POSTED_SPAN];
    unsigned count = 0;
    uint8_t *payload;

    if (ring->pool_size == 0 || writer->max_payload == 0 || meta.length < POSTERN_POSTED_MIN ||
        meta.length > ring->max_payload) {
        return POSTERN_GATE_NOT_SENT;
    }
    if ((meta.flags & POSTERN_RECORD_LENT) == 0) {
        count = postern_ring_find_posted(ring, meta.length, buffers);
        if (count != 0) {
            meta.flags |= POSTERN_RECORD_POSTED;
        } else if (!postern_ring_works(ring)) {
            return POSTERN_GATE_NOT_SENT;
        }
    } else if (!postern_gate_may_lend(ring, packet)) {
        return POSTERN_GATE_WRONG;
    }
    payload = postern_ring_write_record(ring, writer, &meta,
                                        postern_ring_record_size(meta.length, meta.flags));
    if (payload == NULL) {
        return POSTERN_GATE_NOT_SENT;
    }
    if ((meta.flags & POSTERN_RECORD_LENT) != 0) {
        const struct postern_lent lent = {.offset = (uintptr_t)packet->pieces[0].address};

        postern_ring_write_words(payload, &lent);
        return POSTERN_GATE_SENT;
    }
    if (count == 0) {
        buffers[0] = (struct postern_posted){.size = meta.length};
    } else {
        payload = ring->peer_pool;
    }
    if (!postern_gate_fill(payload, buffers, packet)) {
        return POSTERN_GATE_WRONG;
    }
    postern_ring_use_posted(ring, count);
    return POSTERN_GATE_SENT;
}

static inline int64_t postern_gate_post(struct postern_gate_post *post)
{
    struct postern_ring *ring = post->ring;
    int64_t result = 0;

    for (post->done = 0; post->done < post->count; post->done++) {
        if (!postern_ring_post(ring, post->buffers[post->done])) {
            result = postern_ring_may_post(ring) ? POSTERN_ERR_ARGUMENT : 0;
            break;
        }
    }
    postern_ring_publish_posted(ring);
    return result;
}

#endif
