/* SPDX-License-Identifier: BSD-2-Clause */
/* The virtio disks of a VM in a snapshot: what their overlays hold, and all of an image that the VM
 * writes to, is carried in pieces, as memory is, and each has a record in the state. For
 * snapshot.c. */
#ifndef POSTERN_CORE_SNAPSHOT_DISK_H
#define POSTERN_CORE_SNAPSHOT_DISK_H

#include "core/snapshot_image.h"
#include "core/vm.h"

/* Of the record. The second one is of a disk that writes to its image: a hypervisor that knows the
 * first one only would have that left as it is. */
#define SNAPSHOT_DISK_VERSION         1u
#define SNAPSHOT_DISK_VERSION_WRITTEN 2u

/* By these a disk is told to be the same one, over the same image, with all that it held. */
struct snapshot_disk {
    uint64_t size; /* bytes */
    uint64_t sum;  /* of the image: virtio_disk_sum(); 0 of one that is written to */
    uint64_t held; /* disk_held() */
    uint32_t mode; /* enum disk_mode */
    uint32_t zero;
};

/* The disk that a section of abi/snapshot.h is; NULL if it is no disk's. */
struct disk;
struct disk *snapshot_disk(const struct vm *vm, uint32_t section);

/* Takes what tokens tell of a disk; as disk_runs_take(). An image that is written to by that counts
 * as restored by half until snapshot_disks_fit(), and virtio_disks_set_whole(). Under the VM's
 * lock, as all of these. */
status_t snapshot_disk_take(struct disk *disk, uint64_t at, uint64_t room, const uint8_t *tokens,
                            size_t size, uint64_t *covered) MUST_CHECK;

/* Whether the sums of the images of all of the VM's disks are known; else `error` says of which
 * they are not. */
status_t snapshot_disks_check(const struct vm *vm, char error[SNAPSHOT_ERROR_SIZE]) MUST_CHECK;

status_t snapshot_disks_save(const struct vm *vm, struct snapshot_writer *writer) MUST_CHECK;

/* Whether the disks are those of a valid row of records, with all that those held; else `error`
 * says what is not. A row without a disk's record is of a hypervisor, or for a host, that carries
 * none: then they hold nothing, and the VM writes to no image. */
bool snapshot_disks_fit(const struct vm *vm, const void *bytes, size_t size,
                        char error[SNAPSHOT_ERROR_SIZE]) MUST_CHECK;

#endif
