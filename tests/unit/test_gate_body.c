/* SPDX-License-Identifier: BSD-2-Clause */
/* The gate's functions, called as the protected code is: both ends of a link by the gate only. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "abi/hypercall.h"
#include "tests/unit/gate_ends.h"

#define PACKETS 4u

/* Sends `count` packets of one piece each, of `size` bytes that are all `value`. */
static int64_t send(unsigned end, uint32_t count, uint32_t size, int value, uint32_t *done)
{
    static uint8_t bytes[POSTERN_RING_MAX_PAYLOAD];
    struct postern_gate_piece piece = {bytes, size};
    struct postern_gate_packet packets[PACKETS];
    struct postern_gate_batch batch = {.ring = &ends[end], .packets = packets, .count = count};

    assert_true(count <= PACKETS);
    memset(bytes, value, size);
    for (uint32_t i = 0; i < count; i++) {
        packets[i] = (struct postern_gate_packet){{.length = size}, &piece, 1};
    }
    int64_t result = gate_function(POSTERN_GATE_RING_SEND, &batch);
    *done = batch.done;
    return result;
}

/* Takes one packet into `buffer`. Returns whether there was one. */
static bool take(unsigned end, void *buffer, uint64_t size, struct postern_ring_meta *meta)
{
    struct postern_gate_piece piece = {buffer, size};
    struct postern_gate_packet packet = {.pieces = &piece, .piece_count = 1};
    struct postern_gate_batch batch = {.ring = &ends[end], .packets = &packet, .count = 1};

    assert_true(gate_function(POSTERN_GATE_RING_TAKE, &batch) >= 0);
    *meta = packet.meta;
    return batch.done == 1;
}

static uint32_t look(unsigned end, struct postern_gate_packet *packets, uint32_t count)
{
    struct postern_gate_batch batch = {.ring = &ends[end], .packets = packets, .count = count};

    assert_true(gate_function(POSTERN_GATE_RING_LOOK, &batch) >= 0);
    return batch.done;
}

static void test_numbers(void **state)
{
    (void)state;
    assert_int_equal(gate_function(POSTERN_GATE_NOTHING, NULL), 0);
    static const uint32_t unknown[] = {4, 15, 29, 31, 34, 0x80000000u, UINT32_MAX};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        assert_int_equal(gate_function(unknown[i], NULL), POSTERN_ERR_UNKNOWN);
    }
}

static void test_copy(void **state)
{
    char text[] = "0123456789";
    struct postern_gate_copy copy = {(uintptr_t)window.writable[0] + 3, (uintptr_t)text, 10};

    (void)state;
    assert_int_equal(gate_function(POSTERN_GATE_COPY, &copy), 0);
    assert_memory_equal(window.writable[0] + 3, text, 10);
    assert_int_equal(window.writable[0][13], 0);
    copy = (struct postern_gate_copy){0, 0, 0};
    assert_int_equal(gate_function(POSTERN_GATE_COPY, &copy), 0);
}

/* Of each size up to where the CPU copies by itself, and not a byte more. */
static void test_copy_sizes(void **state)
{
    uint8_t from[300], to[320];

    (void)state;
    for (size_t i = 0; i < sizeof(from); i++) {
        from[i] = (uint8_t)(i * 7 + 1);
    }
    for (size_t size = 0; size <= sizeof(from); size++) {
        uint8_t *source = malloc(size); /* the sanitizer watches its end */
        struct postern_gate_copy copy = {(uintptr_t)to + 8, (uintptr_t)source, size};

        (void)memcpy(source, from, size);
        (void)memset(to, 0xee, sizeof(to));
        assert_int_equal(gate_function(POSTERN_GATE_COPY, &copy), 0);
        assert_memory_equal(to + 8, from, size);
        assert_int_equal(to[7], 0xee);
        assert_int_equal(to[size + 8], 0xee);
        free(source);
    }
}

static void test_access(void **state)
{
    struct postern_gate_access access = {(uintptr_t)window.writable[1] + 8, 0x123456789abcdef0};

    (void)state;
    assert_int_equal(gate_function(POSTERN_GATE_STORE, &access), 0);
    access = (struct postern_gate_access){(uintptr_t)window.readable[1] + 8, 0};
    assert_int_equal(gate_function(POSTERN_GATE_LOAD, &access), 0);
    assert_true(access.value == 0x123456789abcdef0);
    access.window++;
    assert_int_equal(gate_function(POSTERN_GATE_LOAD, &access), POSTERN_ERR_ARGUMENT);
    assert_int_equal(gate_function(POSTERN_GATE_STORE, &access), POSTERN_ERR_ARGUMENT);
}

static void test_life(void **state)
{
    (void)set_up(state);
    assert_int_equal(header(0)->mtu, 1500);
    assert_int_equal(ring_call(0, POSTERN_GATE_RING_SET_MTU, 9000), 0);
    assert_int_equal(header(0)->mtu, 9000);
    assert_int_equal(look(1, NULL, 0), 0);
    assert_int_equal(ring_call(0, POSTERN_GATE_RING_CLOSE, 0), POSTERN_GATE_DOORBELL);
    struct postern_gate_batch nothing = {.ring = &ends[1]};
    static const uint32_t telling[] = {POSTERN_GATE_RING_LOOK, POSTERN_GATE_RING_SEND,
                                       POSTERN_GATE_RING_TAKE};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(gate_function(telling[i], &nothing), POSTERN_GATE_SYNC);
    }
    assert_int_equal(ring_call(1, POSTERN_GATE_RING_SYNC, 0), POSTERN_GATE_DOORBELL);
    assert_false(ends[1].up);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(gate_function(telling[i], &nothing), 0);
    }
}

/* A look that finds nothing also asks for a doorbell; one that finds something does not. */
static void test_poll(void **state)
{
    struct postern_gate_packet packets[PACKETS];
    struct postern_gate_batch batch = {.ring = &ends[1], .packets = packets, .count = PACKETS};
    uint8_t bytes[64];
    struct postern_ring_meta meta;
    uint32_t done;

    (void)state;
    assert_int_equal(gate_function(POSTERN_GATE_RING_POLL, &batch), POSTERN_GATE_WAIT);
    assert_int_equal(batch.done, 0);
    assert_int_equal(send(0, 2, 64, 1, &done), POSTERN_GATE_DOORBELL);
    assert_int_equal(gate_function(POSTERN_GATE_RING_POLL, &batch), 0);
    assert_int_equal(batch.done, 2);
    assert_int_equal(packets[0].meta.length, 64);
    assert_true(take(1, bytes, sizeof(bytes), &meta) && take(1, bytes, sizeof(bytes), &meta));
    /* It was not asked for again. */
    assert_int_equal(send(0, 1, 64, 1, &done), 0);
    assert_true(take(1, bytes, sizeof(bytes), &meta));
    assert_int_equal(ring_call(0, POSTERN_GATE_RING_CLOSE, 0), POSTERN_GATE_DOORBELL);
    assert_int_equal(gate_function(POSTERN_GATE_RING_POLL, &batch), POSTERN_GATE_SYNC);
}

static void test_gather_and_scatter(void **state)
{
    char head[] = "head", middle[] = "-middle-", tail[] = "tail";
    struct postern_gate_piece out[] = {{head, 4}, {NULL, 0}, {middle, 8}, {tail, 4}};
    struct postern_gate_packet packet = {{.length = 16}, out, 4};
    struct postern_gate_batch batch = {.ring = &ends[0], .packets = &packet, .count = 1};
    char first[5] = "", second[20] = "";
    struct postern_gate_piece in[] = {{first, 5}, {NULL, 0}, {second, 20}};

    (void)state;
    packet.meta.flags = POSTERN_RECORD_VALID;
    assert_int_equal(gate_function(POSTERN_GATE_RING_SEND, &batch), POSTERN_GATE_DOORBELL);
    assert_int_equal(batch.done, 1);
    assert_int_equal(batch.bytes, 16);
    packet = (struct postern_gate_packet){.pieces = in, .piece_count = 3};
    batch.ring = &ends[1];
    assert_int_equal(gate_function(POSTERN_GATE_RING_TAKE, &batch), 0);
    assert_int_equal(batch.done, 1);
    assert_int_equal(batch.bytes, 16);
    assert_int_equal(packet.meta.length, 16);
    assert_int_equal(packet.meta.flags, POSTERN_RECORD_VALID);
    assert_memory_equal(first, "head-", 5);
    assert_memory_equal(second, "middle-tail\0", 12);
    assert_int_equal(gate_function(POSTERN_GATE_RING_TAKE, &batch), 0);
    assert_int_equal(batch.done, 0);
}

/* Pieces that do not add up to the packet leave the ring as it was. */
static void test_wrong_pieces(void **state)
{
    char bytes[64] = "";
    struct postern_gate_piece pieces[] = {{bytes, 40}, {bytes, UINT64_MAX - 8}};
    struct postern_gate_packet packet = {{.length = 50}, pieces, 1};
    struct postern_gate_batch batch = {.ring = &ends[0], .packets = &packet, .count = 1};
    struct postern_ring_meta meta;
    uint32_t done;

    (void)state;
    assert_int_equal(gate_function(POSTERN_GATE_RING_SEND, &batch), POSTERN_ERR_ARGUMENT);
    packet.piece_count = 2;
    assert_int_equal(gate_function(POSTERN_GATE_RING_SEND, &batch), POSTERN_ERR_ARGUMENT);
    packet.piece_count = 0;
    assert_int_equal(gate_function(POSTERN_GATE_RING_SEND, &batch), POSTERN_ERR_ARGUMENT);
    packet.meta.length = 0;
    assert_int_equal(gate_function(POSTERN_GATE_RING_SEND, &batch), 0);
    assert_int_equal(batch.done, 0);
    packet.meta.length = UINT32_MAX;
    assert_int_equal(gate_function(POSTERN_GATE_RING_SEND, &batch), 0);
    assert_int_equal(batch.done, 0);
    assert_int_equal(look(1, &packet, 1), 0);
    assert_int_equal(send(0, 1, 50, 'a', &done), POSTERN_GATE_DOORBELL);
    assert_true(take(1, bytes, 64, &meta));
    assert_int_equal(meta.length, 50);
}

/* With `more` nothing is published, unless the packets do not fit or the room runs out. */
static void test_more(void **state)
{
    char bytes[64] = "";
    struct postern_gate_piece piece = {bytes, 32};
    struct postern_gate_packet packet = {{.length = 32}, &piece, 1};
    struct postern_gate_batch batch = {
        .ring = &ends[0], .packets = &packet, .count = 1, .room = 64, .more = 1};

    (void)state;
    assert_int_equal(gate_function(POSTERN_GATE_RING_SEND, &batch), 0);
    assert_int_equal(look(1, &packet, 1), 0);
    packet.meta.length = 32;
    batch.room = SECTION / 2;
    assert_int_equal(gate_function(POSTERN_GATE_RING_SEND, &batch),
                     POSTERN_GATE_DOORBELL | POSTERN_GATE_FULL);
    struct postern_gate_packet seen[PACKETS];
    assert_int_equal(look(1, seen, PACKETS), 2);
    batch = (struct postern_gate_batch){.ring = &ends[0], .more = 1};
    assert_int_equal(gate_function(POSTERN_GATE_RING_SEND, &batch), 0);
}

static void test_full(void **state)
{
    uint32_t done, sent = 0;
    static uint8_t bytes[SECTION];
    struct postern_ring_meta meta;
    uint32_t size = ends[0].max_payload;

    (void)state;
    do {
        assert_true(send(0, PACKETS, size, 'f', &done) >= 0);
        sent += done;
    } while (done == PACKETS);
    assert_int_equal(sent, 4);
    assert_int_equal(ring_call(0, POSTERN_GATE_RING_ROOM, 2 * size), POSTERN_GATE_FULL);
    assert_int_equal(ring_call(0, POSTERN_GATE_RING_ARM_TX, 2 * size), POSTERN_GATE_WAIT);
    while (take(1, bytes, size, &meta)) {
        assert_int_equal(meta.length, size);
        assert_int_equal(bytes[0], 'f');
        assert_int_equal(bytes[size - 1], 'f');
        sent--;
    }
    assert_int_equal(sent, 0);
    assert_int_equal(ring_call(0, POSTERN_GATE_RING_ROOM, 2 * size), 0);
    assert_int_equal(ring_call(0, POSTERN_GATE_RING_ARM_TX, 2 * size), 0);
}

static void test_look_leaves_packets(void **state)
{
    struct postern_gate_packet seen[PACKETS];
    struct postern_ring_meta meta;
    char bytes[64];
    uint32_t done;

    (void)state;
    assert_int_equal(ring_call(1, POSTERN_GATE_RING_ARM_RX, 0), POSTERN_GATE_WAIT);
    for (uint32_t round = 0; round < 2000; round++) {
        assert_true(send(0, 3, 1 + round % 64, 'l', &done) >= 0);
        assert_int_equal(done, 3);
        assert_int_equal(ring_call(1, POSTERN_GATE_RING_ARM_RX, 0), 0);
        assert_int_equal(look(1, seen, 2), 2);
        assert_int_equal(look(1, seen, PACKETS), 3);
        for (uint32_t i = 0; i < 3; i++) {
            assert_int_equal(seen[i].meta.length, 1 + round % 64);
            assert_true(take(1, bytes, sizeof(bytes), &meta));
            assert_int_equal(meta.length, 1 + round % 64);
        }
        assert_int_equal(look(1, seen, PACKETS), 0);
    }
    assert_int_equal(ends[1].fault, POSTERN_FAULT_NONE);
}

static void test_too_small_buffer(void **state)
{
    char bytes[8] = "";
    struct postern_ring_meta meta;
    uint32_t done;

    (void)state;
    (void)send(0, 1, 9, 'x', &done);
    (void)send(0, 1, 8, 'y', &done);
    assert_true(take(1, bytes, sizeof(bytes), &meta));
    assert_int_equal(meta.length, 0);
    assert_true(take(1, bytes, sizeof(bytes), &meta));
    assert_int_equal(meta.length, 8);
    assert_memory_equal(bytes, "yyyyyyyy", 8);
}

/* A peer that changes a record after the look, to all that its length can be. */
static void test_peer_changes_length(void **state)
{
    static const uint32_t lengths[] = {0, 15, 16, 17, 1u << 16, UINT32_MAX};
    char bytes[16];

    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct postern_gate_packet seen;
        struct postern_ring_meta meta;
        uint32_t done;

        (void)set_up(state);
        (void)send(0, 2, 16, 'p', &done);
        assert_int_equal(look(1, &seen, 1), 1);
        record_at(0, ends[1].tail)->length = lengths[i];
        if (take(1, bytes, sizeof(bytes), &meta)) {
            assert_int_equal(meta.length, lengths[i] <= 16 ? lengths[i] : 0);
        } else {
            assert_int_equal(ends[1].fault, POSTERN_FAULT_LENGTH);
            assert_int_equal(look(1, &seen, 1), 0);
        }
        (void)tear_down(state);
    }
}

/* A head far ahead shows no more than the data area holds, however often it is looked at. */
static void test_peer_moves_head(void **state)
{
    struct postern_gate_packet seen[PACKETS];
    uint32_t done;

    (void)state;
    (void)send(0, 1, 16, 'h', &done);
    assert_int_equal(look(1, seen, 1), 1);
    header(0)->head += SECTION / 2;
    assert_int_equal(look(1, seen, PACKETS), 1);
    assert_true(ends[1].peer_head - ends[1].tail <= SECTION / 2);
    header(0)->head += 8;
    assert_int_equal(look(1, seen, PACKETS), 1);
}

/* Waiting. A packet that comes between MONITOR and the look is seen, one behind the look ends the
 * MWAIT by itself: that is the CPU's part. */
static struct {
    const void *monitored;
    unsigned waits;
    bool kernel, sends;
} host;

void gate_test_monitor(const void *address)
{
    host.monitored = address;
    if (host.sends) {
        uint32_t done;
        (void)send(0, 1, 16, 'w', &done);
        assert_int_equal(done, 1);
    }
}

void gate_test_mwait(void)
{
    assert_non_null(host.monitored);
    host.waits++;
}

bool gate_test_is_kernel(void)
{
    return host.kernel;
}

static int64_t wait_for_packets(bool sends)
{
    host.monitored = NULL;
    host.waits = 0;
    host.sends = sends;
    return ring_call(1, POSTERN_GATE_RING_WAIT, 0);
}

static void test_wait(void **state)
{
    (void)state;
    host.kernel = false;
    assert_int_equal(wait_for_packets(false), POSTERN_ERR_PERMISSION);
    assert_null(host.monitored);
    host.kernel = true;
    assert_int_equal(wait_for_packets(false), POSTERN_GATE_WAIT);
    assert_int_equal(host.waits, 1);
    assert_ptr_equal(host.monitored, window.readable[0] + 0x40); /* the peer's head */
    assert_int_equal(wait_for_packets(true), 0);
    assert_int_equal(host.waits, 0);
    assert_int_equal(wait_for_packets(false), 0);
    assert_int_equal(host.waits, 0);
}

/* Who waits so is not rung for packets, but for a new generation, which the wait does not miss. */
static void test_wait_asks_for_no_doorbell(void **state)
{
    struct postern_ring_meta meta;
    char bytes[16];
    uint32_t done;

    (void)state;
    host.kernel = true;
    /* The first packet of a generation always rings. */
    assert_int_equal(send(0, 1, 16, 'd', &done) & POSTERN_GATE_DOORBELL, POSTERN_GATE_DOORBELL);
    assert_true(take(1, bytes, sizeof(bytes), &meta));
    assert_int_equal(wait_for_packets(false), POSTERN_GATE_WAIT);
    assert_int_equal(send(0, 1, 16, 'd', &done) & POSTERN_GATE_DOORBELL, 0);
    assert_int_equal(wait_for_packets(false), 0);
    assert_int_equal(ring_call(0, POSTERN_GATE_RING_CLOSE, 0), POSTERN_GATE_DOORBELL);
    assert_int_equal(wait_for_packets(false), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test_setup_teardown(test_copy, set_up_closed, tear_down),
        cmocka_unit_test(test_copy_sizes),
        cmocka_unit_test_setup_teardown(test_access, set_up_closed, tear_down),
        cmocka_unit_test_teardown(test_life, tear_down),
        cmocka_unit_test_setup_teardown(test_poll, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_gather_and_scatter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_pieces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_look_leaves_packets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_small_buffer, set_up, tear_down),
        cmocka_unit_test(test_peer_changes_length),
        cmocka_unit_test_setup_teardown(test_peer_moves_head, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wait_asks_for_no_doorbell, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
