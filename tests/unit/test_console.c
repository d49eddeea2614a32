/* SPDX-License-Identifier: BSD-2-Clause */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/console.h"
#include "tests/unit/random.h"

/* The byte at a place of the stream. */
static char byte_at(uint64_t offset)
{
    return (char)((offset * 0x9e3779b97f4a7c15ull) >> 56);
}

static void start(struct console *console)
{
    memset(console, 0, sizeof(*console));
    console->ring = malloc(CONSOLE_RING_SIZE);
    assert_non_null(console->ring);
}

static void put(struct console *console, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        console_put(console, byte_at(console_end(console)));
    }
}

static void check(const char *bytes, uint64_t offset, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(bytes[i], byte_at(offset + i));
    }
}

static void test_reads_back(void **state)
{
    struct console console;
    char bytes[100];
    uint64_t offset = 0;

    (void)state;
    start(&console);
    assert_int_equal(console_read(&console, &offset, bytes, sizeof(bytes)), 0);
    put(&console, 150);
    assert_int_equal(console_end(&console), 150);
    assert_int_equal(console_read(&console, &offset, bytes, sizeof(bytes)), 100);
    check(bytes, 0, 100);
    offset = 100;
    assert_int_equal(console_read(&console, &offset, bytes, sizeof(bytes)), 50);
    check(bytes, 100, 50);
    assert_int_equal(console_read(&console, &offset, bytes, 0), 0);
    offset = UINT64_MAX; /* ahead of all */
    assert_int_equal(console_read(&console, &offset, bytes, sizeof(bytes)), 0);
    assert_int_equal(offset, 150);
    free(console.ring);
}

static void test_overwritten(void **state)
{
    struct console console;
    char *bytes = malloc(CONSOLE_RING_SIZE);

    (void)state;
    assert_non_null(bytes);
    start(&console);
    put(&console, 3 * CONSOLE_RING_SIZE + 777);
    uint64_t offset = 0;
    size_t count = console_read(&console, &offset, bytes, CONSOLE_RING_SIZE);
    /* All of the ring but for the byte that the writer may be at. */
    assert_int_equal(count, CONSOLE_RING_SIZE - 1);
    assert_int_equal(offset + count, console_end(&console));
    check(bytes, offset, count);
    free(bytes);
    free(console.ring);
}

static void test_random_reads(void **state)
{
    struct random random = {64};
    struct console console;
    char bytes[3000];
    uint64_t offset = 0;

    (void)state;
    start(&console);
    for (unsigned i = 0; i < 5000; i++) {
        uint64_t asked = offset;
        put(&console, random_below(&random, random_below(&random, 20) == 0 ? 70000 : 1000));
        size_t size = random_below(&random, sizeof(bytes));
        size_t count = console_read(&console, &offset, bytes, size);
        assert_true(count <= size && offset >= asked);
        check(bytes, offset, count);
        offset += count;
        /* Short only at the end, or by the byte that the writer may be at. */
        assert_true(count + 1 >= size || offset == console_end(&console));
    }
    free(console.ring);
}

#define RACE_BYTES (200ull * CONSOLE_RING_SIZE)

static void *write_fast(void *context)
{
    put(context, RACE_BYTES);
    return NULL;
}

/* A reader without a lock, lapped again and again: it loses bytes, and never gets wrong ones. */
static void test_lapped(void **state)
{
    struct console console;
    char *bytes = malloc(CONSOLE_RING_SIZE);
    pthread_t thread;
    uint64_t offset = 0, seen = 0;

    (void)state;
    assert_non_null(bytes);
    start(&console);
    assert_int_equal(pthread_create(&thread, NULL, write_fast, &console), 0);
    while (offset < RACE_BYTES) {
        uint64_t asked = offset;
        size_t count = console_read(&console, &offset, bytes, CONSOLE_RING_SIZE);
        assert_true(offset >= asked && count <= CONSOLE_RING_SIZE);
        check(bytes, offset, count);
        offset += count;
        seen += count;
    }
    pthread_join(thread, NULL);
    assert_int_equal(offset, RACE_BYTES);
    assert_true(seen >= CONSOLE_RING_SIZE - 1);
    free(bytes);
    free(console.ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_back),
        cmocka_unit_test(test_overwritten),
        cmocka_unit_test(test_random_reads),
        cmocka_unit_test(test_lapped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
