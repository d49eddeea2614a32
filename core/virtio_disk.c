/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/virtio_disk.h"

#include "lib/log.h"
#include "lib/pages.h"

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
    if (disk->mode != DISK_OVERLAY) {
        return STATUS_OK;
    }
    disk->overlay = (struct disk_overlay){
        .map = allocate(runs, disk_blocks(disk->size) * sizeof(uint32_t)),
        .pool = allocate(runs, config->overlay),
        .blocks = (uint32_t)(config->overlay / DISK_BLOCK),
    };
    if (disk->overlay.map == NULL || disk->overlay.pool == NULL) {
        log_error("disk %s: no %llu KiB of contiguous memory are free for its overlay",
                  config->image, (unsigned long long)(config->overlay >> 10));
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
