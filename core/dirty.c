/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/dirty.h"

#include "arch/x86/cpu.h"
#include "core/guest_memory.h"
#include "core/link.h"
#include "core/scheduler.h"
#include "core/vcpu.h"
#include "core/virtio_disk.h"
#include "ept/dirty.h"
#include "lib/bits.h"
#include "lib/string.h"

#define WORD_BITS     64u
#define GIVEN_AT_ONCE 64u

static uint64_t words_of(const struct vm *vm)
{
    return align_up(vm->dirty.pages, WORD_BITS) / WORD_BITS;
}

/* The two hierarchies that map RAM: the default view, and what protected views have of it. */
#define RAM_HIERARCHIES 2u

static struct ept *hierarchy(struct vm *vm, unsigned index)
{
    return index == 0 ? &vm->ept : &vm->views.base;
}

/* Tables of small pages for all RAM, and those above where it may be in pages of 1 GiB. */
static uint64_t tables_for(uint64_t ram_size)
{
    uint64_t each = align_up(ram_size, MIB(2)) / MIB(2) + align_up(ram_size, GIB(1)) / GIB(1);

    return RAM_HIERARCHIES * each;
}

/* What the VM then has until it is destroyed. */
static status_t allocate(struct vm *vm)
{
    struct dirty *dirty = &vm->dirty;
    uint64_t tables = tables_for(vm->ram_size);

    if (dirty->leftover != NULL) {
        return STATUS_OK;
    }
    dirty->pages = vm->ram_size / PAGE_SIZE;
    dirty->written = page_runs_alloc_bytes(&vm->memory, words_of(vm) * sizeof(uint64_t));
    dirty->harvest = page_runs_alloc_bytes(&vm->memory, words_of(vm) * sizeof(uint64_t));
    dirty->logged = page_runs_alloc_bytes(&vm->memory, words_of(vm) * sizeof(uint64_t));
    if (dirty->written == NULL || dirty->harvest == NULL || dirty->logged == NULL ||
        guest_memory_add_tables(vm, tables) != STATUS_OK) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < vm->vcpu_count && vcpu_caps()->pml; i++) {
        vm->vcpus[i].log = page_runs_alloc_bytes(&vm->memory, PAGE_SIZE);
        if (vm->vcpus[i].log == NULL) {
            return STATUS_NO_MEMORY;
        }
    }
    dirty->leftover = page_runs_alloc_bytes(&vm->memory, tables * sizeof(void *));
    dirty->leftover_max = (uint32_t)tables;
    return dirty->leftover != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

static void request_flush(struct vm *vm)
{
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        vcpu_request(&vm->vcpus[i], VCPU_WORK_FLUSH);
    }
}

static void collect_from_tables(struct vm *vm)
{
    for (unsigned i = 0; i < RAM_HIERARCHIES; i++) {
        (void)ept_dirty_harvest(hierarchy(vm, i), 0, vm->ram_size, vm->dirty.harvest);
    }
}

/* What vCPUs have logged is all of that, where they log. */
static void collect_from_logs(struct vm *vm)
{
    struct dirty *dirty = &vm->dirty;
    uint64_t any = 0;

    for (uint64_t i = 0; i < words_of(vm); i++) {
        uint64_t word = __atomic_exchange_n(&dirty->logged[i], 0, __ATOMIC_SEQ_CST);
        dirty->harvest[i] |= word;
        any |= word;
        for (; word != 0; word &= word - 1) {
            uint64_t page = i * WORD_BITS + (unsigned)__builtin_ctzll(word);
            for (unsigned h = 0; h < RAM_HIERARCHIES; h++) {
                ept_dirty_rearm(hierarchy(vm, h), page * PAGE_SIZE);
            }
        }
    }
    if (any != 0) {
        request_flush(vm);
    }
}

/* What the CPU writes by an address of its own: #VE's areas. */
static void note_areas(struct vm *vm)
{
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        const struct ve_information *area = vm->vcpus[i].ve;
        if (area != NULL) {
            dirty_note(vm, area, PAGE_SIZE);
        }
    }
}

/* Takes what has come together in vm->dirty.written. Others add to it at any time. */
static void collect_notes(struct vm *vm)
{
    for (uint64_t i = 0; i < words_of(vm); i++) {
        vm->dirty.harvest[i] |= __atomic_exchange_n(&vm->dirty.written[i], 0, __ATOMIC_SEQ_CST);
    }
}

/* Notes those of the peer's pages from `*slot` on that it may write to, some at a time: the locks
 * of the two VMs are taken one after the other. False at the end. */
static bool note_some_given(struct vm *vm, struct port *peer, uint32_t *slot)
{
    uint64_t pages[GIVEN_AT_ONCE];
    uint32_t count = 0;

    spin_lock(&peer->vm->lock);
    for (; *slot < peer->pool.count && count < GIVEN_AT_ONCE; ++*slot) {
        if ((peer->pool.slots[*slot] & EPT_WRITE) != 0) {
            pages[count++] = peer->pool.slots[*slot];
        }
    }
    spin_unlock(&peer->vm->lock);
    spin_lock(&vm->lock);
    for (uint32_t i = 0; i < count; i++) {
        dirty_note(vm, (const void *)align_down(pages[i], PAGE_SIZE), PAGE_SIZE);
    }
    spin_unlock(&vm->lock);
    return *slot < peer->pool.count;
}

/* Pages that a peer may write to count each time: its views are not tracked. */
static void note_given(struct vm *vm)
{
    for (uint32_t i = 0; i < vm->port_count; i++) {
        uint32_t slot = 0;
        while (vm->ports[i]->pool.count != 0 &&
               note_some_given(vm, port_peer(vm->ports[i]), &slot)) {
        }
    }
}

/* Until no CPU writes by what it had cached: the VM's own, and its peers', which may have cached
 * pages that were taken from them meanwhile. */
static void wait_flushed(const struct vm *vm)
{
    vm_wait_flushed(vm);
    for (uint32_t i = 0; i < vm->port_count; i++) {
        if (vm->ports[i]->pool.count != 0) {
            vm_wait_flushed(port_peer(vm->ports[i])->vm);
        }
    }
}

/* Under the VM's lock. */
static status_t begin(struct vm *vm)
{
    if (vm->dirty.on || vm->vcpu_count == 0) {
        return STATUS_BUSY;
    }
    status_t status = allocate(vm);
    for (unsigned i = 0; i < RAM_HIERARCHIES && status == STATUS_OK; i++) {
        status = ept_dirty_split(hierarchy(vm, i), 0, vm->ram_size);
    }
    if (status == STATUS_OK) {
        vm->dirty.harvests = 0;
        vm->dirty.began = rdtsc();
        vm->dirty.on = true;
        atomic_store(&vm->dirty.logging, vcpu_caps()->pml);
        request_flush(vm);
    }
    return status;
}

/* All vCPUs log by now, where they can: from here on each first write to a page is noted. */
static void forget_all(struct vm *vm)
{
    if (vm->dirty.on) {
        memset(vm->dirty.written, 0, words_of(vm) * sizeof(uint64_t));
        memset(vm->dirty.logged, 0, words_of(vm) * sizeof(uint64_t));
        collect_from_tables(vm);
        memset(vm->dirty.harvest, 0, words_of(vm) * sizeof(uint64_t));
    }
}

status_t dirty_start(struct vm *vm)
{
    spin_lock(&vm->lock);
    status_t status = begin(vm);
    spin_unlock(&vm->lock);
    if (status == STATUS_OK) {
        wait_flushed(vm);
        spin_lock(&vm->lock);
        forget_all(vm);
        spin_unlock(&vm->lock);
        virtio_disks_track(vm);
        wait_flushed(vm);
    }
    return status;
}

status_t dirty_stop(struct vm *vm)
{
    uint32_t counts[RAM_HIERARCHIES];
    struct dirty *dirty = &vm->dirty;
    uint32_t used = 0;

    spin_lock(&vm->lock);
    if (!dirty->on) {
        spin_unlock(&vm->lock);
        return STATUS_BUSY;
    }
    dirty->on = false;
    atomic_store(&dirty->logging, false);
    request_flush(vm);
    for (unsigned i = 0; i < RAM_HIERARCHIES; i++) {
        counts[i] = ept_dirty_end(hierarchy(vm, i), 0, vm->ram_size, dirty->leftover + used,
                                  dirty->leftover_max - used);
        used += counts[i];
    }
    uint32_t destructions = vm->destructions;
    spin_unlock(&vm->lock);
    vm_wait_flushed(vm);
    spin_lock(&vm->lock);
    /* Unless all of that is gone with the VM. */
    for (unsigned i = 0, at = 0; i < RAM_HIERARCHIES && vm->destructions == destructions; i++) {
        ept_dirty_free(hierarchy(vm, i), dirty->leftover + at, counts[i]);
        at += counts[i];
    }
    spin_unlock(&vm->lock);
    return STATUS_OK;
}

/* Has vCPUs that run empty their logs; those of others are empty. */
static void fetch_logs(struct vm *vm)
{
    spin_lock(&vm->lock);
    bool logging = vm->dirty.on && atomic_load(&vm->dirty.logging);
    if (logging) {
        request_flush(vm);
    }
    spin_unlock(&vm->lock);
    if (logging) {
        vm_wait_flushed(vm);
    }
}

/* Under the VM's lock. */
static void collect(struct vm *vm)
{
    memset(vm->dirty.harvest, 0, words_of(vm) * sizeof(uint64_t));
    note_areas(vm);
    if (atomic_load(&vm->dirty.logging)) {
        collect_from_logs(vm);
    } else {
        collect_from_tables(vm);
    }
    collect_notes(vm);
    vm->dirty.harvests++;
}

status_t dirty_harvest(struct vm *vm)
{
    note_given(vm);
    fetch_logs(vm);
    spin_lock(&vm->lock);
    bool on = vm->dirty.on;
    if (on) {
        collect(vm);
    }
    spin_unlock(&vm->lock);
    if (on) {
        vm->dirty.blocks = virtio_disks_harvest(vm);
        wait_flushed(vm);
    }
    return on ? STATUS_OK : STATUS_BUSY;
}

const char *dirty_means(const struct vm *vm)
{
    if (!vm->ept.accessed_dirty) {
        return "violations";
    }
    return vcpu_caps()->pml ? "logs" : "flags";
}

void dirty_note(struct vm *vm, const void *bytes, uint64_t size)
{
    uint64_t offset = (uint64_t)((const uint8_t *)bytes - vm->ram);

    if (LIKELY(!vm->dirty.on) || size == 0 || !range_within(offset, size, 0, vm->ram_size)) {
        return;
    }
    for (uint64_t page = offset / PAGE_SIZE; page <= (offset + size - 1) / PAGE_SIZE; page++) {
        __atomic_fetch_or(&vm->dirty.written[page / WORD_BITS], BIT(page % WORD_BITS),
                          __ATOMIC_SEQ_CST);
    }
}

void dirty_note_all(struct vm *vm)
{
    dirty_note(vm, vm->ram, vm->ram_size);
}

bool dirty_allow(struct vm *vm, uint64_t gpa, bool in_view)
{
    bool allowed = false;

    spin_lock(&vm->lock);
    if (vm->dirty.on && gpa < vm->ram_size) {
        allowed = ept_dirty_write(hierarchy(vm, in_view ? 1 : 0), gpa);
    }
    spin_unlock(&vm->lock);
    return allowed;
}
