/* SPDX-License-Identifier: BSD-2-Clause */
/* A trace's ring: what is read is what was written, in order, also while it is overwritten. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/trace_ring.h"

#define SIZE POSTERN_TRACE_RECORD_SIZE
#define RACE 2000000u /* records */

static struct trace_ring ring;

static int set_up(void **state)
{
    (void)state;
    ring = (struct trace_ring){.words = calloc(1, TRACE_RING_SIZE)};
    return ring.words == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    free(ring.words);
    return 0;
}

/* All of it follows from the record's number. */
static struct postern_trace_record make(uint64_t number)
{
    return (struct postern_trace_record){.tsc = number,
                                         .ticks = (uint32_t)(number * 3),
                                         .event = (uint8_t)(number % 7),
                                         .vm = (uint8_t)(number % 5),
                                         .argument = ~number};
}

static void put(uint64_t number)
{
    const struct postern_trace_record record = make(number);

    trace_ring_put(&ring, &record);
}

static void test_in_pieces(void **state)
{
    static const size_t pieces[] = {1, 5, 23, 24, 25, 100};
    uint64_t offset = 0, end;
    char bytes[100 * SIZE], *to = bytes;

    (void)state;
    for (uint64_t i = 0; i < 100; i++) {
        put(i);
    }
    for (unsigned i = 0; to < bytes + sizeof(bytes); i++) {
        size_t count = trace_ring_read(&ring, &offset, to, pieces[i % 6], &end);
        assert_int_equal(end, sizeof(bytes));
        assert_true(count > 0 && count <= pieces[i % 6]);
        to += count;
        offset += count;
    }
    for (uint64_t i = 0; i < 100; i++) {
        const struct postern_trace_record record = make(i);
        assert_memory_equal(bytes + i * SIZE, &record, SIZE);
    }
    assert_int_equal(trace_ring_read(&ring, &offset, bytes, sizeof(bytes), &end), 0);
    offset = UINT64_MAX;
    assert_int_equal(trace_ring_read(&ring, &offset, bytes, sizeof(bytes), &end), 0);
    assert_int_equal(offset, sizeof(bytes));
}

/* Of the oldest records the one that might be written right now is left out, too. */
static void test_overwritten(void **state)
{
    const uint64_t written = 3 * TRACE_RING_RECORDS + 17;
    uint64_t offset = 5, end;
    char bytes[SIZE];

    (void)state;
    for (uint64_t i = 0; i < written; i++) {
        put(i);
    }
    assert_int_equal(trace_ring_read(&ring, &offset, bytes, SIZE, &end), SIZE);
    assert_int_equal(offset, (written + 1 - TRACE_RING_RECORDS) * SIZE);
    const struct postern_trace_record record = make(offset / SIZE);
    assert_memory_equal(bytes, &record, SIZE);
}

static void *write_many(void *unused)
{
    (void)unused;
    for (uint64_t i = 0; i < RACE; i++) {
        put(i);
    }
    return NULL;
}

/* A reader that is too slow loses whole records, and sees no half of one. */
static void test_race(void **state)
{
    static char bytes[41 * SIZE];
    uint64_t offset = 0, end, seen = 0;
    pthread_t writer;

    (void)state;
    assert_int_equal(pthread_create(&writer, NULL, write_many, NULL), 0);
    while (offset < (uint64_t)RACE * SIZE) {
        size_t count = trace_ring_read(&ring, &offset, bytes, sizeof(bytes), &end);
        assert_int_equal(offset % SIZE, 0);
        assert_int_equal(count % SIZE, 0);
        for (size_t i = 0; i < count; i += SIZE, seen++) {
            const struct postern_trace_record record = make((offset + i) / SIZE);
            assert_memory_equal(bytes + i, &record, SIZE);
        }
        offset += count;
    }
    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_true(seen > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_in_pieces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_overwritten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_race, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
