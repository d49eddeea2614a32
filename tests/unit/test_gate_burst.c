/* SPDX-License-Identifier: BSD-2-Clause */
/* The gate's functions for frames: alone, and beside those for packets of pieces. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "abi/gate_burst.h"
#include "tests/unit/gate_ends.h"
#include "tests/unit/gate_program.h"
#include "tests/unit/random.h"

#define FRAMES 16u

static struct postern_gate_burst send(unsigned end, struct postern_gate_frame *frames,
                                      uint32_t count)
{
    struct postern_gate_burst burst = {.ring = &ends[end], .frames = frames, .count = count};

    assert_true(gate_function(POSTERN_GATE_BURST_SEND, &burst) >= 0);
    return burst;
}

static struct postern_gate_burst take(unsigned end, struct postern_gate_frame *frames,
                                      uint32_t count, uint32_t room)
{
    struct postern_gate_burst burst = {
        .ring = &ends[end], .frames = frames, .count = count, .room = room};

    assert_true(gate_function(POSTERN_GATE_BURST_TAKE, &burst) >= 0);
    return burst;
}

/* Frames with room for `size` bytes each and not one more: the sanitizer watches their ends. */
static void allocate(struct postern_gate_frame *frames, uint32_t count, uint32_t size)
{
    for (uint32_t i = 0; i < count; i++) {
        frames[i] = (struct postern_gate_frame){{.length = size}, malloc(size), i};
        assert_non_null(frames[i].address);
    }
}

static void release(struct postern_gate_frame *frames, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        free(frames[i].address);
    }
}

static void fill(const struct postern_gate_frame *frame, uint32_t seed)
{
    uint8_t *bytes = frame->address;

    for (uint32_t i = 0; i < frame->record.length; i++) {
        bytes[i] = (uint8_t)(seed + i * 7 + i / 256);
    }
}

/* Frames of every size, three alike and one that is shorter by one. */
static void test_sizes(void **state)
{
    struct postern_gate_frame out[4], in[4];

    (void)state;
    for (uint32_t size = 2; size <= 6000; size += size < 2200 ? 1 : 97) {
        uint64_t bytes = 4ull * size - 1;

        allocate(out, 4, size);
        allocate(in, 4, size);
        out[3].record.length = size - 1;
        for (uint32_t i = 0; i < 4; i++) {
            fill(&out[i], size + i);
        }
        struct postern_gate_burst sent = send(0, out, 4);
        assert_int_equal(sent.done, 4);
        assert_int_equal(sent.bytes, bytes);
        struct postern_gate_burst taken = take(1, in, 4, size);
        assert_int_equal(taken.done, 4);
        assert_int_equal(taken.bytes, bytes);
        assert_int_equal(taken.dropped, 0);
        for (uint32_t i = 0; i < 4; i++) {
            assert_memory_equal(&in[i].record, &out[i].record, sizeof(in[i].record));
            assert_memory_equal(in[i].address, out[i].address, in[i].record.length);
            assert_int_equal(in[i].own, i);
        }
        release(out, 4);
        release(in, 4);
    }
}

static void test_nothing(void **state)
{
    struct postern_gate_frame frames[1];

    (void)state;
    assert_int_equal(send(0, NULL, 0).done, 0);
    assert_int_equal(take(1, NULL, 0, 0).done, 0);
    assert_int_equal(take(1, frames, 1, 64).done, 0);
    allocate(frames, 1, 64);
    fill(&frames[0], 1);
    assert_int_equal(send(0, frames, 1).done, 1);
    assert_int_equal(take(1, NULL, 0, 64).done, 0);
    assert_int_equal(take(1, frames, 1, 64).done, 1);
    release(frames, 1);
}

/* The doorbell comes with the first frame, and a peer that came anew is told of. */
static void test_results(void **state)
{
    struct postern_gate_frame frame;
    struct postern_gate_burst burst = {.ring = &ends[0], .frames = &frame, .count = 1};
    struct postern_gate_burst other = {.ring = &ends[1], .frames = &frame, .count = 1, .room = 64};

    (void)state;
    allocate(&frame, 1, 64);
    fill(&frame, 1);
    assert_int_equal(gate_function(POSTERN_GATE_BURST_SEND, &burst), POSTERN_GATE_DOORBELL);
    assert_int_equal(gate_function(POSTERN_GATE_BURST_SEND, &burst), 0);
    assert_int_equal(gate_function(POSTERN_GATE_BURST_TAKE, &other), 0);
    (void)ring_call(0, POSTERN_GATE_RING_CLOSE, 0);
    assert_int_equal(gate_function(POSTERN_GATE_BURST_TAKE, &other), POSTERN_GATE_SYNC);
    assert_int_equal(gate_function(POSTERN_GATE_BURST_SEND, &burst), 0);
    assert_int_equal(burst.done, 0);
    (void)ring_call(1, POSTERN_GATE_RING_CLOSE, 0);
    assert_int_equal(gate_function(POSTERN_GATE_BURST_SEND, &burst), POSTERN_GATE_SYNC);
    release(&frame, 1);
}

/* A sender that waits for room is rung when a burst makes some. */
static void test_room_doorbell(void **state)
{
    struct postern_gate_frame frames[FRAMES];
    struct postern_gate_burst burst = {
        .ring = &ends[1], .frames = frames, .count = FRAMES, .room = 2000};

    (void)state;
    allocate(frames, FRAMES, 2000);
    memset(frames[0].address, 0, 2000);
    for (uint32_t i = 1; i < FRAMES; i++) {
        memset(frames[i].address, 0, 2000);
    }
    while (send(0, frames, FRAMES).done == FRAMES) {
    }
    assert_int_equal(ring_call(0, POSTERN_GATE_RING_ARM_TX, 8000), POSTERN_GATE_WAIT);
    assert_int_equal(gate_function(POSTERN_GATE_BURST_TAKE, &burst), POSTERN_GATE_DOORBELL);
    assert_int_equal(send(0, frames, FRAMES).done > 0, 1);
    release(frames, FRAMES);
}

/* Any header that an end may send arrives as it is, alone and in a run; a stamp is skipped. */
static void test_flags(void **state)
{
    static const struct postern_record records[] = {
        {64, POSTERN_RECORD_VALID, 0, 0, 0, 0, 0},
        {64, POSTERN_RECORD_CSUM, 34, 6, 0, 0, 0},
        {64, POSTERN_RECORD_CSUM, 34, 16, POSTERN_GSO_TCP4, 5, 54},
        {64, POSTERN_RECORD_CSUM | POSTERN_RECORD_ECN, 34, 16, POSTERN_GSO_TCP6, 5, 60},
        {64, POSTERN_RECORD_STAMP, 0, 0, 0, 0, 0},
        {64, POSTERN_RECORD_STAMP | POSTERN_RECORD_VALID, 0, 0, 0, 0, 0},
        {64, 0, 0, 0, 0, 0, 0},
    };

    (void)state;
    for (size_t kind = 0; kind < sizeof(records) / sizeof(records[0]); kind++) {
        struct postern_gate_frame out[FRAMES], in[FRAMES];

        allocate(out, FRAMES, 64);
        allocate(in, FRAMES, 64);
        for (uint32_t i = 0; i < FRAMES; i++) {
            out[i].record = records[i < 12 ? kind : i % 7];
            fill(&out[i], i);
        }
        assert_int_equal(send(0, out, FRAMES).done, FRAMES);
        assert_int_equal(take(1, in, FRAMES, 64).done, FRAMES);
        for (uint32_t i = 0; i < FRAMES; i++) {
            out[i].record.flags &= (uint16_t)~POSTERN_RECORD_STAMP;
            assert_memory_equal(&in[i].record, &out[i].record, sizeof(in[i].record));
            assert_memory_equal(in[i].address, out[i].address, 64);
        }
        release(out, FRAMES);
        release(in, FRAMES);
    }
}

/* What follows a run and is no packet like it: the run ends there, whatever it is. */
static void test_peer_breaks_a_run(void **state)
{
    static const struct {
        struct postern_record record;
        enum postern_ring_fault fault;
    } breaks[] = {
        {{.length = 0}, POSTERN_FAULT_LENGTH},
        {{.length = UINT32_MAX}, POSTERN_FAULT_LENGTH},
        {{.length = 65}, POSTERN_FAULT_LENGTH}, /* not all of it is published */
        {{.length = 64, .flags = 0x8000}, POSTERN_FAULT_META},
        {{.length = 64, .csum_start = 1}, POSTERN_FAULT_META},
        {{.length = 64, .header_length = 1}, POSTERN_FAULT_META},
        {{.length = 64, .flags = POSTERN_RECORD_CSUM | POSTERN_RECORD_VALID}, POSTERN_FAULT_META},
        {{.length = 64, .flags = POSTERN_RECORD_ECN}, POSTERN_FAULT_META},
        {{.length = 64, .flags = POSTERN_RECORD_PAD}, POSTERN_FAULT_PAD},
    };
    struct postern_gate_frame out[8], in[8];

    (void)state;
    for (size_t i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++) {
        for (uint32_t good = 0; good < 7; good += 5) {
            (void)set_up(state);
            allocate(out, 8, 64);
            allocate(in, 8, 64);
            for (uint32_t k = 0; k < 8; k++) {
                fill(&out[k], k);
            }
            assert_int_equal(send(0, out, good + 1).done, good + 1);
            *record_at(0, ends[1].tail + good * 80) = breaks[i].record;
            assert_int_equal(take(1, in, 8, 64).done, good);
            assert_int_equal(ends[1].fault, breaks[i].fault);
            assert_int_equal(take(1, in, 8, 64).done, 0);
            release(out, 8);
            release(in, 8);
            (void)tear_down(state);
        }
    }
}

/* The ring's state after a function, and all that it gave. */
struct outcome {
    struct postern_ring ring;
    uint32_t done, fault;
    uint64_t bytes, dropped;
    struct postern_ring_meta metas[FRAMES];
    uint8_t buffers[FRAMES][256];
};

static void take_by_pieces(struct outcome *outcome, uint32_t room)
{
    struct postern_gate_piece pieces[FRAMES];
    struct postern_gate_packet packets[FRAMES];
    struct postern_gate_batch batch = {.ring = &outcome->ring, .packets = packets, .count = FRAMES};

    for (uint32_t i = 0; i < FRAMES; i++) {
        pieces[i] = (struct postern_gate_piece){outcome->buffers[i], room};
        packets[i] = (struct postern_gate_packet){.pieces = &pieces[i], .piece_count = 1};
    }
    assert_true(gate_function(POSTERN_GATE_RING_TAKE, &batch) >= 0);
    outcome->done = batch.done;
    outcome->bytes = batch.bytes;
    outcome->dropped = batch.dropped;
    for (uint32_t i = 0; i < batch.done; i++) {
        outcome->metas[i] = packets[i].meta;
        outcome->metas[i].flags &= (uint16_t)~POSTERN_RECORD_STAMP;
        outcome->metas[i].stamp = 0;
    }
}

static void take_by_frames(struct outcome *outcome, uint32_t room)
{
    struct postern_gate_frame frames[FRAMES];
    struct postern_gate_burst burst = {
        .ring = &outcome->ring, .frames = frames, .count = FRAMES, .room = room};

    for (uint32_t i = 0; i < FRAMES; i++) {
        frames[i].address = outcome->buffers[i];
    }
    assert_true(gate_function(POSTERN_GATE_BURST_TAKE, &burst) >= 0);
    outcome->done = burst.done;
    outcome->bytes = burst.bytes;
    outcome->dropped = burst.dropped;
    for (uint32_t i = 0; i < burst.done; i++) {
        memcpy(&outcome->metas[i], &frames[i].record, sizeof(frames[i].record));
    }
}

/* Both ways take the same from whatever a peer has written, and leave the ring as each other. */
static void test_takes_as_pieces(void **state)
{
    struct random random = {3};
    unsigned faults = 0, packets = 0, drops = 0;

    for (unsigned round = 0; round < 3000; round++) {
        static struct outcome by[2];
        struct postern_gate_frame out[FRAMES];
        uint8_t bytes[256] = {0};
        uint64_t tail;

        (void)set_up(state);
        for (unsigned burst = random_below(&random, 30); burst != 0; burst--) {
            uint32_t count = 1 + random_below(&random, FRAMES);

            for (uint32_t i = 0; i < count; i++) {
                bool like = i != 0 && random_below(&random, 4) != 0;

                out[i].address = bytes;
                out[i].record =
                    like ? out[i - 1].record
                         : (struct postern_record){
                               .length = 1 + random_below(&random, 256),
                               .flags = random_below(&random, 4) == 0 ? POSTERN_RECORD_VALID : 0};
                bytes[i] = (uint8_t)random_next(&random);
            }
            (void)send(0, out, count);
            if (burst != 1) {
                by[0].ring = ends[1];
                take_by_pieces(&by[0], 256);
                ends[1] = by[0].ring;
            }
        }
        tail = ends[1].tail;
        for (unsigned i = random_below(&random, 3); i != 0; i--) {
            uint8_t *record = (uint8_t *)record_at(0, tail + 16 * random_below(&random, 64));

            record[random_below(&random, 16)] = (uint8_t)random_next(&random);
        }
        uint32_t room = random_below(&random, 4) == 0 ? random_below(&random, 256) : 256;
        memset(by, 0, sizeof(by));
        by[0].ring = by[1].ring = ends[1];
        take_by_pieces(&by[0], room);
        header(1)->tail = tail;
        take_by_frames(&by[1], room);
        assert_int_equal(by[0].done, by[1].done);
        assert_int_equal(by[0].bytes, by[1].bytes);
        assert_int_equal(by[0].dropped, by[1].dropped);
        assert_memory_equal(by[0].metas, by[1].metas, sizeof(by[0].metas));
        assert_memory_equal(&by[0].ring, &by[1].ring, sizeof(by[0].ring));
        for (uint32_t i = 0; i < by[0].done; i++) {
            assert_memory_equal(by[0].buffers[i], by[1].buffers[i], by[0].metas[i].length);
        }
        faults += by[1].ring.fault != POSTERN_FAULT_NONE;
        packets += by[1].done;
        drops += (unsigned)by[1].dropped;
        (void)tear_down(state);
    }
    assert_true(faults > 200 && packets > 3000 && drops > 300);
}

static void send_by_pieces(struct postern_ring *ring, const struct postern_gate_frame *frames,
                           uint32_t *done, uint64_t *bytes)
{
    struct postern_gate_piece pieces[FRAMES];
    struct postern_gate_packet packets[FRAMES];
    struct postern_gate_batch batch = {.ring = ring, .packets = packets, .count = FRAMES};

    for (uint32_t i = 0; i < FRAMES; i++) {
        pieces[i] = (struct postern_gate_piece){frames[i].address, frames[i].record.length};
        packets[i] = (struct postern_gate_packet){.pieces = &pieces[i], .piece_count = 1};
        memcpy(&packets[i].meta, &frames[i].record, sizeof(frames[i].record));
    }
    assert_true(gate_function(POSTERN_GATE_RING_SEND, &batch) >= 0);
    *done = batch.done;
    *bytes = batch.bytes;
}

/* Both ways make the same data area of the same frames, up to where no more fit. */
static void test_sends_as_pieces(void **state)
{
    static uint8_t areas[2][SECTION / 2], bytes[SECTION];
    struct random random = {5};
    unsigned full = 0;

    for (unsigned round = 0; round < 300; round++) {
        (void)set_up(state);
        for (unsigned burst = 0; burst < 40; burst++) {
            struct postern_gate_frame frames[FRAMES];
            struct postern_ring before = ends[0], after;
            struct postern_gate_burst sent;
            uint32_t done;
            uint64_t count;

            for (uint32_t i = 0; i < FRAMES; i++) {
                frames[i] = i != 0 && random_below(&random, 4) != 0
                                ? frames[i - 1]
                                : (struct postern_gate_frame){
                                      .record.length = random_below(&random, 64) == 0
                                                           ? random_below(&random, 2) * UINT32_MAX
                                                           : 1 + random_below(&random, 1000),
                                      .address = bytes + random_below(&random, SECTION / 2)};
                bytes[random_below(&random, SECTION)] = (uint8_t)random_next(&random);
            }
            memset(window.writable[0] + SECTION / 2, 0, SECTION / 2);
            send_by_pieces(&ends[0], frames, &done, &count);
            memcpy(areas[0], window.writable[0] + SECTION / 2, SECTION / 2);
            after = ends[0];
            ends[0] = before;
            header(0)->head = before.published_head;
            memset(window.writable[0] + SECTION / 2, 0, SECTION / 2);
            sent = send(0, frames, FRAMES);
            memcpy(areas[1], window.writable[0] + SECTION / 2, SECTION / 2);
            assert_int_equal(sent.done, done);
            assert_int_equal(sent.bytes, count);
            assert_memory_equal(&ends[0], &after, sizeof(after));
            assert_memory_equal(areas[0], areas[1], SECTION / 2);
            full += done < FRAMES;
            if (random_below(&random, 4) == 0) {
                header(1)->tail = header(0)->head;
            }
        }
        (void)tear_down(state);
    }
    assert_true(full > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sizes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_results, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_room_doorbell, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_flags, set_up, tear_down),
        cmocka_unit_test(test_peer_breaks_a_run),
        cmocka_unit_test(test_takes_as_pieces),
        cmocka_unit_test(test_sends_as_pieces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
