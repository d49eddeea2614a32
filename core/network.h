/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Networks: several VMs, each with a port, joined by a switch (net/switch.h) of the hypervisor's or
 * by a member. A member's section is divided into lanes, a ring each to one other member and to the
 * switch; those of two members that may not send to each other directly are not mapped.
 *
 * The switch works in the exits of those who ring it: on a bounded number of frames, each copied
 * once out of the sender's memory before anything is decided by it. Who has sent more rings again.
 */
#ifndef POSTERN_CORE_NETWORK_H
#define POSTERN_CORE_NETWORK_H

#include "abi/ring_ops.h"
#include "core/port.h"
#include "net/switch.h"

struct network {
    const struct config_network *config;
    uint32_t lanes; /* slices of a section */
    uint8_t *sections[CONFIG_MAX_MEMBERS];
    uint8_t *own; /* the hypervisor's section; NULL when a member is the switch */
    struct postern_fdb *fdb;
    struct port ports[CONFIG_MAX_MEMBERS];

    /* The hypervisor's switch, under `lock`. No VM's lock is taken with it. */
    struct spinlock lock;
    struct switch_state state;
    struct postern_ring rings[CONFIG_MAX_MEMBERS]; /* the ends here of the lanes to the switch */
    uint8_t *frame; /* the one that is looked at: POSTERN_RING_MAX_PAYLOAD bytes */
    uint64_t full[CONFIG_MAX_MEMBERS]; /* frames that a member's lane had no room for */
};

/* Makes the networks of `config` and puts their ports on the VMs' PCI buses. The VMs exist. */
status_t network_create_all(const struct config *config) MUST_CHECK;

uint32_t network_count(void);
struct network *network_get(uint32_t index);

#endif
