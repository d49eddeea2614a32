/* SPDX-License-Identifier: BSD-2-Clause */
/* The records of a VM's virtio devices in a snapshot. Under the VM's lock. */
#ifndef POSTERN_CORE_VIRTIO_IMAGE_H
#define POSTERN_CORE_VIRTIO_IMAGE_H

#include "core/snapshot_image.h"
#include "core/vm.h"

/* How many devices it has. */
uint32_t virtio_image_count(const struct vm *vm);

status_t virtio_image_save(const struct vm *vm, struct snapshot_writer *writer) MUST_CHECK;

/* From a valid row of records; the devices have been reset. STATUS_INVALID, and `error` says which
 * refuses its own. */
status_t virtio_image_load(struct vm *vm, const void *bytes, size_t size,
                           char error[SNAPSHOT_ERROR_SIZE]) MUST_CHECK;

#endif
