/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/snapshot.h"

#include "core/dirty.h"
#include "core/network.h"
#include "core/scheduler.h"
#include "core/snapshot_disk.h"
#include "core/snapshot_port.h"
#include "core/snapshot_state.h"
#include "core/snapshot_view.h"
#include "core/virtio.h"
#include "lib/bits.h"
#include "lib/format.h"
#include "lib/string.h"
#include "lib/word_runs.h"
#include "virtio/disk_runs.h"

/* A page is copied before it is looked at: its guest may be writing to it. */
#define WORDS_OF_PAGE (PAGE_SIZE / WORD_RUNS_WORD)

static void refuse(char error[SNAPSHOT_ERROR_SIZE], const struct vm *vm, const char *why)
{
    (void)format_string(error, SNAPSHOT_ERROR_SIZE, "%s %s", vm->config->name, why);
}

/* Room for the records, a part of the VM's memory until it is destroyed. */
static status_t make_room(struct vm *vm, char error[SNAPSHOT_ERROR_SIZE])
{
    if (vm->snapshot.state == NULL) {
        vm->snapshot.state = page_runs_alloc_bytes(&vm->memory, SNAPSHOT_STATE_MAX);
    }
    if (vm->snapshot.state == NULL) {
        refuse(error, vm, "has no memory for its state: none is free");
    }
    return vm->snapshot.state != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

/* Whether what its disks hold can be carried; `disks`: the host does. */
static status_t check_disks(const struct vm *vm, bool disks, char error[SNAPSHOT_ERROR_SIZE])
{
    int disk = virtio_written_disk(vm);

    if (disks) {
        return snapshot_disks_check(vm, error);
    }
    if (disk >= 0) {
        (void)format_string(error, SNAPSHOT_ERROR_SIZE,
                            "%s has written to its disk %d, which a save without disks does not "
                            "carry",
                            vm->config->name, disk);
        return STATUS_UNSUPPORTED;
    }
    return STATUS_OK;
}

bool snapshot_is_hindered(struct vm *vm, char error[SNAPSHOT_ERROR_SIZE])
{
    enum vm_state state = atomic_load(&vm->state);

    if (state != VM_RUNNING && state != VM_PAUSED) {
        return false;
    }
    spin_lock(&vm->lock);
    bool hindered = snapshot_ports_check(vm, error) == STATUS_UNSUPPORTED ||
                    snapshot_views_check(vm, error) == STATUS_UNSUPPORTED;
    spin_unlock(&vm->lock);
    return hindered;
}

static status_t save_locked(struct vm *vm, bool disks, char error[SNAPSHOT_ERROR_SIZE])
{
    struct snapshot_writer writer = {.bytes = vm->snapshot.state, .room = SNAPSHOT_STATE_MAX};

    status_t status = snapshot_ports_check(vm, error);
    if (status == STATUS_OK) {
        status = snapshot_views_check(vm, error);
    }
    if (status == STATUS_OK) {
        status = check_disks(vm, disks, error);
    }
    if (status != STATUS_OK) {
        return status;
    }
    status = snapshot_state_save(vm, &writer);
    if (status == STATUS_OK) {
        status = snapshot_ports_save(vm, &writer);
    }
    if (status == STATUS_OK) {
        status = snapshot_views_save(vm, &writer);
    }
    if (status == STATUS_OK && disks) {
        status = snapshot_disks_save(vm, &writer);
    }
    if (status != STATUS_OK) {
        refuse(error, vm, "has more state than there is room for");
        return status;
    }
    vm->snapshot.size = writer.used;
    return STATUS_OK;
}

status_t snapshot_save(struct vm *vm, bool disks, char error[SNAPSHOT_ERROR_SIZE])
{
    if (atomic_load(&vm->state) != VM_PAUSED || !vm_is_still(vm)) {
        refuse(error, vm, "is not paused");
        return STATUS_BUSY;
    }
    if (atomic_load(&vm->snapshot.waiting) != 0) {
        refuse(error, vm, "is being saved or restored already");
        return STATUS_BUSY;
    }
    status_t status = make_room(vm, error);
    if (status != STATUS_OK) {
        return status;
    }
    vm->snapshot.size = 0;
    atomic_store(&vm->snapshot.frozen, true);
    /* Who has looked before that has put frames into its memory, and told its driver of them: a NIC
     * is saved with both, or with neither. */
    network_wait_all();
    spin_lock(&vm->lock);
    status = save_locked(vm, disks, error);
    atomic_store(&vm->snapshot.frozen, status == STATUS_OK);
    spin_unlock(&vm->lock);
    if (status != STATUS_OK) {
        return status;
    }
    atomic_store(&vm->snapshot.waiting, vm->vcpu_count);
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        vcpu_request(&vm->vcpus[i], VCPU_WORK_SAVE);
    }
    return STATUS_OK;
}

bool snapshot_is_saved(const struct vm *vm)
{
    /* Acquire: pairs with the release in save() of core/vcpu_events.c. */
    return vm->snapshot.size != 0 &&
           atomic_load_explicit(&vm->snapshot.waiting, memory_order_acquire) == 0;
}

status_t snapshot_begin(struct vm *vm, char error[SNAPSHOT_ERROR_SIZE])
{
    status_t status = vm_begin_restore(vm);

    if (status != STATUS_OK) {
        (void)format_string(error, SNAPSHOT_ERROR_SIZE, "%s is %s%s", vm->config->name,
                            vm_state_name(vm),
                            status == STATUS_BUSY ? ": only a VM that is off, crashed or absent "
                                                    "can be restored"
                                                  : ", and no memory is free for it");
        return status;
    }
    vm->snapshot.size = 0;
    status = make_room(vm, error);
    if (status != STATUS_OK) {
        vm_end_restore(vm, false);
    }
    return status;
}

/* All but that its disks came. Under its lock. */
static bool state_fits(const struct vm *vm, char error[SNAPSHOT_ERROR_SIZE])
{
    const void *state = vm->snapshot.state;
    size_t size = vm->snapshot.size;

    return snapshot_is_valid(state, size, error) && snapshot_state_fits(vm, state, size, error) &&
           snapshot_ports_fit(vm, state, size, error) && snapshot_views_fit(vm, state, size, error);
}

status_t snapshot_check(struct vm *vm, char error[SNAPSHOT_ERROR_SIZE])
{
    if (atomic_load(&vm->state) != VM_RESTORING) {
        refuse(error, vm, "is not being restored");
        return STATUS_BUSY;
    }
    spin_lock(&vm->lock);
    bool fits = state_fits(vm, error);
    spin_unlock(&vm->lock);
    return fits ? STATUS_OK : STATUS_INVALID;
}

status_t snapshot_restore(struct vm *vm, char error[SNAPSHOT_ERROR_SIZE])
{
    const void *state = vm->snapshot.state;
    size_t size = vm->snapshot.size;

    if (atomic_load(&vm->state) != VM_RESTORING) {
        refuse(error, vm, "is not being restored");
        return STATUS_BUSY;
    }
    spin_lock(&vm->lock);
    bool fits = state_fits(vm, error) && snapshot_disks_fit(vm, state, size, error);
    status_t status = fits ? snapshot_state_load(vm, state, size, error) : STATUS_INVALID;
    if (status == STATUS_OK) {
        status = snapshot_ports_load(vm, state, size, error);
    }
    if (status == STATUS_OK) {
        status = snapshot_views_load(vm, state, size, error);
    }
    spin_unlock(&vm->lock);
    vm_end_restore(vm, status == STATUS_OK);
    return status;
}

/* Fetching. */

static bool is_dirty(const struct vm *vm, uint64_t page)
{
    return (vm->dirty.harvest[page / 64] & BIT(page % 64)) != 0;
}

static const struct word_runs_limits limits = {.looked = POSTERN_SNAPSHOT_PIECE_MAX,
                                               .told = POSTERN_SNAPSHOT_SKIP_MAX};

/* What is fetched of a VM's RAM. */
struct ram_view {
    const struct vm *vm;
    bool only_dirty;
};

static const void *find_page(const void *context, uint64_t at)
{
    static uint64_t copy[WORDS_OF_PAGE]; /* the monitor's CPU alone is here */
    const struct ram_view *view = context;

    if (view->only_dirty && !is_dirty(view->vm, at / PAGE_SIZE)) {
        return NULL;
    }
    memcpy(copy, view->vm->ram + at, PAGE_SIZE - at % PAGE_SIZE);
    return copy;
}

static void fetch_ram(const struct vm *vm, const struct snapshot_piece *piece, bool only_dirty,
                      struct word_runs_writer *writer)
{
    const struct ram_view view = {vm, only_dirty};
    const struct word_runs_source source = {
        .size = piece->size, .unit = PAGE_SIZE, .find = find_page, .context = &view};

    word_runs_tell(writer, &source, piece->offset, &limits);
}

static status_t fetch_locked(struct vm *vm, struct snapshot_piece *piece,
                             struct word_runs_writer *writer)
{
    const struct disk *disk = snapshot_disk(vm, piece->section);
    bool state = piece->section == POSTERN_SNAPSHOT_STATE;
    bool only_dirty = (piece->flags & POSTERN_SNAPSHOT_DIRTY) != 0;

    if (vm->vcpu_count == 0 || (state && !snapshot_is_saved(vm)) || (only_dirty && !vm->dirty.on)) {
        return STATUS_BUSY;
    }
    piece->size = disk != NULL ? disk->size : state ? vm->snapshot.size : vm->ram_size;
    if (piece->offset > piece->size || !is_aligned(piece->offset, WORD_RUNS_WORD)) {
        return STATUS_INVALID;
    }
    if (disk != NULL) {
        disk_runs_tell(disk, piece->offset, only_dirty, &limits, writer);
    } else if (state) {
        (void)word_runs_put(writer, vm->snapshot.state + piece->offset,
                            (piece->size - piece->offset) / WORD_RUNS_WORD);
    } else {
        fetch_ram(vm, piece, only_dirty, writer);
    }
    return STATUS_OK;
}

/* What there is, and no flag that means nothing. */
static bool is_known(const struct vm *vm, const struct snapshot_piece *piece)
{
    return piece->section == POSTERN_SNAPSHOT_STATE
               ? piece->flags == 0
               : (piece->flags & ~POSTERN_SNAPSHOT_DIRTY) == 0 &&
                     (piece->section == POSTERN_SNAPSHOT_RAM ||
                      snapshot_disk(vm, piece->section) != NULL);
}

status_t snapshot_fetch(struct vm *vm, struct snapshot_piece *piece, uint8_t *tokens, size_t room,
                        size_t *used)
{
    struct word_runs_writer writer;

    if (!is_known(vm, piece)) {
        return STATUS_INVALID;
    }
    word_runs_begin(&writer, tokens, room);
    spin_lock(&vm->lock);
    status_t status = fetch_locked(vm, piece, &writer);
    spin_unlock(&vm->lock);
    piece->covered = writer.words * WORD_RUNS_WORD;
    *used = writer.used;
    return status;
}

/* Storing. The VM is being restored: nobody but this CPU changes that. */

static status_t store_words(uint8_t *to, struct snapshot_piece *piece, uint64_t room,
                            const uint8_t *tokens, size_t size)
{
    size_t told = 0;
    bool read = word_runs_read(tokens, size, to + piece->offset, room / WORD_RUNS_WORD, &told);

    piece->covered = told * WORD_RUNS_WORD;
    return read ? STATUS_OK : STATUS_INVALID;
}

static status_t store_ram(struct vm *vm, struct snapshot_piece *piece, uint64_t room,
                          const uint8_t *tokens, size_t size)
{
    status_t status = store_words(vm->ram, piece, room, tokens, size);

    if (piece->covered != 0) {
        dirty_note(vm, vm->ram + piece->offset, piece->covered);
    }
    return status;
}

static status_t store_state(struct vm *vm, struct snapshot_piece *piece, uint64_t room,
                            const uint8_t *tokens, size_t size)
{
    status_t status = store_words(vm->snapshot.state, piece, room, tokens, size);

    if (status == STATUS_OK) {
        vm->snapshot.size = piece->offset + piece->covered;
    }
    return status;
}

/* Under the VM's lock. */
static status_t store_locked(struct vm *vm, struct snapshot_piece *piece, const uint8_t *tokens,
                             size_t size)
{
    struct disk *disk = snapshot_disk(vm, piece->section);
    bool ram = piece->section == POSTERN_SNAPSHOT_RAM;

    piece->size = disk != NULL ? disk->size : ram ? vm->ram_size : SNAPSHOT_STATE_MAX;
    if (piece->offset > piece->size || !is_aligned(piece->offset, WORD_RUNS_WORD)) {
        return STATUS_INVALID;
    }
    uint64_t room = piece->size - piece->offset;
    if (room > POSTERN_SNAPSHOT_SKIP_MAX) {
        room = POSTERN_SNAPSHOT_SKIP_MAX;
    }
    if (disk != NULL) {
        return snapshot_disk_take(disk, piece->offset, room, tokens, size, &piece->covered);
    }
    return ram ? store_ram(vm, piece, room, tokens, size)
               : store_state(vm, piece, room, tokens, size);
}

status_t snapshot_store(struct vm *vm, struct snapshot_piece *piece, const uint8_t *tokens,
                        size_t size)
{
    if (atomic_load(&vm->state) != VM_RESTORING) {
        return STATUS_BUSY;
    }
    if (!is_known(vm, piece) || piece->flags != 0) {
        return STATUS_INVALID;
    }
    spin_lock(&vm->lock);
    status_t status = store_locked(vm, piece, tokens, size);
    spin_unlock(&vm->lock);
    return status;
}
