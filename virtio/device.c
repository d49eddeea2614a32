/* SPDX-License-Identifier: BSD-2-Clause */
#include "virtio/device.h"

#include "lib/string.h"
#include "virtio/spec.h"

/* What a driver may set. */
#define DRIVER_STATUS \
    (VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_DRIVER_OK | VIRTIO_FEATURES_OK | VIRTIO_FAILED)

static void reset_queue(struct virtio_device *device, uint32_t queue)
{
    device->queues[queue] =
        (struct virtio_queue){.size = device->queue_size, .vector = VIRTIO_NO_VECTOR};
}

void virtio_reset(struct virtio_device *device)
{
    device->status = 0;
    device->isr = 0;
    device->accepted = 0;
    device->config_vector = VIRTIO_NO_VECTOR;
    for (uint32_t i = 0; i < device->queue_count; i++) {
        reset_queue(device, i);
    }
    if (device->model->reset != NULL) {
        device->model->reset(device);
    }
}

void virtio_init(struct virtio_device *device, const struct virtio_model *model,
                 const struct virtio_owner *owner, uint64_t offered, uint32_t queues,
                 uint32_t queue_size)
{
    memset(device, 0, sizeof(*device));
    device->model = model;
    device->owner = *owner;
    device->offered = offered;
    device->queue_count = queues;
    device->queue_size = queue_size;
    virtio_reset(device);
}

void virtio_accept(struct virtio_device *device, uint64_t features)
{
    if ((device->status & VIRTIO_FEATURES_OK) == 0) {
        device->accepted = features;
    }
}

/* Whether the device works with what the driver accepted. One that does not know VERSION_1 is a
 * legacy driver, for which there is nothing here. */
static bool features_fit(const struct virtio_device *device)
{
    return (device->accepted & ~device->offered) == 0 &&
           (device->accepted & VIRTIO_F_VERSION_1) != 0;
}

/* Bits only come, until the reset; each after those that it builds on. */
void virtio_set_status(struct virtio_device *device, uint8_t status)
{
    uint8_t now = device->status;

    if (status == 0) {
        virtio_reset(device);
        return;
    }
    now |= status & DRIVER_STATUS & ~(VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK);
    if ((status & VIRTIO_FEATURES_OK) != 0 && (now & VIRTIO_DRIVER) != 0 && features_fit(device)) {
        now |= VIRTIO_FEATURES_OK;
    }
    if ((status & VIRTIO_DRIVER_OK) != 0 && (device->status & VIRTIO_FEATURES_OK) != 0) {
        now |= VIRTIO_DRIVER_OK;
    }
    device->status = now;
}

static void interrupt(struct virtio_device *device, uint8_t cause, uint32_t vector)
{
    device->isr |= cause;
    if (vector != VIRTIO_NO_VECTOR) {
        device->interrupts++;
        device->owner.interrupt(device->owner.context, vector);
    }
}

void virtio_fail(struct virtio_device *device, const char *why)
{
    if ((device->status & VIRTIO_NEEDS_RESET) != 0) {
        return;
    }
    device->status |= VIRTIO_NEEDS_RESET;
    device->failures++;
    device->owner.failed(device->owner.context, why);
    if ((device->status & VIRTIO_DRIVER_OK) != 0) {
        interrupt(device, VIRTIO_ISR_CONFIG, device->config_vector);
    }
}

void virtio_config_changed(struct virtio_device *device)
{
    device->generation++;
    if ((device->status & VIRTIO_DRIVER_OK) != 0) {
        interrupt(device, VIRTIO_ISR_CONFIG, device->config_vector);
    }
}

static bool waits(const struct virtio_device *device, uint32_t queue)
{
    return device->model->waits != NULL && device->model->waits(device, queue);
}

void virtio_enable_queue(struct virtio_device *device, uint32_t queue)
{
    struct virtio_queue *q = &device->queues[queue];
    const struct virtq_setup setup = {
        .memory = &device->owner.memory,
        .size = q->size <= device->queue_size ? q->size : 0, /* more is no size at all */
        .descriptors = q->descriptors,
        .driver = q->driver,
        .device = q->device,
        .features = device->accepted,
    };

    /* Before the features are fixed the layout is not known. */
    if (q->enabled || (device->status & VIRTIO_FEATURES_OK) == 0 ||
        (device->status & VIRTIO_NEEDS_RESET) != 0) {
        return;
    }
    if (virtq_init(&q->ring, &setup) != STATUS_OK) {
        virtio_fail(device, virtq_fault_name(q->ring.fault));
        return;
    }
    q->enabled = true;
    if (waits(device, queue)) {
        virtq_disarm(&q->ring);
    }
}

void virtio_reset_queue(struct virtio_device *device, uint32_t queue)
{
    if ((device->accepted & VIRTIO_F_RING_RESET) != 0 && device->queues[queue].enabled) {
        reset_queue(device, queue);
    }
}

struct virtq *virtio_queue(struct virtio_device *device, uint32_t queue)
{
    bool ready = (device->status & (VIRTIO_DRIVER_OK | VIRTIO_NEEDS_RESET)) == VIRTIO_DRIVER_OK;

    return ready && device->queues[queue].enabled ? &device->queues[queue].ring : NULL;
}

void virtio_tell(struct virtio_device *device, uint32_t queue)
{
    struct virtq *ring = virtio_queue(device, queue);

    if (ring != NULL && virtq_must_interrupt(ring)) {
        interrupt(device, VIRTIO_ISR_QUEUE, device->queues[queue].vector);
    }
}

/* Whether there was a chain. */
static bool take(struct virtio_device *device, struct virtq *ring)
{
    enum virtq_result result = virtq_pop(ring, &device->chain);

    if (result == VIRTQ_FAULTY) {
        virtio_fail(device, virtq_fault_name(ring->fault));
    }
    device->chains += result == VIRTQ_CHAIN;
    return result == VIRTQ_CHAIN;
}

const struct virtq_chain *virtio_take(struct virtio_device *device, uint32_t queue)
{
    struct virtq *ring = virtio_queue(device, queue);

    return ring != NULL && take(device, ring) ? &device->chain : NULL;
}

void virtio_give(struct virtio_device *device, uint32_t queue, uint32_t written)
{
    virtq_push(&device->queues[queue].ring, &device->chain, written);
    virtio_tell(device, queue);
}

/* Carries chains out until there is none, or enough is done. True if there may be more. Each round
 * counts: the driver may also make chains appear and vanish again. */
static bool serve(struct virtio_device *device, uint32_t queue)
{
    struct virtq *ring = virtio_queue(device, queue);

    device->work = 0;
    for (uint32_t i = 0; ring != NULL && i < ring->size && device->work < VIRTIO_BYTES_AT_ONCE;
         i++) {
        if (take(device, ring)) {
            uint32_t written = device->model->handle(device, queue, &device->chain);
            /* A chain that no driver may send is not answered. */
            ring = virtio_queue(device, queue);
            if (ring != NULL) {
                virtq_push(ring, &device->chain, written);
            }
            device->work += (uint64_t)device->chain.readable_size + written;
        } else if (virtio_queue(device, queue) == NULL || !virtq_arm(ring)) {
            return false;
        }
    }
    return virtio_queue(device, queue) != NULL;
}

bool virtio_notify(struct virtio_device *device, uint32_t queue)
{
    device->notifications++;
    if (virtio_queue(device, queue) == NULL || waits(device, queue)) {
        return false;
    }
    bool more = serve(device, queue);
    virtio_tell(device, queue);
    return more;
}
