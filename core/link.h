/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Links: point-to-point channels between two VMs, each with a port at either end. A link's window
 * is two sections of shared memory; each end may write its own and only read its peer's.
 */
#ifndef POSTERN_CORE_LINK_H
#define POSTERN_CORE_LINK_H

#include "core/port.h"

struct link {
    struct config_link config; /* as it was when the link came */
    uint32_t slot; /* its number, which no other has meanwhile: of its NICs' addresses */
    _Atomic(enum config_link_mode) mode; /* as it is wanted: an end may still have another one */
    uint8_t *sections[2];                /* config->window bytes each; sections[e] is end e's own */
    struct port ports[2];
    uint32_t attached; /* of these: that are on their VMs' buses */
};

/* The other end of the link that a port belongs to. */
static inline struct port *port_peer(const struct port *port)
{
    return &port->link->ports[1 - port->end];
}

/* Makes the links of `config` and puts their ports on the VMs' PCI buses. The VMs exist. */
status_t link_create_all(const struct config *config) MUST_CHECK;

/* The links have slots, from 0 to CONFIG_MAX_LINKS - 1, that stay theirs. NULL: an empty one. Links
 * come and go on pCPU 0 alone, so that who looks at them there needs no lock; elsewhere a VM's own
 * ports are all that one looks at, and these stay unless it is held (vm_hold()). */
struct link *link_at(uint32_t slot);

/* The link of that name; NULL for none. */
struct link *link_find(const char *name);

#define LINK_ERROR_SIZE 128u

/* Adds a link, whose ends find their ports when their VMs start next. On failure it says why in
 * `error`, and all is as before: STATUS_EXISTS, there is one of that name; STATUS_BUSY, a VM is not
 * absent, off or crashed; STATUS_NO_MEMORY, too many links or functions, or no memory. On pCPU 0;
 * the caller holds no lock. */
status_t link_add(const struct config_link *config, char error[LINK_ERROR_SIZE]) MUST_CHECK;

/* Deletes a link and gives all of its memory back. STATUS_BUSY as above. */
status_t link_delete(struct link *link, char error[LINK_ERROR_SIZE]) MUST_CHECK;

/* Has the link get another mode, open or gated. Each end changes when its driver takes it up, or
 * when its VM starts (abi/pci.h, POSTERN_LINK_OTHER_MODE). STATUS_UNSUPPORTED for a link in mode
 * direct, whose pools are part of its ports, or to that mode. The caller holds no lock. */
status_t link_set_mode(struct link *link, enum config_link_mode mode) MUST_CHECK;

/* Gives all links' ends of `vm` the modes that are wanted: it starts anew. Under the VM's lock. */
void link_take_modes(struct vm *vm);

/* Lets the peers of all links of `vm` see its sections: what it revoked is forgotten when it starts
 * anew. The caller holds no lock. */
void link_grant_all(struct vm *vm);

#endif
