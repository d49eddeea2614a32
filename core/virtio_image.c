/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/virtio_image.h"

#include "core/virtio.h"
#include "core/virtio_function.h"
#include "lib/format.h"
#include "virtio/image.h"

uint32_t virtio_image_count(const struct vm *vm)
{
    uint32_t count = 0;

    while (virtio_function_of(vm, count) != NULL) {
        count++;
    }
    return count;
}

/* A NIC's model has its device as the first member. */
static struct virtio_net *net_of(const struct virtio_function *function)
{
    return function->network != NULL ? (struct virtio_net *)function->pci.device : NULL;
}

static void *add(struct snapshot_writer *writer, enum snapshot_type type, uint16_t version,
                 uint32_t index, uint32_t size)
{
    const struct snapshot_wanted record = {type, version, index, size};

    return snapshot_add(writer, &record);
}

status_t virtio_image_save(const struct vm *vm, struct snapshot_writer *writer)
{
    for (uint32_t i = 0; i < virtio_image_count(vm); i++) {
        const struct virtio_function *function = virtio_function_of(vm, i);
        const struct virtio_net *net = net_of(function);
        struct virtio_image *image =
            add(writer, SNAPSHOT_VIRTIO, VIRTIO_IMAGE_VERSION, i, sizeof(*image));
        if (image == NULL) {
            return STATUS_NO_MEMORY;
        }
        virtio_image_take(&function->pci, image);
        if (net == NULL) {
            continue;
        }
        struct virtio_net_image *more =
            add(writer, SNAPSHOT_NET, VIRTIO_NET_IMAGE_VERSION, i, sizeof(*more));
        if (more == NULL) {
            return STATUS_NO_MEMORY;
        }
        virtio_net_image_take(net, more);
    }
    return STATUS_OK;
}

status_t virtio_image_load(struct vm *vm, const void *bytes, size_t size,
                           char error[SNAPSHOT_ERROR_SIZE])
{
    for (uint32_t i = 0; i < virtio_image_count(vm); i++) {
        struct virtio_function *function = virtio_function_of(vm, i);
        struct virtio_net *net = net_of(function);
        const struct snapshot_wanted wanted = {SNAPSHOT_VIRTIO, VIRTIO_IMAGE_VERSION, i,
                                               sizeof(struct virtio_image)};
        const struct snapshot_wanted more = {SNAPSHOT_NET, VIRTIO_NET_IMAGE_VERSION, i,
                                             sizeof(struct virtio_net_image)};
        const struct virtio_image *image = snapshot_find(bytes, size, &wanted, error);
        const struct virtio_net_image *net_image =
            net != NULL ? snapshot_find(bytes, size, &more, error) : NULL;
        if (image == NULL || (net != NULL && net_image == NULL)) {
            return STATUS_INVALID;
        }
        if (!virtio_image_put(&function->pci, image) ||
            (net != NULL && !virtio_net_image_put(net, net_image))) {
            (void)format_string(error, SNAPSHOT_ERROR_SIZE,
                                "virtio device %u is another one here, or in no possible state", i);
            return STATUS_INVALID;
        }
    }
    return STATUS_OK;
}
