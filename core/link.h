/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Links: point-to-point channels between two VMs, each with a port at either end. A link's window
 * is two sections of shared memory; each end may write its own and only read its peer's.
 */
#ifndef POSTERN_CORE_LINK_H
#define POSTERN_CORE_LINK_H

#include "core/port.h"

struct link {
    const struct config_link *config;
    _Atomic(enum config_link_mode) mode; /* as it is wanted: an end may still have another one */
    uint8_t *sections[2];                /* config->window bytes each; sections[e] is end e's own */
    struct port ports[2];
};

/* The other end of the link that a port belongs to. */
static inline struct port *port_peer(const struct port *port)
{
    return &port->link->ports[1 - port->end];
}

/* Makes the links of `config` and puts their ports on the VMs' PCI buses. The VMs exist. */
status_t link_create_all(const struct config *config) MUST_CHECK;

uint32_t link_count(void);
struct link *link_get(uint32_t index);

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
