/* SPDX-License-Identifier: BSD-2-Clause */
/* Posted buffers and lent payloads between two honest ends. test_ring_hostile.c and
 * test_ring_fuzz.c have the peers that are not, test_ring_pool_order.c the order of accesses. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/random.h"
#include "tests/unit/ring_pool_ends.h"

static struct pool_link world;
static struct pool_end *const sender = &world.ends[0], *const receiver = &world.ends[1];
static uint8_t bytes[POSTERN_RING_MAX_PAYLOAD];

enum { POSTED = POSTERN_RECORD_POSTED, LENT = POSTERN_RECORD_LENT, LEAST = POSTERN_POSTED_MIN };

static int set_up(void **state)
{
    (void)state;
    pool_link_create(&world);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pool_link_destroy(&world);
    return 0;
}

/* Each length comes over, in buffers if it is long enough, and no byte beyond it is written. */
static void test_lengths(void **state)
{
    (void)state;
    for (uint32_t length = 1; length <= sender->ring.max_payload;
         length += length < 1100 ? 1 : 97) {
        const bool posted = length >= POSTERN_POSTED_MIN;

        memset(receiver->pool, 0xee, POOL);
        for (uint32_t i = 0; posted && i < 5; i++) {
            assert_true(pool_post(receiver, i * 4096 + 64, 2048));
        }
        assert_int_equal(pool_send(sender, length, length) & ~POSTERN_GATE_DOORBELL, 0);
        pool_expect(receiver, length, length, posted ? POSTED : 0);
        for (uint32_t at = 0; at < POOL; at++) {
            uint32_t buffer = at / 4096, inside = at % 4096 - 64;
            bool written = posted && inside < 2048 && buffer < 5 && buffer * 2048 + inside < length;

            assert_true(written || receiver->pool[at] == 0xee);
        }
        /* Those that were not used are still there. */
        assert_int_equal(receiver->posted - receiver->filled,
                         posted ? 5 - (length + 2047) / 2048 : 0);
        pool_link_open(&world, 1);
        pool_link_settle(&world);
    }
}

/* Without enough buffers a packet goes inline, and uses none up. */
static void test_too_few_buffers(void **state)
{
    (void)state;
    assert_int_equal(pool_send(sender, 1, 1000) & ~POSTERN_GATE_DOORBELL, 0);
    pool_expect(receiver, 1, 1000, 0);
    assert_true(pool_post_next(receiver, 999));
    assert_int_equal(pool_send(sender, 2, 1000), 0);
    pool_expect(receiver, 2, 1000, 0);
    assert_true(pool_post_next(receiver, 1));
    assert_int_equal(pool_send(sender, 3, 1000), 0);
    pool_expect(receiver, 3, 1000, POSTED);
    assert_int_equal(pool_send(sender, 4, 1000), 0);
    pool_expect(receiver, 4, 1000, 0);
    /* Nor over more of them than a record may have. */
    for (uint32_t i = 0; i < POSTERN_POSTED_SPAN + 1; i++) {
        assert_true(pool_post_next(receiver, 100));
    }
    assert_int_equal(pool_send(sender, 5, 100 * POSTERN_POSTED_SPAN + 1), 0);
    pool_expect(receiver, 5, 100 * POSTERN_POSTED_SPAN + 1, 0);
    assert_int_equal(pool_send(sender, 6, 100 * POSTERN_POSTED_SPAN), 0);
    pool_expect(receiver, 6, 100 * POSTERN_POSTED_SPAN, POSTED);
}

static void test_posting(void **state)
{
    static const struct postern_posted wrong[] = {
        {0, 0}, {0, POOL + 1}, {POOL, 1}, {POOL - 1, 2}, {UINT32_MAX, UINT32_MAX}, {1, UINT32_MAX}};
    struct postern_posted buffers[] = {{0, 1}, {POOL - 1, 1}, {0, 0}, {0, 1}};
    struct postern_gate_post post = {.ring = &receiver->ring, .buffers = buffers, .count = 4};

    (void)state;
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(postern_ring_post(&receiver->ring, wrong[i]));
    }
    assert_int_equal(postern_gate_ring_function(POSTERN_GATE_RING_POST, &post),
                     POSTERN_ERR_ARGUMENT);
    assert_int_equal(post.done, 2);
    assert_int_equal(receiver->ring.own->posted, 2);
    post.buffers = buffers + 1;
    post.count = 1;
    for (uint32_t i = 2; i < POSTERN_POSTED_MAX; i++) {
        assert_int_equal(postern_gate_ring_function(POSTERN_GATE_RING_POST, &post), 0);
        assert_int_equal(post.done, 1);
    }
    assert_int_equal(postern_gate_ring_function(POSTERN_GATE_RING_POST, &post), 0);
    assert_int_equal(post.done, 0);
    assert_int_equal(receiver->ring.own->posted, POSTERN_POSTED_MAX);
    /* An end without pools. */
    postern_ring_set_pool(&receiver->ring, NULL, 0);
    pool_link_open(&world, 1);
    assert_int_equal(postern_gate_ring_function(POSTERN_GATE_RING_POST, &post),
                     POSTERN_ERR_ARGUMENT);
}

/* What is posted is the peer's only when it is published. */
static void test_unpublished_posts(void **state)
{
    (void)state;
    assert_true(postern_ring_post(&receiver->ring, (struct postern_posted){0, 4096}));
    assert_int_equal(pool_send(sender, 1, 1000) & ~POSTERN_GATE_DOORBELL, 0);
    pool_expect(receiver, 1, 1000, 0);
    receiver->buffers[receiver->posted++] = (struct postern_posted){0, 4096};
    postern_ring_publish_posted(&receiver->ring);
    assert_int_equal(pool_send(sender, 2, 1000), 0);
    pool_expect(receiver, 2, 1000, POSTED);
}

static void test_lent(void **state)
{
    uint64_t position;

    (void)state;
    assert_int_equal(pool_lend(sender, 1, 100, 5000) & ~POSTERN_GATE_DOORBELL, 0);
    assert_int_equal(sender->ring.head, 32);
    position = sender->ring.head;
    (void)postern_ring_room(&sender->ring, sender->ring.data_size);
    assert_false(postern_ring_returned(&sender->ring, position));
    pool_expect(receiver, 1, 5000, LENT);
    assert_false(postern_ring_returned(&sender->ring, position));
    assert_true(postern_ring_room(&sender->ring, sender->ring.data_size));
    assert_true(postern_ring_returned(&sender->ring, position));
    /* To the last byte, and from there on none. */
    assert_int_equal(pool_lend(sender, 2, POOL - LEAST, LEAST), 0);
    pool_expect(receiver, 2, LEAST, LENT);
    assert_int_equal(pool_lend(sender, 3, POOL - LEAST + 1, LEAST), POSTERN_ERR_ARGUMENT);
    assert_int_equal(pool_lend(sender, 3, UINT64_MAX, LEAST), POSTERN_ERR_ARGUMENT);
    assert_false(pool_take(receiver, bytes, &(struct postern_ring_meta){0}));
}

/* An end that does not reach the peer's pool gets nothing LENT, and fills no posted buffers; but it
 * may post its own and lend. */
static void test_one_pool(void **state)
{
    (void)state;
    postern_ring_set_pool(&receiver->ring, NULL, POOL);
    pool_link_open(&world, 1);
    pool_link_settle(&world);
    assert_false(sender->ring.peer_borrows);
    assert_int_equal(pool_lend(sender, 1, 0, 1000), POSTERN_ERR_ARGUMENT);
    assert_true(pool_post_next(receiver, 2000));
    assert_int_equal(pool_send(sender, 1, 1000) & ~POSTERN_GATE_DOORBELL, 0);
    pool_expect(receiver, 1, 1000, POSTED);
    assert_true(pool_post_next(sender, 2000));
    assert_int_equal(pool_send(receiver, 2, 1000) & ~POSTERN_GATE_DOORBELL, 0);
    pool_expect(sender, 2, 1000, 0);
    assert_int_equal(pool_lend(receiver, 3, 0, 1000), 0);
    pool_expect(sender, 3, 1000, LENT);
}

/* Pieces that do not fit the length are refused, whatever way the packet would go. */
static void test_wrong_pieces(void **state)
{
    static const uint64_t sizes[] = {999, 1001, 0, UINT64_MAX};

    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        struct postern_gate_piece pieces[] = {{bytes, 0}, {bytes, sizes[i % 4]}};
        struct postern_gate_packet packets[] = {
            {{.length = 60}, &(struct postern_gate_piece){bytes, 60}, 1},
            {{.length = 1000, .flags = i >= 8 ? LENT : 0}, pieces, 2}};
        struct postern_gate_batch batch = {
            .ring = &sender->ring, .packets = packets, .count = 2, .more = 1};

        if (i == 4) {
            assert_true(pool_post_next(receiver, 2000));
        }
        assert_int_equal(postern_gate_ring_function(POSTERN_GATE_RING_SEND, &batch),
                         POSTERN_ERR_ARGUMENT);
        assert_int_equal(batch.done, 1);
        assert_int_equal(sender->ring.head, (i + 1) * 80);
        assert_int_equal(sender->ring.peer_filled, 0);
    }
}

/* A full ring takes no packet, and then none of the buffers. */
static void test_full(void **state)
{
    unsigned count = 0, got = 0;
    uint64_t used;
    struct postern_ring_meta meta;

    (void)state;
    for (uint32_t i = 0; i < POOL / LEAST; i++) {
        assert_true(pool_post(receiver, i * LEAST, LEAST));
    }
    /* Records of 16 bytes, and then one inline. */
    while (pool_send(sender, count, LEAST) != POOL_NOT_TAKEN) {
        count++;
    }
    assert_true(count > POOL / LEAST);
    assert_int_equal(sender->ring.peer_filled, POOL / LEAST);
    while (pool_take(receiver, bytes, &meta)) {
        assert_true(pool_is_packet(bytes, got++, LEAST));
    }
    assert_int_equal(got, count);
    while (pool_send(sender, 0, LEAST - 1) != POOL_NOT_TAKEN) {
    }
    /* A record that is POSTED takes least. */
    do {
        used = sender->ring.peer_filled;
        assert_true(pool_post(receiver, 0, LEAST));
    } while (pool_send(sender, 0, LEAST) != POOL_NOT_TAKEN);
    assert_int_equal(sender->ring.peer_filled, used);
}

/* A look counts posted buffers and leaves them. */
static void test_look(void **state)
{
    struct postern_gate_packet packets[4];
    struct postern_gate_batch batch = {.ring = &receiver->ring, .packets = packets, .count = 4};

    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(pool_post_next(receiver, 600));
    }
    assert_int_equal(pool_send(sender, 1, 1200) & ~POSTERN_GATE_DOORBELL, 0);
    assert_int_equal(pool_send(sender, 2, 60), 0);
    assert_int_equal(pool_send(sender, 3, 600), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(postern_gate_ring_function(POSTERN_GATE_RING_LOOK, &batch), 0);
        assert_int_equal(batch.done, 3);
        assert_int_equal(packets[0].meta.flags, POSTED);
        assert_int_equal(packets[0].meta.length, 1200);
        assert_int_equal(packets[2].meta.flags, POSTED);
    }
    pool_expect(receiver, 1, 1200, POSTED);
    pool_expect(receiver, 2, 60, 0);
    pool_expect(receiver, 3, 600, POSTED);
    assert_int_equal(receiver->filled, 3);
}

/* Offloads and stamps go with it. */
static void test_meta(void **state)
{
    struct postern_gate_piece piece = {bytes, 1000};
    struct postern_gate_packet packet = {{.length = 1000,
                                          .flags = POSTERN_RECORD_CSUM | POSTERN_RECORD_STAMP,
                                          .csum_start = 34,
                                          .csum_offset = 16,
                                          .gso_type = POSTERN_GSO_TCP4,
                                          .gso_size = 500,
                                          .header_length = 54,
                                          .stamp = 0x123456789abc},
                                         &piece,
                                         1};
    const struct postern_ring_meta wanted = packet.meta;
    struct postern_gate_batch batch = {.ring = &sender->ring, .packets = &packet, .count = 1};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        static uint8_t taken[POSTERN_RING_MAX_PAYLOAD];
        const uint16_t flag = i == 0 ? POSTED : LENT;
        struct postern_ring_meta meta;

        packet.meta = wanted;
        if (i == 0) {
            assert_true(pool_post_next(receiver, 1000));
        } else {
            packet.meta.flags |= LENT;
            piece.address = NULL; /* the pool's start */
        }
        assert_true(postern_gate_ring_function(POSTERN_GATE_RING_SEND, &batch) >= 0);
        assert_true(pool_take(receiver, taken, &meta));
        assert_int_equal(meta.flags, wanted.flags | flag);
        meta.flags = wanted.flags;
        assert_memory_equal(&meta, &wanted, sizeof(meta));
    }
}

/* A packet's length follows from its number too. */
static uint32_t packet_length(uint32_t number)
{
    struct random random = {number * 2654435761ull + 1};
    uint32_t kind = random_below(&random, 8);

    return 1 + random_below(&random, kind == 0  ? POSTERN_RING_PAYLOAD(POOL_SECTION)
                                     : kind < 4 ? 2000
                                                : 300);
}

/* Of one direction: what was sent, and what has come, and how. */
struct traffic {
    uint32_t sent, expected;
    unsigned inline_count, posted_count, lent_count;
};

static void post_some(struct random *random, struct pool_end *end)
{
    /* So few that the pool goes round behind them. */
    for (unsigned n = random_below(random, 20); n > 0 && end->posted - end->filled < 100; n--) {
        assert_true(pool_post_next(end, 64 + random_below(random, 2000)));
    }
}

static void send_some(struct random *random, struct pool_end *end, struct traffic *traffic)
{
    for (unsigned n = random_below(random, 10); n > 0; n--) {
        uint32_t length = packet_length(traffic->sent);
        int64_t result;

        (void)postern_ring_room(&end->ring, end->ring.data_size);
        if (length >= POSTERN_POSTED_MIN && end->ring.peer_borrows &&
            postern_ring_returned(&end->ring, end->ring.head)) {
            result = pool_lend(end, traffic->sent, POOL_LENT, length);
        } else {
            result = pool_send(end, traffic->sent, length);
        }
        assert_true(result >= 0);
        if (result == POOL_NOT_TAKEN) {
            return;
        }
        traffic->sent++;
    }
}

/* Packets may be lost where an end starts again, and never come twice, out of order or wrong. */
static void take_some(struct random *random, struct pool_end *end, struct traffic *traffic)
{
    struct postern_ring_meta meta;

    for (unsigned n = random_below(random, 10); n > 0 && pool_take(end, bytes, &meta); n--) {
        while (traffic->expected < traffic->sent &&
               (meta.length != packet_length(traffic->expected) ||
                !pool_is_packet(bytes, traffic->expected, meta.length))) {
            traffic->expected++;
        }
        assert_true(traffic->expected < traffic->sent);
        traffic->expected++;
        traffic->posted_count += (meta.flags & POSTED) != 0;
        traffic->lent_count += (meta.flags & LENT) != 0;
        traffic->inline_count += (meta.flags & (POSTED | LENT)) == 0;
    }
}

/* Both ways at once, around the ring and the posted buffers many times. */
static void test_fifo(void **state)
{
    struct random random = {1};
    struct traffic traffic[2] = {{.sent = 0}, {.sent = 0}};

    (void)state;
    for (unsigned step = 0; step < 20000; step++) {
        unsigned end = random_below(&random, 2);

        post_some(&random, &world.ends[end]);
        send_some(&random, &world.ends[end], &traffic[end]);
        take_some(&random, &world.ends[end], &traffic[1 - end]);
        assert_int_equal(world.ends[end].ring.fault, POSTERN_FAULT_NONE);
        assert_false(postern_ring_sync_needed(&world.ends[end].ring));
    }
    for (unsigned way = 0; way < 2; way++) {
        struct postern_ring_meta meta;

        while (pool_take(&world.ends[1 - way], bytes, &meta)) {
            traffic[way].expected++;
        }
        assert_int_equal(traffic[way].expected, traffic[way].sent); /* none is lost */
        assert_true(world.ends[way].filled > 5 * POSTERN_POSTED_MAX);
        assert_true(traffic[way].posted_count > 5000 && traffic[way].lent_count > 100 &&
                    traffic[way].inline_count > 5000);
    }
}

/* Either end closes or opens at any time, also with records on the way. */
static void test_restarts(void **state)
{
    struct random random = {2};
    struct traffic traffic[2] = {{.sent = 0}, {.sent = 0}};
    bool open[2] = {true, true};

    (void)state;
    for (unsigned step = 0; step < 60000; step++) {
        unsigned end = random_below(&random, 2), kind = random_below(&random, 64);
        struct pool_end *self = &world.ends[end];

        if (kind == 0 && open[end]) {
            postern_ring_close(&self->ring);
            open[end] = false;
        } else if (kind <= 1 || !open[end]) {
            pool_link_init(&world, end);
            pool_link_open(&world, end);
            open[end] = true;
        } else if (kind < 8) {
            (void)postern_ring_sync(&self->ring);
        } else if (kind < 16) {
            post_some(&random, self);
        } else if (kind < 40) {
            send_some(&random, self, &traffic[end]);
        } else {
            take_some(&random, self, &traffic[1 - end]);
        }
        assert_int_equal(self->ring.fault, POSTERN_FAULT_NONE);
    }
    for (unsigned way = 0; way < 2; way++) {
        assert_true(traffic[way].posted_count > 500 && traffic[way].lent_count > 100 &&
                    traffic[way].inline_count > 1000);
    }
}

/* What was committed, or published, for a receiver that is no more is not taken for the next one's:
 * its buffers are others. */
static void test_receiver_restarts(void **state)
{
    (void)state;
    for (unsigned published = 0; published < 2; published++) {
        assert_true(pool_post(receiver, 0, 4096) && pool_post(receiver, 4096, 4096));
        assert_int_equal(pool_send(sender, 1, 1000) & ~POSTERN_GATE_DOORBELL, 0);
        pool_link_open(&world, 1);
        (void)postern_ring_sync(&receiver->ring);
        if (published != 0) {
            /* The sender has not noticed yet. */
            assert_int_equal(pool_send(sender, 2, 1000) & ~POSTERN_GATE_DOORBELL,
                             POSTERN_GATE_SYNC);
            assert_int_equal(pool_lend(sender, 3, 0, 1000), POSTERN_GATE_SYNC);
        }
        assert_true(pool_post(receiver, 8192, 4096) && pool_post(receiver, 12288, 4096));
        (void)postern_ring_sync(&sender->ring);
        /* Who waits for room is told that what was skipped is free. */
        assert_int_equal(postern_ring_sync(&receiver->ring), published != 0);
        pool_link_settle(&world);
        assert_int_equal(pool_send(sender, 4, 1000) & ~POSTERN_GATE_DOORBELL, 0);
        pool_expect(receiver, 4, 1000, POSTED);
        assert_true(pool_is_packet(receiver->pool + 8192, 4, 1000));
        assert_int_equal(receiver->filled, 1);
    }
}

/* A batch that the sender had begun is forgotten with the peer that it was for. */
static void test_committed_is_forgotten(void **state)
{
    struct postern_gate_piece piece = {bytes, 1000};
    struct postern_gate_packet packet = {{.length = 1000}, &piece, 1};
    struct postern_gate_batch batch = {
        .ring = &sender->ring, .packets = &packet, .count = 1, .more = 1};

    (void)state;
    assert_true(pool_post(receiver, 0, 4096));
    assert_true(postern_gate_ring_function(POSTERN_GATE_RING_SEND, &batch) >= 0);
    assert_int_equal(sender->ring.peer_filled, 1);
    pool_link_open(&world, 1);
    pool_link_settle(&world);
    (void)postern_ring_publish(&sender->ring);
    assert_false(pool_take(receiver, bytes, &(struct postern_ring_meta){0}));
    assert_true(pool_post(receiver, 0, 4096));
    assert_int_equal(pool_send(sender, 2, 1000) & ~POSTERN_GATE_DOORBELL, 0);
    pool_expect(receiver, 2, 1000, POSTED);
}

/* A sender that starts anew goes on with the first buffer that no record had filled. */
static void test_sender_restarts(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(pool_post(receiver, i * 4096, 4096));
    }
    assert_int_equal(pool_send(sender, 1, 1000) & ~POSTERN_GATE_DOORBELL, 0);
    pool_expect(receiver, 1, 1000, POSTED);
    assert_int_equal(pool_send(sender, 2, 1000), 0); /* nobody takes it */
    pool_link_init(&world, 0);
    pool_link_open(&world, 0);
    pool_link_settle(&world);
    assert_int_equal(sender->ring.peer_filled, 1);
    assert_int_equal(pool_send(sender, 3, 5000) & ~POSTERN_GATE_DOORBELL, 0);
    pool_expect(receiver, 3, 5000, POSTED);
    assert_int_equal(receiver->filled, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lengths, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_few_buffers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_posting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unpublished_posts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_pool, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_pieces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_look, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_meta, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fifo, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_restarts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_receiver_restarts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_committed_is_forgotten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sender_restarts, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
