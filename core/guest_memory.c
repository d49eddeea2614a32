/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM's memory as the hypervisor sees it: its RAM, its EPT and the pool that the EPT's tables come
 * from, filled at boot so that nothing is allocated while the VM runs. */
#include "core/guest_memory.h"

#include "arch/x86/vmx_insn.h"
#include "core/scheduler.h"
#include "lib/bits.h"
#include "lib/log.h"
#include "lib/pages.h"
#include "lib/string.h"

#define RAM_ALIGNMENT MIB(2)
/* Enough for a VM of 3 GiB in 2 MiB pages with its windows, and their moves. */
#define TABLE_POOL 32u

static void *alloc_table(void *context)
{
    struct vm *vm = context;

    if (vm->table_pool_count == 0) {
        return NULL;
    }
    void **page = vm->table_pool;
    vm->table_pool = *page;
    vm->table_pool_count--;
    memset(page, 0, PAGE_SIZE);
    return page;
}

static void free_table(void *context, void *page)
{
    struct vm *vm = context;

    *(void **)page = vm->table_pool;
    vm->table_pool = page;
    vm->table_pool_count++;
}

static uint64_t to_physical(void *context, void *page)
{
    (void)context;
    return (uint64_t)page;
}

static void *to_virtual(void *context, uint64_t address)
{
    (void)context;
    return (void *)address;
}

static void translations_changed(void *context)
{
    struct vm *vm = context;

    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        vcpu_request(&vm->vcpus[i], VCPU_WORK_FLUSH);
    }
}

static const struct ept_ops ept_operations = {
    .alloc_page = alloc_table,
    .free_page = free_table,
    .to_physical = to_physical,
    .to_virtual = to_virtual,
    .changed = translations_changed,
};

status_t guest_memory_create(struct vm *vm, const struct vmx_caps *caps)
{
    for (unsigned i = 0; i < TABLE_POOL; i++) {
        void *page = page_alloc();
        if (page == NULL) {
            return STATUS_NO_MEMORY;
        }
        free_table(vm, page);
    }
    /* 1 GiB pages where RAM can be aligned to them. */
    vm->ram =
        pages_alloc(vm->ram_size / PAGE_SIZE,
                    vm->ram_size >= GIB(1) && caps->ept_1g ? GIB(1) : RAM_ALIGNMENT, PAGES_GUEST);
    if (vm->ram == NULL) {
        vm->ram = pages_alloc(vm->ram_size / PAGE_SIZE, RAM_ALIGNMENT, PAGES_GUEST);
    }
    if (vm->ram == NULL) {
        log_error("%s: no %llu MiB of contiguous memory are free", vm->config->name,
                  (unsigned long long)(vm->ram_size >> 20));
        return STATUS_NO_MEMORY;
    }
    status_t status =
        ept_init(&vm->ept, &ept_operations, vm, caps->ept_1g, caps->ept_accessed_dirty);
    if (status == STATUS_OK) {
        status = ept_map(&vm->ept, 0, (uint64_t)vm->ram, vm->ram_size,
                         EPT_READ | EPT_WRITE | EPT_EXECUTE, EPT_WRITE_BACK);
    }
    return status;
}

void *vm_memory(const struct vm *vm, uint64_t gpa, uint64_t size)
{
    return range_within(gpa, size, 0, vm->ram_size) ? vm->ram + gpa : NULL;
}
