/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ports: a VM's end of a link or its place in a network, as a PCI function (abi/pci.h). BAR 2 shows
 * the port's window: the section that it owns and may write, and as much of others' memory that it
 * may only read, by EPT permission. BAR 4 of a network's port shows the forwarding database,
 * that of a link in mode direct the pages that the peer has given to its pool.
 */
#ifndef POSTERN_CORE_PORT_H
#define POSTERN_CORE_PORT_H

#include "abi/hypercall.h"
#include "abi/pci.h"
#include "core/vm.h"
#include "lib/token_bucket.h"
#include "vmfunc/page_pool.h"

struct link;
struct network;
struct port;

/* What links and networks do differently. */
struct port_ops {
    /* Passes the doorbell of `queue`, which the port has, on to who listens there. STATUS_NOT_FOUND
     * when nobody does; STATUS_BUSY when the port has rung as often as it may, or when there is
     * more to do: the guest is to execute its instruction again. The caller holds no lock. */
    status_t (*doorbell)(struct port *port, uint32_t queue);
    /* Tells the others that the port's VM has started or ended. The caller holds no lock. */
    void (*state_changed)(struct port *port);
    /* A register that is not the same for all; 0 where there is none. Under the VM's lock. */
    uint32_t (*read_register)(const struct port *port, uint64_t offset);
    /* The driver is ready for the mode that is wanted. NULL: modes do not change. Under the VM's
     * lock. */
    void (*take_mode)(struct port *port);
};

struct port {
    /* Set once, before port_create(). */
    const struct port_ops *ops;
    const char *name; /* of the link or the network */
    struct vm *vm;
    struct link *link;       /* or NULL */
    struct network *network; /* or NULL */
    uint32_t end;            /* which one of the link's or the network's ports it is */
    uint32_t queues;
    bool gated;       /* it has a protected view: modes gated and direct. Under the VM's lock */
    uint64_t section; /* bytes */
    uint8_t *own;     /* the section */
    /* What the other half of the window shows: pieces of equal size, NULL where there is nothing.
     */
    uint32_t pieces;
    const uint8_t *others[POSTERN_QUEUES_MAX];
    void *fdb;              /* or NULL */
    bool fdb_writable;      /* for this VM */
    uint64_t mac;           /* byte 0 lowest */
    uint32_t doorbell_rate; /* in a second */

    uint32_t number;               /* in its VM: the doorbell's argument. Under the VM's lock */
    struct pci_function function;  /* under the VM's lock */
    uint64_t window_at;            /* guest-physical, where BAR 2 decodes; 0: nowhere */
    bool mapped;                   /* the window, in the view that has it */
    bool restored;                 /* and its driver has not said that it knows */
    uint64_t bar4_at;              /* where BAR 4 decodes, likewise */
    bool fdb_mapped;               /* in the default view */
    struct page_pool pool;         /* what the peer has given, for BAR 4 in the protected view */
    uint32_t view;                 /* index of the protected view; 0: none yet */
    uint64_t view_pointer;         /* its EPT pointer; set before any vCPU can be in it */
    _Atomic(bool) granted;         /* of a link: whether the peer may see this end's section */
    _Atomic(uint64_t) revocable;   /* the TSC at which this end may take something away again */
    uint64_t unmappable;           /* how often a BAR could not be mapped where the guest put it */
    uint64_t inconvertible;        /* ... and its violations not be made #VE */
    struct token_bucket doorbells; /* how often this port may ring */
    _Atomic(uint64_t) doorbells_held; /* exits that found no token */
    _Atomic(uint64_t) counts[POSTERN_PORT_COUNTS];
    void *tables; /* of core/guest_memory.h, that came with the port; or NULL */
};

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

/* The port of `vm` of which a BAR that is memory decodes `gpa`, mapped or not; NULL for none. Takes
 * the VM's lock. */
struct port *port_of_window(struct vm *vm, uint64_t gpa);

/* Memory of `size` bytes for a section of a window, zeroed and contiguous; NULL, and an error for
 * the `kind` of that name, when there is none. */
uint8_t *port_alloc_section(const char *kind, const char *name, uint64_t size);

/* Whether the VM's PCI bus has a place for one more. */
bool port_has_room(const struct vm *vm);

/* Puts a port, as it is set up, on its VM's PCI bus, where it has the first free device number and
 * the next port number. STATUS_NO_MEMORY if there is none, or no memory for tables. Nobody runs
 * yet, or the VM is held (vm_hold()). Takes the VM's lock. */
status_t port_create(struct port *port) MUST_CHECK;

/* Takes it away again, with what its window has mapped. Ports behind it move up by one, and with
 * them the addresses that their BARs have after a reset; their device numbers stay. The VM is held.
 * Takes its lock. */
void port_remove(struct port *port);

/* Rings for `queue`, which the port has: as `doorbell` of its operations. */
static inline status_t port_doorbell(struct port *port, uint32_t queue)
{
    return port->ops->doorbell(port, queue);
}

/* Begins to limit how often the port may ring: to `doorbell_rate`. */
void port_limit_doorbells(struct port *port);

/* Takes a doorbell's token, and counts it; false when the port has rung as often as it may. */
bool port_may_ring(struct port *port) MUST_CHECK;

/* Whether this end may take away what its peer sees: that costs the peer an exit, so once in a
 * millisecond is all. True begins the next millisecond. */
bool port_may_revoke(struct port *port) MUST_CHECK;

/* Fires MSI-X vector `vector` of the port. Takes its VM's lock: the caller holds none. */
void port_interrupt(struct port *port, unsigned vector);

/* Closes this end of the rings of all queues, as its driver would. The VM does not run. */
void port_close_rings(const struct port *port);

/* Nothing of the VM's ports is of a snapshot any more: it starts anew. Under its lock. */
void port_reset_all(struct vm *vm);

/* The VM is being restored: its ports know nothing of what its drivers had, who are to open them
 * anew (abi/pci.h, POSTERN_LINK_RESTORED). Under its lock. */
void port_restore_all(struct vm *vm);

/* Interrupts the drivers for that. All vCPUs have taken their state over; the caller holds no lock.
 */
void port_tell_restored(struct vm *vm);

/* POSTERN_MODE_, which the port has now: an enum config_link_mode's value. Under the VM's lock. */
uint32_t port_mode(const struct port *port);

/* The state of `vm` has changed: tells all that share a link or a network with it. The caller holds
 * no lock. */
void port_state_changed(struct vm *vm);

#endif
