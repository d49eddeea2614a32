/* SPDX-License-Identifier: BSD-2-Clause */
/* A port from inside: the ring and what it is reached by. */
#ifndef POSTERN_GUESTS_LIBPOSTERN_PORT_H
#define POSTERN_GUESTS_LIBPOSTERN_PORT_H

#include "guests/libpostern/postern_port.h"

/* How a port reaches its window and its peer. Tests have their own. */
struct postern_port_device {
    postern_gate_t gate; /* NULL: the window can be touched as it is */
    uint32_t view;
    void *own; /* the sections */
    const void *peer;
    uint64_t section_size;
    void (*ring)(void *context);      /* the doorbell */
    bool (*peer_runs)(void *context); /* does the peer's VM? */
    void *context;
};

/* What one direction has for itself, in cache lines of its own. */
struct postern_port_half {
    uint32_t busy; /* a burst or a sync is in it */
    uint64_t packets;
    uint64_t bytes;
    uint64_t dropped;
    uint64_t crossings;
    uint64_t doorbells;
    uint64_t syncs;
    uint64_t errors;
} __attribute__((aligned(64)));

struct postern_port {
    struct postern_ring ring;
    struct postern_port_half rx;
    struct postern_port_half tx;
    struct postern_port_device device;
    struct postern_port_info info;
    uint32_t mtu;
    int64_t error;  /* of a crossing, POSTERN_ERR_: the ring has to be opened again */
    uint32_t delay; /* bursts until that is tried */
};

/*
 * Sets the port up over the device and opens its ring. The caller has set `info.number`, `mac`, and
 * zeroed the rest. False: no section has that size, or it cannot be reached.
 */
bool postern_port_attach(struct postern_port *port, const struct postern_port_device *device,
                         uint32_t mtu);

/* Closes its ring. */
void postern_port_detach(struct postern_port *port);

#endif
