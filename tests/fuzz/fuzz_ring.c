/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A link's ring against a hostile peer. The input is a script: what the victim (end 0) does, what
 * an honest peer does, and what is written into the peer's section, before a step of the victim's
 * or in the middle of it, after any of its loads. The victim reads that section through a read-only
 * mapping with guard pages around it, as in a VM; and there are guard pages around the peer's pool.
 */
#define _GNU_SOURCE
#include "tests/fuzz/fuzz.h"

#include "tests/unit/ring_access.h"

#include "abi/gate_ring_ops.h"
#include "tests/unit/ring_window.h"

#define POSTERN_LOAD_VECTOR(p) access_load_vector(p)
static uint64_t __attribute__((vector_size(16))) access_load_vector(const uint8_t *address);

#include "abi/gate_burst_ops.h"

#define SECTION POSTERN_SECTION_MIN
#define POOL    0x10000u

static struct ring_window window, pools;
static struct postern_ring victim, peer;
static struct fuzz_input script;
static unsigned loads_until_write; /* 0: no write is due */

static uint64_t base_value(unsigned which)
{
    const uint64_t bases[] = {0,
                              victim.tail,
                              victim.head,
                              victim.peer_tail,
                              victim.peer_head,
                              victim.generation,
                              victim.peer_generation,
                              peer.head,
                              SECTION / 2,
                              POOL,
                              victim.peer_filled,
                              victim.filled,
                              POSTERN_RECORD_PAD,
                              POSTERN_RING_MAGIC};

    return bases[which % (sizeof(bases) / sizeof(bases[0]))];
}

/* Writes a word of the header, of the record or the posted buffer that the victim looks at next, or
 * anything. */
static void hostile_write(void)
{
    static const uint16_t fields[] = {0x00, 0x04, 0x08, 0x0c, 0x10,  0x14, 0x18,
                                      0x20, 0x40, 0x80, 0xc0, 0x100, 0x140};
    uint8_t kind = fuzz_byte(&script);
    uint8_t where = fuzz_byte(&script);
    size_t offset = fields[where % (sizeof(fields) / sizeof(fields[0]))];
    size_t size = (size_t)1 << (kind >> 6);
    uint64_t value;

    if ((kind & 0x03) == 3) {
        /* A pad where a record was, or one by the pools. */
        offset =
            SECTION / 2 + victim.tail % (SECTION / 2) / POSTERN_RECORD_ALIGN * POSTERN_RECORD_ALIGN;
        ((struct postern_record *)(void *)(window.writable[1] + offset))->flags =
            (uint16_t)(1u << where % 8);
        return;
    }
    if ((kind & 0x03) == 1) {
        offset = SECTION / 2 + (victim.tail + where % 32) % (SECTION / 2);
    } else if ((kind & 0x03) == 2) {
        offset = (size_t)fuzz_number(&script, 2);
    } else if ((where & 0x80) != 0) {
        offset = POSTERN_POSTED_OFFSET +
                 victim.peer_filled % POSTERN_POSTED_MAX * sizeof(struct postern_posted) +
                 where % sizeof(struct postern_posted);
    }
    offset -= offset % size;
    if ((kind & 0x04) != 0) {
        value = fuzz_number(&script, size);
    } else {
        value = base_value(fuzz_byte(&script));
        value +=
            (uint64_t)(int64_t)(int16_t)fuzz_number(&script, 2) * ((kind & 0x08) != 0 ? 16 : 1);
    }
    memcpy(window.writable[1] + offset, &value, size);
}

static uint64_t access_load(const void *address, size_t size)
{
    uint64_t value = 0;

    memcpy(&value, address, size);
    if ((uintptr_t)address - (uintptr_t)window.readable[1] < SECTION && loads_until_write > 0 &&
        --loads_until_write == 0) {
        hostile_write();
    }
    return value;
}

/* Written in between, too. */
static uint64_t __attribute__((vector_size(16))) access_load_vector(const uint8_t *address)
{
    const uint64_t first = access_load(address, 8), second = access_load(address + 8, 8);

    return (postern_vector){first, second};
}

static void access_store(void *address, uint64_t value, size_t size)
{
    memcpy(address, &value, size);
}

static void access_barrier(void)
{
}

static void check_victim(void)
{
    FUZZ_CHECK(victim.fault < POSTERN_FAULTS);
    FUZZ_CHECK(victim.data_size == SECTION / 2);
    FUZZ_CHECK(victim.peer_head - victim.tail <= victim.data_size);
    FUZZ_CHECK(victim.published_head <= victim.head);
    FUZZ_CHECK(victim.head % POSTERN_RECORD_ALIGN == 0);
    FUZZ_CHECK(victim.posted - victim.filled <= POSTERN_POSTED_MAX);
    if (victim.up) {
        FUZZ_CHECK(victim.head - victim.peer_tail <= victim.data_size);
        FUZZ_CHECK(victim.tail % POSTERN_RECORD_ALIGN == 0);
    }
}

static void check_packet(const uint8_t *payload, const struct postern_ring_meta *meta)
{
    static uint8_t copy[POSTERN_RING_MAX_PAYLOAD];
    const bool lent = (meta->flags & POSTERN_RECORD_LENT) != 0;
    const size_t from = lent ? 0 : SECTION / 2, to = lent ? POOL : SECTION;
    size_t offset = (size_t)(payload - (lent ? pools.writable[1] : window.readable[1]));

    FUZZ_CHECK(offset >= from && offset <= to && meta->length <= to - offset);
    FUZZ_CHECK(meta->length > 0 && meta->length <= victim.max_payload);
    FUZZ_CHECK(postern_ring_meta_valid(meta));
    memcpy(copy, payload, meta->length);
}

static void victim_receives(unsigned count, bool consume)
{
    struct postern_ring_reader reader = postern_ring_read_begin(&victim);
    struct postern_ring_meta meta;

    while (count-- > 0) {
        const uint8_t *payload = postern_ring_read_next(&reader, &meta);

        if (payload != NULL) {
            check_packet(payload, &meta);
        } else if (postern_ring_read_posted(&reader)) {
            FUZZ_CHECK(reader.filled - victim.filled <= victim.published_posted - victim.filled);
        } else {
            break;
        }
    }
    if (consume) {
        postern_ring_read_end(&victim, &reader);
    }
}

static void post_from(struct postern_ring *ring)
{
    const struct postern_posted buffer = {(uint32_t)fuzz_number(&script, 3),
                                          (uint32_t)fuzz_number(&script, 2)};

    if (postern_ring_post(ring, buffer)) {
        FUZZ_CHECK(buffer.size != 0 && buffer.offset <= POOL &&
                   buffer.size <= POOL - buffer.offset);
    }
    postern_ring_publish_posted(ring);
}

/* As the gate does it: by the pools, if it can be; lent, if the length says so. */
static void send_by_gate(struct postern_ring *ring, uint32_t length)
{
    static uint8_t bytes[POSTERN_RING_MAX_PAYLOAD];
    struct postern_gate_piece piece = {bytes, length % sizeof(bytes)};
    struct postern_gate_packet packet = {{.length = (uint32_t)piece.size}, &piece, 1};
    struct postern_gate_batch batch = {.ring = ring, .packets = &packet, .count = 1};

    if (length % 4 == 3 && length >= POSTERN_POSTED_MIN) {
        piece.address = (void *)(uintptr_t)(length * 7);
        packet.meta.flags = POSTERN_RECORD_LENT;
    }
    (void)postern_gate_send(&batch);
}

static void victim_takes_burst(uint32_t room)
{
    static uint8_t buffers[8][SECTION];
    struct postern_gate_frame frames[8];
    struct postern_gate_burst burst = {
        .ring = &victim, .frames = frames, .count = 8, .room = room % SECTION};

    for (unsigned i = 0; i < 8; i++) {
        frames[i].address = buffers[i];
    }
    FUZZ_CHECK(postern_gate_burst_function(POSTERN_GATE_BURST_TAKE, &burst) >= 0);
    FUZZ_CHECK(burst.done <= 8 && burst.dropped <= burst.done);
    for (unsigned i = 0; i < burst.done; i++) {
        struct postern_ring_meta meta;

        memcpy(&meta, &frames[i].record, sizeof(frames[i].record));
        FUZZ_CHECK(meta.length <= burst.room && meta.length <= victim.max_payload);
        FUZZ_CHECK(meta.length == 0 || postern_ring_meta_valid(&meta));
    }
}

static void victim_sends_burst(uint32_t length)
{
    static uint8_t bytes[1 << 16];
    struct postern_gate_frame frames[8];
    struct postern_gate_burst burst = {.ring = &victim, .frames = frames, .count = 8};

    for (unsigned i = 0; i < 8; i++) {
        frames[i] = (struct postern_gate_frame){.record.length = i < 5 ? length : length / 2,
                                                .address = bytes};
    }
    FUZZ_CHECK(postern_gate_burst_function(POSTERN_GATE_BURST_SEND, &burst) >= 0);
    FUZZ_CHECK(burst.done <= 8);
}

static void send_from(struct postern_ring *ring, uint32_t length)
{
    const struct postern_ring_meta meta = {.length = length,
                                           .flags = length % 2 != 0 ? POSTERN_RECORD_STAMP : 0};
    uint8_t *payload;

    if (length % 4 > 1) {
        send_by_gate(ring, length);
        return;
    }
    payload = postern_ring_reserve(ring, &meta);
    if (payload == NULL) {
        return;
    }
    size_t offset = (size_t)(payload - (uint8_t *)ring->own);
    FUZZ_CHECK(offset >= SECTION / 2 && offset + length <= SECTION);
    memset(payload, 0x5a, length);
    postern_ring_commit(ring);
}

/* One packet and some that are like it. */
static void send_many(struct postern_ring *ring, uint32_t length, unsigned more)
{
    for (unsigned i = 0; i <= more; i++) {
        send_from(ring, length);
    }
}

static void peer_drains(void)
{
    struct postern_ring_reader reader = postern_ring_read_begin(&peer);
    struct postern_ring_meta meta;

    while (postern_ring_read_next(&reader, &meta) != NULL || postern_ring_read_posted(&reader)) {
    }
    postern_ring_read_end(&peer, &reader);
    (void)postern_ring_release(&peer);
}

static void victim_step(unsigned kind)
{
    switch (kind) {
    case 0:
        victim_receives(1, true);
        break;
    case 1:
        victim_receives(1, false);
        break;
    case 2:
        if (fuzz_byte(&script) % 2 == 0) {
            victim_receives(8, true);
            (void)postern_ring_release(&victim);
        } else {
            victim_takes_burst((uint32_t)fuzz_number(&script, 2));
        }
        break;
    case 3:
        post_from(&victim);
        (void)postern_ring_arm_rx(&victim);
        break;
    case 4:
        send_from(&victim, (uint32_t)fuzz_number(&script, 2));
        break;
    case 5:
        if (fuzz_byte(&script) % 2 == 0) {
            (void)postern_ring_publish(&victim);
        } else {
            victim_sends_burst((uint32_t)fuzz_number(&script, 2));
        }
        break;
    case 6:
        (void)postern_ring_arm_tx(&victim, fuzz_number(&script, 2) % SECTION / 2 + 1);
        break;
    default:
        if (postern_ring_sync_needed(&victim)) {
            (void)postern_ring_sync(&victim);
        }
    }
}

static void other_step(unsigned kind)
{
    switch (kind) {
    case 0:
        hostile_write();
        break;
    case 1:
        post_from(&peer);
        break;
    case 2:
        send_many(&peer, (uint32_t)fuzz_number(&script, 2), fuzz_byte(&script) % 8);
        (void)postern_ring_publish(&peer);
        break;
    case 3:
        peer_drains();
        break;
    case 4:
        postern_ring_open(&peer, 1500, 7);
        (void)postern_ring_sync(&peer);
        break;
    case 5:
        postern_ring_close(&peer);
        break;
    case 6:
        (void)postern_ring_sync(&peer);
        break;
    default:
        postern_ring_open(&victim, 1500, 7);
    }
}

static void begin(void)
{
    if (window.section_size == 0) {
        window_create(&window, SECTION);
        window_create(&pools, POOL);
    }
    for (unsigned end = 0; end < 2; end++) {
        memset(window.writable[end], 0, sizeof(struct postern_ring_header));
        memset(window.writable[end] + SECTION / 2, 0, SECTION / 2);
    }
    loads_until_write = 0;
    FUZZ_CHECK(postern_ring_init(&victim, window.writable[0], window.readable[1], SECTION));
    FUZZ_CHECK(postern_ring_init(&peer, window.writable[1], window.readable[0], SECTION));
    postern_ring_set_pool(&victim, pools.writable[1], POOL);
    postern_ring_set_pool(&peer, pools.writable[0], POOL);
    postern_ring_open(&victim, 1500, 7);
    postern_ring_open(&peer, 1500, 70);
    (void)postern_ring_sync(&victim);
    (void)postern_ring_sync(&peer);
    (void)postern_ring_sync(&victim);
}

/* After all of it an honest peer finds a link that works. */
static void check_works(void)
{
    loads_until_write = 0;
    FUZZ_CHECK(postern_ring_init(&peer, window.writable[1], window.readable[0], SECTION));
    postern_ring_open(&victim, 1500, 7);
    postern_ring_open(&peer, 1500, 70);
    (void)postern_ring_sync(&victim);
    (void)postern_ring_sync(&peer);
    (void)postern_ring_sync(&victim);
    FUZZ_CHECK(victim.up && peer.up);
    send_from(&peer, 77);
    (void)postern_ring_publish(&peer);
    struct postern_ring_meta meta;
    FUZZ_CHECK(postern_ring_peek(&victim, &meta) != NULL && meta.length == 77);
    postern_ring_consume(&victim);
    (void)postern_ring_release(&victim);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    script = (struct fuzz_input){data, size};
    begin();
    while (script.left > 0) {
        uint8_t op = fuzz_byte(&script);

        if ((op & 0x08) != 0) {
            /* With a write after one of its loads, or after none. */
            loads_until_write = op >> 4;
            victim_step(op & 0x07);
            loads_until_write = 0;
            check_victim();
        } else {
            other_step(op & 0x07);
        }
    }
    check_works();
    return 0;
}
