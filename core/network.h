/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Networks: several VMs, each with a port, joined by a switch (net/switch.h) of the hypervisor's or
 * by a member. A member's section is divided into lanes, a ring each to one other member and to the
 * switch; those of two members that may not send to each other directly are not mapped. A member
 * whose NIC is virtio's has no lanes: all that it sends and gets goes by the hypervisor's switch.
 *
 * The switch works in the exits of those who ring it: on a bounded number of frames, each copied
 * once out of the sender's memory before anything is decided by it. Who has sent more rings again.
 */
#ifndef POSTERN_CORE_NETWORK_H
#define POSTERN_CORE_NETWORK_H

#include "abi/ring_ops.h"
#include "core/port.h"
#include "net/switch.h"
#include "virtio/net.h"

struct network {
    const struct config_network *config;
    uint32_t lanes; /* slices of a section */
    uint8_t *sections[CONFIG_MAX_MEMBERS];
    uint8_t *own; /* the hypervisor's section; NULL when a member is the switch */
    struct postern_fdb *fdb;
    struct port ports[CONFIG_MAX_MEMBERS];

    /* The hypervisor's switch, under `lock`. With it the lock of one VM may be taken, not the other
     * way round. */
    struct spinlock lock;
    struct switch_state state;
    struct postern_ring rings[CONFIG_MAX_MEMBERS]; /* the ends here of the lanes to the switch */
    uint8_t *frame; /* the one that is looked at: POSTERN_RING_MAX_PAYLOAD bytes */
    uint64_t full[CONFIG_MAX_MEMBERS]; /* frames that a member had no room for */

    /* Of members with virtio's NIC. Their `ports` are no PCI functions: they tell the VM, and limit
     * doorbells. */
    struct virtio_net *nets[CONFIG_MAX_MEMBERS]; /* NULL: its NIC is Postern's */
    bool unplugged[CONFIG_MAX_MEMBERS];
    bool owes[CONFIG_MAX_MEMBERS];  /* a doorbell's token, for its last notification */
    struct virtio_net_batch *batch; /* what one of them has sent just now */
    /* A piece of a frame, and a frame as a port wants it: POSTERN_RING_MAX_PAYLOAD bytes. */
    uint8_t *segment, *form;
    uint32_t segments; /* that were cut in this exit */
    uint32_t untold;   /* a bit for each of these members that has got frames in this exit */
};

/* Makes the networks of `config` and puts their ports on the VMs' PCI buses. The VMs exist. */
status_t network_create_all(const struct config *config) MUST_CHECK;

uint32_t network_count(void);
struct network *network_get(uint32_t index);

/* The address of a member's NIC. */
uint64_t network_mac(const struct network *network, uint32_t member);

/* A member's VM has started or ended. The caller holds no lock. */
void network_set_up(struct network *network, uint32_t member);

/* Members with virtio's NIC. */

/* Gives the member its device, before its VM starts; it was initialised with network->batch. */
void network_attach_net(struct network *network, uint32_t member, struct virtio_net *net);

/* The driver of such a member notifies queue `queue`: switches what it sends. False: there is more,
 * or it has notified as often as it may ring, or other CPUs have the switch for long: it is to
 * notify again. The caller holds no lock. */
bool network_notified(struct network *network, uint32_t member, uint32_t queue) MUST_CHECK;

/* Waits until whoever has a switch now is done with it, and has told those who got something. The
 * caller holds no lock. */
void network_wait_all(void);

/* Pulls the plug of such a member's NIC, or puts it back. The caller holds no lock. */
void network_plug(struct network *network, uint32_t member, bool plugged);

#endif
