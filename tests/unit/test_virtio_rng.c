/* SPDX-License-Identifier: BSD-2-Clause */
/* The entropy device: how many bytes a request gets, and what happens when there are none. */
#include "tests/unit/virtio_driver.h"

#include "virtio/rng.h"

struct fixture {
    struct virtio_rng rng;
    struct virtio_driver driver;
};

static uint64_t numbers;
static bool empty;

static bool count_up(uint64_t *bits)
{
    *bits = ++numbers * 0x0101010101010101;
    return !empty;
}

static struct fixture *start(bool packed)
{
    struct fixture *f = calloc(1, sizeof(*f));

    numbers = 0;
    empty = false;
    virtio_driver_start(&f->driver, &f->rng.device, 2);
    virtio_rng_init(&f->rng, &f->driver.owner, VIRTIO_FEATURES | VIRTIO_F_RING_PACKED, count_up);
    virtio_driver_bring_up(&f->driver, packed, ~0ull, 8);
    return f;
}

static void stop(struct fixture *f)
{
    virtio_driver_stop(&f->driver);
    free(f);
}

static void test_requests(void **state)
{
    static const struct {
        uint32_t asked, got;
    } sizes[] = {{1, 1}, {7, 7}, {8, 8}, {64, 64}, {65, 65}, {256, 256}, {4096, 256}};

    (void)state;
    for (unsigned i = 0; i < 2 * ARRAY_SIZE(sizes); i++) {
        struct fixture *f = start(i % 2);
        struct driver *ring = &f->driver.rings[0];
        uint32_t asked = sizes[i / 2].asked, got = sizes[i / 2].got, written = 0;
        uint16_t id;
        /* In two pieces, if there are bytes for two. */
        const struct driver_buffer buffers[] = {{DRIVER_DATA, asked - asked / 2, true},
                                                {DRIVER_DATA + 4096, asked / 2, true}};
        driver_add(ring, buffers, asked > 1 ? 2 : 1);
        virtio_driver_notify(&f->driver, 0);
        assert_true(driver_take(ring, &id, &written));
        assert_int_equal(written, got);
        for (uint32_t at = 0; at < got; at++) {
            uint32_t first = buffers[0].size;
            const uint8_t *byte =
                f->driver.ram + DRIVER_DATA + (at < first ? at : 4096 + at - first);
            assert_int_equal(*byte, at / 8 + 1);
        }
        assert_int_equal(f->driver.interrupts[0], 1);
        stop(f);
    }
}

static void test_nothing_to_write_to(void **state)
{
    struct fixture *f = start(false);
    const struct driver_buffer buffer = {DRIVER_DATA, 16, false};
    uint32_t written = 1;
    uint16_t id;

    (void)state;
    driver_add(&f->driver.rings[0], &buffer, 1);
    virtio_driver_notify(&f->driver, 0);
    assert_true(driver_take(&f->driver.rings[0], &id, &written));
    assert_int_equal(written, 0);
    stop(f);
}

static void test_no_entropy(void **state)
{
    struct fixture *f = start(true);
    const struct driver_buffer buffer = {DRIVER_DATA, 16, true};
    uint32_t written;
    uint16_t id;

    (void)state;
    empty = true;
    driver_add(&f->driver.rings[0], &buffer, 1);
    virtio_driver_notify(&f->driver, 0);
    assert_false(driver_take(&f->driver.rings[0], &id, &written));
    assert_int_equal(f->driver.failures, 1);
    assert_int_equal(f->rng.device.status & VIRTIO_NEEDS_RESET, VIRTIO_NEEDS_RESET);
    stop(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_nothing_to_write_to),
        cmocka_unit_test(test_no_entropy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
