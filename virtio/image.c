/* SPDX-License-Identifier: BSD-2-Clause */
#include "virtio/image.h"

#include "lib/string.h"
#include "virtio/spec.h"

#define STATUS_DEFINED                                                            \
    (VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_DRIVER_OK | VIRTIO_FEATURES_OK | \
     VIRTIO_NEEDS_RESET | VIRTIO_FAILED)

static void take_queue(const struct virtio_queue *queue, struct virtio_queue_image *image)
{
    *image = (struct virtio_queue_image){
        .descriptors = queue->descriptors,
        .driver = queue->driver,
        .device = queue->device,
        .size = queue->size,
        .vector = queue->vector,
        .next = queue->ring.next,
        .used = queue->ring.used,
        .reported = queue->ring.reported,
        .enabled = queue->enabled,
        .next_wrap = queue->ring.next_wrap,
        .used_wrap = queue->ring.used_wrap,
        .reported_wrap = queue->ring.reported_wrap,
    };
}

void virtio_image_take(const struct virtio_pci *pci, struct virtio_image *image)
{
    const struct virtio_device *device = pci->device;

    *image = (struct virtio_image){
        .id = device->model->id,
        .queue_count = device->queue_count,
        .offered = device->offered,
        .accepted = device->accepted,
        .status = device->status,
        .isr = device->isr,
        .generation = device->generation,
        .config_vector = device->config_vector,
        .device_feature_select = pci->device_feature_select,
        .driver_feature_select = pci->driver_feature_select,
        .queue_select = pci->queue_select,
    };
    memcpy(image->config, device->config, sizeof(image->config));
    for (uint32_t i = 0; i < device->queue_count; i++) {
        take_queue(&device->queues[i], &image->queues[i]);
    }
}

static bool vector_is_valid(const struct virtio_device *device, uint32_t vector)
{
    return vector < device->owner.vectors || vector == VIRTIO_NO_VECTOR;
}

/* In a packed ring a place is a slot of it; in a split one any count is. */
static bool place_is_valid(const struct virtq *ring, uint16_t place, uint8_t wrap)
{
    return wrap <= 1 && (!ring->packed || place < ring->size);
}

static bool put_queue(struct virtio_device *device, uint32_t index,
                      const struct virtio_queue_image *image)
{
    struct virtio_queue *queue = &device->queues[index];
    struct virtq *ring = &queue->ring;

    if (image->enabled > 1 || !vector_is_valid(device, image->vector)) {
        return false;
    }
    queue->size = image->size;
    queue->vector = image->vector;
    queue->descriptors = image->descriptors;
    queue->driver = image->driver;
    queue->device = image->device;
    if (image->enabled == 0) {
        return true;
    }
    virtio_enable_queue(device, index);
    if (!queue->enabled || !place_is_valid(ring, image->next, image->next_wrap) ||
        !place_is_valid(ring, image->used, image->used_wrap) ||
        !place_is_valid(ring, image->reported, image->reported_wrap)) {
        return false;
    }
    ring->next = image->next;
    ring->used = image->used;
    ring->reported = image->reported;
    ring->next_wrap = image->next_wrap != 0;
    ring->used_wrap = image->used_wrap != 0;
    ring->reported_wrap = image->reported_wrap != 0;
    if (device->model->waits != NULL && device->model->waits(device, index)) {
        virtq_disarm(ring); /* by its own place */
    }
    return true;
}

/* Each bit of the status builds on others, as virtio_set_status() has it. */
static bool status_is_valid(const struct virtio_device *device, const struct virtio_image *image)
{
    uint8_t status = image->status;
    bool features = (status & VIRTIO_FEATURES_OK) != 0;

    if ((status & ~STATUS_DEFINED) != 0 || ((status & VIRTIO_DRIVER_OK) != 0 && !features)) {
        return false;
    }
    return !features || ((image->accepted & ~device->offered) == 0 &&
                         (image->accepted & VIRTIO_F_VERSION_1) != 0);
}

/* Whether its driver finds the device that it knows: a disk as large, a NIC of the same MTU. */
static bool is_alike(const struct virtio_device *device, const struct virtio_image *image)
{
    uint32_t changes = device->model->config_changes;

    return image->id == device->model->id && image->queue_count == device->queue_count &&
           image->offered == device->offered &&
           memcmp(image->config + changes, device->config + changes, VIRTIO_CONFIG_MAX - changes) ==
               0;
}

bool virtio_image_put(struct virtio_pci *pci, const struct virtio_image *image)
{
    struct virtio_device *device = pci->device;

    if (!is_alike(device, image) || !status_is_valid(device, image) ||
        !vector_is_valid(device, image->config_vector)) {
        return false;
    }
    device->accepted = image->accepted;
    device->isr = image->isr;
    device->generation = image->generation;
    device->config_vector = image->config_vector;
    memcpy(device->config, image->config, device->model->config_changes);
    pci->device_feature_select = image->device_feature_select;
    pci->driver_feature_select = image->driver_feature_select;
    pci->queue_select = image->queue_select;
    /* A queue is enabled before the device may fail, and before the driver is ready. */
    device->status = (uint8_t)(image->status & ~(VIRTIO_NEEDS_RESET | VIRTIO_DRIVER_OK));
    for (uint32_t i = 0; i < device->queue_count; i++) {
        if (!put_queue(device, i, &image->queues[i])) {
            return false;
        }
    }
    device->status = image->status;
    return true;
}

static void take_macs(const struct virtio_net_macs *macs, struct virtio_net_macs_image *image)
{
    image->all = macs->all;
    image->count = macs->count;
    memcpy(image->macs, macs->macs, sizeof(image->macs));
}

void virtio_net_image_take(const struct virtio_net *net, struct virtio_net_image *image)
{
    const struct virtio_net_filter *filter = &net->filter;

    *image = (struct virtio_net_image){
        .offloads = net->offloads,
        .pairs = net->pairs,
        .promiscuous = filter->promiscuous,
        .all_multicast = filter->all_multicast,
        .all_unicast = filter->all_unicast,
        .no_multicast = filter->no_multicast,
        .no_unicast = filter->no_unicast,
        .no_broadcast = filter->no_broadcast,
    };
    take_macs(&filter->unicast, &image->unicast);
    take_macs(&filter->multicast, &image->multicast);
    memcpy(image->vlans, filter->vlans, sizeof(image->vlans));
}

static bool put_macs(struct virtio_net_macs *macs, const struct virtio_net_macs_image *image)
{
    if (image->all > 1 || image->count > VIRTIO_NET_MACS) {
        return false;
    }
    macs->all = image->all != 0;
    macs->count = image->count;
    memcpy(macs->macs, image->macs, sizeof(macs->macs));
    return true;
}

bool virtio_net_image_put(struct virtio_net *net, const struct virtio_net_image *image)
{
    struct virtio_net_filter *filter = &net->filter;

    if (image->pairs == 0 || image->pairs > net->pairs_max) {
        return false;
    }
    net->offloads = image->offloads;
    net->pairs = image->pairs;
    filter->promiscuous = image->promiscuous != 0;
    filter->all_multicast = image->all_multicast != 0;
    filter->all_unicast = image->all_unicast != 0;
    filter->no_multicast = image->no_multicast != 0;
    filter->no_unicast = image->no_unicast != 0;
    filter->no_broadcast = image->no_broadcast != 0;
    memcpy(filter->vlans, image->vlans, sizeof(filter->vlans));
    return put_macs(&filter->unicast, &image->unicast) &&
           put_macs(&filter->multicast, &image->multicast);
}
