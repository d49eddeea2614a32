/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gate's functions for frames of one buffer each: what RING_SEND and RING_TAKE of
 * abi/gate_ring.h do for packets of several pieces, in far fewer instructions. They copy by the
 * registers XMM0 to XMM15 and change them, so they are for callers that have these: programs of
 * ring 3, and kernels that have saved a program's.
 *
 * `arguments` is a struct postern_gate_burst. All else is as abi/gate_ring.h says.
 */
#ifndef POSTERN_ABI_GATE_BURST_H
#define POSTERN_ABI_GATE_BURST_H

#include "abi/gate_ring.h"

/*
 * Each stops early at what cannot be done, and says in `done` how many frames were.
 *
 * SEND copies frames into the ring and publishes them. It stops at a frame for which there is no
 * room, or whose length no record has. Bits: DOORBELL, SYNC.
 */
#define POSTERN_GATE_BURST_SEND 32u
/*
 * TAKE copies frames out of the ring, sets their records, and gives the ring's bytes back to the
 * peer. A frame longer than `room` is dropped, and its record's length set to 0. Bits: DOORBELL,
 * SYNC.
 */
#define POSTERN_GATE_BURST_TAKE 33u

struct postern_gate_frame {
    /* What abi/ring.h says, with checked values in what was taken. Without a stamp: one that came
     * is skipped and its flag cleared, and none is to be sent. */
    struct postern_record record;
    void *address;
    uint64_t own; /* the caller's: nobody looks at it */
};

struct postern_gate_burst {
    struct postern_ring *ring;
    struct postern_gate_frame *frames;
    uint32_t count;   /* of frames */
    uint32_t room;    /* TAKE: bytes that each frame has at its address */
    uint32_t done;    /* frames, a result */
    uint32_t dropped; /* TAKE: of them, those that were too long, a result */
    uint64_t bytes;   /* of the others, a result */
};

/* Both sides of the gate have been compiled apart. */
_Static_assert(sizeof(struct postern_gate_frame) == 32, "postern_gate_frame");
_Static_assert(sizeof(struct postern_gate_burst) == 40, "postern_gate_burst");

#endif
