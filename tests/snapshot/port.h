/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver of Postern's own NIC, in each of its modes, with the interface of nic.h: as that one it
 * looks nothing after by a clock. It takes up other modes, and opens its port anew when its VM was
 * restored (abi/pci.h). Of a network it knows the switch's lane alone.
 */
#ifndef POSTERN_TESTS_SNAPSHOT_PORT_H
#define POSTERN_TESTS_SNAPSHOT_PORT_H

#include "tests/kit/kit.h"

/* What has happened to it; numbers of times. */
struct port_counts {
    uint64_t restored, modes; /* it was told so, and has opened the port anew */
    uint64_t posted;          /* frames that came in pages of its pool */
    uint64_t closed;          /* crossings that failed: the view was not open any more */
    uint64_t lost;            /* the peer had taken back what they reached: it has ended */
    uint64_t full;            /* there was no room, or nobody, for a frame */
    uint64_t faults;          /* of the peer: the ring's; or crossings that failed otherwise */
};

extern struct port_counts port_counts;

/* Takes over port `number` of this VM, with two or more vectors from `vector` on; from now on
 * received() gets each frame, in the interrupt's handler. Also a second time, another one, too:
 * the one before is closed. Interrupts are off. */
void port_start(uint32_t number, unsigned vector,
                void (*received)(const uint8_t *frame, uint32_t length));

void port_address(uint8_t *address);

/* Room for the next frame; interrupts are off until it is sent. */
uint8_t *port_room(void);
void port_send(uint32_t length);

/* Copies in the port's view, for some milliseconds, if it has one: an interruption mostly comes in
 * mid-crossing. Interrupts are off meanwhile. */
void port_cross_long(void);

#endif
