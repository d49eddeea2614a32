/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Links: point-to-point channels between two VMs. A link's window is two sections of shared memory;
 * each end may write its own section and only read its peer's, by EPT permission. Each end is a
 * port: a PCI function of its VM (abi/pci.h), whose BAR 2 shows the window.
 */
#ifndef POSTERN_CORE_LINK_H
#define POSTERN_CORE_LINK_H

#include "abi/hypercall.h"
#include "core/vm.h"
#include "lib/token_bucket.h"

struct link;

struct port {
    struct link *link;
    uint32_t end;    /* 0 or 1 */
    uint32_t number; /* in its VM: the doorbell's argument */
    struct vm *vm;
    struct pci_function function; /* under the VM's lock */
    uint64_t window_at;           /* guest-physical, where BAR 2 decodes; 0: nowhere */
    bool mapped;                  /* the window, in the view that has it */
    uint32_t view;                /* index of the protected view; 0: none yet */
    uint64_t view_pointer;        /* its EPT pointer; set before any vCPU can be in it */
    _Atomic(bool) granted;        /* whether the peer may see this end's section */
    _Atomic(uint64_t) revocable;  /* the TSC at which it may be revoked again */
    uint64_t unmappable;    /* how often the window could not be mapped where the guest put it */
    uint64_t inconvertible; /* ... and its violations not be made #VE */
    struct token_bucket doorbells;    /* how often this port may ring */
    _Atomic(uint64_t) doorbells_held; /* exits that found no token */
    _Atomic(uint64_t) counts[POSTERN_PORT_COUNTS];
};

struct link {
    const struct config_link *config;
    uint8_t *sections[2]; /* config->window bytes each; sections[e] is end e's own */
    struct port ports[2];
};

/* The other end of the link. */
static inline struct port *port_peer(const struct port *port)
{
    return &port->link->ports[1 - port->end];
}

/* Counts an exit, of abi/hypercall.h's POSTERN_PORT_ numbers; of no port if `port` is NULL. */
static inline void port_count(struct port *port, unsigned number)
{
    if (port != NULL) {
        atomic_fetch_add_explicit(&port->counts[number], 1, memory_order_relaxed);
    }
}

/* The port of `vm` whose view this is, by its index or by its EPT pointer; NULL for none. */
struct port *port_of_view(const struct vm *vm, uint32_t view);
struct port *port_of_view_pointer(const struct vm *vm, uint64_t pointer);

/* The port of `vm` whose window decodes `gpa`, mapped or not; NULL for none. Takes the VM's lock.
 */
struct port *port_of_window(struct vm *vm, uint64_t gpa);

/* Makes the links of `config` and puts their ports on the VMs' PCI buses. The VMs exist. */
status_t link_create_all(const struct config *config) MUST_CHECK;

uint32_t link_count(void);
const struct link *link_get(uint32_t index);

/* Interrupts the other end of `port` on the vector of queue `queue`, which it has. STATUS_NOT_FOUND
 * when its VM is not running; STATUS_BUSY, and nothing has happened, when the port has rung as
 * often as its link allows: the guest is to execute its instruction again. Takes the peer VM's
 * lock: the caller holds none. */
status_t port_doorbell(struct port *port, uint32_t queue);

/* Lets the peers of all ports of `vm` see its sections: what it revoked is forgotten when it starts
 * anew. The caller holds no lock. */
void link_grant_all(struct vm *vm);

/* Tells the peers of all ports of `vm` that its state has changed. The caller holds no lock. */
void link_state_changed(struct vm *vm);

/* A trapped access to a BAR of one of the VM's functions, under the VM's lock. A write that rings a
 * doorbell returns the port to ring once the lock is released, else NULL; `value` is the queue. */
uint64_t port_mmio_read(struct pci_function *function, unsigned bar, uint64_t offset,
                        unsigned size);
struct port *port_mmio_write(struct pci_function *function, unsigned bar, uint64_t offset,
                             unsigned size, uint64_t value);

#endif
