// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The end of a link through the gate. */
#include <linux/errno.h>

#include "abi/hypercall.h"
#include "postern_gate.h"
#include "postern_port.h"

/* What a function answers that could not be done: nothing to send or to take, no room, and no
 * reason not to wait. */
#define POSTERN_NO_ANSWER (POSTERN_GATE_FULL | POSTERN_GATE_WAIT)

static long postern_cross(struct postern_port *port, u32 function, void *arguments)
{
	long result;

	if (READ_ONCE(port->error))
		return POSTERN_NO_ANSWER;
	result = postern_gate_pages(port->view, function, arguments);
	if (likely(result >= 0))
		return result;
	WRITE_ONCE(port->error, result);
	return POSTERN_NO_ANSWER;
}

long postern_gated_call(struct postern_port *port, u32 function, u64 bytes)
{
	struct postern_gate_ring call = {.ring = &port->ring, .bytes = bytes};

	return postern_cross(port, function, &call);
}

long postern_gated_batch(struct postern_port *port, u32 function, struct postern_gate_batch *batch)
{
	long result;

	batch->ring = &port->ring;
	batch->done = 0;
	result = postern_cross(port, function, batch);
	if (READ_ONCE(port->error))
		batch->done = 0;
	return result;
}

void postern_gated_look(struct postern_port *port, struct postern_gate_batch *batch, bool arm)
{
	u32 function = arm ? POSTERN_GATE_RING_POLL : POSTERN_GATE_RING_LOOK;
	long result = postern_gated_batch(port, function, batch);

	port->stale = result & POSTERN_GATE_SYNC;
	port->armed = result & POSTERN_GATE_WAIT;
}

void postern_gated_post(struct postern_port *port, struct postern_gate_post *post)
{
	post->ring = &port->ring;
	post->done = 0;
	postern_cross(port, POSTERN_GATE_RING_POST, post);
	if (READ_ONCE(port->error))
		post->done = 0;
}

unsigned int postern_pieces(const struct sk_buff *skb, struct postern_gate_piece *pieces)
{
	const struct skb_shared_info *shared = skb_shinfo(skb);
	unsigned int i;

	pieces[0] = (struct postern_gate_piece){skb->data, skb_headlen(skb)};
	for (i = 0; i < shared->nr_frags; i++)
		pieces[i + 1] = (struct postern_gate_piece){skb_frag_address(&shared->frags[i]),
							    skb_frag_size(&shared->frags[i])};
	return i + 1;
}

int postern_port_open(struct postern_port *port, u32 mtu, u32 seed)
{
	struct postern_gate_ring call = {.ring = &port->ring, .mtu = mtu, .seed = seed};

	if (!port->gated) {
		postern_ring_open(&port->ring, mtu, seed);
		return 0;
	}
	port->stale = false;
	WRITE_ONCE(port->error, 0);
	postern_cross(port, POSTERN_GATE_RING_OPEN, &call);
	return port->error ? -EIO : 0;
}

void postern_port_close(struct postern_port *port)
{
	if (!port->gated) {
		postern_ring_close(&port->ring);
		return;
	}
	/* Tried after an error too: it needs the own section only. */
	WRITE_ONCE(port->error, 0);
	postern_gated_call(port, POSTERN_GATE_RING_CLOSE, 0);
}

void postern_port_set_mtu(struct postern_port *port, u32 mtu)
{
	struct postern_gate_ring call = {.ring = &port->ring, .mtu = mtu};

	if (port->gated)
		postern_cross(port, POSTERN_GATE_RING_SET_MTU, &call);
	else
		postern_ring_set_mtu(&port->ring, mtu);
}

/* The look touches what may be out of reach: the peer's section. */
bool postern_port_revived(struct postern_port *port)
{
	struct postern_gate_batch nothing = {.ring = &port->ring};

	return postern_gate_pages(port->view, POSTERN_GATE_RING_LOOK, &nothing) >= 0;
}
