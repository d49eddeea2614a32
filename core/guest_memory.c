/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM's memory as the hypervisor sees it: its RAM, its EPT and the pool that the EPT's tables come
 * from, filled when the VM is created so that nothing is allocated while it runs. */
#include "core/guest_memory.h"

#include "arch/x86/cpu.h"
#include "core/link.h"
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
/* A pool is made of small pages. Besides theirs, it takes a table above in its view, and two in the
 * default view, where accesses to it may be #VE. A kernel may move its BAR, once. */
#define TABLES_PER_POOL 3u
#define POOL_PLACES     2u

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

static bool is_leaving(const struct vm *vm, const void *page)
{
    return range_within((uint64_t)page, PAGE_SIZE, (uint64_t)vm->leaving, vm->leaving_size);
}

static void free_table(void *context, void *page)
{
    struct vm *vm = context;

    if (UNLIKELY(vm->leaving != NULL) && is_leaving(vm, page)) {
        return;
    }
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

    vm->default_view = ept_pointer(&vm->ept);
    vm->views = (struct views){
        .own = &vm->ept,
        .views = page_runs_alloc_bytes(&vm->memory, VIEWS_MAX * sizeof(struct ept)),
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

static uint32_t tables_of_pool(const struct config_link *link)
{
    if (link->pool == 0) {
        return 0;
    }
    uint32_t small = (uint32_t)(align_up(link->pool, MIB(2)) / MIB(2));
    return POOL_PLACES * (small + TABLES_PER_POOL);
}

static uint32_t count_tables(const struct config *config, const struct vm *vm)
{
    /* A network's port shows pieces of several sections, and the database. */
    uint32_t count = TABLE_POOL + TABLES_PER_PORT * 2 * config->network_count;

    for (uint32_t i = 0; i < CONFIG_MAX_LINKS; i++) {
        const struct link *link = link_at(i);
        if (link != NULL) {
            bool is_end = link->ports[0].vm == vm || link->ports[1].vm == vm;
            count += TABLES_PER_PORT + (is_end ? tables_of_pool(&link->config) : 0);
        }
    }
    return count;
}

status_t guest_memory_add_port(struct port *port)
{
    struct vm *vm = port->vm;

    if (vm->ram_size == 0) {
        return STATUS_OK;
    }
    status_t status =
        guest_memory_add_tables(vm, TABLES_PER_PORT + tables_of_pool(&port->link->config));
    if (status == STATUS_OK) {
        port->tables = vm->memory.runs[vm->memory.count - 1].pages;
    }
    return status;
}

static uint64_t size_of_run(const struct page_runs *runs, const void *first)
{
    for (uint32_t i = 0; i < runs->count; i++) {
        if (runs->runs[i].pages == first) {
            return runs->runs[i].count * PAGE_SIZE;
        }
    }
    return 0;
}

/* How many of the pages that leave are in no hierarchy. */
static uint32_t count_leaving(const struct vm *vm)
{
    uint32_t count = 0;

    for (void **page = vm->table_pool; page != NULL; page = *page) {
        count += is_leaving(vm, page) ? 1 : 0;
    }
    return count;
}

/* Has the pool no longer give these out. */
static void unlink_leaving(struct vm *vm)
{
    for (void **from = &vm->table_pool; *from != NULL;) {
        if (is_leaving(vm, *from)) {
            *from = *(void **)*from;
            vm->table_pool_count--;
        } else {
            from = *from;
        }
    }
}

void guest_memory_remove_port(struct port *port)
{
    struct vm *vm = port->vm;
    void *tables = port->tables;

    port->tables = NULL;
    if (tables == NULL) {
        return;
    }
    ept_reclaim(&vm->ept);
    vm->leaving = tables;
    vm->leaving_size = size_of_run(&vm->memory, tables);
    uint32_t unused = count_leaving(vm);
    uint32_t used = (uint32_t)(vm->leaving_size / PAGE_SIZE) - unused;
    /* Others take their places. Else they stay, until the VM is destroyed. */
    if (vm->table_pool_count - unused >= used) {
        unlink_leaving(vm);
        if (ept_move_tables(&vm->ept, tables, vm->leaving_size) == STATUS_OK &&
            ept_move_tables(&vm->views.base, tables, vm->leaving_size) == STATUS_OK) {
            page_runs_free_one(&vm->memory, tables);
        }
    }
    vm->leaving = NULL;
}

status_t guest_memory_add_tables(struct vm *vm, uint64_t count)
{
    uint8_t *tables = page_runs_alloc(&vm->memory, count, PAGE_SIZE, PAGES_HYPERVISOR);

    if (tables == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint64_t i = 0; i < count; i++) {
        free_table(vm, tables + i * PAGE_SIZE);
    }
    return STATUS_OK;
}

/* Contiguous, so that large pages map it: of 1 GiB where it can be aligned to them. */
static status_t allocate_ram(struct vm *vm, const struct vmx_caps *caps)
{
    uint64_t count = vm->ram_size / PAGE_SIZE;

    if (vm->ram_size >= GIB(1) && caps->ept_1g) {
        vm->ram = page_runs_alloc(&vm->memory, count, GIB(1), PAGES_GUEST);
    }
    if (vm->ram == NULL) {
        vm->ram = page_runs_alloc(&vm->memory, count, RAM_ALIGNMENT, PAGES_GUEST);
    }
    if (vm->ram == NULL) {
        log_error("%s: no %llu MiB of contiguous memory are free", vm->config->name,
                  (unsigned long long)(vm->ram_size >> 20));
        return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

status_t guest_memory_create(struct vm *vm, const struct vmx_caps *caps,
                             const struct config *config)
{
    status_t status = guest_memory_add_tables(vm, count_tables(config, vm));

    if (status == STATUS_OK) {
        status = allocate_ram(vm, caps);
    }
    if (status == STATUS_OK) {
        status = ept_init(&vm->ept, &ept_operations, vm, caps->ept_1g, caps->ept_accessed_dirty);
    }
    if (status == STATUS_OK) {
        status = ept_map(&vm->ept, 0, (uint64_t)vm->ram, vm->ram_size,
                         EPT_READ | EPT_WRITE | EPT_EXECUTE, EPT_WRITE_BACK);
    }
    return status == STATUS_OK ? create_views(vm, caps) : status;
}

void guest_memory_forget(struct vm *vm)
{
    vm->ram = NULL;
    vm->ram_size = 0;
    vm->table_pool = NULL;
    vm->table_pool_count = 0;
    vm->default_view = 0;
    memset(&vm->ept, 0, sizeof(vm->ept));
    memset(&vm->views, 0, sizeof(vm->views));
    memset(&vm->dirty, 0, sizeof(vm->dirty));
    for (uint32_t i = 0; i < vm->port_count; i++) {
        vm->ports[i]->tables = NULL;
    }
    vm->destructions++;
}

/* Whether `vcpu` may run with an old translation. One that has taken the request is out of the
 * guest and invalidates before it goes back; one that is not running does so on its way in, for
 * vcpu_run() looks at its requests. */
static bool may_be_stale(const struct vcpu *vcpu)
{
    enum vcpu_state state = atomic_load(&vcpu->state);

    return state != VCPU_PARKED && state != VCPU_WAITING &&
           (atomic_load(&vcpu->work) & VCPU_WORK_FLUSH) != 0 &&
           /* Partner: vcpu_run()'s change of `work`, a full barrier after this was set. */
           atomic_load(&vcpu->scheduler->running) == vcpu;
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

void vm_wait_flushed(const struct vm *vm)
{
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        const struct vcpu *vcpu = &vm->vcpus[i];
        uint32_t before = atomic_load(&vcpu->flushes);
        /* Once is enough: its guest may ask for the next one without end. */
        while (may_be_stale(vcpu) && atomic_load(&vcpu->flushes) == before) {
            cpu_pause();
        }
    }
}

void *vm_memory(const struct vm *vm, uint64_t gpa, uint64_t size)
{
    return range_within(gpa, size, 0, vm->ram_size) ? vm->ram + gpa : NULL;
}
