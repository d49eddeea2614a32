/* SPDX-License-Identifier: BSD-2-Clause */
/* The console device: what is printed, what is typed, and what does not fit. */
#include "tests/unit/virtio_driver.h"

#include "virtio/console.h"

#define INPUT  0u
#define OUTPUT 1u

struct fixture {
    struct virtio_console console;
    struct virtio_driver driver;
    char text[256];
    size_t printed;
};

static void print(void *context, const uint8_t *bytes, uint32_t size)
{
    struct fixture *f = context;

    for (uint32_t i = 0; i < size && f->printed + i < sizeof(f->text); i++) {
        f->text[f->printed + i] = (char)bytes[i];
    }
    f->printed += size;
}

static struct fixture *start(void)
{
    struct fixture *f = calloc(1, sizeof(*f));

    virtio_driver_start(&f->driver, &f->console.device, 3);
    virtio_console_init(&f->console, &f->driver.owner, VIRTIO_FEATURES | VIRTIO_F_RING_PACKED,
                        print, f);
    return f;
}

static void stop(struct fixture *f)
{
    virtio_driver_stop(&f->driver);
    free(f);
}

static void test_print(void **state)
{
    (void)state;
    for (int packed = 0; packed < 2; packed++) {
        struct fixture *f = start();
        struct driver *ring = &f->driver.rings[OUTPUT];
        const struct driver_buffer buffers[] = {{DRIVER_DATA, 5, false},
                                                {DRIVER_DATA + 100, 6, false}};
        uint16_t id;
        uint32_t written;
        virtio_driver_bring_up(&f->driver, packed, ~0ull, 16);
        memcpy(f->driver.ram + DRIVER_DATA, "Hello", 5);
        memcpy(f->driver.ram + DRIVER_DATA + 100, ", you\n", 6);
        driver_add(ring, buffers, 2);
        driver_add(ring, buffers + 1, 1);
        virtio_driver_notify(&f->driver, OUTPUT);
        assert_int_equal(f->printed, 17);
        assert_memory_equal(f->text, "Hello, you\n, you\n", 17);
        for (unsigned i = 0; i < 2; i++) {
            assert_true(driver_take(ring, &id, &written));
            assert_int_equal(written, 0);
        }
        stop(f);
    }
}

/* One write of all of RAM, four times over. */
static void test_print_much(void **state)
{
    struct fixture *f = start();
    const struct driver_buffer all[] = {{0, DRIVER_RAM, false},
                                        {0, DRIVER_RAM, false},
                                        {0, DRIVER_RAM, false},
                                        {0, DRIVER_RAM, false}};

    (void)state;
    virtio_driver_bring_up(&f->driver, false, ~0ull, 16);
    driver_add(&f->driver.rings[OUTPUT], all, 4);
    virtio_driver_notify(&f->driver, OUTPUT);
    assert_int_equal(f->printed, VIRTIO_CONSOLE_BYTES);
    stop(f);
}

static void test_type(void **state)
{
    (void)state;
    for (int packed = 0; packed < 2; packed++) {
        struct fixture *f = start();
        struct driver *ring = &f->driver.rings[INPUT];
        uint16_t id;
        uint32_t written;
        /* Nobody is there who could read it. */
        assert_int_equal(virtio_console_type(&f->console, "lost", 4), 4);
        virtio_driver_bring_up(&f->driver, packed, ~0ull, 16);
        assert_int_equal(virtio_console_type(&f->console, "later", 5), 0);
        for (unsigned i = 0; i < 3; i++) {
            const struct driver_buffer buffer = {DRIVER_DATA + 16 * i, 4, true};
            driver_add(ring, &buffer, 1);
            virtio_driver_notify(&f->driver, INPUT);
        }
        assert_int_equal(virtio_console_type(&f->console, "abcdef", 6), 6);
        assert_memory_equal(f->driver.ram + DRIVER_DATA, "abcd", 4);
        assert_memory_equal(f->driver.ram + DRIVER_DATA + 16, "ef\0\0", 4);
        assert_int_equal(virtio_console_type(&f->console, "0123456", 7), 4);
        for (unsigned i = 0; i < 3; i++) {
            assert_true(driver_take(ring, &id, &written));
            assert_int_equal(written, i == 1 ? 2 : 4);
        }
        assert_int_equal(f->driver.interrupts[INPUT], 3);
        stop(f);
    }
}

/* Buffers that cannot be written to, as many as the queue has, do not hold the caller up. */
static void test_type_into_nothing(void **state)
{
    struct fixture *f = start();
    const struct driver_buffer buffer = {DRIVER_DATA, 4, false};

    (void)state;
    virtio_driver_bring_up(&f->driver, true, ~0ull, 64);
    for (unsigned i = 0; i < 64; i++) {
        driver_add(&f->driver.rings[INPUT], &buffer, 1);
    }
    assert_int_equal(virtio_console_type(&f->console, "x", 1), 0);
    assert_true(f->console.device.chains < 64);
    stop(f);
}

static void test_bad_input_buffer(void **state)
{
    struct fixture *f = start();
    const struct driver_buffer buffer = {DRIVER_RAM, 4, true};

    (void)state;
    virtio_driver_bring_up(&f->driver, true, ~0ull, 16);
    driver_add(&f->driver.rings[INPUT], &buffer, 1);
    assert_int_equal(virtio_console_type(&f->console, "x", 1), 0);
    assert_int_equal(f->driver.failures, 1);
    /* It will not read anything again before a reset. */
    assert_int_equal(virtio_console_type(&f->console, "x", 1), 1);
    stop(f);
}

static void test_emergency(void **state)
{
    struct fixture *f = start();

    (void)state;
    assert_int_equal(virtio_driver_features(&f->driver) & 7, 4);
    assert_int_equal(virtio_driver_read(&f->driver, VIRTIO_PCI_DEVICE + 4, 4), 1);
    virtio_driver_set(&f->driver, VIRTIO_PCI_DEVICE + 8, 4, '!');
    virtio_driver_set(&f->driver, VIRTIO_PCI_DEVICE + 8, 1, '?');
    virtio_driver_set(&f->driver, VIRTIO_PCI_DEVICE + 4, 4, '?');
    assert_int_equal(f->printed, 1);
    assert_int_equal(f->text[0], '!');
    stop(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_print_much),
        cmocka_unit_test(test_type),
        cmocka_unit_test(test_type_into_nothing),
        cmocka_unit_test(test_bad_input_buffer),
        cmocka_unit_test(test_emergency),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
