/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/port.h"

#include "abi/access.h"
#include "abi/fdb.h"
#include "abi/ring.h"
#include "arch/x86/cpu.h"
#include "core/guest_memory.h"
#include "core/interrupts.h"
#include "core/window.h"
#include "lib/bits.h"
#include "lib/log.h"
#include "lib/pages.h"
#include "machine/guest_map.h"

#define CLASS_ETHERNET         0x020000u
#define LARGE_PAGE             MIB(2)
#define DOORBELL_BURST         256u /* at once; over time the port's own limit holds */

#define REVOCATIONS_PER_SECOND 1000u

/* Ports of one VM lie side by side, each aligned to the largest window; above them the databases,
 * and then the pools. */
#define WINDOWS_BASE GUEST_PCI_HIGH_BASE
#define FDBS_BASE    (WINDOWS_BASE + CONFIG_MAX_PORTS * 2 * CONFIG_WINDOW_MAX)
#define POOLS_BASE   (FDBS_BASE + GIB(1))

_Static_assert(GIB(1) / POSTERN_FDB_SIZE >= CONFIG_MAX_PORTS, "the databases' place");
_Static_assert(POOLS_BASE + CONFIG_MAX_PORTS * CONFIG_POOL_MAX <= GUEST_PCI_HIGH_END, "the pools'");
_Static_assert(POSTERN_BAR_POOL == POSTERN_BAR_FDB, "a port has one of them at most");
_Static_assert(CONFIG_QUEUES_MAX == POSTERN_QUEUES_MAX, "the configuration's queues");
_Static_assert(POSTERN_VECTOR_LINK(POSTERN_QUEUES_MAX) < PCI_MSIX_VECTORS, "a vector for each");

struct port *port_of_view(const struct vm *vm, uint32_t view)
{
    for (uint32_t i = 0; view != 0 && i < vm->port_count; i++) {
        if (vm->ports[i]->view == view) {
            return vm->ports[i];
        }
    }
    return NULL;
}

struct port *port_of_view_pointer(const struct vm *vm, uint64_t pointer)
{
    for (uint32_t i = 0; i < vm->port_count; i++) {
        if (vm->ports[i]->view_pointer == pointer) {
            return vm->ports[i];
        }
    }
    return NULL;
}

/* Sends an interrupt of `port` on its way. */
static void deliver(struct port *port, unsigned vector, const struct msi_message *message)
{
    if (vector < POSTERN_VECTOR_LINK(port->queues)) {
        port_count(port, POSTERN_PORT_INTERRUPTS);
    }
    interrupts_from_msi(port->vm, message);
}

void port_interrupt(struct port *port, unsigned vector)
{
    struct msi_message message;

    spin_lock(&port->vm->lock);
    bool fired = pci_msix_fire(&port->function, vector, &message);
    spin_unlock(&port->vm->lock);
    if (fired) {
        deliver(port, vector, &message);
    }
}

void port_limit_doorbells(struct port *port)
{
    token_bucket_init(&port->doorbells, port->vm->cpuid.tsc_hz, port->doorbell_rate, DOORBELL_BURST,
                      1, rdtsc());
}

bool port_may_ring(struct port *port)
{
    if (!token_bucket_take(&port->doorbells, 1, rdtsc())) {
        atomic_fetch_add_explicit(&port->doorbells_held, 1, memory_order_relaxed);
        return false;
    }
    port_count(port, POSTERN_PORT_DOORBELLS);
    return true;
}

bool port_may_revoke(struct port *port)
{
    uint64_t now = rdtsc();

    if (now < atomic_load(&port->revocable)) {
        return false;
    }
    atomic_store(&port->revocable, now + port->vm->cpuid.tsc_hz / REVOCATIONS_PER_SECOND);
    return true;
}

void port_close_rings(const struct port *port)
{
    uint64_t slice = port->section / port->queues;

    for (uint32_t queue = 0; queue < port->queues; queue++) {
        struct postern_ring_header *header = (void *)(port->own + queue * slice);
        POSTERN_STORE_RELEASE(&header->generation, 0);
    }
}

void port_reset_all(struct vm *vm)
{
    for (uint32_t i = 0; i < vm->port_count; i++) {
        vm->ports[i]->restored = false;
    }
}

void port_restore_all(struct vm *vm)
{
    for (uint32_t i = 0; i < vm->port_count; i++) {
        port_close_rings(vm->ports[i]);
        vm->ports[i]->restored = true;
    }
}

void port_tell_restored(struct vm *vm)
{
    for (uint32_t i = 0; i < vm->port_count; i++) {
        port_interrupt(vm->ports[i], POSTERN_VECTOR_LINK(vm->ports[i]->queues));
    }
}

void port_state_changed(struct vm *vm)
{
    for (uint32_t i = 0; i < vm->port_count; i++) {
        vm->ports[i]->ops->state_changed(vm->ports[i]);
    }
}

static void bar_moved(struct pci_function *function, unsigned bar, uint64_t old, uint64_t now)
{
    struct port *port = function->context;

    (void)old;
    if (bar == POSTERN_BAR_WINDOW) {
        window_move(port, now);
    } else if (bar == POSTERN_BAR_FDB && port->fdb != NULL) {
        window_move_fdb(port, now);
    } else if (bar == POSTERN_BAR_POOL) {
        window_move_pool(port, now);
    }
}

static void unmasked(struct pci_function *function, unsigned vector,
                     const struct msi_message *message)
{
    deliver(function->context, vector, message);
}

/* Registers. */

_Static_assert(POSTERN_MODE_OPEN == CONFIG_LINK_OPEN && POSTERN_MODE_GATED == CONFIG_LINK_GATED &&
                   POSTERN_MODE_DIRECT == CONFIG_LINK_DIRECT,
               "port_mode()");

uint32_t port_mode(const struct port *port)
{
    return port->pool.count != 0 ? POSTERN_MODE_DIRECT
           : port->gated         ? POSTERN_MODE_GATED
                                 : POSTERN_MODE_OPEN;
}

static uint32_t read_register(const struct port *port, uint64_t offset)
{
    switch (offset) {
    case POSTERN_REG_MAGIC:
        return POSTERN_NIC_MAGIC;
    case POSTERN_REG_ABI:
        return POSTERN_NIC_ABI;
    case POSTERN_REG_PORT:
        return port->number;
    case POSTERN_REG_END:
        return port->end;
    case POSTERN_REG_MODE:
        return port_mode(port);
    case POSTERN_REG_SECTION_SIZE:
        return (uint32_t)port->section;
    case POSTERN_REG_MAC_LOW:
        return (uint32_t)port->mac;
    case POSTERN_REG_MAC_HIGH:
        return (uint32_t)(port->mac >> 32);
    case POSTERN_REG_LINK:
        return port->ops->read_register(port, offset) |
               (port->restored ? POSTERN_LINK_RESTORED : 0);
    case POSTERN_REG_QUEUES:
        return port->queues;
    case POSTERN_REG_POOL_SIZE:
        return port->pool.count * (uint32_t)PAGE_SIZE;
    default:
        return port->ops->read_register(port, offset);
    }
}

static uint64_t read_bar0(struct pci_function *function, uint64_t offset, unsigned size)
{
    if (offset >= POSTERN_MSIX_PENDING) {
        return offset == POSTERN_MSIX_PENDING ? pci_msix_pending(function) : 0;
    }
    if (offset >= POSTERN_MSIX_TABLE) {
        return pci_msix_read(function, (uint32_t)(offset - POSTERN_MSIX_TABLE), size);
    }
    return size == 4 ? read_register(function->context, offset) : ~0ull;
}

static uint64_t read_bar(struct pci_function *function, unsigned bar, uint64_t offset,
                         unsigned size)
{
    struct port *port = function->context;

    if (bar != POSTERN_BAR_REGISTERS) {
        return ~0ull;
    }
    spin_lock(&port->vm->lock);
    uint64_t value = read_bar0(function, offset, size);
    spin_unlock(&port->vm->lock);
    return value;
}

static bool write_bar(struct pci_function *function, unsigned bar, uint64_t offset, unsigned size,
                      uint64_t value)
{
    struct port *port = function->context;

    if (bar != POSTERN_BAR_REGISTERS) {
        return true;
    }
    spin_lock(&port->vm->lock);
    if (offset >= POSTERN_MSIX_TABLE && offset < POSTERN_MSIX_PENDING) {
        pci_msix_write(function, (uint32_t)(offset - POSTERN_MSIX_TABLE), size, value);
    } else if (offset == POSTERN_REG_MODE && port->ops->take_mode != NULL) {
        port->ops->take_mode(port);
    } else if (offset == POSTERN_REG_LINK) {
        port->restored = false;
    }
    spin_unlock(&port->vm->lock);
    return offset != POSTERN_REG_DOORBELL || value >= port->queues ||
           port_doorbell(port, (uint32_t)value) != STATUS_BUSY;
}

static const struct pci_function_ops function_ops = {
    .bar_moved = bar_moved,
    .interrupt = unmasked,
    .read = read_bar,
    .write = write_bar,
};

/* Whether a function is a port's, and the BAR one that is memory. */
static bool is_window(const struct pci_function *function, unsigned bar)
{
    return function->ops == &function_ops && bar != POSTERN_BAR_REGISTERS;
}

struct port *port_of_window(struct vm *vm, uint64_t gpa)
{
    struct pci_function *function = NULL;
    unsigned bar = 0;
    uint64_t offset = 0;

    spin_lock(&vm->lock);
    bool found = pci_find_bar(&vm->pci, gpa, &function, &bar, &offset);
    spin_unlock(&vm->lock);
    return found && is_window(function, bar) ? function->context : NULL;
}

uint8_t *port_alloc_section(const char *kind, const char *name, uint64_t size)
{
    uint64_t alignment = size < LARGE_PAGE ? size : LARGE_PAGE;
    uint8_t *section = pages_alloc(size / PAGE_SIZE, alignment, PAGES_WINDOW);

    if (section == NULL) {
        log_error("%s %s: no %llu KiB of contiguous memory are free", kind, name,
                  (unsigned long long)(size >> 10));
    }
    return section;
}

/* Where a BAR is after a reset. */
static uint64_t place(const struct port *port, unsigned bar)
{
    switch (bar) {
    case POSTERN_BAR_REGISTERS:
        return GUEST_PCI_BASE + port->number * (uint64_t)POSTERN_BAR_REGISTERS_SIZE;
    case POSTERN_BAR_WINDOW:
        return WINDOWS_BASE + port->number * 2 * CONFIG_WINDOW_MAX;
    default:
        return port->fdb != NULL ? FDBS_BASE + port->number * (uint64_t)POSTERN_FDB_SIZE
                                 : POOLS_BASE + port->number * CONFIG_POOL_MAX;
    }
}

static void make_function(struct port *port)
{
    struct pci_function *function = &port->function;
    uint64_t bar4 = port->fdb != NULL ? POSTERN_FDB_SIZE : port->pool.count * PAGE_SIZE;

    pci_function_init(function, &function_ops, port, POSTERN_PCI_VENDOR,
                      port->network != NULL ? POSTERN_PCI_MEMBER : POSTERN_PCI_NIC, CLASS_ETHERNET);
    pci_add_bar(function, POSTERN_BAR_REGISTERS, POSTERN_BAR_REGISTERS_SIZE,
                place(port, POSTERN_BAR_REGISTERS), false, false);
    pci_add_bar(function, POSTERN_BAR_WINDOW, 2 * port->section, place(port, POSTERN_BAR_WINDOW),
                true, true);
    if (bar4 != 0) {
        pci_add_bar(function, POSTERN_BAR_POOL, bar4, place(port, POSTERN_BAR_POOL), true, true);
    }
    pci_add_msix(function, POSTERN_VECTOR_LINK(port->queues) + 1, POSTERN_BAR_REGISTERS,
                 POSTERN_MSIX_TABLE, POSTERN_MSIX_PENDING);
}

bool port_has_room(const struct vm *vm)
{
    return vm->port_count < CONFIG_MAX_PORTS && pci_has_room(&vm->pci);
}

static status_t attach(struct port *port)
{
    struct vm *vm = port->vm;

    if (!port_has_room(vm)) {
        return STATUS_NO_MEMORY;
    }
    port->number = vm->port_count;
    make_function(port);
    status_t status = guest_memory_add_port(port);
    if (status != STATUS_OK) {
        return status;
    }
    status = pci_attach(&vm->pci, &port->function);
    if (status == STATUS_OK) {
        vm->ports[vm->port_count++] = port;
    } else {
        guest_memory_remove_port(port);
    }
    return status;
}

status_t port_create(struct port *port)
{
    atomic_store(&port->granted, true);
    port_limit_doorbells(port);
    spin_lock(&port->vm->lock);
    status_t status = attach(port);
    spin_unlock(&port->vm->lock);
    return status;
}

static void renumber(struct port *port, uint32_t number)
{
    static const unsigned bars[] = {POSTERN_BAR_REGISTERS, POSTERN_BAR_WINDOW, POSTERN_BAR_POOL};

    port->number = number;
    for (unsigned i = 0; i < ARRAY_SIZE(bars); i++) {
        pci_set_initial(&port->function, bars[i], place(port, bars[i]));
    }
}

void port_remove(struct port *port)
{
    struct vm *vm = port->vm;

    spin_lock(&vm->lock);
    pci_detach(&vm->pci, &port->function);
    window_remove_views(vm);
    guest_memory_remove_port(port);
    vm->port_count--;
    for (uint32_t i = port->number; i < vm->port_count; i++) {
        vm->ports[i] = vm->ports[i + 1];
        renumber(vm->ports[i], i);
    }
    spin_unlock(&vm->lock);
}
