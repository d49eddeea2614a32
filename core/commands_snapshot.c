/* SPDX-License-Identifier: BSD-2-Clause */
/* What hvctl asks for between the pieces of a snapshot. */
#include "core/commands_parts.h"
#include "core/machine.h"
#include "core/snapshot_clone.h"
#include "core/virtio.h"
#include "core/virtio_disk.h"
#include "lib/log.h"
#include "lib/string.h"

/* Bytes of images that one command sums up at most: the monitor, and vCPUs on its CPU, wait. */
#define SUM_STEP MIB(8)

/* What hvctl goes by. `tracking` is 0, or tells one tracking of dirty pages from another. */
static void print_status(struct vm *vm, const struct output *out)
{
    char hindrance[SNAPSHOT_ERROR_SIZE] = "-";

    (void)snapshot_is_hindered(vm, hindrance);
    print(out, "vm\tstate\tmemory\tstate_size\ttracking\tharvests\tpaused\thz\tdisks\thindrance\n");
    print(out, "%s\t%s\t%llu\t%llu\t%llu\t%llu\t%llu\t%llu\t%u\t%s\n", vm->config->name,
          vm_state_name(vm), (unsigned long long)vm->ram_size,
          (unsigned long long)vm->snapshot.size,
          (unsigned long long)(vm->dirty.on ? vm->dirty.began : 0),
          (unsigned long long)vm->dirty.harvests, (unsigned long long)vm->paused_ticks,
          (unsigned long long)machine_get()->info->tsc_hz, vm->config->disk_count, hindrance);
}

/* A disk, with its image's sum as far as the budget goes. */
static void print_disk(struct vm *vm, uint32_t index, uint64_t *budget, const struct output *out)
{
    static const char *const modes[] = {
        [DISK_READ_ONLY] = "ro", [DISK_READ_WRITE] = "rw", [DISK_OVERLAY] = "overlay"};
    const struct disk *disk = virtio_disk_of(vm, index);
    char text[20] = "-";
    uint64_t sum;

    if (virtio_disk_sum(disk, budget, &sum)) {
        (void)format_string(text, sizeof(text), "%016llx", (unsigned long long)sum);
    }
    spin_lock(&vm->lock);
    uint64_t held = disk_held(disk);
    spin_unlock(&vm->lock);
    print(out, "%u\t%s\t%s\t%llu\t%llu\t%s\t%llu\t%s\n", index,
          virtio_disk_name(&vm->config->disks[index]), modes[disk->mode],
          (unsigned long long)disk->size, (unsigned long long)held, text,
          (unsigned long long)virtio_disk_sum_left(disk), disk->half ? "half" : "whole");
}

/* Its disks; the same command again goes on with their images' sums, until `left` is 0. */
static status_t print_disks(struct vm *vm, const struct output *out)
{
    uint64_t budget = SUM_STEP;

    print(out, "disk\timage\tmode\tsize\theld\tsum\tleft\tcontent\n");
    for (uint32_t i = 0; virtio_disk_of(vm, i) != NULL; i++) {
        print_disk(vm, i, &budget, out);
    }
    return STATUS_OK;
}

static status_t report(struct vm *vm, status_t status, const char *error, const struct output *out)
{
    if (status == STATUS_OK) {
        print_status(vm, out);
    } else {
        print(out, "%s\n", error);
    }
    return status;
}

static status_t refuse(const char *what, const char *wanted, const struct output *out)
{
    print(out, "\"%s\": %s is wanted behind the VM\n", what, wanted);
    return STATUS_INVALID;
}

status_t command_snapshot(const char *argument, const struct output *out)
{
    char error[SNAPSHOT_ERROR_SIZE] = "";
    struct vm *vm = command_take_vm(&argument, out);

    if (vm == NULL) {
        return STATUS_INVALID;
    }
    if (strcmp(argument, "save") == 0 || strcmp(argument, "save disks") == 0) {
        bool disks = argument[4] != '\0';
        return report(vm, snapshot_save(vm, disks, error), error, out);
    }
    if (strcmp(argument, "disks") == 0) {
        return print_disks(vm, out);
    }
    if (argument[0] != '\0') {
        return refuse(argument, "disks, save, \"save disks\" or nothing", out);
    }
    print_status(vm, out);
    return STATUS_OK;
}

static status_t drop(struct vm *vm, char error[SNAPSHOT_ERROR_SIZE])
{
    if (atomic_load(&vm->state) != VM_RESTORING) {
        (void)format_string(error, SNAPSHOT_ERROR_SIZE, "%s is not being restored",
                            vm->config->name);
        return STATUS_BUSY;
    }
    vm_end_restore(vm, false);
    return STATUS_OK;
}

/* Whoever says so takes what a restore has left for the images' content. */
static status_t accept(struct vm *vm, char error[SNAPSHOT_ERROR_SIZE])
{
    if (!vm_is_down(vm) || atomic_load(&vm->state) == VM_RESTORING) {
        (void)format_string(error, SNAPSHOT_ERROR_SIZE, "%s is %s", vm->config->name,
                            vm_state_name(vm));
        return STATUS_BUSY;
    }
    log_warning("%s: its disks' images count as they are, be they half restored", vm->config->name);
    virtio_disks_set_whole(vm);
    return STATUS_OK;
}

status_t command_restore(const char *argument, const struct output *out)
{
    char error[SNAPSHOT_ERROR_SIZE] = "";
    struct vm *vm = command_take_vm(&argument, out);

    if (vm == NULL) {
        return STATUS_INVALID;
    }
    if (strcmp(argument, "begin") == 0) {
        return report(vm, snapshot_begin(vm, error), error, out);
    }
    if (strcmp(argument, "check") == 0) {
        return report(vm, snapshot_check(vm, error), error, out);
    }
    if (strcmp(argument, "finish") == 0) {
        return report(vm, snapshot_restore(vm, error), error, out);
    }
    if (strcmp(argument, "drop") == 0) {
        return report(vm, drop(vm, error), error, out);
    }
    if (strcmp(argument, "accept") == 0) {
        return report(vm, accept(vm, error), error, out);
    }
    return refuse(argument, "begin, check, finish, drop or accept", out);
}

/* Takes a number off; one that may have been cut is none. */
static bool take_number(const char **argument, uint64_t *number)
{
    char word[24];

    (void)command_word(argument, word, sizeof(word));
    return strlen(word) < sizeof(word) - 1 && string_to_u64(word, number);
}

/* "SECTION OFFSET [dirty]". */
static bool parse_piece(const char *argument, struct snapshot_piece *piece)
{
    uint64_t section;

    if (!take_number(&argument, &section) || !take_number(&argument, &piece->offset) ||
        section > UINT32_MAX) {
        return false;
    }
    piece->section = (uint32_t)section;
    piece->flags = strcmp(argument, "dirty") == 0 ? POSTERN_SNAPSHOT_DIRTY : 0;
    return piece->flags != 0 || argument[0] == '\0';
}

/* How far it came, and what it asks for next. */
static void print_carried(const struct snapshot_piece *piece, enum snapshot_left left, bool room,
                          const struct output *out)
{
    static const char *const words[] = {[SNAPSHOT_LEFT_NONE] = "none",
                                        [SNAPSHOT_LEFT_MORE] = "more",
                                        [SNAPSHOT_LEFT_LATE] = "late"};

    print(out, "covered\tsize\tleft\troom\n%llu\t%llu\t%s\t%s\n",
          (unsigned long long)piece->covered, (unsigned long long)piece->size, words[left],
          room ? "enough" : "short");
}

static status_t clone(struct vm *from, struct vm *to, const char *argument,
                      const struct output *out)
{
    char error[SNAPSHOT_ERROR_SIZE] = "";
    struct snapshot_piece piece = {0};
    enum snapshot_left left;

    if (argument[0] == '\0') {
        print_status(to, out);
        return STATUS_OK;
    }
    if (!parse_piece(argument, &piece)) {
        return refuse(argument, "SECTION OFFSET [dirty] or nothing", out);
    }
    status_t status = snapshot_clone(from, to, &piece, &left, error);
    if (status == STATUS_OK || status == STATUS_NO_MEMORY) {
        print_carried(&piece, left, status == STATUS_OK, out);
        return STATUS_OK;
    }
    print(out, "%s\n", error);
    return status;
}

status_t command_clone(const char *argument, const struct output *out)
{
    struct vm *from = command_take_vm(&argument, out);
    struct vm *to = from != NULL ? command_take_vm(&argument, out) : NULL;

    if (to == NULL) {
        return STATUS_INVALID;
    }
    if (from == to) {
        print(out, "%s cannot be cloned onto itself\n", from->config->name);
        return STATUS_INVALID;
    }
    return clone(from, to, argument, out);
}
