/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM's memory as the hypervisor sees it: its RAM, its EPT and the pool that the EPT's tables come
 * from, filled at boot so that nothing is allocated while the VM runs. */
#include "core/guest_memory.h"

#include "core/scheduler.h"
#include "lib/bits.h"
#include "lib/log.h"
#include "lib/pages.h"
#include "lib/string.h"
#include "machine/guest_map.h"
#include "vmfunc/gate.h"

#define RAM_ALIGNMENT MIB(2)
/* Enough for a VM of 3 GiB in 2 MiB pages with its windows, their moves and the gate in some places
 * of its RAM; and what each protected view takes. */
#define TABLE_POOL      56u
#define TABLES_PER_PORT 8u

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

/* One copy for all VMs, apart from the hypervisor's own pages. */
static uint8_t *gate_pages(const struct gate_image *image)
{
    static uint8_t *pages;

    if (pages == NULL) {
        pages = pages_alloc(image->pages, PAGE_SIZE, PAGES_HYPERVISOR);
        if (pages != NULL) {
            memcpy(pages, image->bytes, image->pages * PAGE_SIZE);
        }
    }
    return pages;
}

static status_t create_views(struct vm *vm, const struct vmx_caps *caps)
{
    const struct gate_image *image = gate_image(!caps->eptp_switching);
    uint64_t bytes = VIEWS_MAX * sizeof(struct ept);

    vm->default_view = ept_pointer(&vm->ept);
    vm->views = (struct views){
        .own = &vm->ept,
        .views = pages_alloc((bytes + PAGE_SIZE - 1) / PAGE_SIZE, PAGE_SIZE, PAGES_HYPERVISOR),
        .ram = (uint64_t)vm->ram,
        .ram_size = vm->ram_size,
        .gate_gpa = GUEST_GATE_BASE,
        .gate = (uint64_t)gate_pages(image),
        .gate_pages = image->pages,
    };
    if (vm->views.views == NULL || vm->views.gate == 0) {
        return STATUS_NO_MEMORY;
    }
    return views_init(&vm->views);
}

status_t guest_memory_create(struct vm *vm, const struct vmx_caps *caps, uint32_t ports)
{
    for (unsigned i = 0; i < TABLE_POOL + TABLES_PER_PORT * ports; i++) {
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
    return status == STATUS_OK ? create_views(vm, caps) : status;
}

/* Whether `vcpu` may run with an old translation. One that has taken the request is out of the
 * guest and invalidates before it goes back; one that is not on its CPU does so on its way in, for
 * vcpu_run() looks at its requests. */
static bool may_be_stale(const struct vcpu *vcpu)
{
    enum vcpu_state state = atomic_load(&vcpu->state);

    return state != VCPU_PARKED && state != VCPU_WAITING &&
           (atomic_load(&vcpu->work) & VCPU_WORK_FLUSH) != 0 &&
           /* Partner: vcpu_run()'s change of `work`, a full barrier after this was set. */
           __atomic_load_n(&vcpu->scheduler->loaded, __ATOMIC_SEQ_CST) == vcpu;
}

bool vm_flushed(const struct vm *vm, const struct vcpu *self)
{
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        if (&vm->vcpus[i] != self && may_be_stale(&vm->vcpus[i])) {
            return false;
        }
    }
    return true;
}

void *vm_memory(const struct vm *vm, uint64_t gpa, uint64_t size)
{
    return range_within(gpa, size, 0, vm->ram_size) ? vm->ram + gpa : NULL;
}
