/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/link.h"

#include "abi/pci.h"
#include "arch/x86/cpu.h"
#include "core/interrupts.h"
#include "core/window.h"
#include "lib/bits.h"
#include "lib/log.h"
#include "lib/pages.h"
#include "machine/guest_map.h"

#define CLASS_ETHERNET 0x020000u
#define LARGE_PAGE     MIB(2)
#define DOORBELL_BURST 256u /* at once; over time the link's own limit holds */

_Static_assert(CONFIG_QUEUES_MAX == POSTERN_QUEUES_MAX, "the configuration's queues");
_Static_assert(POSTERN_VECTOR_LINK(POSTERN_QUEUES_MAX) < PCI_MSIX_VECTORS, "a vector for each");

static struct link *links;
static uint32_t links_count;

uint32_t link_count(void)
{
    return links_count;
}

const struct link *link_get(uint32_t index)
{
    return &links[index];
}

static bool runs(const struct vm *vm)
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
    return found && bar == POSTERN_BAR_WINDOW ? function->context : NULL;
}

/* Sends an interrupt of `port` on its way. */
static void deliver(struct port *port, unsigned vector, const struct msi_message *message)
{
    if (vector < POSTERN_VECTOR_LINK(port->link->config->queues)) {
        port_count(port, POSTERN_PORT_INTERRUPTS);
    }
    interrupts_from_msi(port->vm, message);
}

/* Fires vector `vector` of `port`. The caller holds no VM's lock. */
static void interrupt(struct port *port, unsigned vector)
{
    struct msi_message message;

    spin_lock(&port->vm->lock);
    bool fired = pci_msix_fire(&port->function, vector, &message);
    spin_unlock(&port->vm->lock);
    if (fired) {
        deliver(port, vector, &message);
    }
}

status_t port_doorbell(struct port *port, uint32_t queue)
{
    struct port *peer = port_peer(port);

    if (!runs(peer->vm)) {
        return STATUS_NOT_FOUND;
    }
    if (!token_bucket_take(&port->doorbells, rdtsc())) {
        atomic_fetch_add_explicit(&port->doorbells_held, 1, memory_order_relaxed);
        return STATUS_BUSY;
    }
    port_count(port, POSTERN_PORT_DOORBELLS);
    interrupt(peer, POSTERN_VECTOR_QUEUE(queue));
    return STATUS_OK;
}

void link_grant_all(struct vm *vm)
{
    for (uint32_t i = 0; i < vm->port_count; i++) {
        (void)!window_grant(vm->ports[i], true); /* to grant is never too early */
    }
}

void link_state_changed(struct vm *vm)
{
    for (uint32_t i = 0; i < vm->port_count; i++) {
        struct port *peer = port_peer(vm->ports[i]);
        if (runs(peer->vm)) {
            interrupt(peer, POSTERN_VECTOR_LINK(peer->link->config->queues));
        }
    }
}

static void bar_moved(struct pci_function *function, unsigned bar, uint64_t old, uint64_t now)
{
    (void)old;
    if (bar == POSTERN_BAR_WINDOW) {
        window_move(function->context, now);
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
    const struct link *link = port->link;

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
        return link->config->mode == CONFIG_LINK_GATED ? POSTERN_MODE_GATED : POSTERN_MODE_OPEN;
    case POSTERN_REG_SECTION_SIZE:
        return (uint32_t)link->config->window;
    case POSTERN_REG_MAC_LOW:
        /* A local address: 02, "PO", 00, the link's number, the end. */
        return 0x004f5002u;
    case POSTERN_REG_MAC_HIGH:
        return (uint32_t)(link - links) | (port->end + 1) << 8;
    case POSTERN_REG_LINK:
        return runs(port_peer(port)->vm) ? POSTERN_LINK_PEER_RUNS : 0;
    case POSTERN_REG_QUEUES:
        return link->config->queues;
    default:
        return 0;
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
    return offset == POSTERN_REG_DOORBELL && value < port->link->config->queues ? port : NULL;
}

static status_t create_port(struct link *link, uint32_t end, struct vm *vm)
{
    static const struct pci_function_ops ops = {bar_moved, unmasked};
    struct port *port = &link->ports[end];
    uint64_t window = 2 * link->config->window;
    /* Ports of one VM lie side by side, each aligned to the largest window. */
    uint64_t high = GUEST_PCI_HIGH_BASE + vm->port_count * 2ull * CONFIG_WINDOW_MAX;
    uint64_t low = GUEST_PCI_BASE + vm->port_count * (uint64_t)POSTERN_BAR_REGISTERS_SIZE;

    port->link = link;
    port->end = end;
    port->vm = vm;
    port->number = vm->port_count;
    atomic_store(&port->granted, true);
    token_bucket_init(&port->doorbells, vm->cpuid.tsc_hz, link->config->doorbells, DOORBELL_BURST,
                      rdtsc());
    pci_function_init(&port->function, &ops, port, POSTERN_PCI_VENDOR, POSTERN_PCI_NIC,
                      CLASS_ETHERNET);
    pci_add_bar(&port->function, POSTERN_BAR_REGISTERS, POSTERN_BAR_REGISTERS_SIZE, low, false,
                false);
    pci_add_bar(&port->function, POSTERN_BAR_WINDOW, window, high, true, true);
    pci_add_msix(&port->function, POSTERN_VECTOR_LINK(link->config->queues) + 1,
                 POSTERN_BAR_REGISTERS, POSTERN_MSIX_TABLE, POSTERN_MSIX_PENDING);
    vm->ports[vm->port_count++] = port;
    return pci_attach(&vm->pci, &port->function);
}

static status_t create(struct link *link, const struct config_link *config)
{
    uint64_t alignment = config->window < LARGE_PAGE ? config->window : LARGE_PAGE;
    status_t status = STATUS_OK;

    link->config = config;
    for (uint32_t end = 0; end < 2; end++) {
        link->sections[end] = pages_alloc(config->window / PAGE_SIZE, alignment, PAGES_WINDOW);
        if (link->sections[end] == NULL) {
            log_error("link %s: no %llu KiB of contiguous memory are free", config->name,
                      (unsigned long long)(config->window >> 10));
            return STATUS_NO_MEMORY;
        }
    }
    for (uint32_t end = 0; end < 2 && status == STATUS_OK; end++) {
        status = create_port(link, end, vm_get(config->ends[end]));
    }
    return status;
}

status_t link_create_all(const struct config *config)
{
    uint64_t bytes = sizeof(struct link) * config->link_count;

    if (config->link_count == 0) {
        return STATUS_OK;
    }
    links = pages_alloc((bytes + PAGE_SIZE - 1) / PAGE_SIZE, PAGE_SIZE, PAGES_HYPERVISOR);
    if (links == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < config->link_count; i++) {
        status_t status = create(&links[i], &config->links[i]);
        if (status != STATUS_OK) {
            return status;
        }
        links_count++;
    }
    return STATUS_OK;
}
