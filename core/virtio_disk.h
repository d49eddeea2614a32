/* SPDX-License-Identifier: BSD-2-Clause */
/* Disks of VMs: images that were read from the boot volume, with overlays where they are to stay as
 * they are. What is written to a disk is lost when the machine goes off. */
#ifndef POSTERN_CORE_VIRTIO_DISK_H
#define POSTERN_CORE_VIRTIO_DISK_H

#include "core/vm.h"
#include "virtio/disk.h"

/* Makes a disk of a VM; its image has been read. Once, at boot. */
status_t virtio_disk_create(struct disk *disk, const struct config_disk *config) MUST_CHECK;

/* Makes the overlay of a disk that has one, and the map of one that writes to its image, in memory
 * of `runs`. */
status_t virtio_disk_create_overlay(struct disk *disk, const struct config_disk *config,
                                    struct page_runs *runs) MUST_CHECK;

/* All disks of a VM; under its lock: their overlays are empty again. */
void virtio_disks_empty(struct vm *vm);

/* The same; takes the lock, several times. What has changed is forgotten, or is a harvest
 * (virtio/disk.h) of so many blocks; nothing happens to a VM that is not tracked any more. */
void virtio_disks_track(struct vm *vm);
uint64_t virtio_disks_harvest(struct vm *vm);

/* False: an image that the VM writes to has been replaced in part by a restore that did not come to
 * its end; `text` says which one. It stays so, whatever becomes of the VM, until one does, or until
 * somebody has what is there count. */
#define VIRTIO_DISK_TEXT_SIZE 224u
bool virtio_disks_are_whole(const struct vm *vm, char text[VIRTIO_DISK_TEXT_SIZE]) MUST_CHECK;
void virtio_disks_set_whole(struct vm *vm);

/* The sum of a disk's image (lib/word_hash.h), by which it is told from others. What is left of it
 * is summed up first, `*budget` bytes at most, which become fewer by that. False: it is not known
 * yet, or the disk is one that writes to its image. On the monitor's CPU alone. */
bool virtio_disk_sum(const struct disk *disk, uint64_t *budget, uint64_t *sum);
/* How many bytes of the image are not summed up yet. */
uint64_t virtio_disk_sum_left(const struct disk *disk);

/* The image's name without its folders: the disk's id. */
const char *virtio_disk_name(const struct config_disk *config);

#endif
