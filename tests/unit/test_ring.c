/* SPDX-License-Identifier: BSD-2-Clause */
/* A link's ring between two honest ends. test_ring_order.c has the order of accesses,
 * test_ring_hostile.c the peers that are not honest. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "abi/ring_ops.h"
#include "tests/unit/random.h"
#include "tests/unit/ring_window.h"

#define SMALL POSTERN_SECTION_MIN
#define LARGE 0x100000u

static struct ring_window window;
static struct postern_ring ends[2];

/* Both ends over new sections, closed. */
static void set_up(uint32_t section_size)
{
    window_create(&window, section_size);
    for (unsigned end = 0; end < 2; end++) {
        assert_true(postern_ring_init(&ends[end], window.writable[end], window.readable[1 - end],
                                      section_size));
    }
}

/* Syncs both until neither has anything to say, as doorbells would have it. */
static void settle(void)
{
    bool again = true;

    for (unsigned round = 0; again; round++) {
        assert_true(round < 5);
        again = postern_ring_sync(&ends[0]);
        again = postern_ring_sync(&ends[1]) || again;
    }
}

static void set_up_link(uint32_t section_size)
{
    set_up(section_size);
    postern_ring_open(&ends[0], 1500, 7);
    postern_ring_open(&ends[1], 9000, 7);
    settle();
    assert_true(ends[0].up && ends[1].up);
}

/* A packet's content follows from its number: its length, its meta and each byte. */
static uint32_t packet_length(uint32_t number, uint32_t limit)
{
    struct random random = {number * 2654435761ull + 1};
    uint32_t kind = random_below(&random, 8);

    return 1 + random_below(&random, kind == 0 ? limit : kind < 4 ? limit / 16 : 128);
}

static struct postern_ring_meta packet_meta(uint32_t number, uint32_t length)
{
    struct postern_ring_meta meta = {.length = length};

    if (number % 3 == 1 && length > 60) {
        meta.flags = POSTERN_RECORD_CSUM;
        meta.csum_start = 34;
        meta.csum_offset = 16;
    }
    if (number % 6 == 1 && length > 60) {
        meta.gso_type = POSTERN_GSO_TCP6;
        meta.gso_size = (uint16_t)(1 + number % 1400);
        meta.header_length = 54;
        meta.flags |= POSTERN_RECORD_ECN;
    }
    if (number % 5 == 2) {
        meta.flags |= POSTERN_RECORD_STAMP;
        meta.stamp = number * 0x123456789ull;
    }
    return meta;
}

static uint8_t packet_byte(uint32_t number, uint32_t at)
{
    return (uint8_t)((number * 31 + at * 7 + (at >> 8)) & 0xff);
}

/* Commits packet `number`; false when it does not fit. */
static bool put(struct postern_ring *ring, uint32_t number)
{
    uint32_t length = packet_length(number, ring->max_payload);
    struct postern_ring_meta meta = packet_meta(number, length);
    uint8_t *payload = postern_ring_reserve(ring, &meta);

    if (payload == NULL) {
        return false;
    }
    for (uint32_t at = 0; at < length; at++) {
        payload[at] = packet_byte(number, at);
    }
    postern_ring_commit(ring);
    return true;
}

/* Does `payload` hold packet `number`? */
static bool is_packet(const uint8_t *payload, const struct postern_ring_meta *meta, uint32_t number,
                      uint32_t limit)
{
    uint32_t length = packet_length(number, limit);
    struct postern_ring_meta wanted = packet_meta(number, length);

    if (memcmp(meta, &wanted, sizeof(wanted)) != 0) {
        return false;
    }
    for (uint32_t at = 0; at < length; at++) {
        if (payload[at] != packet_byte(number, at)) {
            return false;
        }
    }
    return true;
}

/* Takes packet `number`; false when there is none. */
static bool take(struct postern_ring *ring, uint32_t number)
{
    struct postern_ring_meta meta;
    const uint8_t *payload = postern_ring_peek(ring, &meta);

    if (payload == NULL) {
        assert_int_equal(ring->fault, POSTERN_FAULT_NONE);
        return false;
    }
    assert_true(is_packet(payload, &meta, number, ring->max_payload));
    postern_ring_consume(ring);
    return true;
}

/* Commits a record of `length` bytes that nobody looks into. */
static bool put_plain(struct postern_ring *ring, uint32_t length)
{
    struct postern_ring_meta meta = {.length = length};

    if (postern_ring_reserve(ring, &meta) == NULL) {
        return false;
    }
    postern_ring_commit(ring);
    return true;
}

static void *reserve(uint32_t length)
{
    const struct postern_ring_meta meta = {.length = length};

    return postern_ring_reserve(&ends[0], &meta);
}

static unsigned drain(struct postern_ring *ring)
{
    struct postern_ring_meta meta;
    unsigned count = 0;

    while (postern_ring_peek(ring, &meta) != NULL) {
        postern_ring_consume(ring);
        count++;
    }
    return count;
}

static void test_section_sizes(void **state)
{
    static const uint32_t wrong[] = {0, 1, 0x8000, 0x18000, 0x10001, 0x8000000, 0xffffffff};
    struct postern_ring ring;

    (void)state;
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(postern_ring_init(&ring, NULL, NULL, wrong[i]));
    }
    for (uint32_t size = POSTERN_SECTION_MIN; size <= POSTERN_SECTION_MAX; size *= 2) {
        static uint8_t any[1];
        assert_true(postern_ring_init(&ring, any, any, size));
        assert_int_equal(ring.data_size, size / 2);
        assert_true(postern_ring_record_size(ring.max_payload, POSTERN_RECORD_STAMP) <=
                    ring.data_size / 4);
    }
    assert_int_equal(ring.max_payload, POSTERN_RING_MAX_PAYLOAD);
}

static void test_passes(void **state)
{
    (void)state;
    for (uint64_t base = (uint64_t)-20; base != 20; base++) {
        for (uint64_t step = 0; step < 12; step++) {
            for (uint64_t at = 0; at < 30; at++) {
                /* The event at base - 9 + at is passed when it is one of base ... base+step-1. */
                bool inside = at >= 9 && at - 9 < step;
                assert_int_equal(postern_ring_passes(base, base + step, base - 9 + at), inside);
            }
        }
    }
}

static void test_handshake(void **state)
{
    (void)state;
    set_up(SMALL);
    postern_ring_open(&ends[0], 1500, 7);
    assert_false(postern_ring_sync(&ends[0]));
    assert_false(ends[0].up);
    assert_true(postern_ring_arm_rx(&ends[0]));
    assert_null(reserve(60));

    postern_ring_open(&ends[1], 9000, 7);
    assert_false(postern_ring_arm_rx(&ends[0]));
    assert_true(postern_ring_sync(&ends[0]));
    assert_false(ends[0].up); /* the other one has not seen this end */
    assert_int_equal(ends[0].peer_mtu, 9000);
    assert_true(postern_ring_sync(&ends[1]));
    assert_true(ends[1].up);
    assert_false(ends[0].up);
    assert_true(postern_ring_sync_needed(&ends[0]));
    assert_false(postern_ring_sync(&ends[0]));
    assert_true(ends[0].up);
    assert_false(postern_ring_sync_needed(&ends[0]));
    assert_false(postern_ring_sync_needed(&ends[1]));

    postern_ring_close(&ends[1]);
    assert_true(postern_ring_sync_needed(&ends[0]));
    assert_true(postern_ring_sync(&ends[0]));
    assert_false(ends[0].up);
    assert_null(reserve(60));
    window_destroy(&window);
}

static void test_generations(void **state)
{
    (void)state;
    set_up(SMALL);
    postern_ring_open(&ends[0], 1500, 0xffffffff);
    assert_int_equal(ends[0].generation, 0x80000000);
    postern_ring_close(&ends[0]);
    /* A driver that is loaded anew knows nothing but what is in its section. */
    assert_true(postern_ring_init(&ends[0], window.writable[0], window.readable[1], SMALL));
    postern_ring_open(&ends[0], 1500, 0);
    assert_int_equal(ends[0].generation, 0x80000001);
    /* 0 would be an end that is down. */
    postern_ring_open(&ends[0], 1500, 0xfffffffc);
    assert_int_equal(ends[0].generation, 1);
    window_destroy(&window);
}

static void test_peer_restarts(void **state)
{
    (void)state;
    set_up_link(SMALL);
    for (unsigned i = 0; i < 20; i++) {
        assert_true(put_plain(&ends[1], 1000));
    }
    (void)postern_ring_publish(&ends[1]);
    assert_int_equal(drain(&ends[0]), 20);
    assert_true(postern_ring_arm_rx(&ends[0]));
    assert_non_null(reserve(60));
    postern_ring_open(&ends[1], 1500, 7);
    settle();
    /* The reservation is gone, and the new generation's first record rings. */
    postern_ring_commit(&ends[0]);
    assert_false(postern_ring_publish(&ends[0]));
    assert_true(put_plain(&ends[1], 60));
    assert_true(postern_ring_publish(&ends[1]));
    assert_int_equal(drain(&ends[0]), 1);
    window_destroy(&window);
}

/* A peer that has started anew and not met this end yet has a tail of 0: no fault, and no room. */
static void test_room_while_the_peer_starts(void **state)
{
    (void)state;
    set_up_link(SMALL);
    while (put_plain(&ends[0], 1000)) {
    }
    (void)postern_ring_publish(&ends[0]);
    assert_true(drain(&ends[1]) > 0);
    (void)postern_ring_release(&ends[1]);
    postern_ring_open(&ends[1], 1500, 7);
    (void)postern_ring_sync(&ends[0]);
    assert_false(ends[0].up);
    assert_false(postern_ring_room(&ends[0], ends[0].data_size));
    settle();
    assert_true(ends[0].up);
    assert_true(postern_ring_room(&ends[0], ends[0].data_size));
    window_destroy(&window);
}

/* Random sizes in random batches, both ways at once. */
static void run_fifo(uint32_t section_size, uint32_t packets, uint32_t seed)
{
    struct random random = {seed};
    uint32_t sent[2] = {0, 0}, got[2] = {0, 0};

    set_up_link(section_size);
    while (got[0] < packets || got[1] < packets) {
        unsigned end = random_below(&random, 2);
        struct postern_ring *ring = &ends[end];

        for (unsigned n = random_below(&random, 40); n > 0 && put(ring, sent[end]); n--) {
            sent[end]++;
        }
        if (random_below(&random, 4) != 0) {
            (void)postern_ring_publish(ring);
        }
        for (unsigned n = random_below(&random, 40); n > 0 && take(ring, got[end]); n--) {
            got[end]++;
        }
        assert_true(got[end] <= sent[1 - end]);
        if (random_below(&random, 4) != 0) {
            (void)postern_ring_release(ring);
        }
        assert_false(postern_ring_sync_needed(ring));
    }
    /* Many times around. */
    assert_true(ends[0].head > 20 * ends[0].data_size);
    window_destroy(&window);
}

static void test_fifo(void **state)
{
    (void)state;
    run_fifo(SMALL, 4000, 1);
    run_fifo(SMALL, 4000, 2);
    run_fifo(LARGE, 6000, 3);
}

static void test_full_and_empty(void **state)
{
    (void)state;
    set_up_link(SMALL);
    unsigned capacity = (unsigned)(ends[0].data_size / 64);
    for (unsigned i = 0; i < capacity; i++) {
        assert_true(put_plain(&ends[0], 48));
    }
    assert_false(put_plain(&ends[0], 1));
    assert_false(postern_ring_room(&ends[0], 1));
    assert_int_equal(drain(&ends[1]), 0); /* nothing is published yet */
    assert_true(postern_ring_publish(&ends[0]));
    assert_false(postern_ring_publish(&ends[0]));

    struct postern_ring_meta meta;
    assert_non_null(postern_ring_peek(&ends[1], &meta));
    assert_non_null(postern_ring_peek(&ends[1], &meta)); /* the same one */
    assert_int_equal(meta.length, 48);
    postern_ring_consume(&ends[1]);
    postern_ring_consume(&ends[1]); /* nothing more without a peek */
    assert_false(put_plain(&ends[0], 1));
    (void)postern_ring_release(&ends[1]);
    assert_true(postern_ring_room(&ends[0], 64));
    assert_false(postern_ring_room(&ends[0], 65));
    assert_true(put_plain(&ends[0], 48));
    assert_false(put_plain(&ends[0], 1));
    (void)postern_ring_publish(&ends[0]);
    assert_int_equal(drain(&ends[1]), capacity);
    assert_null(postern_ring_peek(&ends[1], &meta));
    window_destroy(&window);
}

/* A batch that is not ended was not; what does not fit leaves it as it was. */
static void test_batches(void **state)
{
    const struct postern_ring_meta small = {.length = 60}, none = {.length = 0};
    struct postern_ring_meta meta;
    struct postern_ring_writer writer;
    struct postern_ring_reader reader;
    uint64_t left;
    unsigned count = 0;

    (void)state;
    set_up_link(SMALL);
    writer = postern_ring_write_begin(&ends[0]);
    assert_non_null(postern_ring_write_next(&ends[0], &writer, &small));
    postern_ring_commit(&ends[0]);
    assert_false(postern_ring_publish(&ends[0]));

    writer = postern_ring_write_begin(&ends[0]);
    while (postern_ring_write_next(&ends[0], &writer, &small) != NULL) {
        count++;
    }
    assert_int_equal(count, ends[0].data_size / 80);
    assert_null(postern_ring_write_next(&ends[0], &writer, &none));
    postern_ring_write_end(&ends[0], &writer);
    assert_true(postern_ring_publish(&ends[0]));
    assert_false(postern_ring_room(&ends[0], 80));

    reader = postern_ring_read_begin(&ends[1]);
    assert_non_null(postern_ring_read_next(&reader, &meta));
    left = ends[1].tail;
    assert_int_equal(left, 0); /* nothing is consumed yet */
    reader = postern_ring_read_begin(&ends[1]);
    for (unsigned i = 0; i < 2 * count; i++) {
        assert_true((postern_ring_read_next(&reader, &meta) != NULL) == (i < count));
    }
    assert_int_equal(reader.fault, POSTERN_FAULT_NONE);
    postern_ring_read_end(&ends[1], &reader);
    (void)postern_ring_release(&ends[1]);
    assert_true(postern_ring_room(&ends[0], ends[0].data_size));
    window_destroy(&window);
}

/* An end that polls is never rung, and never waits. */
static void test_polls(void **state)
{
    (void)state;
    window_create(&window, SMALL);
    for (unsigned end = 0; end < 2; end++) {
        assert_true(
            postern_ring_init(&ends[end], window.writable[end], window.readable[1 - end], SMALL));
        ends[end].polls = end == 1;
        postern_ring_open(&ends[end], 1500, 7);
    }
    settle();
    assert_true(ends[0].peer_polls);
    assert_false(ends[1].peer_polls);
    assert_false(postern_ring_arm_rx(&ends[1]));
    assert_true(put_plain(&ends[0], 60));
    assert_false(postern_ring_publish(&ends[0]));
    assert_int_equal(drain(&ends[1]), 1);
    /* The other direction is as ever. */
    assert_true(postern_ring_arm_rx(&ends[0]));
    assert_true(put_plain(&ends[1], 60));
    assert_true(postern_ring_publish(&ends[1]));
    assert_int_equal(drain(&ends[0]), 1);
    while (put_plain(&ends[1], 1000)) {
    }
    (void)postern_ring_publish(&ends[1]);
    assert_false(postern_ring_arm_tx(&ends[1], ends[1].data_size));
    window_destroy(&window);
}

static void test_lengths(void **state)
{
    (void)state;
    set_up_link(SMALL);
    assert_null(reserve(0));
    assert_null(reserve(ends[0].max_payload + 1));
    assert_null(reserve(0xffffffff));
    assert_non_null(reserve(ends[0].max_payload));
    /* A reservation that is not committed is replaced by the next one, or by none. */
    assert_null(reserve(0));
    postern_ring_commit(&ends[0]);
    assert_false(postern_ring_publish(&ends[0]));
    window_destroy(&window);
}

/* As if `position` bytes had gone from end 0 to end 1. */
static void move_to(uint64_t position)
{
    ends[0].head = position;
    ends[0].published_head = position;
    ends[0].peer_tail = position;
    ends[0].own->head = position;
    ends[1].tail = position;
    ends[1].published_tail = position;
    ends[1].peer_head = position;
    ends[1].own->tail = position;
}

/* From each place in an empty ring each length fits, and a pad is where it is needed only. */
static void test_every_place(void **state)
{
    (void)state;
    set_up_link(SMALL);
    const uint64_t size = ends[0].data_size;
    for (uint64_t place = 0; place < size; place += POSTERN_RECORD_ALIGN) {
        static const uint32_t lengths[] = {1, 16, 17, POSTERN_RING_PAYLOAD(SMALL)};
        uint32_t length = lengths[place / POSTERN_RECORD_ALIGN % 4];
        uint32_t record = postern_ring_record_size(length, 0);
        uint64_t start = 40 * size + place;

        move_to(start);
        assert_true(put_plain(&ends[0], length));
        uint64_t pad = place + record > size ? size - place : 0;
        assert_int_equal(ends[0].head - start, pad + record);
        if (pad != 0) {
            const struct postern_record *written = (const void *)(ends[0].data + place);
            assert_int_equal(written->flags, POSTERN_RECORD_PAD);
            assert_int_equal(written->length, pad - POSTERN_RECORD_ALIGN);
        }
        (void)postern_ring_publish(&ends[0]);
        assert_int_equal(drain(&ends[1]), 1);
    }
    window_destroy(&window);
}

static void test_one_rx_doorbell_for_each_arming(void **state)
{
    struct random random = {5};

    (void)state;
    set_up_link(SMALL);
    for (unsigned round = 0; round < 2000; round++) {
        unsigned bells = 0, batches = 1 + random_below(&random, 5), records = 0;

        assert_true(postern_ring_arm_rx(&ends[1]));
        for (unsigned batch = 0; batch < batches; batch++) {
            for (unsigned n = 1 + random_below(&random, 4); n > 0; n--) {
                assert_true(put_plain(&ends[0], 1 + random_below(&random, 1500)));
                records++;
            }
            bool bell = postern_ring_publish(&ends[0]);
            assert_int_equal(bell, batch == 0);
            bells += bell;
        }
        assert_int_equal(bells, 1);
        assert_false(postern_ring_arm_rx(&ends[1]));
        assert_int_equal(drain(&ends[1]), records);
        (void)postern_ring_release(&ends[1]);
        /* Not armed at this place: no doorbell, as long as it polls. */
        assert_true(put_plain(&ends[0], 100));
        assert_false(postern_ring_publish(&ends[0]));
        assert_int_equal(drain(&ends[1]), 1);
        assert_false(postern_ring_release(&ends[1]));
    }
    window_destroy(&window);
}

static void test_one_tx_doorbell_for_each_arming(void **state)
{
    struct random random = {6};

    (void)state;
    set_up_link(SMALL);
    for (unsigned round = 0; round < 300; round++) {
        unsigned bells = 0;
        uint64_t wanted = 16 + random_below(&random, (uint32_t)ends[0].data_size - 15);
        struct postern_ring_meta meta;

        while (put_plain(&ends[0], 1 + random_below(&random, 600))) {
        }
        (void)postern_ring_publish(&ends[0]);
        if (!postern_ring_arm_tx(&ends[0], wanted)) {
            assert_true(postern_ring_room(&ends[0], wanted));
            wanted = 0;
        }
        while (postern_ring_peek(&ends[1], &meta) != NULL) {
            postern_ring_consume(&ends[1]);
            bool bell = postern_ring_release(&ends[1]);
            bells += bell;
            if (wanted != 0 && bells == 0) {
                assert_false(postern_ring_room(&ends[0], wanted));
            } else if (bell) {
                assert_true(postern_ring_room(&ends[0], wanted));
            }
        }
        assert_in_range(bells, wanted != 0, 1);
    }
    window_destroy(&window);
}

/* What an end knows when it runs: which packets its peer's present opening has sent. */
struct side {
    uint32_t next;     /* to send */
    uint32_t expected; /* to come, when `synced` */
    bool open;
};

static void restart_step(struct random *random, struct side sides[2], unsigned end)
{
    struct postern_ring *ring = &ends[end];
    struct side *side = &sides[end];
    uint32_t kind = random_below(random, 64);

    if (kind == 0 && side->open) {
        postern_ring_close(ring);
        side->open = false;
    } else if (kind <= 1 || !side->open) {
        assert_true(postern_ring_init(ring, window.writable[end], window.readable[1 - end], SMALL));
        postern_ring_open(ring, 1500, 7);
        side->open = true;
    } else if (kind < 8) {
        (void)postern_ring_sync(ring);
    } else if (kind < 32) {
        side->next += put(ring, side->next);
        if (kind & 1) {
            (void)postern_ring_publish(ring);
        }
    } else {
        struct postern_ring_meta meta;
        const uint8_t *payload = postern_ring_peek(ring, &meta);

        /* Packets may be lost where an end starts again, and never come twice or out of order. */
        while (payload != NULL && side->expected < sides[1 - end].next &&
               !is_packet(payload, &meta, side->expected, ring->max_payload)) {
            side->expected++;
        }
        assert_true(payload == NULL || side->expected < sides[1 - end].next);
        side->expected += payload != NULL;
        postern_ring_consume(ring);
        (void)postern_ring_release(ring);
    }
    assert_int_equal(ring->fault, POSTERN_FAULT_NONE);
}

static void test_restarts(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 20; seed++) {
        struct random random = {seed};
        struct side sides[2] = {{.next = 0}, {.next = 0}};
        unsigned received = 0;

        set_up(SMALL);
        for (unsigned step = 0; step < 4000; step++) {
            uint32_t before = sides[0].expected;
            restart_step(&random, sides, random_below(&random, 2));
            received += sides[0].expected != before;
        }
        assert_true(received > 20);
        /* Whatever was before: with both open the link works, and both ways. */
        for (unsigned end = 0; end < 2; end++) {
            postern_ring_open(&ends[end], 1500, 7);
        }
        settle();
        for (unsigned end = 0; end < 2; end++) {
            assert_true(ends[end].up);
            assert_true(put(&ends[end], 1000000));
            assert_true(postern_ring_publish(&ends[end]));
            assert_true(take(&ends[1 - end], 1000000));
        }
        window_destroy(&window);
    }
}

#define THREAD_PACKETS 30000u

static void *send_all(void *argument)
{
    struct postern_ring *ring = argument;

    for (uint32_t number = 0; number < THREAD_PACKETS;) {
        unsigned batch = 1 + number % 13;

        while (batch > 0 && number < THREAD_PACKETS && put(ring, number)) {
            number++;
            batch--;
        }
        (void)postern_ring_publish(ring);
        if (batch > 0) {
            (void)sched_yield();
        }
    }
    return NULL;
}

/* Returns the number of the first packet that was wrong, or THREAD_PACKETS. */
static uint32_t receive_all(struct postern_ring *ring)
{
    for (uint32_t number = 0; number < THREAD_PACKETS;) {
        struct postern_ring_meta meta;
        const uint8_t *payload = postern_ring_peek(ring, &meta);

        if (payload == NULL) {
            (void)postern_ring_release(ring);
            if (ring->fault != POSTERN_FAULT_NONE) {
                return number;
            }
            (void)sched_yield();
            continue;
        }
        if (!is_packet(payload, &meta, number, ring->max_payload)) {
            return number;
        }
        postern_ring_consume(ring);
        number++;
        if (number % 16 == 0) {
            (void)postern_ring_release(ring);
        }
    }
    return THREAD_PACKETS;
}

static void test_two_threads(void **state)
{
    pthread_t sender;

    (void)state;
    set_up_link(SMALL);
    assert_int_equal(pthread_create(&sender, NULL, send_all, &ends[0]), 0);
    uint32_t good = receive_all(&ends[1]);
    if (good < THREAD_PACKETS) {
        fail_msg("packet %u came out wrong, fault %u", good, ends[1].fault);
    }
    assert_int_equal(pthread_join(sender, NULL), 0);
    window_destroy(&window);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_section_sizes),
        cmocka_unit_test(test_passes),
        cmocka_unit_test(test_handshake),
        cmocka_unit_test(test_generations),
        cmocka_unit_test(test_peer_restarts),
        cmocka_unit_test(test_room_while_the_peer_starts),
        cmocka_unit_test(test_fifo),
        cmocka_unit_test(test_full_and_empty),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_polls),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_every_place),
        cmocka_unit_test(test_one_rx_doorbell_for_each_arming),
        cmocka_unit_test(test_one_tx_doorbell_for_each_arming),
        cmocka_unit_test(test_restarts),
        cmocka_unit_test(test_two_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
