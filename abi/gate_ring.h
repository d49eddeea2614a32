/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gate's functions for rings: what abi/ring_ops.h does, done in a protected view. Called as
 * abi/gate.h says; `arguments` is one of the structs below, in the caller's RAM as all that it
 * points to.
 *
 * A struct postern_ring is in RAM too, set up by postern_ring_init() over the linear addresses at
 * which the caller has mapped the window. What abi/ring_ops.h lets callers read can be read without
 * a crossing. The locking is the same. So is the result of each function: bits, or an error. After
 * an error other than ARGUMENT the ring is half done: RING_CLOSE or RING_OPEN puts it right.
 */
#ifndef POSTERN_ABI_GATE_RING_H
#define POSTERN_ABI_GATE_RING_H

#include "abi/gate.h"
#include "abi/ring_ops.h"
#include "abi/ring_wait.h"

/* Bits of the results. */
#define POSTERN_GATE_DOORBELL 1 /* a doorbell is due */
#define POSTERN_GATE_SYNC     2 /* RING_SYNC would change something */
#define POSTERN_GATE_FULL     4 /* there is not the room that was asked for */
#define POSTERN_GATE_WAIT     8 /* armed: there is nothing to do until a doorbell comes; or waited */

/* With struct postern_gate_ring. */
#define POSTERN_GATE_RING_OPEN    16u /* postern_ring_open: DOORBELL always */
#define POSTERN_GATE_RING_CLOSE   17u /* postern_ring_close: DOORBELL always */
#define POSTERN_GATE_RING_SET_MTU 18u /* postern_ring_set_mtu */
#define POSTERN_GATE_RING_SYNC    19u /* postern_ring_sync: DOORBELL */
#define POSTERN_GATE_RING_ROOM    20u /* postern_ring_room: FULL */
#define POSTERN_GATE_RING_ARM_TX  21u /* postern_ring_arm_tx: WAIT */
#define POSTERN_GATE_RING_ARM_RX  22u /* postern_ring_arm_rx: WAIT */

/*
 * With struct postern_gate_batch. Each stops early at what cannot be done, and says in `done` how
 * many packets were.
 *
 * SEND copies packets into the ring, with their metas, each from its pieces, which together have
 * meta.length bytes (else ARGUMENT). Where the peer has posted buffers (mode direct) it copies
 * packets of POSTERN_POSTED_MIN bytes and more there, as long as there are enough. Of a packet of
 * that length whose flags have LENT it copies nothing: its one piece is meta.length bytes of the
 * own pool, with the offset there for an address (ARGUMENT, if the peer does not borrow). Then it
 * publishes all, unless `more` is set, all were taken and `room` bytes are left. Bits: DOORBELL,
 * SYNC, and FULL when fewer than `room` bytes are left.
 */
#define POSTERN_GATE_RING_SEND 23u
/* Reads the metas of the next packets and leaves the packets where they are. Bits: SYNC. */
#define POSTERN_GATE_RING_LOOK 24u
/*
 * Copies packets out of the ring into their pieces, sets their metas, and gives the ring's bytes
 * back to the peer. A packet that its pieces have no room for is dropped, and its meta.length set
 * to 0. A hostile peer may have changed what LOOK said; who gives room for any packet needs no
 * LOOK. A packet whose flags have POSTED is not copied: it is in the caller's next posted buffers,
 * as many as meta.length bytes take. Bits: DOORBELL, SYNC.
 */
#define POSTERN_GATE_RING_TAKE 25u

/* LOOK, and when there is no packet also ARM_RX: a consumer's idle round in one. Bits: SYNC, and
 * WAIT when it is armed. */
#define POSTERN_GATE_RING_POLL 26u

/*
 * With struct postern_gate_ring. postern_ring_wait, for CPL 0 (else PERMISSION) where CPUID shows
 * MONITOR: WAIT if it has waited, for a packet or an interrupt or nothing.
 */
#define POSTERN_GATE_RING_WAIT 27u

/*
 * With struct postern_gate_post. postern_ring_post for each of the buffers and then
 * postern_ring_publish_posted. Stops early when no more can be posted, says in `done` how many
 * were; ARGUMENT, if the next one is not in the own pool. Else 0.
 */
#define POSTERN_GATE_RING_POST 28u

struct postern_gate_ring {
    struct postern_ring *ring;
    uint64_t bytes; /* ROOM, ARM_TX */
    uint32_t mtu;   /* OPEN, SET_MTU */
    uint32_t seed;  /* OPEN */
};

struct postern_gate_piece {
    void *address;
    uint64_t size;
};

struct postern_gate_packet {
    struct postern_ring_meta meta;
    struct postern_gate_piece *pieces;
    uint64_t piece_count;
};

struct postern_gate_batch {
    struct postern_ring *ring;
    struct postern_gate_packet *packets;
    uint32_t count;   /* of packets */
    uint32_t done;    /* of them, a result */
    uint64_t room;    /* SEND */
    uint64_t more;    /* SEND: another SEND comes at once */
    uint64_t bytes;   /* SEND, TAKE: of payload that was copied, a result */
    uint64_t dropped; /* TAKE: packets that their pieces had no room for, a result */
};

struct postern_gate_post {
    struct postern_ring *ring;
    const struct postern_posted *buffers;
    uint32_t count; /* of buffers */
    uint32_t done;  /* of them, a result */
};

/* Both sides of the gate have been compiled apart. */
_Static_assert(sizeof(void *) == 8, "the gate is for 64-bit callers");
_Static_assert(sizeof(struct postern_ring) == 256 &&
                   __builtin_offsetof(struct postern_ring, fault) == 64 &&
                   __builtin_offsetof(struct postern_ring, head) == 128 &&
                   __builtin_offsetof(struct postern_ring, tail) == 192,
               "postern_ring");
_Static_assert(sizeof(struct postern_gate_ring) == 24, "postern_gate_ring");
_Static_assert(sizeof(struct postern_gate_packet) == 40, "postern_gate_packet");
_Static_assert(sizeof(struct postern_gate_batch) == 56, "postern_gate_batch");
_Static_assert(sizeof(struct postern_gate_post) == 24, "postern_gate_post");

#endif
