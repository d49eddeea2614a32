/* SPDX-License-Identifier: BSD-2-Clause */
/* A virtio device behind its PCI registers, as a driver sees them: negotiation, queues, resets, and
 * what drivers do wrong. The device hands what it reads back, in capitals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/random.h"
#include "tests/unit/virtio_driver.h"

#define CLASS_FEATURE BIT(3)
#define OFFERED       (VIRTIO_FEATURES | VIRTIO_F_RING_PACKED | CLASS_FEATURE)
#define ECHO_QUEUE    0u
#define INPUT_QUEUE   1u

struct fixture {
    struct virtio_device device;
    struct virtio_driver driver;
};

static uint64_t config_written;

static uint32_t echo(struct virtio_device *device, uint32_t queue, const struct virtq_chain *chain)
{
    struct virtq_cursor in = virtq_readable(chain), out = virtq_writable(chain);
    uint32_t written = 0;
    uint8_t byte;

    assert_int_equal(queue, ECHO_QUEUE);
    while (virtq_copy_from(&in, &byte, 1) == 1) {
        if (byte == '!') {
            virtio_fail(device, "no exclamation marks");
            return 0;
        }
        byte = (uint8_t)(byte & ~0x20);
        written += virtq_copy_to(&out, &byte, 1);
    }
    return written;
}

static void write_config(struct virtio_device *device, uint32_t offset, uint32_t size,
                         uint64_t value)
{
    assert_true(offset + size <= VIRTIO_CONFIG_MAX && device != NULL);
    config_written = value << 8 * offset;
}

static bool waits(const struct virtio_device *device, uint32_t queue)
{
    assert_true(queue < device->queue_count);
    return queue == INPUT_QUEUE;
}

static const struct virtio_model model = {
    .name = "echo", .id = 42, .waits = waits, .handle = echo, .write_config = write_config};

static struct fixture *start(void)
{
    struct fixture *f = calloc(1, sizeof(*f));

    virtio_driver_start(&f->driver, &f->device, 3);
    virtio_init(&f->device, &model, &f->driver.owner, OFFERED, 2, 16);
    f->device.config[0] = 0x78;
    f->device.config[1] = 0x56;
    return f;
}

static void stop(struct fixture *f)
{
    virtio_driver_stop(&f->driver);
    free(f);
}

/* Sends `text` and expects `answer` in a buffer of 16 bytes. */
static void send_text(struct fixture *f, const char *text, const char *answer)
{
    struct driver *ring = &f->driver.rings[ECHO_QUEUE];
    const struct driver_buffer buffers[] = {{DRIVER_DATA, (uint32_t)strlen(text), false},
                                            {DRIVER_DATA + 0x100, 16, true}};
    uint16_t id;
    uint32_t written = 0;

    memcpy(f->driver.ram + DRIVER_DATA, text, strlen(text));
    driver_add(ring, buffers, 2);
    virtio_driver_notify(&f->driver, ECHO_QUEUE);
    assert_int_equal(driver_take(ring, &id, &written), answer != NULL);
    if (answer != NULL) {
        assert_int_equal(written, strlen(answer));
        assert_memory_equal(f->driver.ram + DRIVER_DATA + 0x100, answer, written);
    }
}

static void test_life(void **state)
{
    (void)state;
    for (int packed = 0; packed < 2; packed++) {
        for (int round = 0; round < 3; round++) {
            struct fixture *f = start();
            virtio_driver_bring_up(&f->driver, packed, OFFERED, 16);
            send_text(f, "hello", "HELLO");
            send_text(f, "world", "WORLD");
            assert_int_equal(f->driver.interrupts[ECHO_QUEUE], 2);
            assert_int_equal(virtio_driver_read(&f->driver, VIRTIO_PCI_ISR, 1), VIRTIO_ISR_QUEUE);
            assert_int_equal(virtio_driver_read(&f->driver, VIRTIO_PCI_ISR, 1), 0);
            /* A reset in the middle, and up again. */
            virtio_driver_set(&f->driver, VIRTIO_COMMON_STATUS, 1, 0);
            assert_int_equal(virtio_driver_read(&f->driver, VIRTIO_COMMON_STATUS, 1), 0);
            send_text(f, "nobody", NULL);
            virtio_driver_bring_up(&f->driver, !packed, OFFERED, 8);
            send_text(f, "again", "AGAIN");
            stop(f);
        }
    }
}

static void test_features(void **state)
{
    static const struct {
        uint64_t features;
        bool good;
    } sets[] = {
        {VIRTIO_F_VERSION_1, true},
        {OFFERED, true},
        {0, false},
        {CLASS_FEATURE, false}, /* legacy */
        {OFFERED | BIT(5), false},
        {OFFERED | BIT(63), false},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(sets); i++) {
        struct fixture *f = start();
        struct virtio_driver *d = &f->driver;
        uint64_t offered = virtio_driver_features(d);
        assert_int_equal(offered, OFFERED);
        virtio_driver_set(d, VIRTIO_COMMON_STATUS, 1, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
        virtio_driver_accept(d, sets[i].features);
        virtio_driver_set(d, VIRTIO_COMMON_STATUS, 1, 0xb);
        assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_STATUS, 1), sets[i].good ? 0xb : 3);
        /* Accepted once and for all. */
        virtio_driver_accept(d, VIRTIO_F_VERSION_1);
        assert_int_equal(f->device.accepted, sets[i].good ? sets[i].features : VIRTIO_F_VERSION_1);
        stop(f);
    }
}

/* Bits beyond 63 are not offered, and a driver that takes one is refused. */
static void test_features_beyond(void **state)
{
    struct fixture *f = start();
    struct virtio_driver *d = &f->driver;

    (void)state;
    virtio_driver_set(d, VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 4, 2);
    assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_DEVICE_FEATURE, 4), 0);
    virtio_driver_set(d, VIRTIO_COMMON_STATUS, 1, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    virtio_driver_accept(d, VIRTIO_F_VERSION_1);
    virtio_driver_set(d, VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, 0xffffffff);
    virtio_driver_set(d, VIRTIO_COMMON_DRIVER_FEATURE, 4, 1);
    virtio_driver_set(d, VIRTIO_COMMON_STATUS, 1, 0xb);
    assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_STATUS, 1), 3);
    stop(f);
}

static void test_status_in_order(void **state)
{
    struct fixture *f = start();
    struct virtio_driver *d = &f->driver;

    (void)state;
    virtio_driver_accept(d, OFFERED);
    /* Neither FEATURES_OK nor DRIVER_OK before what they build on. */
    virtio_driver_set(d, VIRTIO_COMMON_STATUS, 1, VIRTIO_ACKNOWLEDGE | VIRTIO_FEATURES_OK);
    assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_STATUS, 1), VIRTIO_ACKNOWLEDGE);
    virtio_driver_set(d, VIRTIO_COMMON_STATUS, 1, 7);
    assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_STATUS, 1), 3);
    /* Bits do not go, and the device's own cannot be set. */
    virtio_driver_set(d, VIRTIO_COMMON_STATUS, 1, 0x70);
    assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_STATUS, 1), 3);
    virtio_driver_set(d, VIRTIO_COMMON_STATUS, 1, VIRTIO_FAILED);
    assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_STATUS, 1), 0x83);
    stop(f);
}

static void test_queue_registers(void **state)
{
    struct fixture *f = start();
    struct virtio_driver *d = &f->driver;

    (void)state;
    assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_QUEUES, 2), 2);
    /* Nothing is enabled before the features are fixed. */
    virtio_driver_set(d, VIRTIO_COMMON_QUEUE_ENABLE, 2, 1);
    assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_QUEUE_ENABLE, 2), 0);
    virtio_driver_bring_up(d, false, OFFERED, 16);
    for (unsigned queue = 0; queue < 4; queue++) {
        virtio_driver_set(d, VIRTIO_COMMON_QUEUE_SELECT, 2, queue);
        assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_QUEUE_SELECT, 2), queue);
        assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_QUEUE_SIZE, 2), queue < 2 ? 16 : 0);
        assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_QUEUE_ENABLE, 2), queue < 2);
        assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_QUEUE_NOTIFY_OFF, 2),
                         queue < 2 ? queue : 0);
        /* What is enabled keeps its place. */
        virtio_driver_set(d, VIRTIO_COMMON_QUEUE_DESCRIPTORS, 4, 0x7000);
        virtio_driver_set(d, VIRTIO_COMMON_QUEUE_SIZE, 2, 4);
        virtio_driver_set(d, VIRTIO_COMMON_QUEUE_ENABLE, 2, 0);
    }
    send_text(f, "still", "STILL");
    stop(f);
}

static void test_addresses_by_halves_and_whole(void **state)
{
    struct fixture *f = start();
    struct virtio_driver *d = &f->driver;

    (void)state;
    virtio_driver_set(d, VIRTIO_COMMON_QUEUE_DRIVER, 8, 0x123456789abcdef0);
    assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_QUEUE_DRIVER, 4), 0x9abcdef0);
    assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_QUEUE_DRIVER + 4, 4), 0x12345678);
    virtio_driver_set(d, VIRTIO_COMMON_QUEUE_DRIVER + 4, 4, 0x11);
    virtio_driver_set(d, VIRTIO_COMMON_QUEUE_DRIVER, 4, 0x22);
    assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_QUEUE_DRIVER, 8), 0x1100000022);
    /* Parts of fields are not written. */
    virtio_driver_set(d, VIRTIO_COMMON_QUEUE_DRIVER, 2, 0xffff);
    virtio_driver_set(d, VIRTIO_COMMON_QUEUE_DRIVER + 2, 4, 0xffff);
    virtio_driver_set(d, VIRTIO_COMMON_QUEUE_SIZE, 4, 8);
    assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_QUEUE_DRIVER, 8), 0x1100000022);
    assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_QUEUE_SIZE, 2), 16);
    stop(f);
}

static void test_vectors(void **state)
{
    struct fixture *f = start();
    struct virtio_driver *d = &f->driver;

    (void)state;
    assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_CONFIG_VECTOR, 2), VIRTIO_NO_VECTOR);
    virtio_driver_set(d, VIRTIO_COMMON_CONFIG_VECTOR, 2, 3);
    assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_CONFIG_VECTOR, 2), VIRTIO_NO_VECTOR);
    virtio_driver_set(d, VIRTIO_COMMON_CONFIG_VECTOR, 2, 2);
    assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_CONFIG_VECTOR, 2), 2);
    virtio_driver_bring_up(d, false, OFFERED, 16);
    virtio_driver_set(d, VIRTIO_COMMON_QUEUE_SELECT, 2, ECHO_QUEUE);
    virtio_driver_set(d, VIRTIO_COMMON_QUEUE_VECTOR, 2, VIRTIO_NO_VECTOR);
    send_text(f, "mute", "MUTE");
    assert_int_equal(f->driver.interrupts[ECHO_QUEUE], 0);
    assert_int_equal(virtio_driver_read(d, VIRTIO_PCI_ISR, 1), VIRTIO_ISR_QUEUE);
    stop(f);
}

static void expect_needs_reset(struct fixture *f)
{
    struct virtio_driver *d = &f->driver;

    assert_true((virtio_driver_read(d, VIRTIO_COMMON_STATUS, 1) & VIRTIO_NEEDS_RESET) != 0);
    assert_int_equal(d->failures, 1);
    assert_int_equal(d->interrupts[2], 1);
    assert_int_equal(virtio_driver_read(d, VIRTIO_PCI_ISR, 1) & VIRTIO_ISR_CONFIG,
                     VIRTIO_ISR_CONFIG);
    send_text(f, "dead", NULL);
    assert_int_equal(d->failures, 1);
    /* A driver cannot take the bit away, but by a reset. */
    virtio_driver_set(d, VIRTIO_COMMON_STATUS, 1, 0xf);
    assert_true((virtio_driver_read(d, VIRTIO_COMMON_STATUS, 1) & VIRTIO_NEEDS_RESET) != 0);
    virtio_driver_bring_up(d, false, OFFERED, 16);
    assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_STATUS, 1), 0xf);
    send_text(f, "alive", "ALIVE");
}

static void test_bad_chain_needs_reset(void **state)
{
    struct fixture *f = start();
    const struct driver_buffer outside = {DRIVER_RAM, 1, false};

    (void)state;
    virtio_driver_bring_up(&f->driver, true, OFFERED, 16);
    driver_add(&f->driver.rings[ECHO_QUEUE], &outside, 1);
    virtio_driver_notify(&f->driver, ECHO_QUEUE);
    assert_string_equal(f->driver.why, virtq_fault_name(VIRTQ_FAULT_MEMORY));
    expect_needs_reset(f);
    stop(f);
}

static void test_model_may_refuse(void **state)
{
    struct fixture *f = start();

    (void)state;
    virtio_driver_bring_up(&f->driver, false, OFFERED, 16);
    send_text(f, "what!", NULL);
    assert_string_equal(f->driver.why, "no exclamation marks");
    expect_needs_reset(f);
    stop(f);
}

static void test_bad_ring_needs_reset(void **state)
{
    static const uint16_t sizes[] = {0, 5, 32, 256};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct fixture *f = start();
        struct virtio_driver *d = &f->driver;
        virtio_driver_set(d, VIRTIO_COMMON_STATUS, 1, 3);
        virtio_driver_accept(d, OFFERED & ~VIRTIO_F_RING_PACKED);
        virtio_driver_set(d, VIRTIO_COMMON_STATUS, 1, 0xb);
        virtio_driver_set(d, VIRTIO_COMMON_QUEUE_SIZE, 2, sizes[i]);
        virtio_driver_set(d, VIRTIO_COMMON_QUEUE_ENABLE, 2, 1);
        assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_QUEUE_ENABLE, 2), 0);
        assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_STATUS, 1), 0x4b);
        /* No interrupt: the driver is not ready for one. */
        assert_int_equal(d->interrupts[2], 0);
        assert_string_equal(d->why, virtq_fault_name(VIRTQ_FAULT_SIZE));
        stop(f);
    }
}

static void test_reset_of_one_queue(void **state)
{
    struct fixture *f = start();
    struct virtio_driver *d = &f->driver;

    (void)state;
    for (int negotiated = 0; negotiated < 2; negotiated++) {
        uint64_t features = negotiated ? OFFERED : OFFERED & ~VIRTIO_F_RING_RESET;
        virtio_driver_bring_up(d, false, features, 16);
        send_text(f, "one", "ONE");
        virtio_driver_set(d, VIRTIO_COMMON_QUEUE_SELECT, 2, ECHO_QUEUE);
        virtio_driver_set(d, VIRTIO_COMMON_QUEUE_RESET, 2, 1);
        assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_QUEUE_RESET, 2), 0);
        assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_QUEUE_ENABLE, 2), !negotiated);
        send_text(f, "two", negotiated ? NULL : "TWO");
    }
    assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_QUEUE_VECTOR, 2), VIRTIO_NO_VECTOR);
    assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_QUEUE_SIZE, 2), 16);
    /* The other queue and the device go on; it comes back with another size. */
    virtio_driver_set(d, VIRTIO_COMMON_QUEUE_SELECT, 2, INPUT_QUEUE);
    assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_QUEUE_ENABLE, 2), 1);
    virtio_driver_queue(d, ECHO_QUEUE, 4);
    send_text(f, "three", "THREE");
    assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_STATUS, 1), 0xf);
    stop(f);
}

/* Before DRIVER_OK, for queues that are not there, for those that are not enabled. */
static void test_notifications_too_early(void **state)
{
    struct fixture *f = start();
    struct virtio_driver *d = &f->driver;

    (void)state;
    for (unsigned queue = 0; queue < 70000; queue += 1 + queue / 8) {
        assert_false(virtio_pci_write(&d->pci, VIRTIO_PCI_IO_BAR, 0, 2, queue));
        assert_false(virtio_pci_write(&d->pci, VIRTIO_PCI_BAR, VIRTIO_PCI_NOTIFY + queue, 2, 0));
    }
    virtio_driver_bring_up(d, false, OFFERED, 16);
    assert_false(virtio_pci_write(&d->pci, VIRTIO_PCI_IO_BAR, 0, 2, 0x10000 + ECHO_QUEUE + 2));
    assert_false(virtio_pci_write(&d->pci, VIRTIO_PCI_IO_BAR, 2, 2, ECHO_QUEUE));
    send_text(f, "now", "NOW");
    stop(f);
}

/* Both ways to notify. */
static void test_notification_by_memory(void **state)
{
    struct fixture *f = start();
    const struct driver_buffer one = {DRIVER_DATA, 4, false};

    (void)state;
    virtio_driver_bring_up(&f->driver, false, OFFERED, 16);
    driver_add(&f->driver.rings[ECHO_QUEUE], &one, 1);
    assert_false(
        virtio_pci_write(&f->driver.pci, VIRTIO_PCI_BAR, VIRTIO_PCI_NOTIFY, 2, ECHO_QUEUE));
    assert_int_equal(f->device.chains, 1);
    stop(f);
}

/* Much work is done in parts: the notification is to be made again. */
static void test_work_is_bounded(void **state)
{
    struct fixture *f = start();
    struct driver *ring = &f->driver.rings[ECHO_QUEUE];
    const struct driver_buffer large = {0x8000, 0x8000, false};
    unsigned parts = 1;

    (void)state;
    virtio_driver_bring_up(&f->driver, true, OFFERED, 16);
    memset(f->driver.ram + 0x8000, 'a', 0x8000);
    for (unsigned i = 0; i < 12; i++) {
        driver_add(ring, &large, 1);
    }
    while (virtio_pci_write(&f->driver.pci, VIRTIO_PCI_IO_BAR, 0, 2, ECHO_QUEUE)) {
        assert_true(f->device.chains <= parts * (VIRTIO_BYTES_AT_ONCE / 0x8000));
        parts++;
    }
    assert_int_equal(parts, 2);
    assert_int_equal(f->device.chains, 12);
    stop(f);
}

static void test_input_queue(void **state)
{
    struct fixture *f = start();
    struct driver *ring = &f->driver.rings[INPUT_QUEUE];
    const struct driver_buffer buffer = {DRIVER_DATA, 8, true};
    uint16_t id;
    uint32_t written;

    (void)state;
    assert_null(virtio_take(&f->device, INPUT_QUEUE));
    virtio_driver_bring_up(&f->driver, true, OFFERED, 16);
    assert_null(virtio_take(&f->device, INPUT_QUEUE));
    driver_add(ring, &buffer, 1);
    virtio_driver_notify(&f->driver, INPUT_QUEUE);
    assert_int_equal(f->device.chains, 0);
    const struct virtq_chain *chain = virtio_take(&f->device, INPUT_QUEUE);
    assert_non_null(chain);
    memcpy(chain->pieces[0].bytes, "data", 4);
    virtio_give(&f->device, INPUT_QUEUE, 4);
    assert_true(driver_take(ring, &id, &written));
    assert_int_equal(written, 4);
    assert_int_equal(f->driver.interrupts[INPUT_QUEUE], 1);
    stop(f);
}

static void test_device_configuration(void **state)
{
    struct fixture *f = start();
    struct virtio_driver *d = &f->driver;

    (void)state;
    assert_int_equal(virtio_driver_read(d, VIRTIO_PCI_DEVICE, 2), 0x5678);
    assert_int_equal(virtio_driver_read(d, VIRTIO_PCI_DEVICE, 4), 0x5678);
    assert_int_equal(virtio_driver_read(d, VIRTIO_PCI_DEVICE + 1, 1), 0x56);
    assert_int_equal(virtio_driver_read(d, VIRTIO_PCI_DEVICE + VIRTIO_CONFIG_MAX - 1, 2), 0);
    virtio_driver_set(d, VIRTIO_PCI_DEVICE + 4, 1, 7);
    assert_int_equal(config_written, 7ull << 32);
    config_written = 0;
    virtio_driver_set(d, VIRTIO_PCI_DEVICE + VIRTIO_CONFIG_MAX - 1, 2, 7);
    assert_int_equal(config_written, 0);
    stop(f);
}

/* As the PCI bus shows them: the list that Linux walks. */
static void test_capabilities(void **state)
{
    static const struct {
        uint8_t type, bar;
        uint32_t offset;
    } list[VIRTIO_PCI_CAPABILITIES] = {{1, 0, VIRTIO_PCI_COMMON}, {3, 0, VIRTIO_PCI_ISR},
                                       {4, 0, VIRTIO_PCI_DEVICE}, {2, VIRTIO_PCI_IO_BAR, 0},
                                       {2, 0, VIRTIO_PCI_NOTIFY}, {5, 0, 0}};

    (void)state;
    for (unsigned i = 0; i < VIRTIO_PCI_CAPABILITIES; i++) {
        const struct virtio_pci_capability *c = &virtio_pci_capabilities[i];
        uint32_t offset, length;
        assert_int_equal(c->bytes[0], 9);
        assert_int_equal(c->bytes[2], c->size);
        assert_int_equal(c->bytes[3], list[i].type);
        assert_int_equal(c->bytes[4], list[i].bar);
        memcpy(&offset, c->bytes + 8, 4);
        memcpy(&length, c->bytes + 12, 4);
        assert_int_equal(offset, list[i].offset);
        assert_int_equal(length == 0, list[i].type == 5);
    }
    assert_int_equal(virtio_pci_capabilities[4].bytes[16], 4);
    assert_int_equal(virtio_pci_capabilities[VIRTIO_PCI_ACCESS].bytes[3], 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_features),
        cmocka_unit_test(test_features_beyond),
        cmocka_unit_test(test_status_in_order),
        cmocka_unit_test(test_queue_registers),
        cmocka_unit_test(test_addresses_by_halves_and_whole),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_bad_chain_needs_reset),
        cmocka_unit_test(test_model_may_refuse),
        cmocka_unit_test(test_bad_ring_needs_reset),
        cmocka_unit_test(test_reset_of_one_queue),
        cmocka_unit_test(test_notifications_too_early),
        cmocka_unit_test(test_notification_by_memory),
        cmocka_unit_test(test_work_is_bounded),
        cmocka_unit_test(test_input_queue),
        cmocka_unit_test(test_device_configuration),
        cmocka_unit_test(test_capabilities),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
