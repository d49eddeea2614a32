/* SPDX-License-Identifier: BSD-2-Clause */
/* The block device (VIRTIO 1.2, "Block Device") over a disk in memory. */
#ifndef POSTERN_VIRTIO_BLK_H
#define POSTERN_VIRTIO_BLK_H

#include "virtio/device.h"
#include "virtio/disk.h"

#define VIRTIO_BLK_ID_SIZE 20u
/* Limits that the driver is told, and is held to: of buffers in a request, of bytes in one of them,
 * so of a request's bytes; and of what a request discards or has zeroed. */
#define VIRTIO_BLK_PIECES 126u
#define VIRTIO_BLK_PIECE  KIB(8)
#define VIRTIO_BLK_BYTES  (VIRTIO_BLK_PIECES * VIRTIO_BLK_PIECE)
#define VIRTIO_BLK_ZEROED MIB(1)

struct virtio_blk {
    struct virtio_device device;
    struct disk *disk;
    char id[VIRTIO_BLK_ID_SIZE]; /* filled up with zeros */
    uint64_t errors;             /* requests that failed */
};

/* `features` is VIRTIO_FEATURES, and VIRTIO_F_RING_PACKED if that is to be offered. `queues`: at
 * least 1; the VM's vCPUs share them. `id` is cut if it is too long. */
void virtio_blk_init(struct virtio_blk *blk, const struct virtio_owner *owner, uint64_t features,
                     uint32_t queues, struct disk *disk, const char *id);

#endif
