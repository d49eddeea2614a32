/* SPDX-License-Identifier: BSD-2-Clause */
#include "virtio/disk.h"

#include "lib/bits.h"
#include "lib/string.h"

/* An entry of the map: the block is the image's, reads as zeros, or is in the pool. */
#define IMAGE 0u
#define ZEROS 1u
#define POOL  2u /* and more: its number there, plus this */
/* Of a disk that writes to its image, where it always is: it was written to. */
#define WRITTEN 1u
/* Above that: it was changed since the last harvest, and before that. */
#define CHANGED   BIT32(31)
#define HARVESTED BIT32(30)
#define PLACE     (HARVESTED - 1)

_Static_assert(DISK_POOL_MAX + POOL <= PLACE, "a place for each block of a pool");

static uint8_t *pool_block(const struct disk_overlay *overlay, uint32_t number)
{
    return overlay->pool + (uint64_t)number * DISK_BLOCK;
}

/* How many bytes from `at` on are in one block, `size` at most. */
static uint64_t part_of_block(uint64_t at, uint64_t size)
{
    uint64_t left = DISK_BLOCK - at % DISK_BLOCK;

    return size < left ? size : left;
}

/* Bytes of the image in block `block`: the last one may be short. */
static uint64_t image_bytes(const struct disk *disk, uint64_t block)
{
    return part_of_block(block * DISK_BLOCK, disk->size - block * DISK_BLOCK);
}

/* Where a part of a block is now; NULL: it reads as zeros. */
static const uint8_t *find(const struct disk *disk, uint64_t at)
{
    uint32_t place =
        disk->mode == DISK_OVERLAY ? disk->overlay.map[at / DISK_BLOCK] & PLACE : IMAGE;

    if (place == IMAGE) {
        return disk->image + at;
    }
    return place == ZEROS ? NULL : pool_block(&disk->overlay, place - POOL) + at % DISK_BLOCK;
}

/* A block's place is another, or what is there is about to be. */
static void change(struct disk_overlay *overlay, uint64_t block, uint32_t place)
{
    uint32_t *entry = &overlay->map[block];

    overlay->held += (*entry & PLACE) == IMAGE;
    *entry = (*entry & HARVESTED) | CHANGED | place;
}

void disk_read(const struct disk *disk, uint64_t at, void *to, uint64_t size)
{
    uint8_t *next = to;

    while (size > 0) {
        uint64_t part = part_of_block(at, size);
        const uint8_t *from = find(disk, at);
        if (from != NULL) {
            memcpy(next, from, part);
        } else {
            memset(next, 0, part);
        }
        at += part;
        next += part;
        size -= part;
    }
}

/* Takes a block from the pool; false if there is none. */
static bool take_block(struct disk_overlay *overlay, uint32_t *number)
{
    if (overlay->freed != 0) {
        *number = overlay->freed - 1;
        memcpy(&overlay->freed, pool_block(overlay, *number), sizeof(overlay->freed));
    } else if (overlay->fresh < overlay->blocks) {
        *number = overlay->fresh++;
    } else {
        return false;
    }
    overlay->used++;
    return true;
}

static void free_block(struct disk_overlay *overlay, uint32_t number)
{
    memcpy(pool_block(overlay, number), &overlay->freed, sizeof(overlay->freed));
    overlay->freed = number + 1;
    overlay->used--;
}

/* Has block `block` in the pool, with its content unless all of it is to be written anyway. NULL if
 * the pool is used up. */
static uint8_t *own_block(struct disk *disk, uint64_t block, bool whole)
{
    struct disk_overlay *overlay = &disk->overlay;
    uint32_t place = overlay->map[block] & PLACE, number;

    if (place >= POOL) {
        change(overlay, block, place);
        return pool_block(overlay, place - POOL);
    }
    if (!take_block(overlay, &number)) {
        disk->refused++;
        return NULL;
    }
    uint8_t *bytes = pool_block(overlay, number);
    if (!whole) {
        disk_read(disk, block * DISK_BLOCK, bytes, image_bytes(disk, block));
    }
    change(overlay, block, number + POOL);
    return bytes;
}

/* Where a part of a block is to be written; NULL for nowhere. */
static uint8_t *find_to_write(struct disk *disk, uint64_t at, uint64_t part)
{
    if (disk->mode == DISK_READ_WRITE) {
        if (disk->overlay.map != NULL) {
            change(&disk->overlay, at / DISK_BLOCK, WRITTEN);
        }
        return disk->image + at;
    }
    uint8_t *block = own_block(disk, at / DISK_BLOCK, part == image_bytes(disk, at / DISK_BLOCK));
    return block != NULL ? block + at % DISK_BLOCK : NULL;
}

status_t disk_write(struct disk *disk, uint64_t at, const void *from, uint64_t size)
{
    const uint8_t *next = from;

    if (disk->mode == DISK_READ_ONLY) {
        return STATUS_DENIED;
    }
    while (size > 0) {
        uint64_t part = part_of_block(at, size);
        uint8_t *to = find_to_write(disk, at, part);
        if (to == NULL) {
            return STATUS_NO_MEMORY;
        }
        memcpy(to, next, part);
        at += part;
        next += part;
        size -= part;
    }
    return STATUS_OK;
}

/* A whole block of an overlay. */
static void zero_block(struct disk *disk, uint64_t block)
{
    uint32_t place = disk->overlay.map[block] & PLACE;

    if (place >= POOL) {
        free_block(&disk->overlay, place - POOL);
    }
    change(&disk->overlay, block, ZEROS);
}

status_t disk_zero(struct disk *disk, uint64_t at, uint64_t size)
{
    status_t status = STATUS_OK;

    if (disk->mode == DISK_READ_ONLY) {
        return STATUS_DENIED;
    }
    while (size > 0) {
        uint64_t part = part_of_block(at, size);
        if (disk->mode == DISK_OVERLAY && part == image_bytes(disk, at / DISK_BLOCK)) {
            zero_block(disk, at / DISK_BLOCK);
        } else if (find(disk, at) != NULL) {
            uint8_t *to = find_to_write(disk, at, part);
            if (to != NULL) {
                memset(to, 0, part);
            } else {
                status = STATUS_NO_MEMORY;
            }
        }
        at += part;
        size -= part;
    }
    return status;
}

/* None where nothing is noted, or nothing any more: its VM was destroyed. */
static uint64_t map_entries(const struct disk *disk)
{
    return disk->overlay.map != NULL ? disk_blocks(disk->size) : 0;
}

void disk_empty(struct disk *disk)
{
    struct disk_overlay *overlay = &disk->overlay;

    if (overlay->map != NULL) {
        memset(overlay->map, 0, map_entries(disk) * sizeof(*overlay->map));
    }
    overlay->fresh = 0;
    overlay->freed = 0;
    overlay->used = 0;
    overlay->held = 0;
}

/* The end of such a range of the map. */
static uint64_t end_of(const struct disk *disk, uint64_t first, uint64_t blocks)
{
    uint64_t entries = map_entries(disk), left = first < entries ? entries - first : 0;

    return first + (blocks < left ? blocks : left);
}

void disk_track(struct disk *disk, uint64_t first, uint64_t blocks)
{
    for (uint64_t i = first, end = end_of(disk, first, blocks); i < end; i++) {
        disk->overlay.map[i] &= PLACE;
    }
}

uint64_t disk_harvest(struct disk *disk, uint64_t first, uint64_t blocks)
{
    uint64_t count = 0;

    for (uint64_t i = first, end = end_of(disk, first, blocks); i < end; i++) {
        uint32_t entry = disk->overlay.map[i], changed = entry & CHANGED;
        disk->overlay.map[i] = (entry & PLACE) | (changed != 0 ? HARVESTED : 0);
        count += changed != 0;
    }
    return count;
}

bool disk_holds(const struct disk *disk, uint64_t at, bool harvested, const uint8_t **bytes)
{
    static const uint8_t zeros[DISK_BLOCK];
    uint32_t entry = disk->overlay.map != NULL ? disk->overlay.map[at / DISK_BLOCK] : 0;
    bool held = disk->mode == DISK_READ_WRITE || (entry & PLACE) != IMAGE;
    const uint8_t *found = find(disk, at);

    *bytes = found != NULL ? found : zeros;
    return held && (!harvested || (entry & HARVESTED) != 0);
}
