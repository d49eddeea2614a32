/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/commands_parts.h"
#include "core/dirty.h"
#include "lib/bits.h"
#include "lib/string.h"

/* The picture: so many cells, each a part of RAM. */
#define CELLS_OF_LINE 64u
#define LINES         16u

static bool is_set(const uint64_t *bitmap, uint64_t page)
{
    return (bitmap[page / 64] & BIT(page % 64)) != 0;
}

static uint64_t count_set(const uint64_t *bitmap, uint64_t from, uint64_t to)
{
    uint64_t count = 0;

    for (uint64_t page = from; page < to; page++) {
        count += is_set(bitmap, page);
    }
    return count;
}

/* None, some, half and more of a cell's pages. */
static char cell(const struct dirty *dirty, uint64_t from, uint64_t to)
{
    uint64_t count = count_set(dirty->harvest, from, to);

    return count == 0 ? '.' : 2 * count < to - from ? '+' : '#';
}

static void print_map(const struct dirty *dirty, const struct output *out)
{
    uint64_t cells = CELLS_OF_LINE * LINES;
    uint64_t size = (dirty->pages + cells - 1) / cells;

    print(out, "\na cell is %llu KiB: . nothing, + some of it, # half of it or more\n",
          (unsigned long long)(size * (PAGE_SIZE >> 10)));
    for (uint64_t page = 0; page < dirty->pages; page += size) {
        if (page / size % CELLS_OF_LINE == 0) {
            print(out, "%s%08llx ", page == 0 ? "" : "\n", (unsigned long long)(page * PAGE_SIZE));
        }
        uint64_t end = page + size < dirty->pages ? page + size : dirty->pages;
        print(out, "%c", cell(dirty, page, end));
    }
    print(out, "\n");
}

static void print_harvest(struct vm *vm, bool map, const struct output *out)
{
    spin_lock(&vm->lock);
    /* Unless the VM was destroyed since. */
    if (vm->dirty.on) {
        const struct dirty *dirty = &vm->dirty;
        uint64_t pages = count_set(dirty->harvest, 0, dirty->pages);
        print(out, "vm\tharvest\tpages\tof\tkib\tby\tblocks\n");
        print(out, "%s\t%llu\t%llu\t%llu\t%llu\t%s\t%llu\n", vm->config->name,
              (unsigned long long)dirty->harvests, (unsigned long long)pages,
              (unsigned long long)dirty->pages, (unsigned long long)(pages * (PAGE_SIZE >> 10)),
              dirty_means(vm), (unsigned long long)dirty->blocks);
        if (map) {
            print_map(dirty, out);
        }
    }
    spin_unlock(&vm->lock);
}

static status_t start(struct vm *vm, const struct output *out)
{
    status_t status = dirty_start(vm);

    if (status == STATUS_BUSY) {
        print(out, "%s is %s\n", vm->config->name,
              vm->dirty.on ? "tracked already" : vm_state_name(vm));
    } else if (status != STATUS_OK) {
        print(out, "%s: no memory is free for its tables and maps\n", vm->config->name);
    }
    return status;
}

static status_t when_tracked(struct vm *vm, status_t status, const struct output *out)
{
    if (status != STATUS_OK) {
        print(out, "%s is not tracked: dirty %s start\n", vm->config->name, vm->config->name);
    }
    return status;
}

static status_t act(struct vm *vm, const char *what, const struct output *out)
{
    bool map = strcmp(what, "--map") == 0;

    if (strcmp(what, "start") == 0) {
        return start(vm, out);
    }
    if (strcmp(what, "stop") == 0) {
        return when_tracked(vm, dirty_stop(vm), out);
    }
    if (!map && what[0] != '\0') {
        print(out, "\"%s\": start, stop, --map or nothing is wanted behind the VM\n", what);
        return STATUS_INVALID;
    }
    status_t status = when_tracked(vm, dirty_harvest(vm), out);
    if (status == STATUS_OK) {
        print_harvest(vm, map, out);
    }
    return status;
}

status_t command_dirty(const char *argument, const struct output *out)
{
    struct vm *vm = command_take_vm(&argument, out);

    return vm != NULL ? act(vm, argument, out) : STATUS_INVALID;
}
