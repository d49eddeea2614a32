/* SPDX-License-Identifier: BSD-2-Clause */
/* Disks of VMs: images that were read from the boot volume, with overlays where they are to stay as
 * they are. What is written to a disk is lost when the machine goes off. */
#ifndef POSTERN_CORE_VIRTIO_DISK_H
#define POSTERN_CORE_VIRTIO_DISK_H

#include "core/vm.h"
#include "virtio/disk.h"

/* Makes a disk of a VM; its image has been read. Once, at boot. */
status_t virtio_disk_create(struct disk *disk, const struct config_disk *config) MUST_CHECK;

/* Makes the overlay of a disk that has one, in memory of `runs`. */
status_t virtio_disk_create_overlay(struct disk *disk, const struct config_disk *config,
                                    struct page_runs *runs) MUST_CHECK;

/* The image's name without its folders: the disk's id. */
const char *virtio_disk_name(const struct config_disk *config);

#endif
