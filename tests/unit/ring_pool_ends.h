/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two ends of a link in mode direct for tests: each has a pool, posts buffers of it, and sends and
 * receives by the gate's functions. What a packet holds follows from its number. To be included
 * behind abi/ring_ops.h, or what stands for it.
 */
#ifndef POSTERN_TESTS_UNIT_RING_POOL_ENDS_H
#define POSTERN_TESTS_UNIT_RING_POOL_ENDS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "abi/gate_ring_ops.h"
#include "tests/unit/ring_window.h"

#define POOL           0x40000u
#define POOL_LENT      0x3e000u /* what is behind it is for lending */
#define POOL_SECTION   POSTERN_SECTION_MIN

#define POOL_NOT_TAKEN 0x100

struct pool_end {
    struct postern_ring ring;
    uint8_t *pool;
    uint8_t bytes[POSTERN_RING_MAX_PAYLOAD]; /* of the packet that is on its way out */
    /* What it has posted in this generation, by number modulo the array's size. */
    struct postern_posted buffers[POSTERN_POSTED_MAX];
    uint64_t posted, filled;
    uint32_t cursor; /* where the next buffer of the pool is */
};

struct pool_link {
    struct ring_window window;
    struct ring_window pools; /* as both ends see them: a page may be given for writing */
    struct pool_end ends[2];
};

static inline void pool_link_init(struct pool_link *link, unsigned end)
{
    struct pool_end *self = &link->ends[end];

    assert_true(postern_ring_init(&self->ring, link->window.writable[end],
                                  link->window.readable[1 - end], POOL_SECTION));
    postern_ring_set_pool(&self->ring, link->pools.writable[1 - end], POOL);
    self->pool = link->pools.writable[end];
}

static inline void pool_link_open(struct pool_link *link, unsigned end)
{
    postern_ring_open(&link->ends[end].ring, 1500, 7);
    link->ends[end].posted = 0;
    link->ends[end].filled = 0;
}

static inline void pool_link_settle(struct pool_link *link)
{
    for (unsigned round = 0; round < 6; round++) {
        (void)postern_ring_sync(&link->ends[round % 2].ring);
    }
    assert_true(link->ends[0].ring.up && link->ends[1].ring.up);
}

static inline void pool_link_create(struct pool_link *link)
{
    memset(link->ends, 0, sizeof(link->ends));
    window_create(&link->window, POOL_SECTION);
    window_create(&link->pools, POOL);
    for (unsigned end = 0; end < 2; end++) {
        pool_link_init(link, end);
        pool_link_open(link, end);
    }
    pool_link_settle(link);
}

static inline void pool_link_destroy(struct pool_link *link)
{
    window_destroy(&link->window);
    window_destroy(&link->pools);
}

/* Posts a buffer; false when no more can be. */
static inline bool pool_post(struct pool_end *end, uint32_t offset, uint32_t size)
{
    const struct postern_posted buffer = {offset, size};
    struct postern_gate_post post = {.ring = &end->ring, .buffers = &buffer, .count = 1};

    assert_int_equal(postern_gate_ring_function(POSTERN_GATE_RING_POST, &post), 0);
    if (post.done == 1) {
        end->buffers[end->posted++ % POSTERN_POSTED_MAX] = buffer;
    }
    return post.done == 1;
}

/* Posts the next `size` bytes of the pool, going round. */
static inline bool pool_post_next(struct pool_end *end, uint32_t size)
{
    if (end->cursor + size > POOL_LENT) {
        end->cursor = 0;
    }
    if (!pool_post(end, end->cursor, size)) {
        return false;
    }
    end->cursor += size;
    return true;
}

static inline uint8_t pool_packet_byte(uint32_t number, uint32_t at)
{
    return (uint8_t)((number * 31 + at * 7 + (at >> 8)) & 0xff);
}

static inline void pool_write_packet(uint8_t *bytes, uint32_t number, uint32_t length)
{
    for (uint32_t at = 0; at < length; at++) {
        bytes[at] = pool_packet_byte(number, at);
    }
}

/* Sends packet `number`, of `length` bytes, in three pieces. Returns the result, or that it was
 * not taken. */
static inline int64_t pool_send(struct pool_end *end, uint32_t number, uint32_t length)
{
    uint8_t *bytes = end->bytes;
    struct postern_gate_piece pieces[] = {
        {bytes, length / 5}, {bytes + length / 5, length / 3}, {NULL, 0}};
    struct postern_gate_packet packet = {{.length = length}, pieces, 3};
    struct postern_gate_batch batch = {.ring = &end->ring, .packets = &packet, .count = 1};
    int64_t result;

    pool_write_packet(bytes, number, length);
    pieces[2] = (struct postern_gate_piece){bytes + length / 5 + length / 3,
                                            length - length / 5 - length / 3};
    result = postern_gate_ring_function(POSTERN_GATE_RING_SEND, &batch);
    return result < 0 || batch.done == 1 ? result : POOL_NOT_TAKEN;
}

/* Lends packet `number`, from that offset of the own pool on. */
static inline int64_t pool_lend(struct pool_end *end, uint32_t number, uint64_t offset,
                                uint32_t length)
{
    struct postern_gate_piece piece = {(void *)(uintptr_t)offset, length};
    struct postern_gate_packet packet = {
        {.length = length, .flags = POSTERN_RECORD_LENT}, &piece, 1};
    struct postern_gate_batch batch = {.ring = &end->ring, .packets = &packet, .count = 1};
    int64_t result;

    if (offset <= POOL && length <= POOL - offset) {
        pool_write_packet(end->pool + offset, number, length);
    }
    result = postern_gate_ring_function(POSTERN_GATE_RING_SEND, &batch);
    return result < 0 || batch.done == 1 ? result : POOL_NOT_TAKEN;
}

/* Takes a packet into `bytes`, out of its posted buffers too; false when there is none. */
static inline bool pool_take(struct pool_end *end, uint8_t *bytes, struct postern_ring_meta *meta)
{
    struct postern_gate_piece piece = {bytes, POSTERN_RING_MAX_PAYLOAD};
    struct postern_gate_packet packet = {{.length = 0}, &piece, 1};
    struct postern_gate_batch batch = {.ring = &end->ring, .packets = &packet, .count = 1};

    assert_true(postern_gate_ring_function(POSTERN_GATE_RING_TAKE, &batch) >= 0);
    *meta = packet.meta;
    if (batch.done == 0) {
        return false;
    }
    if ((meta->flags & POSTERN_RECORD_POSTED) != 0) {
        for (uint32_t rest = meta->length; rest != 0;) {
            const struct postern_posted *buffer = &end->buffers[end->filled % POSTERN_POSTED_MAX];
            uint32_t chunk = rest < buffer->size ? rest : buffer->size;

            assert_true(end->filled < end->posted);
            memcpy(bytes, end->pool + buffer->offset, chunk);
            bytes += chunk;
            rest -= chunk;
            end->filled++;
        }
    }
    return true;
}

static inline bool pool_is_packet(const uint8_t *bytes, uint32_t number, uint32_t length)
{
    for (uint32_t at = 0; at < length; at++) {
        if (bytes[at] != pool_packet_byte(number, at)) {
            return false;
        }
    }
    return true;
}

/* The next packet is that one, and came in that way: POSTED, LENT or 0. */
static inline void pool_expect(struct pool_end *end, uint32_t number, uint32_t length,
                               uint16_t flags)
{
    static uint8_t bytes[POSTERN_RING_MAX_PAYLOAD];
    struct postern_ring_meta meta;

    assert_true(pool_take(end, bytes, &meta));
    assert_int_equal(meta.length, length);
    assert_int_equal(meta.flags, flags);
    assert_true(pool_is_packet(bytes, number, length));
}

#endif
