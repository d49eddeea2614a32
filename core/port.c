/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/port.h"

#include "abi/fdb.h"
#include "arch/x86/cpu.h"
#include "core/interrupts.h"
#include "core/window.h"
#include "lib/bits.h"
#include "lib/log.h"
#include "lib/pages.h"
#include "machine/guest_map.h"

#define CLASS_ETHERNET 0x020000u
#define LARGE_PAGE     MIB(2)
#define DOORBELL_BURST 256u /* at once; over time the port's own limit holds */

/* Ports of one VM lie side by side, each aligned to the largest window; above them the databases.
 */
#define WINDOWS_BASE GUEST_PCI_HIGH_BASE
#define FDBS_BASE    (WINDOWS_BASE + CONFIG_MAX_PORTS * 2 * CONFIG_WINDOW_MAX)

_Static_assert(CONFIG_QUEUES_MAX == POSTERN_QUEUES_MAX, "the configuration's queues");
_Static_assert(POSTERN_VECTOR_LINK(POSTERN_QUEUES_MAX) < PCI_MSIX_VECTORS, "a vector for each");

bool port_vm_runs(const struct vm *vm)
{
    return atomic_load_explicit(&vm->state, memory_order_relaxed) == VM_RUNNING;
}

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

struct port *port_of_window(struct vm *vm, uint64_t gpa)
{
    struct pci_function *function = NULL;
    unsigned bar = 0;
    uint64_t offset = 0;

    spin_lock(&vm->lock);
    bool found = pci_find_bar(&vm->pci, gpa, &function, &bar, &offset);
    spin_unlock(&vm->lock);
    return found && bar != POSTERN_BAR_REGISTERS ? function->context : NULL;
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

bool port_may_ring(struct port *port)
{
    if (!token_bucket_take(&port->doorbells, rdtsc())) {
        atomic_fetch_add_explicit(&port->doorbells_held, 1, memory_order_relaxed);
        return false;
    }
    port_count(port, POSTERN_PORT_DOORBELLS);
    return true;
}

void port_state_changed(struct vm *vm)
{
    for (uint32_t i = 0; i < vm->port_count; i++) {
        vm->ports[i]->ops->state_changed(vm->ports[i]);
    }
}

static void bar_moved(struct pci_function *function, unsigned bar, uint64_t old, uint64_t now)
{
    (void)old;
    if (bar == POSTERN_BAR_WINDOW) {
        window_move(function->context, now);
    } else if (bar == POSTERN_BAR_FDB) {
        window_move_fdb(function->context, now);
    }
}

static void unmasked(struct pci_function *function, unsigned vector,
                     const struct msi_message *message)
{
    deliver(function->context, vector, message);
}

/* Registers. */

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
        return port->gated ? POSTERN_MODE_GATED : POSTERN_MODE_OPEN;
    case POSTERN_REG_SECTION_SIZE:
        return (uint32_t)port->section;
    case POSTERN_REG_MAC_LOW:
        return (uint32_t)port->mac;
    case POSTERN_REG_MAC_HIGH:
        return (uint32_t)(port->mac >> 32);
    case POSTERN_REG_QUEUES:
        return port->queues;
    default:
        return port->ops->read_register(port, offset);
    }
}

uint64_t port_mmio_read(struct pci_function *function, unsigned bar, uint64_t offset, unsigned size)
{
    if (bar != POSTERN_BAR_REGISTERS) {
        return ~0ull;
    }
    if (offset >= POSTERN_MSIX_PENDING) {
        return offset == POSTERN_MSIX_PENDING ? pci_msix_pending(function) : 0;
    }
    if (offset >= POSTERN_MSIX_TABLE) {
        return pci_msix_read(function, (uint32_t)(offset - POSTERN_MSIX_TABLE), size);
    }
    return size == 4 ? read_register(function->context, offset) : ~0ull;
}

struct port *port_mmio_write(struct pci_function *function, unsigned bar, uint64_t offset,
                             unsigned size, uint64_t value)
{
    struct port *port = function->context;

    if (bar != POSTERN_BAR_REGISTERS) {
        return NULL;
    }
    if (offset >= POSTERN_MSIX_TABLE && offset < POSTERN_MSIX_PENDING) {
        pci_msix_write(function, (uint32_t)(offset - POSTERN_MSIX_TABLE), size, value);
    }
    return offset == POSTERN_REG_DOORBELL && value < port->queues ? port : NULL;
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

status_t port_create(struct port *port)
{
    static const struct pci_function_ops ops = {bar_moved, unmasked};
    struct pci_function *function = &port->function;
    struct vm *vm = port->vm;

    port->number = vm->port_count;
    atomic_store(&port->granted, true);
    token_bucket_init(&port->doorbells, vm->cpuid.tsc_hz, port->doorbell_rate, DOORBELL_BURST,
                      rdtsc());
    pci_function_init(function, &ops, port, POSTERN_PCI_VENDOR,
                      port->network != NULL ? POSTERN_PCI_MEMBER : POSTERN_PCI_NIC, CLASS_ETHERNET);
    pci_add_bar(function, POSTERN_BAR_REGISTERS, POSTERN_BAR_REGISTERS_SIZE,
                GUEST_PCI_BASE + port->number * (uint64_t)POSTERN_BAR_REGISTERS_SIZE, false, false);
    pci_add_bar(function, POSTERN_BAR_WINDOW, 2 * port->section,
                WINDOWS_BASE + port->number * 2 * CONFIG_WINDOW_MAX, true, true);
    if (port->fdb != NULL) {
        pci_add_bar(function, POSTERN_BAR_FDB, POSTERN_FDB_SIZE,
                    FDBS_BASE + port->number * (uint64_t)POSTERN_FDB_SIZE, true, true);
    }
    pci_add_msix(function, POSTERN_VECTOR_LINK(port->queues) + 1, POSTERN_BAR_REGISTERS,
                 POSTERN_MSIX_TABLE, POSTERN_MSIX_PENDING);
    vm->ports[vm->port_count++] = port;
    return pci_attach(&vm->pci, function);
}
