/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A queue of the NIC's: a link's end, or a lane of a network's. It is a ring (abi/ring_ops.h),
 * reached directly in mode open and through the gate in mode gated. Results are bits POSTERN_GATE_
 * of abi/gate_ring.h in both modes.
 */
#ifndef POSTERN_GUESTS_LWIP_PORT_H
#define POSTERN_GUESTS_LWIP_PORT_H

#include "abi/gate_ring.h"
#include "guests/lwip/device.h"

struct port {
    struct postern_ring ring;
    postern_gate_t gate; /* or, of an open port, what stands in its place */
    uint32_t number;     /* the NIC's */
    uint32_t queue;
    bool gated;
    uint32_t view; /* of a gated port */
    int64_t error; /* POSTERN_ERR_ of a crossing that failed; nothing works until open */
};

/* Prepares the port over the NIC's queue; one that cannot be had ends the guest. */
void port_init(struct port *port, const struct device *device, uint32_t queue);

/* Opens this end anew. A doorbell is due. */
void port_open(struct port *port, uint32_t mtu);
void port_doorbell(const struct port *port);

/* Closes this end; a doorbell is due. The view is the whole NIC's: after all of its ports. */
void port_close(struct port *port);
void port_close_view(const struct port *port);

/* DOORBELL */
int64_t port_sync(struct port *port);

/* Takes the metas of the next packets, up to `count`; `*found` is how many there are. SYNC. */
int64_t port_look(struct port *port, struct postern_gate_packet *packets, uint32_t count,
                  uint32_t *found);
/* Copies the packets that the last look has shown, the first `count`, into their pieces; `*taken`
 * is how many were. A meta.length of 0 afterwards: it did not fit and is lost. DOORBELL. */
int64_t port_take(struct port *port, struct postern_gate_packet *packets, uint32_t count,
                  uint32_t *taken);

/* Puts a packet into the ring, where the peer sees it after the next flush. `*sent` is false where
 * there is no room for it, or the link is down. DOORBELL: what is in a full ring is shown. */
int64_t port_send(struct port *port, struct postern_gate_packet *packet, bool *sent);
/* DOORBELL */
int64_t port_flush(struct port *port);

/* Are so many bytes free? port_wait_for_room() asks for a doorbell when they are; false: they are
 * already. All must have been flushed. */
bool port_has_room(struct port *port, uint64_t bytes);
bool port_wait_for_room(struct port *port, uint64_t bytes);

/* Asks for a doorbell at the next packet. False: there is something to do already. */
bool port_wait_for_packets(struct port *port);

/* Waits for packets by MWAIT, or until an interrupt pends, or for nothing. False: there is
 * something to do already, or a crossing failed. */
bool port_mwait(struct port *port);

/* After an error: would a crossing succeed again? */
bool port_revived(struct port *port);

static inline bool port_works(const struct port *port)
{
    return postern_ring_works(&port->ring) && port->error == 0;
}

#endif
