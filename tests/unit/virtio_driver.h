/* SPDX-License-Identifier: BSD-2-Clause */
/* A driver of a virtio device behind PCI registers, for tests: brings the device up as the
 * specification says, and counts what it is told. Queue q's rings are virtq_driver.h's, all in one
 * RAM. */
#ifndef POSTERN_TESTS_UNIT_VIRTIO_DRIVER_H
#define POSTERN_TESTS_UNIT_VIRTIO_DRIVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/virtq_driver.h"
#include "virtio/pci.h"

/* Queue q's rings are so far behind queue 0's; a test of a device with more queues has less room
 * for each. */
#ifndef DRIVER_QUEUES
#define DRIVER_QUEUE_STRIDE 0x400u
#define DRIVER_QUEUES       2u
#endif

struct virtio_driver {
    struct virtio_pci pci;
    struct virtio_owner owner;
    uint8_t *ram; /* DRIVER_RAM bytes */
    struct driver rings[DRIVER_QUEUES];
    unsigned interrupts[VIRTIO_QUEUES_MAX + 1]; /* by vector */
    unsigned failures;
    const char *why;
};

static inline void virtio_driver_interrupted(void *context, uint32_t vector)
{
    struct virtio_driver *d = context;

    assert_true(vector < d->owner.vectors);
    d->interrupts[vector]++;
}

static inline void virtio_driver_told(void *context, const char *why)
{
    struct virtio_driver *d = context;

    d->failures++;
    d->why = why;
}

static inline void *virtio_driver_map(void *context, uint64_t gpa, uint64_t size, bool writable)
{
    struct virtio_driver *d = context;

    (void)writable;
    assert_int_not_equal(size, 0);
    return range_within(gpa, size, 0, DRIVER_RAM) ? d->ram + gpa : NULL;
}

/* `d->owner` is what the device is then to be initialised with. */
static inline void virtio_driver_start(struct virtio_driver *d, struct virtio_device *device,
                                       uint32_t vectors)
{
    *d = (struct virtio_driver){.pci = {.device = device}, .ram = calloc(1, DRIVER_RAM)};
    d->owner = (struct virtio_owner){.interrupt = virtio_driver_interrupted,
                                     .failed = virtio_driver_told,
                                     .context = d,
                                     .memory = {.map = virtio_driver_map, .context = d},
                                     .vectors = vectors};
}

static inline void virtio_driver_stop(struct virtio_driver *d)
{
    free(d->ram);
}

static inline uint64_t virtio_driver_read(struct virtio_driver *d, uint32_t offset, unsigned size)
{
    return virtio_pci_read(&d->pci, VIRTIO_PCI_BAR, offset, size);
}

static inline void virtio_driver_set(struct virtio_driver *d, uint32_t offset, unsigned size,
                                     uint64_t value)
{
    assert_false(virtio_pci_write(&d->pci, VIRTIO_PCI_BAR, offset, size, value));
}

static inline uint64_t virtio_driver_features(struct virtio_driver *d)
{
    uint64_t features = 0;

    for (uint32_t half = 0; half < 2; half++) {
        virtio_driver_set(d, VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 4, half);
        features |= virtio_driver_read(d, VIRTIO_COMMON_DEVICE_FEATURE, 4) << 32 * half;
    }
    return features;
}

static inline void virtio_driver_accept(struct virtio_driver *d, uint64_t features)
{
    for (uint32_t half = 0; half < 2; half++) {
        virtio_driver_set(d, VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, half);
        virtio_driver_set(d, VIRTIO_COMMON_DRIVER_FEATURE, 4, (uint32_t)(features >> 32 * half));
    }
}

/* Sets queue `queue` up, its vector the same number, and enables it. Its rings are in the part of
 * RAM that the device gave a place in virtq_driver.h, moved by the stride. */
static inline void virtio_driver_queue(struct virtio_driver *d, uint32_t queue, uint16_t size)
{
    struct driver *ring = &d->rings[queue];
    uint64_t base = (uint64_t)DRIVER_QUEUE_STRIDE * queue;
    bool packed = (d->pci.device->accepted & VIRTIO_F_RING_PACKED) != 0;

    memset(d->ram + DRIVER_DESC + base, 0, 16u * size);
    memset(d->ram + DRIVER_AVAIL + base, 0, 6 + 2u * size);
    memset(d->ram + DRIVER_USED + base, 0, 6 + 8u * size);
    *ring = (struct driver){.ram = d->ram,
                            .base = base,
                            .features = d->pci.device->accepted,
                            .size = size,
                            .packed = packed,
                            .next_wrap = true,
                            .used_wrap = true,
                            .kicked_wrap = true};
    virtio_driver_set(d, VIRTIO_COMMON_QUEUE_SELECT, 2, queue);
    virtio_driver_set(d, VIRTIO_COMMON_QUEUE_SIZE, 2, size);
    virtio_driver_set(d, VIRTIO_COMMON_QUEUE_VECTOR, 2, queue);
    virtio_driver_set(d, VIRTIO_COMMON_QUEUE_DESCRIPTORS, 8, DRIVER_DESC + base);
    virtio_driver_set(d, VIRTIO_COMMON_QUEUE_DRIVER, 8, DRIVER_AVAIL + base);
    virtio_driver_set(d, VIRTIO_COMMON_QUEUE_DEVICE, 8, DRIVER_USED + base);
    virtio_driver_set(d, VIRTIO_COMMON_QUEUE_ENABLE, 2, 1);
    assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_QUEUE_ENABLE, 2), 1);
}

/* From a reset to DRIVER_OK, with the features that the device offers of `features`; EVENT_IDX is
 * left out, so that each used chain interrupts. The last vector is that of the configuration. */
static inline void virtio_driver_bring_up(struct virtio_driver *d, bool packed, uint64_t features,
                                          uint16_t size)
{
    uint64_t accepted = virtio_driver_features(d) & features & ~VIRTIO_F_EVENT_IDX;

    memset(d->interrupts, 0, sizeof(d->interrupts));
    virtio_driver_set(d, VIRTIO_COMMON_STATUS, 1, 0);
    virtio_driver_set(d, VIRTIO_COMMON_STATUS, 1, VIRTIO_ACKNOWLEDGE);
    virtio_driver_set(d, VIRTIO_COMMON_STATUS, 1, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    virtio_driver_accept(d, packed ? accepted : accepted & ~VIRTIO_F_RING_PACKED);
    virtio_driver_set(d, VIRTIO_COMMON_STATUS, 1, 0xb);
    assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_STATUS, 1), 0xb);
    virtio_driver_set(d, VIRTIO_COMMON_CONFIG_VECTOR, 2, d->owner.vectors - 1);
    for (uint32_t i = 0; i < d->pci.device->queue_count && i < DRIVER_QUEUES; i++) {
        virtio_driver_queue(d, i, size);
    }
    virtio_driver_set(d, VIRTIO_COMMON_STATUS, 1, 0xf);
    assert_int_equal(virtio_driver_read(d, VIRTIO_COMMON_STATUS, 1), 0xf);
}

/* Notifies by the I/O BAR, as often as it is asked for. */
static inline void virtio_driver_notify(struct virtio_driver *d, uint32_t queue)
{
    while (virtio_pci_write(&d->pci, VIRTIO_PCI_IO_BAR, 0, 2, queue)) {
    }
}

#endif
