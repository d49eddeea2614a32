/* SPDX-License-Identifier: BSD-2-Clause */
/* The log. It is one per program: each test goes on where the one before ended. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/log.h"

#define THREADS 4u
#define LINES   400u

static uint64_t now;
static char heard[2 * LOG_RING_SIZE];
static size_t heard_size;
static unsigned calls[5];

static uint64_t clock_now(void)
{
    return now;
}

static void sink_0(const char *line, size_t size)
{
    assert_true(heard_size + size <= sizeof(heard));
    memcpy(heard + heard_size, line, size);
    heard_size += size;
    calls[0]++;
}

#define COUNTER(n)                                      \
    static void sink_##n(const char *line, size_t size) \
    {                                                   \
        (void)line;                                     \
        (void)size;                                     \
        calls[n]++;                                     \
    }
COUNTER(1)
COUNTER(2)
COUNTER(3)
COUNTER(4)

static int reset(void **state)
{
    (void)state;
    heard_size = 0;
    memset(calls, 0, sizeof(calls));
    log_clear_sinks();
    return 0;
}

static void expect_heard(const char *want)
{
    assert_int_equal(heard_size, strlen(want));
    assert_memory_equal(heard, want, heard_size);
    heard_size = 0;
}

static void test_lines(void **state)
{
    (void)state;
    log_add_sink(sink_0);
    log_error("no clock yet");
    expect_heard("E    0.000000 no clock yet\n");
    log_set_clock(clock_now);
    now = 12345678;
    log_warning("%s is %d", "x", -5);
    expect_heard("W   12.345678 x is -5\n");
    now = 98765000001;
    log_info("late");
    log_debug("%s", "");
    expect_heard("I 98765.000001 late\nD 98765.000001 \n");
}

static void test_sinks(void **state)
{
    (void)state;
    log_add_sink(sink_0);
    log_add_sink(sink_1);
    log_add_sink(sink_2);
    log_add_sink(sink_3);
    log_add_sink(sink_4); /* one too many */
    log_info("a");
    log_info("b");
    assert_int_equal(calls[0] + calls[1] + calls[2] + calls[3], 8);
    assert_int_equal(calls[4], 0);
    log_clear_sinks();
    log_info("c"); /* into the ring only */
    assert_int_equal(calls[0], 2);
    char text[200] = "";
    uint64_t offset = log_end() - 2;
    assert_int_equal(log_read(&offset, text, sizeof(text)), 2);
    assert_memory_equal(text, "c\n", 2);
}

static void test_long_lines(void **state)
{
    char text[1000];

    (void)state;
    log_add_sink(sink_0);
    memset(text, 'x', sizeof(text));
    for (int length = 200; length < 300; length++) {
        heard_size = 0;
        log_info("%.*s", length, text);
        assert_true(heard_size <= 240);
        assert_int_equal(heard[heard_size - 1], '\n');
        assert_int_equal(heard[heard_size - 2], 'x');
        assert_null(memchr(heard, '\0', heard_size));
    }
    assert_true(heard_size >= 238); /* cut no sooner than it must be */
}

static void test_read(void **state)
{
    char byte;
    uint64_t offset = log_end() + 1000;

    (void)state;
    assert_int_equal(log_read(&offset, &byte, 1), 0); /* ahead of the end */
    assert_int_equal(offset, log_end());
    /* Over the ring's edge several times; what is kept reads back as it was told. */
    log_add_sink(sink_0);
    for (unsigned i = 0; i < 2000; i++) {
        log_info("line %u of the test", i);
        if (heard_size > LOG_RING_SIZE + 1000) {
            memmove(heard, heard + 1000, heard_size - 1000);
            heard_size -= 1000;
        }
    }
    offset = 0;
    char *kept = malloc(LOG_RING_SIZE);
    assert_non_null(kept);
    assert_int_equal(log_read(&offset, kept, LOG_RING_SIZE), LOG_RING_SIZE);
    assert_int_equal(offset, log_end() - LOG_RING_SIZE);
    assert_memory_equal(kept, heard + heard_size - LOG_RING_SIZE, LOG_RING_SIZE);
    free(kept);
    /* Piece by piece. */
    uint64_t at = log_end() - 100;
    for (unsigned i = 0; i < 100; i++, at++) {
        assert_int_equal(log_read(&at, &byte, 1), 1);
        assert_int_equal(byte, heard[heard_size - 100 + i]);
    }
    assert_int_equal(log_read(&at, &byte, 1), 0);
}

static void *log_many(void *context)
{
    for (unsigned i = 0; i < LINES; i++) {
        log_info("thread %u line %u.", *(unsigned *)context, i);
    }
    return NULL;
}

/* Lines of several CPUs come whole, and each CPU's in order. */
static void test_from_many_cpus(void **state)
{
    pthread_t threads[THREADS];
    unsigned numbers[THREADS], next[THREADS] = {0};

    (void)state;
    log_add_sink(sink_0);
    for (unsigned i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, &numbers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    heard[heard_size] = '\0';
    char *line = heard;
    for (unsigned i = 0; i < THREADS * LINES; i++) {
        unsigned thread = THREADS, number = 0;
        int end = 0;
        assert_int_equal(sscanf(line, "I %*u.%*u thread %u line %u.%n", &thread, &number, &end), 2);
        assert_true(thread < THREADS && line[end] == '\n');
        assert_int_equal(number, next[thread]++);
        line += end + 1;
    }
    assert_int_equal(*line, '\0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_lines, reset),
        cmocka_unit_test_setup(test_sinks, reset),
        cmocka_unit_test_setup(test_long_lines, reset),
        cmocka_unit_test_setup(test_read, reset),
        cmocka_unit_test_setup(test_from_many_cpus, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
