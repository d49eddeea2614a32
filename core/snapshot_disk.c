/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/snapshot_disk.h"

#include "abi/snapshot.h"
#include "core/virtio.h"
#include "core/virtio_disk.h"
#include "lib/format.h"
#include "virtio/disk_runs.h"

struct disk *snapshot_disk(const struct vm *vm, uint32_t section)
{
    return section >= POSTERN_SNAPSHOT_DISK ? virtio_disk_of(vm, section - POSTERN_SNAPSHOT_DISK)
                                            : NULL;
}

static const char *name_of(const struct vm *vm, uint32_t index)
{
    return virtio_disk_name(&vm->config->disks[index]);
}

status_t snapshot_disk_take(struct disk *disk, uint64_t at, uint64_t room, const uint8_t *tokens,
                            size_t size, uint64_t *covered)
{
    status_t status = disk_runs_take(disk, at, room, tokens, size, covered);

    disk->half = disk->half || (disk->mode == DISK_READ_WRITE && disk->overlay.held != 0);
    return status;
}

/* False: it is not known yet. An image that is written to has none. */
static bool sum_of(const struct disk *disk, uint64_t *sum)
{
    uint64_t none = 0;

    *sum = 0;
    return disk->mode == DISK_READ_WRITE || virtio_disk_sum(disk, &none, sum);
}

status_t snapshot_disks_check(const struct vm *vm, char error[SNAPSHOT_ERROR_SIZE])
{
    const struct disk *disk;
    uint64_t sum;

    for (uint32_t i = 0; (disk = virtio_disk_of(vm, i)) != NULL; i++) {
        if (!sum_of(disk, &sum)) {
            (void)format_string(error, SNAPSHOT_ERROR_SIZE,
                                "the image of disk %u (%s) of %s is not summed up: snapshot %s "
                                "disks",
                                i, name_of(vm, i), vm->config->name, vm->config->name);
            return STATUS_BUSY;
        }
    }
    return STATUS_OK;
}

status_t snapshot_disks_save(const struct vm *vm, struct snapshot_writer *writer)
{
    const struct disk *disk;

    for (uint32_t i = 0; (disk = virtio_disk_of(vm, i)) != NULL; i++) {
        const struct snapshot_wanted wanted = {
            SNAPSHOT_DISK,
            disk->mode == DISK_READ_WRITE ? SNAPSHOT_DISK_VERSION_WRITTEN : SNAPSHOT_DISK_VERSION,
            i, sizeof(struct snapshot_disk)};
        struct snapshot_disk *record = snapshot_add(writer, &wanted);
        if (record == NULL || !sum_of(disk, &record->sum)) {
            return STATUS_NO_MEMORY;
        }
        record->size = disk->size;
        record->held = disk_held(disk);
        record->mode = disk->mode;
    }
    return STATUS_OK;
}

static bool differs(const struct vm *vm, uint32_t index, const char *what,
                    unsigned long long theirs, unsigned long long ours,
                    char error[SNAPSHOT_ERROR_SIZE])
{
    if (theirs != ours) {
        (void)format_string(error, SNAPSHOT_ERROR_SIZE,
                            "disk %u (%s) is another one: its %s is %llx, the snapshot's %llx",
                            index, name_of(vm, index), what, ours, theirs);
    }
    return theirs != ours;
}

static bool fits(const struct vm *vm, uint32_t index, const struct disk *disk,
                 const struct snapshot_disk *record, char error[SNAPSHOT_ERROR_SIZE])
{
    uint64_t sum;

    if (differs(vm, index, "size", record->size, disk->size, error) ||
        differs(vm, index, "mode", record->mode, disk->mode, error)) {
        return false;
    }
    if (!sum_of(disk, &sum)) {
        (void)format_string(error, SNAPSHOT_ERROR_SIZE,
                            "the image of disk %u (%s) is not summed up: snapshot %s disks", index,
                            name_of(vm, index), vm->config->name);
        return false;
    }
    if (differs(vm, index, "image's sum", record->sum, sum, error)) {
        return false;
    }
    /* All that came, and all of an image that is written to. */
    if (record->held != disk->overlay.held || record->held != disk_held(disk)) {
        (void)format_string(error, SNAPSHOT_ERROR_SIZE,
                            "disk %u (%s) held %llu blocks, and %llu came", index,
                            name_of(vm, index), (unsigned long long)record->held,
                            (unsigned long long)disk->overlay.held);
        return false;
    }
    return true;
}

/* Of a row that tells nothing of disks. */
static bool is_empty(const struct vm *vm, char error[SNAPSHOT_ERROR_SIZE])
{
    const struct disk *disk;

    for (uint32_t i = 0; (disk = virtio_disk_of(vm, i)) != NULL; i++) {
        if (disk->mode == DISK_READ_WRITE) {
            (void)format_string(error, SNAPSHOT_ERROR_SIZE,
                                "the state has no record of disk %u (%s), to whose image %s writes",
                                i, name_of(vm, i), vm->config->name);
            return false;
        }
        if (disk->overlay.held != 0) {
            (void)format_string(error, SNAPSHOT_ERROR_SIZE,
                                "%llu blocks came for disk %u (%s), and the state has no record of "
                                "it",
                                (unsigned long long)disk->overlay.held, i, name_of(vm, i));
            return false;
        }
    }
    return true;
}

/* Of either version. */
static const struct snapshot_disk *find_record(const void *bytes, size_t size, uint32_t index,
                                               char error[SNAPSHOT_ERROR_SIZE])
{
    struct snapshot_wanted wanted = {SNAPSHOT_DISK, SNAPSHOT_DISK_VERSION, index,
                                     sizeof(struct snapshot_disk)};
    const struct snapshot_disk *record = snapshot_find(bytes, size, &wanted, error);

    wanted.version = SNAPSHOT_DISK_VERSION_WRITTEN;
    return record != NULL ? record : snapshot_find(bytes, size, &wanted, error);
}

bool snapshot_disks_fit(const struct vm *vm, const void *bytes, size_t size,
                        char error[SNAPSHOT_ERROR_SIZE])
{
    uint32_t count = snapshot_count(bytes, size, SNAPSHOT_DISK);
    const struct disk *disk;

    if (count == 0) {
        return is_empty(vm, error);
    }
    if (count != vm->config->disk_count) {
        (void)format_string(error, SNAPSHOT_ERROR_SIZE,
                            "the snapshot is of a VM with %u disks, and %s has %u", count,
                            vm->config->name, vm->config->disk_count);
        return false;
    }
    for (uint32_t i = 0; (disk = virtio_disk_of(vm, i)) != NULL; i++) {
        const struct snapshot_disk *record = find_record(bytes, size, i, error);
        if (record == NULL || !fits(vm, i, disk, record, error)) {
            return false;
        }
    }
    return true;
}
