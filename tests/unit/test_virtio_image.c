/* SPDX-License-Identifier: BSD-2-Clause */
/* What snapshots have of virtio devices: a driver that is moved under another device of the same
 * kind notices nothing; images that lie are refused, or do what a driver could. */
#include "tests/unit/virtio_driver.h"

#include "tests/unit/random.h"
#include "virtio/image.h"
#include "virtio/rng.h"

#define SIZE 8u

struct fixture {
    struct virtio_rng rng;
    struct virtio_driver driver;
};

static bool ones(uint64_t *bits)
{
    *bits = ~0ull;
    return true;
}

static void start_device(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    virtio_driver_start(&f->driver, &f->rng.device, 2);
    virtio_rng_init(&f->rng, &f->driver.owner, VIRTIO_FEATURES | VIRTIO_F_RING_PACKED, ones);
}

/* One request, with the driver's own idea of where its ring is. */
static void ask(struct fixture *f, struct driver *ring)
{
    const struct driver_buffer buffer = {DRIVER_DATA, 16, true};
    uint32_t written = 0;
    uint16_t id;

    driver_add(ring, &buffer, 1);
    virtio_driver_notify(&f->driver, 0);
    assert_true(driver_take(ring, &id, &written));
    assert_int_equal(written, 16);
}

static void drivers_notice_nothing(void **state)
{
    (void)state;
    for (unsigned asked = 0; asked < 40; asked++) {
        struct fixture one, other;
        struct virtio_image image, again;
        start_device(&one);
        virtio_driver_bring_up(&one.driver, asked % 2 != 0, ~0ull, SIZE);
        for (unsigned i = 0; i < asked; i++) {
            ask(&one, &one.driver.rings[0]);
        }
        virtio_image_take(&one.driver.pci, &image);
        start_device(&other);
        memcpy(other.driver.ram, one.driver.ram, DRIVER_RAM);
        assert_true(virtio_image_put(&other.driver.pci, &image));
        virtio_image_take(&other.driver.pci, &again);
        assert_memory_equal(&again, &image, sizeof(image));
        struct driver ring = one.driver.rings[0];
        ring.ram = other.driver.ram;
        for (unsigned i = 0; i < 20; i++) {
            ask(&other, &ring);
        }
        assert_int_equal(other.driver.interrupts[0], 20);
        assert_int_equal(other.driver.failures, 0);
        virtio_driver_stop(&one.driver);
        virtio_driver_stop(&other.driver);
    }
}

/* A device refuses the image with one member changed. */
#define refused(member, value)                                    \
    do {                                                          \
        struct virtio_image changed_ = image;                     \
        changed_.member = (value);                                \
        virtio_pci_reset(&f.driver.pci);                          \
        assert_false(virtio_image_put(&f.driver.pci, &changed_)); \
    } while (0)

static void images_that_lie_are_refused(void **state)
{
    struct virtio_image image;
    struct fixture f;

    (void)state;
    start_device(&f);
    virtio_driver_bring_up(&f.driver, true, ~0ull, SIZE);
    virtio_image_take(&f.driver.pci, &image);
    refused(id, 1);
    refused(queue_count, VIRTIO_QUEUES_MAX + 1);
    refused(offered, 0);
    refused(accepted, ~0ull);
    refused(accepted, 0);
    refused(status, 0xff);
    refused(status, VIRTIO_DRIVER_OK);
    refused(config_vector, 2);
    refused(config[0], 1);
    refused(queues[0].vector, 2);
    refused(queues[0].enabled, 2);
    refused(queues[0].size, 0);
    refused(queues[0].size, 1u << 16);
    refused(queues[0].descriptors, DRIVER_RAM);
    refused(queues[0].descriptors, ~0ull);
    refused(queues[0].driver, 1);
    refused(queues[0].next, SIZE);
    refused(queues[0].used, SIZE);
    refused(queues[0].reported, UINT16_MAX);
    refused(queues[0].next_wrap, 2);
    virtio_pci_reset(&f.driver.pci);
    assert_true(virtio_image_put(&f.driver.pci, &image));
    virtio_driver_stop(&f.driver);
}

static void random_images_do_no_harm(void **state)
{
    struct random random = {31};
    struct virtio_image image;
    struct fixture f;

    (void)state;
    start_device(&f);
    for (unsigned round = 0; round < 20000; round++) {
        virtio_driver_bring_up(&f.driver, round % 2 != 0, ~0ull, SIZE);
        virtio_image_take(&f.driver.pci, &image);
        for (unsigned i = random_below(&random, 4); i > 0; i--) {
            size_t at = random_below(&random, offsetof(struct virtio_image, queues[1]));
            ((uint8_t *)&image)[at] = (uint8_t)random_next(&random);
        }
        virtio_pci_reset(&f.driver.pci);
        if (virtio_image_put(&f.driver.pci, &image)) {
            virtio_driver_notify(&f.driver, 0);
        }
    }
    virtio_driver_stop(&f.driver);
}

static void nics_go_over(void **state)
{
    struct virtio_net *nets = calloc(2, sizeof(*nets));
    struct virtio_net_batch batch = {.bytes = malloc(VIRTIO_NET_BATCH_BYTES)};
    struct virtio_net_image image, again;
    struct virtio_driver driver;

    (void)state;
    virtio_driver_start(&driver, &nets[0].device, 6);
    for (unsigned i = 0; i < 2; i++) {
        virtio_net_init(&nets[i], &driver.owner, VIRTIO_FEATURES, 2, 1 + i, 1500, &batch);
    }
    nets[0].pairs = 2;
    nets[0].offloads = 5;
    nets[0].filter.promiscuous = false;
    nets[0].filter.no_broadcast = true;
    nets[0].filter.unicast.count = 3;
    nets[0].filter.unicast.macs[2] = 0x112233445566;
    nets[0].filter.multicast.all = true;
    nets[0].filter.vlans[63] = 1;
    virtio_net_image_take(&nets[0], &image);
    assert_true(virtio_net_image_put(&nets[1], &image));
    virtio_net_image_take(&nets[1], &again);
    assert_memory_equal(&again, &image, sizeof(image));
    assert_memory_equal(&nets[0].filter, &nets[1].filter, sizeof(nets[0].filter));
    image.pairs = 3;
    assert_false(virtio_net_image_put(&nets[1], &image));
    image.pairs = 0;
    assert_false(virtio_net_image_put(&nets[1], &image));
    image.pairs = 1;
    image.unicast.count = VIRTIO_NET_MACS + 1;
    assert_false(virtio_net_image_put(&nets[1], &image));
    image.unicast.count = 0;
    image.multicast.all = 2;
    assert_false(virtio_net_image_put(&nets[1], &image));
    virtio_driver_stop(&driver);
    free(batch.bytes);
    free(nets);
}

/* The MAC goes over; a NIC of another MTU, or with more pairs, is another one. */
static void nics_keep_their_shape(void **state)
{
    struct virtio_net *net = calloc(1, sizeof(*net));
    struct virtio_net_batch batch = {.bytes = malloc(VIRTIO_NET_BATCH_BYTES)};
    struct virtio_driver driver;
    struct virtio_image image;

    (void)state;
    virtio_driver_start(&driver, &net->device, 6);
    virtio_net_init(net, &driver.owner, VIRTIO_FEATURES, 2, 1, 1500, &batch);
    virtio_image_take(&driver.pci, &image);
    image.config[0] = 0x66;
    assert_true(virtio_image_put(&driver.pci, &image));
    assert_int_equal(net->device.config[0], 0x66);
    for (unsigned i = 8; i < VIRTIO_CONFIG_MAX; i++) {
        image.config[i] ^= 1;
        assert_false(virtio_image_put(&driver.pci, &image));
        image.config[i] ^= 1;
    }
    virtio_pci_reset(&driver.pci);
    assert_int_equal(net->device.config[0], 1);
    virtio_driver_stop(&driver);
    free(batch.bytes);
    free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drivers_notice_nothing),   cmocka_unit_test(images_that_lie_are_refused),
        cmocka_unit_test(random_images_do_no_harm), cmocka_unit_test(nics_go_over),
        cmocka_unit_test(nics_keep_their_shape),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
