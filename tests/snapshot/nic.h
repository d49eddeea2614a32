/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver of a virtio NIC, as small as one can be that has nothing looked after by a clock: it
 * sleeps until the device interrupts, and notifies when the device wants it (VIRTIO 1.2,
 * "Split Virtqueues" and "Packed Virtqueues", EVENT_IDX). An interrupt or a notification that is
 * lost stops it for good, and it looks whether the device uses each chain once, in their order.
 */
#ifndef POSTERN_TESTS_SNAPSHOT_NIC_H
#define POSTERN_TESTS_SNAPSHOT_NIC_H

#include "tests/kit/kit.h"

#define NIC_FRAME_MAX 1514u

/* What the device has done that it may not do; numbers of times. */
struct nic_faults {
    uint64_t index; /* a used index beyond what was made available */
    uint64_t chain; /* a chain that was not its turn, or of an impossible length */
    uint64_t full;  /* not the device's fault: nothing could be sent, for it had all of the queue */
};

extern struct nic_faults nic_faults;

/* Takes over the first virtio NIC, with `vector` for what it receives; from now on received() gets
 * each frame, in the interrupt's handler. Also a second time, with interrupts off: what was in its
 * rings is lost. */
void nic_start(unsigned vector, bool in_packed_rings,
               void (*received)(const uint8_t *frame, uint32_t length));

/* Its address: 6 bytes. */
void nic_address(uint8_t *address);

/* Room for the next frame, NIC_FRAME_MAX bytes; NULL if the queue is full. Interrupts are off until
 * it is sent. */
uint8_t *nic_room(void);
/* Sends what was written there. */
void nic_send(uint32_t length);

#endif
