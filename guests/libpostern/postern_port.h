/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libpostern: one end of a link for a program in a Linux guest, without a system call per packet.
 * docs/libpostern.md has examples.
 *
 * A port has one or more queues, each with a ring of its own. They are polled: a port never asks
 * the peer for a doorbell, and rings itself only for a peer that has asked for one. Packets are
 * copied straight between the caller's buffers and the link's window.
 *
 * Locking: of each queue one thread at a time may send and one may receive; the two may be
 * different ones, and queues are independent. The other functions may be called at any time by any
 * thread, but for open, close, use_queues and set_link. A burst that meets another thread's sync
 * moves nothing.
 */
#ifndef POSTERN_GUESTS_LIBPOSTERN_POSTERN_PORT_H
#define POSTERN_GUESTS_LIBPOSTERN_POSTERN_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/dev.h"
#include "abi/gate_burst.h"

struct postern_port;
struct postern_queue;

struct postern_port_info {
    uint32_t number;    /* the register PORT of the NIC */
    uint32_t max_frame; /* bytes of the longest packet, its Ethernet header included */
    uint32_t queues;
    bool gated;
    uint8_t mac[6];
};

/* Since the port was opened, of a queue or of all. */
struct postern_port_stats {
    uint64_t rx_packets;
    uint64_t rx_bytes;
    uint64_t rx_dropped; /* too long for what was to take them */
    uint64_t tx_packets;
    uint64_t tx_bytes;
    uint64_t tx_refused; /* dropped: no packet that a ring can carry */
    uint64_t crossings;  /* calls of the gate; of mode open: what would be one */
    uint64_t doorbells;  /* that were rung: a system call and an exit each */
    uint64_t syncs;      /* with a peer that came or went */
    uint64_t errors;     /* of crossings: the peer has revoked its section */
};

/*
 * Opens the port of that number, or POSTERN_DEV_ANY, of /dev/postern; its network interface has to
 * be down. `mtu` is for the peer's information. Returns 0 with `port`, which is to be closed; or a
 * negative errno: ENOENT, there is no such device; and those of POSTERN_DEV_TAKE (abi/dev.h).
 */
int postern_port_open(uint32_t number, uint32_t mtu, struct postern_port **port);

/* Tells the peer, and gives the port back. What the peer has not received yet is lost: see
 * postern_tx_done. NULL is allowed. */
void postern_port_close(struct postern_port *port);

/* Stays as it is while the port is open, but for `gated`, which follows the link. */
const struct postern_port_info *postern_port_info(const struct postern_port *port);

/* Queue number `index`, as long as the port is open; NULL: it has not so many. */
struct postern_queue *postern_port_queue(struct postern_port *port, unsigned index);

/*
 * Receives up to `count` packets, each into its frame's buffer of `room` bytes, sets the frames'
 * records, and returns how many it were: 0 when there are none. A packet longer than `room` is
 * dropped: its record.length is 0. Changes no byte behind a packet.
 *
 * What the peer sends may be anything; of the record it is sure that it fits the length.
 */
unsigned postern_rx_burst(struct postern_queue *queue, struct postern_gate_frame *frames,
                          unsigned count, uint32_t room);

/*
 * Sends the first of `count` packets and returns how many are done with; their memory is the
 * caller's again. The others find no room, or no peer. A packet of no bytes, or of more than
 * max_frame, is refused, and counts as done with; the rest of a record has to be what abi/ring.h
 * asks for, or the peer will take this end for faulty.
 */
unsigned postern_tx_burst(struct postern_queue *queue, struct postern_gate_frame *frames,
                          unsigned count);

/*
 * The same for packets of several pieces each, by more instructions. The pieces are left as they
 * were. A packet that was received and is longer than its pieces has a meta.length of 0, and some
 * of it is in them. One to be sent is refused also when meta.length is not the pieces' sum.
 */
unsigned postern_rx_pieces(struct postern_queue *queue, struct postern_gate_packet *packets,
                           unsigned count);
unsigned postern_tx_pieces(struct postern_queue *queue, struct postern_gate_packet *packets,
                           unsigned count);

/* Has the peer received all that was sent by the queue? By the thread that sends. */
bool postern_tx_done(struct postern_queue *queue);

/* Is there a peer at the other end of the queue? Brings it up to date first. */
bool postern_queue_link(struct postern_queue *queue);

/* Do packets of the first queue reach a peer, and does its VM run? Brings all queues up to date
 * first, and the port, if the link is to have another mode or the VM was restored. The peer may use
 * fewer of the others. Two system calls, not for each packet. */
bool postern_port_link(struct postern_port *port);

/* How many queues are used, from the first on: at the beginning all. For the next set_link. What
 * the peer sends into a queue that is used has to be received. */
void postern_port_use_queues(struct postern_port *port, unsigned count);

/*
 * Takes this end down and opens it again; after postern_port_open it is open. Not while another
 * thread is in a burst. False: not all is open, because the window cannot be reached.
 */
bool postern_port_set_link(struct postern_port *port, bool up);

/* The MTU that the peer has told of; 0: there is no peer. */
uint32_t postern_port_peer_mtu(const struct postern_port *port);

/* The MTU that the peer is told of. */
void postern_port_set_mtu(struct postern_port *port, uint32_t mtu);

/* Copies the counters; each is exact in itself. */
void postern_port_stats(const struct postern_port *port, struct postern_port_stats *stats);
void postern_queue_stats(const struct postern_queue *queue, struct postern_port_stats *stats);

#endif
