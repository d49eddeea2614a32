/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio device without its transport: feature negotiation, the status, the queues, the end by
 * DEVICE_NEEDS_RESET (VIRTIO 1.2, "Basic Facilities of a Virtio Device"). A class of devices, such
 * as rng.c, is a `struct virtio_model`; pci.c shows a device on a PCI bus.
 *
 * Pure logic. The owner lets one CPU at a time in for one device: in the hypervisor, with the VM's
 * lock. What a device does for its driver it does when the driver notifies, in parts of a bounded
 * size, and it keeps no chain when it returns: a reset finds nothing in flight.
 */
#ifndef POSTERN_VIRTIO_DEVICE_H
#define POSTERN_VIRTIO_DEVICE_H

#include "virtio/queue.h"

#define VIRTIO_QUEUES_MAX 17u
#define VIRTIO_CONFIG_MAX 64u
#define VIRTIO_NO_VECTOR  0xffffu
/* What one call of virtio_notify() does: it stops after the chain with which these are reached. */
#define VIRTIO_BYTES_AT_ONCE KIB(256)

/* Bits of the ISR status (VIRTIO 1.2, "ISR status capability"). */
#define VIRTIO_ISR_QUEUE  1u
#define VIRTIO_ISR_CONFIG 2u

struct virtio_device;

/* A class of devices. `handle` is called for a device whose driver is ready. */
struct virtio_model {
    const char *name;
    uint16_t id; /* VIRTIO 1.2, "Device Types" */
    /* Bytes at the front of the configuration that change while there is a driver; what is behind
     * them is as the device was made. */
    uint16_t config_changes;
    /* Whether the queue's chains wait until the device has data for them, so that nothing is to be
     * done when the driver makes some available. The features are fixed. NULL: no queue's do. */
    bool (*waits)(const struct virtio_device *device, uint32_t queue);
    /* Carries a chain out, in bounded time, and returns how many bytes it wrote to its writable
     * part. It may call virtio_fail() for a chain that no driver may send, and adds bytes that it
     * worked on, and that are not in the chain, to device->work: VIRTIO_BYTES_AT_ONCE, if it can
     * take no other chain now. */
    uint32_t (*handle)(struct virtio_device *device, uint32_t queue,
                       const struct virtq_chain *chain);
    /* The driver writes to the device's configuration; NULL: nothing in it can be written. */
    void (*write_config)(struct virtio_device *device, uint32_t offset, uint32_t size,
                         uint64_t value);
    /* The device is reset; NULL: there is nothing of the model's own. */
    void (*reset)(struct virtio_device *device);
};

/* What a device asks of its owner. */
struct virtio_owner {
    /* Fires MSI-X vector `vector`. */
    void (*interrupt)(void *context, uint32_t vector);
    /* The driver broke the rules, so that the device wants to be reset. */
    void (*failed)(void *context, const char *why);
    void *context;
    struct virtq_memory memory;
    uint32_t vectors; /* MSI-X vectors that there are */
};

struct virtio_queue {
    uint32_t size; /* entries, as the driver asks for them */
    uint32_t vector;
    uint64_t descriptors, driver, device; /* guest-physical */
    bool enabled;
    struct virtq ring;
};

/* The first member of each model's own struct. */
struct virtio_device {
    const struct virtio_model *model;
    struct virtio_owner owner;
    uint64_t offered;  /* feature bits */
    uint64_t accepted; /* by the driver; fixed once its status has FEATURES_OK */
    uint32_t queue_count;
    uint32_t queue_size; /* the most entries */
    uint8_t status, isr;
    uint8_t generation; /* of the configuration */
    uint32_t config_vector;
    struct virtio_queue queues[VIRTIO_QUEUES_MAX];
    uint8_t config[VIRTIO_CONFIG_MAX]; /* the class's fields */
    struct virtq_chain chain;          /* the one that is being carried out */
    uint64_t work;                     /* bytes, since the call of virtio_notify() */

    /* Counters. */
    uint64_t notifications, chains, interrupts, failures;
};

/* What a device offers besides its class's own features. */
#define VIRTIO_FEATURES \
    (VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | VIRTIO_F_VERSION_1 | VIRTIO_F_RING_RESET)

/* A device after reset, its configuration all zeros. `offered` includes VIRTIO_FEATURES. */
void virtio_init(struct virtio_device *device, const struct virtio_model *model,
                 const struct virtio_owner *owner, uint64_t offered, uint32_t queues,
                 uint32_t queue_size);

/* The transport's part. `queue` is less than queue_count. */
void virtio_reset(struct virtio_device *device);
void virtio_set_status(struct virtio_device *device, uint8_t status);
void virtio_accept(struct virtio_device *device, uint64_t features);
void virtio_enable_queue(struct virtio_device *device, uint32_t queue);
void virtio_reset_queue(struct virtio_device *device, uint32_t queue);

/* The driver has made chains available. Does a part of what there is to do; true if there is more,
 * so that this is to be called again. */
bool virtio_notify(struct virtio_device *device, uint32_t queue) MUST_CHECK;

/* The models' part. */

/* A queue to take chains from; NULL while the driver is not ready, has not enabled it, or broke the
 * rules. */
struct virtq *virtio_queue(struct virtio_device *device, uint32_t queue);

/* Takes the next chain of a queue that waits for data into device->chain; NULL if there is none. */
const struct virtq_chain *virtio_take(struct virtio_device *device, uint32_t queue);

/* Gives it back with `written` bytes, and interrupts the driver if it wants that. */
void virtio_give(struct virtio_device *device, uint32_t queue, uint32_t written);

/* Interrupts the driver if it wants that for what the model has pushed by itself since the last
 * time. */
void virtio_tell(struct virtio_device *device, uint32_t queue);

/* The device has changed device->config: tells the driver. */
void virtio_config_changed(struct virtio_device *device);

/* Sets DEVICE_NEEDS_RESET: nothing more is done until the driver resets the device. */
void virtio_fail(struct virtio_device *device, const char *why);

#endif
