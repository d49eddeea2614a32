/* SPDX-License-Identifier: BSD-2-Clause */
#include "virtio/pci.h"

#include "lib/string.h"
#include "virtio/spec.h"

#define NOTIFY_MULTIPLIER 4u

/* Capabilities (VIRTIO 1.2, "Virtio Structure PCI Capabilities"): vendor-specific ones. */
#define CAP_VENDOR  0x09u
#define CAP_COMMON  1u
#define CAP_NOTIFY  2u
#define CAP_ISR     3u
#define CAP_DEVICE  4u
#define CAP_ACCESS  5u
#define WORD(value) (value) & 0xff, (value) >> 8 & 0xff, (value) >> 16 & 0xff, (value) >> 24
#define CAP(size, type, bar, offset, length) \
    CAP_VENDOR, 0, size, type, bar, 0, 0, 0, WORD(offset), WORD(length)

const struct virtio_pci_capability virtio_pci_capabilities[VIRTIO_PCI_CAPABILITIES] = {
    {{CAP(16, CAP_COMMON, VIRTIO_PCI_BAR, VIRTIO_PCI_COMMON, VIRTIO_COMMON_SIZE)}, 16},
    {{CAP(16, CAP_ISR, VIRTIO_PCI_BAR, VIRTIO_PCI_ISR, 1u)}, 16},
    {{CAP(16, CAP_DEVICE, VIRTIO_PCI_BAR, VIRTIO_PCI_DEVICE, VIRTIO_CONFIG_MAX)}, 16},
    {{CAP(20, CAP_NOTIFY, VIRTIO_PCI_IO_BAR, 0u, VIRTIO_PCI_IO_BAR_SIZE), WORD(0u)}, 20},
    {{CAP(20, CAP_NOTIFY, VIRTIO_PCI_BAR, VIRTIO_PCI_NOTIFY, VIRTIO_QUEUES_MAX *NOTIFY_MULTIPLIER),
      WORD(NOTIFY_MULTIPLIER)},
     20},
    {{CAP(20, CAP_ACCESS, 0, 0u, 0u), WORD(0u)}, 20},
};

void virtio_pci_reset(struct virtio_pci *pci)
{
    pci->device_feature_select = 0;
    pci->driver_feature_select = 0;
    pci->queue_select = 0;
    virtio_reset(pci->device);
}

/* The queue that is selected; NULL for one that there is not. */
static struct virtio_queue *selected(const struct virtio_pci *pci)
{
    return pci->queue_select < pci->device->queue_count ? &pci->device->queues[pci->queue_select]
                                                        : NULL;
}

static uint32_t half(uint64_t features, uint32_t select)
{
    return select < 2 ? (uint32_t)(features >> 32 * select) : 0;
}

static void put(uint8_t *common, uint32_t offset, uint32_t size, uint64_t value)
{
    memcpy(common + offset, &value, size);
}

/* What the whole structure reads as. */
static void fill_common(const struct virtio_pci *pci, uint8_t *common)
{
    const struct virtio_device *device = pci->device;
    const struct virtio_queue *queue = selected(pci);

    memset(common, 0, VIRTIO_COMMON_SIZE);
    put(common, VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 4, pci->device_feature_select);
    put(common, VIRTIO_COMMON_DEVICE_FEATURE, 4, half(device->offered, pci->device_feature_select));
    put(common, VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, pci->driver_feature_select);
    put(common, VIRTIO_COMMON_DRIVER_FEATURE, 4,
        half(device->accepted, pci->driver_feature_select));
    put(common, VIRTIO_COMMON_CONFIG_VECTOR, 2, device->config_vector);
    put(common, VIRTIO_COMMON_QUEUES, 2, device->queue_count);
    put(common, VIRTIO_COMMON_STATUS, 1, device->status);
    put(common, VIRTIO_COMMON_CONFIG_GENERATION, 1, device->generation);
    put(common, VIRTIO_COMMON_QUEUE_SELECT, 2, pci->queue_select);
    if (queue != NULL) {
        put(common, VIRTIO_COMMON_QUEUE_SIZE, 2, queue->size);
        put(common, VIRTIO_COMMON_QUEUE_VECTOR, 2, queue->vector);
        put(common, VIRTIO_COMMON_QUEUE_ENABLE, 2, queue->enabled);
        put(common, VIRTIO_COMMON_QUEUE_NOTIFY_OFF, 2, pci->queue_select);
        put(common, VIRTIO_COMMON_QUEUE_DESCRIPTORS, 8, queue->descriptors);
        put(common, VIRTIO_COMMON_QUEUE_DRIVER, 8, queue->driver);
        put(common, VIRTIO_COMMON_QUEUE_DEVICE, 8, queue->device);
        put(common, VIRTIO_COMMON_QUEUE_NOTIFY_DATA, 2, pci->queue_select);
    }
}

/* A vector that is not there is none; the driver reads that back. */
static uint32_t vector_of(const struct virtio_device *device, uint64_t value)
{
    return value < device->owner.vectors ? (uint32_t)value : VIRTIO_NO_VECTOR;
}

static void write_features(struct virtio_pci *pci, uint32_t value)
{
    unsigned shift = 32 * pci->driver_feature_select;

    if (pci->driver_feature_select < 2) {
        virtio_accept(pci->device, (pci->device->accepted & ~(0xffffffffull << shift)) |
                                       (uint64_t)value << shift);
    } else if (value != 0) {
        /* No bit beyond 63 is offered: what the driver accepts does not fit. Bit 63 stands for it,
         * which is not offered either. */
        virtio_accept(pci->device, pci->device->accepted | BIT(63));
    }
}

static void write_device(struct virtio_pci *pci, uint32_t offset, uint64_t value)
{
    struct virtio_device *device = pci->device;

    switch (offset) {
    case VIRTIO_COMMON_DEVICE_FEATURE_SELECT:
        pci->device_feature_select = (uint32_t)value;
        break;
    case VIRTIO_COMMON_DRIVER_FEATURE_SELECT:
        pci->driver_feature_select = (uint32_t)value;
        break;
    case VIRTIO_COMMON_DRIVER_FEATURE:
        write_features(pci, (uint32_t)value);
        break;
    case VIRTIO_COMMON_CONFIG_VECTOR:
        device->config_vector = vector_of(device, value);
        break;
    case VIRTIO_COMMON_STATUS:
        virtio_set_status(device, (uint8_t)value);
        break;
    case VIRTIO_COMMON_QUEUE_SELECT:
        pci->queue_select = (uint32_t)value;
        break;
    default:
        break;
    }
}

/* Half `high` of an address; a write of 8 bytes is one of both halves. */
static void write_address(uint64_t *address, bool high, unsigned size, uint64_t value)
{
    unsigned shift = high ? 32 : 0;

    *address = size == 8
                   ? value
                   : (*address & ~(0xffffffffull << shift)) | (uint64_t)(uint32_t)value << shift;
}

/* What a driver sets before it enables the queue. */
static void set_up_queue(struct virtio_queue *queue, uint32_t offset, unsigned size, uint64_t value)
{
    switch (offset & ~4u) {
    case VIRTIO_COMMON_QUEUE_DESCRIPTORS:
        write_address(&queue->descriptors, (offset & 4) != 0, size, value);
        break;
    case VIRTIO_COMMON_QUEUE_DRIVER:
        write_address(&queue->driver, (offset & 4) != 0, size, value);
        break;
    case VIRTIO_COMMON_QUEUE_DEVICE:
        write_address(&queue->device, (offset & 4) != 0, size, value);
        break;
    case VIRTIO_COMMON_QUEUE_SIZE:
        queue->size = (uint16_t)value;
        break;
    default:
        break;
    }
}

static void write_queue(struct virtio_pci *pci, uint32_t offset, unsigned size, uint64_t value)
{
    struct virtio_queue *queue = selected(pci);

    if (queue == NULL) {
        return;
    }
    switch (offset) {
    case VIRTIO_COMMON_QUEUE_VECTOR:
        queue->vector = vector_of(pci->device, value);
        break;
    case VIRTIO_COMMON_QUEUE_ENABLE:
        if (value == 1) {
            virtio_enable_queue(pci->device, pci->queue_select);
        }
        break;
    case VIRTIO_COMMON_QUEUE_RESET:
        if (value == 1) {
            virtio_reset_queue(pci->device, pci->queue_select);
        }
        break;
    default:
        if (!queue->enabled) {
            set_up_queue(queue, offset, size, value);
        }
        break;
    }
}

/* The size of the field at `offset`; 0 for what is none. Drivers access fields whole, those of 64
 * bits also by halves. */
static unsigned field_size(uint32_t offset)
{
    if (offset < VIRTIO_COMMON_CONFIG_VECTOR ||
        (offset >= VIRTIO_COMMON_QUEUE_DESCRIPTORS && offset < VIRTIO_COMMON_QUEUE_NOTIFY_DATA)) {
        return offset % 4 == 0 ? 4 : 0;
    }
    if (offset == VIRTIO_COMMON_STATUS) {
        return 1;
    }
    return offset % 2 == 0 ? 2 : 0;
}

static void write_common(struct virtio_pci *pci, uint32_t offset, unsigned size, uint64_t value)
{
    bool whole_address = size == 8 && offset % 8 == 0 &&
                         offset >= VIRTIO_COMMON_QUEUE_DESCRIPTORS &&
                         offset < VIRTIO_COMMON_QUEUE_NOTIFY_DATA;

    if (size != field_size(offset) && !whole_address) {
        return;
    }
    if (offset <= VIRTIO_COMMON_QUEUE_SELECT) {
        write_device(pci, offset, value);
    } else {
        write_queue(pci, offset, size, value);
    }
}

static uint64_t read_bytes(const uint8_t *bytes, uint64_t count, uint64_t offset, unsigned size)
{
    uint64_t value = 0;

    if (range_within(offset, size, 0, count)) {
        memcpy(&value, bytes + offset, size);
    }
    return value;
}

/* Reading the ISR status clears it. */
static uint8_t take_isr(struct virtio_device *device)
{
    uint8_t isr = device->isr;

    device->isr = 0;
    return isr;
}

uint64_t virtio_pci_read(struct virtio_pci *pci, unsigned bar, uint64_t offset, unsigned size)
{
    if (bar == VIRTIO_PCI_BAR && offset < VIRTIO_COMMON_SIZE) {
        uint8_t common[VIRTIO_COMMON_SIZE];
        fill_common(pci, common);
        return read_bytes(common, sizeof(common), offset, size);
    }
    if (bar == VIRTIO_PCI_BAR && offset == VIRTIO_PCI_ISR) {
        return take_isr(pci->device);
    }
    if (bar == VIRTIO_PCI_BAR && offset >= VIRTIO_PCI_DEVICE) {
        return read_bytes(pci->device->config, VIRTIO_CONFIG_MAX, offset - VIRTIO_PCI_DEVICE, size);
    }
    return 0;
}

bool virtio_pci_notifies(const struct virtio_pci *pci, unsigned bar, uint64_t offset,
                         uint64_t value, uint32_t *queue)
{
    if (bar == VIRTIO_PCI_IO_BAR && offset == 0) {
        *queue = (uint16_t)value;
    } else if (bar == VIRTIO_PCI_BAR &&
               range_within(offset, 1, VIRTIO_PCI_NOTIFY, VIRTIO_QUEUES_MAX * NOTIFY_MULTIPLIER)) {
        *queue = (uint32_t)(offset - VIRTIO_PCI_NOTIFY) / NOTIFY_MULTIPLIER;
    } else {
        return false;
    }
    return *queue < pci->device->queue_count;
}

bool virtio_pci_write(struct virtio_pci *pci, unsigned bar, uint64_t offset, unsigned size,
                      uint64_t value)
{
    struct virtio_device *device = pci->device;
    uint32_t queue;

    if (virtio_pci_notifies(pci, bar, offset, value, &queue)) {
        return virtio_notify(device, queue);
    }
    if (bar != VIRTIO_PCI_BAR) {
        return false;
    }
    if (offset < VIRTIO_COMMON_SIZE) {
        write_common(pci, (uint32_t)offset, size, value);
    } else if (range_within(offset, size, VIRTIO_PCI_DEVICE, VIRTIO_CONFIG_MAX) &&
               device->model->write_config != NULL) {
        device->model->write_config(device, (uint32_t)(offset - VIRTIO_PCI_DEVICE), size, value);
    }
    return false;
}
