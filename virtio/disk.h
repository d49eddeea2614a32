/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a block device stores: an image in memory, which is written to, or left as it is while the
 * blocks that change are kept apart. Several disks may lie over one image that none of them writes.
 */
#ifndef POSTERN_VIRTIO_DISK_H
#define POSTERN_VIRTIO_DISK_H

#include "lib/status.h"

#define DISK_SECTOR 512u
#define DISK_BLOCK  4096u /* what an overlay keeps apart */
/* Blocks of a pool: the rest of an entry of the map is taken. */
#define DISK_POOL_MAX 0x3ffffff0u

enum disk_mode {
    DISK_READ_ONLY,
    DISK_READ_WRITE, /* the image itself */
    DISK_OVERLAY     /* a block is copied when it is written to first */
};

/* Memory for an overlay, the caller's. A disk that writes to its image has the map alone, or NULL:
 * then it does not know what has changed. */
struct disk_overlay {
    uint32_t *map;   /* an entry for each block of the image, zeros */
    uint8_t *pool;   /* blocks */
    uint32_t blocks; /* how many; DISK_POOL_MAX at most */
    uint32_t fresh;  /* of them were used at some time */
    uint32_t freed;  /* the first that is free again, plus 1; its first word leads to the next */
    uint32_t used;   /* at present */
    /* Blocks of the disk that are not the image's: in the pool, or zeros. Of a disk that writes to
     * its image: those that were written to since disk_empty(). */
    uint64_t held;
};

struct disk {
    enum disk_mode mode;
    uint8_t *image;
    uint64_t size; /* bytes, a multiple of DISK_SECTOR */
    struct disk_overlay overlay;
    uint64_t refused; /* writes for which the pool had no block */
    bool half;        /* the caller's: a part of another content has been written to the image */
};

/* How many entries an overlay's map has for an image of `size` bytes. */
static inline uint64_t disk_blocks(uint64_t size)
{
    return size / DISK_BLOCK + (size % DISK_BLOCK != 0);
}

/* Blocks that a copy of the disk consists of: what its overlay holds, or all that it writes to. */
static inline uint64_t disk_held(const struct disk *disk)
{
    return disk->mode == DISK_READ_WRITE ? disk_blocks(disk->size) : disk->overlay.held;
}

/* The range [at, at + size) is inside the disk. */
void disk_read(const struct disk *disk, uint64_t at, void *to, uint64_t size);

/* STATUS_DENIED: it is read-only. STATUS_NO_MEMORY: the pool is used up; a part may be written. */
status_t disk_write(struct disk *disk, uint64_t at, const void *from, uint64_t size) MUST_CHECK;

/* Has a range read as zeros; whole blocks of an overlay go back to the pool. As disk_write(), but
 * that all is written for which there is room. */
status_t disk_zero(struct disk *disk, uint64_t at, uint64_t size) MUST_CHECK;

/* For copies of a disk that is in use. A disk that is written to knows which of its blocks have
 * changed. */

/* Gives all blocks of the overlay back: the disk reads as its image. An image that is written to
 * stays as it is. */
void disk_empty(struct disk *disk);

/* Of `blocks` blocks from number `first` on, as far as there are any: has none count as changed;
 * and moves what was changed since then, or since the last harvest, to a harvest that stays until
 * the next one. How many there are in it. All of a disk may be done part by part, with writes in
 * between: each is in this harvest or in the next one. */
void disk_track(struct disk *disk, uint64_t first, uint64_t blocks);
uint64_t disk_harvest(struct disk *disk, uint64_t first, uint64_t blocks);

/* Whether a copy has the block in which `at` is: the overlay holds it, or the disk writes to its
 * image; with `harvested`, and it is in the last harvest. `*bytes` is what is there from `at` to
 * the block's end, until the disk is written to. */
bool disk_holds(const struct disk *disk, uint64_t at, bool harvested, const uint8_t **bytes);

#endif
