/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One end of a link, whatever its mode: abi/ring_ops.h's functions on the window where it is
 * mapped (mode open), or through the gate (modes gated and direct). The locking is the ring's.
 *
 * A crossing can fail: the view was closed, or the peer has revoked its section. `error` tells, and
 * from then on the port does nothing and has nothing until postern_port_open().
 */
#ifndef POSTERN_GUESTS_LINUX_POSTERN_PORT_H
#define POSTERN_GUESTS_LINUX_POSTERN_PORT_H

#include <linux/skbuff.h>

#include "abi/gate_ring.h"

struct postern_port {
	struct postern_ring ring;
	bool gated;
	u64 tx_kept; /* bytes of the ring that sending leaves free; the transmit lock's */
	/* Of a gated port: */
	bool stale; /* the last look found something to sync with */
	bool armed; /* the last look found nothing and asked for a doorbell */
	u32 view;
	long error; /* POSTERN_ERR_, of a crossing */
};

/* The slow half: a port through the gate only. */
long postern_gated_call(struct postern_port *port, u32 function, u64 bytes);
/* Sets `done` to 0 when the crossing fails. */
long postern_gated_batch(struct postern_port *port, u32 function, struct postern_gate_batch *batch);
/* Looks for packets, and notes whether there is something to sync with, or a doorbell to wait for.
 * NAPI only. */
void postern_gated_look(struct postern_port *port, struct postern_gate_batch *batch, bool arm);
/* Posts buffers, and sets `done` to how many. NAPI only, or before it runs. */
void postern_gated_post(struct postern_port *port, struct postern_gate_post *post);
/* Points `pieces`, of which there are up to MAX_SKB_FRAGS + 1, to the packet's bytes: all in memory
 * that the kernel always has mapped. Returns how many there are. */
unsigned int postern_pieces(const struct sk_buff *skb, struct postern_gate_piece *pieces);

/* Both modes. A doorbell is due after open and close; open may fail. */
int postern_port_open(struct postern_port *port, u32 mtu, u32 seed);
void postern_port_close(struct postern_port *port);
void postern_port_set_mtu(struct postern_port *port, u32 mtu);
/* Would a crossing succeed again? */
bool postern_port_revived(struct postern_port *port);

static inline bool postern_port_works(const struct postern_port *port)
{
	return postern_ring_works(&port->ring) && !READ_ONCE(port->error);
}

/* Must NAPI look after the port: is it faulty, or did a crossing fail? */
static inline bool postern_port_ails(const struct postern_port *port)
{
	return READ_ONCE(port->ring.fault) || READ_ONCE(port->error);
}

/* Bytes of the ring that must be free for the queue to run: a pad and a record of any size. */
static inline u64 postern_port_tx_low(const struct postern_port *port)
{
	return postern_ring_record_room(&port->ring) + port->tx_kept;
}

/* Bytes free at which a stopped queue starts again: more, so that it does not stop at once. */
static inline u64 postern_port_tx_high(const struct postern_port *port)
{
	return port->ring.data_size - (port->ring.data_size - port->tx_kept) / 4;
}

/* Of the ring, at least so much is used, so that these two are in order. */
static inline u64 postern_port_tx_least(const struct postern_port *port)
{
	return 2 * postern_ring_record_room(&port->ring);
}

/* Of a gated port, what the last look found. */
static inline bool postern_port_sync_needed(struct postern_port *port)
{
	return port->gated ? port->stale : postern_ring_sync_needed(&port->ring);
}

static inline bool postern_port_sync(struct postern_port *port)
{
	if (!port->gated)
		return postern_ring_sync(&port->ring);
	port->stale = false;
	return postern_gated_call(port, POSTERN_GATE_RING_SYNC, 0) & POSTERN_GATE_DOORBELL;
}

/* Are so many bytes of the ring free? */
static inline bool postern_port_room(struct postern_port *port, u64 bytes)
{
	if (!port->gated)
		return postern_ring_room(&port->ring, bytes);
	return !(postern_gated_call(port, POSTERN_GATE_RING_ROOM, bytes) & POSTERN_GATE_FULL);
}

/* Asks for a doorbell when they are. False: they are already. */
static inline bool postern_port_arm_tx(struct postern_port *port, u64 bytes)
{
	if (!port->gated)
		return postern_ring_arm_tx(&port->ring, bytes);
	return postern_gated_call(port, POSTERN_GATE_RING_ARM_TX, bytes) & POSTERN_GATE_WAIT;
}

/* Asks for a doorbell at the next packet; a gated port's last look may have. False: there is
 * something to do already. */
static inline bool postern_port_arm_rx(struct postern_port *port)
{
	if (!port->gated)
		return postern_ring_arm_rx(&port->ring);
	return port->armed ||
	       postern_gated_call(port, POSTERN_GATE_RING_ARM_RX, 0) & POSTERN_GATE_WAIT;
}

/* Is there a packet? Not for a port that ails. */
static inline bool postern_port_pending(struct postern_port *port)
{
	struct postern_gate_packet packet;
	struct postern_gate_batch batch = {.packets = &packet, .count = 1};

	if (!port->gated)
		return postern_ring_works(&port->ring) && postern_ring_available(&port->ring);
	postern_gated_look(port, &batch, false);
	return batch.done;
}

#endif
