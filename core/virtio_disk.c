/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/virtio_disk.h"

#include "core/virtio.h"
#include "lib/format.h"
#include "lib/log.h"
#include "lib/pages.h"
#include "lib/word_hash.h"

/* Blocks that are looked at with the VM's lock held: 256 KiB of a map. */
#define WALK_STEP 0x10000u

/* Of each image of an overlay or read-only disk: how far it was summed up. VMs may share it. */
struct image_sum {
    const uint8_t *image; /* NULL: the place is free */
    uint64_t done, hash;
};

static struct image_sum sums[CONFIG_MAX_VMS * CONFIG_MAX_DISKS];

const char *virtio_disk_name(const struct config_disk *config)
{
    const char *name = config->image;

    for (const char *c = config->image; *c != '\0'; c++) {
        name = *c == '/' ? c + 1 : name;
    }
    return name;
}

static void *allocate(struct page_runs *runs, uint64_t size)
{
    return page_runs_alloc(runs, (size + PAGE_SIZE - 1) / PAGE_SIZE, PAGE_SIZE, PAGES_DISK);
}

status_t virtio_disk_create_overlay(struct disk *disk, const struct config_disk *config,
                                    struct page_runs *runs)
{
    uint64_t map = disk_blocks(disk->size) * sizeof(uint32_t);
    bool pool = disk->mode == DISK_OVERLAY;

    if (disk->mode == DISK_READ_ONLY) {
        return STATUS_OK;
    }
    disk->overlay = (struct disk_overlay){
        .map = allocate(runs, map),
        .pool = pool ? allocate(runs, config->overlay) : NULL,
        .blocks = (uint32_t)(config->overlay / DISK_BLOCK),
    };
    if (disk->overlay.map == NULL || (pool && disk->overlay.pool == NULL)) {
        log_error("disk %s: no %llu KiB of contiguous memory are free for its %s", config->image,
                  (unsigned long long)((pool ? config->overlay : map) >> 10),
                  pool ? "overlay" : "map of blocks");
        return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

status_t virtio_disk_create(struct disk *disk, const struct config_disk *config)
{
    static const enum disk_mode modes[] = {[CONFIG_DISK_RO] = DISK_READ_ONLY,
                                           [CONFIG_DISK_RW] = DISK_READ_WRITE,
                                           [CONFIG_DISK_OVERLAY] = DISK_OVERLAY};
    const struct boot_file *file = vm_boot_file(config->image);

    if (file == NULL) {
        return STATUS_NOT_FOUND;
    }
    *disk = (struct disk){.mode = modes[config->mode], .image = file->data, .size = file->size};
    return STATUS_OK;
}

void virtio_disks_empty(struct vm *vm)
{
    struct disk *disk;

    for (uint32_t i = 0; (disk = virtio_disk_of(vm, i)) != NULL; i++) {
        disk_empty(disk);
    }
}

/* Part by part: the guest's requests to its disks wait for the lock. */
static uint64_t walk(struct vm *vm, struct disk *disk, bool harvest)
{
    uint64_t blocks = 0;

    for (uint64_t at = 0; at < disk_blocks(disk->size); at += WALK_STEP) {
        spin_lock(&vm->lock);
        if (vm->dirty.on && harvest) {
            blocks += disk_harvest(disk, at, WALK_STEP);
        } else if (vm->dirty.on) {
            disk_track(disk, at, WALK_STEP);
        }
        spin_unlock(&vm->lock);
    }
    return blocks;
}

void virtio_disks_track(struct vm *vm)
{
    struct disk *disk;

    for (uint32_t i = 0; (disk = virtio_disk_of(vm, i)) != NULL; i++) {
        (void)walk(vm, disk, false);
    }
}

uint64_t virtio_disks_harvest(struct vm *vm)
{
    struct disk *disk;
    uint64_t blocks = 0;

    for (uint32_t i = 0; (disk = virtio_disk_of(vm, i)) != NULL; i++) {
        blocks += walk(vm, disk, true);
    }
    return blocks;
}

bool virtio_disks_are_whole(const struct vm *vm, char text[VIRTIO_DISK_TEXT_SIZE])
{
    const struct disk *disk;

    for (uint32_t i = 0; (disk = virtio_disk_of(vm, i)) != NULL; i++) {
        if (disk->half) {
            (void)format_string(text, VIRTIO_DISK_TEXT_SIZE,
                                "its disk %u (%s) is half restored: restore %s again, or 'restore "
                                "%s accept' has what is there count",
                                i, virtio_disk_name(&vm->config->disks[i]), vm->config->name,
                                vm->config->name);
            return false;
        }
    }
    return true;
}

void virtio_disks_set_whole(struct vm *vm)
{
    struct disk *disk;

    for (uint32_t i = 0; (disk = virtio_disk_of(vm, i)) != NULL; i++) {
        disk->half = false;
    }
}

/* There is a place for each disk of the configuration. */
static struct image_sum *find_sum(const struct disk *disk)
{
    struct image_sum *sum = sums;

    while (sum->image != NULL && sum->image != disk->image) {
        sum++;
    }
    if (sum->image == NULL) {
        *sum = (struct image_sum){.image = disk->image, .hash = WORD_HASH_BEGIN};
    }
    return sum;
}

uint64_t virtio_disk_sum_left(const struct disk *disk)
{
    return disk->mode == DISK_READ_WRITE ? 0 : disk->size - find_sum(disk)->done;
}

bool virtio_disk_sum(const struct disk *disk, uint64_t *budget, uint64_t *sum)
{
    uint64_t left = virtio_disk_sum_left(disk), part = left < *budget ? left : *budget;

    if (disk->mode == DISK_READ_WRITE) {
        return false;
    }
    struct image_sum *known = find_sum(disk);
    known->hash = word_hash(known->hash, disk->image + known->done, part);
    known->done += part;
    *budget -= part;
    *sum = known->hash;
    return known->done == disk->size;
}
