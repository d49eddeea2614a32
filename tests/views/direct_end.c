/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/views/direct_end.h"

#include "abi/gate_ring.h"
#include "tests/views/views.h"

#define POSTED_PAGES 8u
#define LENT_PAGES   8u
#define LENT_OFFSET  (POSTED_PAGES * SIZE_4K)

static struct postern_ring ring;
static uint8_t *pages;
static uint8_t packet_bytes[LENT_PAGES * SIZE_4K];
static uint64_t filled; /* posted pages, in this opening */

static int64_t ring_call(uint32_t function)
{
    struct postern_gate_ring call = {.ring = &ring, .mtu = 1500, .seed = (uint32_t)rdtsc()};

    return cross(direct_view(), function, &call);
}

static int64_t post(uint32_t first, uint32_t count)
{
    struct postern_posted buffers[POSTED_PAGES];
    struct postern_gate_post post = {.ring = &ring, .buffers = buffers, .count = count};

    for (uint32_t i = 0; i < count; i++) {
        buffers[i] = (struct postern_posted){(first + i) % POSTED_PAGES * SIZE_4K, SIZE_4K};
    }
    return cross(direct_view(), POSTERN_GATE_RING_POST, &post);
}

static int64_t open(void)
{
    uint64_t window = window_of(DIRECT_PORT);
    int64_t result = postern_pool_take(DIRECT_PORT, POSTERN_POOL_ALL);

    pages = ram_alloc((POSTED_PAGES + LENT_PAGES) * SIZE_4K, SIZE_4K);
    for (uint64_t slot = 0; slot < POSTED_PAGES + LENT_PAGES && result == 0; slot++) {
        result = postern_pool_give(DIRECT_PORT, slot, (uint64_t)pages + slot * SIZE_4K,
                                   slot < POSTED_PAGES);
    }
    if (result != 0 ||
        !postern_ring_init(&ring, (void *)window, (void *)(window + SECTION_SIZE), SECTION_SIZE)) {
        return result != 0 ? result : POSTERN_ERR_ARGUMENT;
    }
    postern_ring_set_pool(&ring, (void *)pool_window(), POOL_SIZE);
    filled = 0;
    result = ring_call(POSTERN_GATE_RING_OPEN);
    return result < 0 ? result : post(0, POSTED_PAGES);
}

static uint8_t packet_byte(uint64_t number, uint64_t at)
{
    return (uint8_t)(number * 31 + at * 7 + (at >> 8));
}

static int64_t send(uint64_t number, uint64_t length, bool lend)
{
    uint8_t *bytes = lend ? pages + LENT_OFFSET : packet_bytes;
    struct postern_gate_piece piece = {lend ? (void *)LENT_OFFSET : bytes, length};
    struct postern_gate_packet packet = {
        {.length = (uint32_t)length, .flags = lend ? POSTERN_RECORD_LENT : 0}, &piece, 1};
    struct postern_gate_batch batch = {.ring = &ring, .packets = &packet, .count = 1};
    int64_t result;

    for (uint64_t at = 0; at < length; at++) {
        bytes[at] = packet_byte(number, at);
    }
    result = cross(direct_view(), POSTERN_GATE_RING_SEND, &batch);
    if (result < 0) {
        return result;
    }
    return batch.done == 1 ? 0 : DIRECT_NOT_TAKEN;
}

static int64_t take(uint64_t number)
{
    struct postern_gate_piece piece = {packet_bytes, sizeof(packet_bytes)};
    struct postern_gate_packet packet = {{.length = 0}, &piece, 1};
    struct postern_gate_batch batch = {.ring = &ring, .packets = &packet, .count = 1};
    int64_t result = cross(direct_view(), POSTERN_GATE_RING_TAKE, &batch);
    bool posted = (packet.meta.flags & POSTERN_RECORD_POSTED) != 0;
    uint32_t first = (uint32_t)(filled % POSTED_PAGES), count;

    if (result < 0 || batch.done == 0) {
        return result < 0 ? result : DIRECT_NOT_TAKEN;
    }
    count = posted ? (uint32_t)((packet.meta.length + SIZE_4K - 1) / SIZE_4K) : 0;
    for (uint32_t at = 0; at < packet.meta.length; at++) {
        uint32_t in_pages = (uint32_t)(first * SIZE_4K + at) % LENT_OFFSET;

        if ((posted ? pages[in_pages] : packet_bytes[at]) != packet_byte(number, at)) {
            return DIRECT_WRONG;
        }
    }
    filled += count;
    result = count != 0 ? post(first, count) : 0;
    return result < 0 ? result : packet.meta.flags;
}

int64_t direct_end(uint64_t what, uint64_t b, uint64_t c)
{
    switch (what) {
    case DIRECT_OPEN:
        return open();
    case DIRECT_SYNC: {
        int64_t result = ring_call(POSTERN_GATE_RING_SYNC);
        return result < 0 ? result : ring.up;
    }
    case DIRECT_SEND:
        return send(b, c, false);
    case DIRECT_LEND:
        return send(b, c, true);
    default:
        return take(b);
    }
}
