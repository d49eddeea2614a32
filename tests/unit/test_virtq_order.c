/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver that changes the rings while the device looks: each word is overwritten the moment it
 * was read. What the device makes of it must be what it read the first time, and it must read
 * nothing twice. And the order in which the device publishes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/ring_access.h"

/* The product's sources, with the test's accesses. */
#include "virtio/packed.c"

#include "virtio/queue.c"
#include "virtio/split.c"

#include "tests/unit/random.h"
#include "tests/unit/virtq_driver.h"

#define SIZE 8u

static struct driver driver;
static struct virtq queue;
static struct virtq_chain chain;
static uint8_t reads[DRIVER_RAM];
static bool overwriting;
static struct random noise;

/* The last accesses, as letters: l, s, b for a load, a store, a barrier. */
static char trace[64];
static size_t traced;

static void note(char letter)
{
    if (traced + 1 < sizeof(trace)) {
        trace[traced++] = letter;
        trace[traced] = '\0';
    }
}

static uint64_t access_load(const void *address, size_t size)
{
    size_t at = (size_t)((const uint8_t *)address - driver.ram);
    uint64_t value = 0;

    assert_true(at + size <= DRIVER_RAM);
    memcpy(&value, address, size);
    for (size_t i = 0; i < size; i++) {
        reads[at + i]++;
        if (overwriting) {
            driver.ram[at + i] = (uint8_t)random_next(&noise);
        }
    }
    note('l');
    return value;
}

static void access_store(void *address, uint64_t value, size_t size)
{
    size_t at = (size_t)((uint8_t *)address - driver.ram);

    assert_true(at + size <= DRIVER_RAM);
    memcpy(address, &value, size);
    note('s');
}

static void access_barrier(void)
{
    note('b');
}

static void start(bool packed, uint64_t features)
{
    driver_start(&driver, packed, SIZE, features);
    struct virtq_setup setup = driver_setup(&driver);
    assert_int_equal(virtq_init(&queue, &setup), STATUS_OK);
}

static void forget(void)
{
    memset(reads, 0, sizeof(reads));
    traced = 0;
}

static void test_each_word_is_read_once(void **state)
{
    const struct driver_buffer buffers[] = {
        {DRIVER_DATA, 16, false}, {DRIVER_DATA + 100, 50, true}, {DRIVER_DATA + 300, 1, true}};

    (void)state;
    noise.state = 77;
    for (unsigned kind = 0; kind < 400; kind++) {
        bool indirect = (kind & 2) != 0;
        start(kind & 1, VIRTIO_F_INDIRECT_DESC);
        if (indirect) {
            driver_add_indirect(&driver, DRIVER_INDIRECT + kind % 16, buffers, 3);
        } else {
            driver_add(&driver, buffers, 3);
        }
        forget();
        overwriting = true;
        assert_int_equal(virtq_pop(&queue, &chain), VIRTQ_CHAIN);
        overwriting = false;
        for (size_t i = 0; i < DRIVER_RAM; i++) {
            assert_true(reads[i] <= 1);
        }
        assert_int_equal(chain.count, 3);
        for (unsigned i = 0; i < 3; i++) {
            assert_ptr_equal(chain.pieces[i].bytes, driver.ram + buffers[i].gpa);
            assert_int_equal(chain.pieces[i].size, buffers[i].size);
        }
        driver_stop(&driver);
    }
}

/* The used entry before the index, or the flags, that publish it. */
static void test_publication_comes_last(void **state)
{
    const struct driver_buffer one = {DRIVER_DATA, 16, true};

    (void)state;
    for (int packed = 0; packed < 2; packed++) {
        start(packed, 0);
        driver_add(&driver, &one, 1);
        assert_int_equal(virtq_pop(&queue, &chain), VIRTQ_CHAIN);
        forget();
        virtq_push(&queue, &chain, 9);
        assert_string_equal(trace, "sss");
        driver_stop(&driver);
    }
}

/* A full barrier stands between what was published and the look at what the other side wants. */
static void test_barriers(void **state)
{
    const struct driver_buffer one = {DRIVER_DATA, 16, true};

    (void)state;
    for (int packed = 0; packed < 2; packed++) {
        start(packed, VIRTIO_F_EVENT_IDX);
        driver_add(&driver, &one, 1);
        assert_int_equal(virtq_pop(&queue, &chain), VIRTQ_CHAIN);
        virtq_push(&queue, &chain, 9);
        driver_want(&driver, 0);
        forget();
        (void)!virtq_must_interrupt(&queue);
        /* Packed: the place is read after the flags. */
        assert_string_equal(trace, packed ? "blbl" : "bl");
        forget();
        assert_false(virtq_arm(&queue));
        /* Packed: the place is written before the flags. */
        assert_string_equal(trace, packed ? "sbsbl" : "sbl");
        driver_stop(&driver);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_word_is_read_once),
        cmocka_unit_test(test_publication_comes_last),
        cmocka_unit_test(test_barriers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
