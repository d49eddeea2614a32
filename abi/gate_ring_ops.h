/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the gate's functions for rings (abi/gate_ring.h) do. It runs in the gate, for those who may
 * touch the window in a protected view only; and in programs and tests that may touch it as they
 * are, so that they need not know the difference.
 */
#ifndef POSTERN_ABI_GATE_RING_OPS_H
#define POSTERN_ABI_GATE_RING_OPS_H

#include "abi/gate_ring_pool.h"

static inline int64_t postern_gate_sync_bit(const struct postern_ring *ring)
{
    return postern_ring_sync_needed(ring) ? POSTERN_GATE_SYNC : 0;
}

static inline int64_t postern_gate_send(struct postern_gate_batch *batch)
{
    struct postern_ring *ring = batch->ring;
    struct postern_ring_writer writer = postern_gate_write_begin(ring);
    bool full;
    bool doorbell = false;

    batch->bytes = 0;
    for (batch->done = 0; batch->done < batch->count; batch->done++) {
        const struct postern_gate_packet *packet = &batch->packets[batch->done];
        const struct postern_ring_writer before = writer;
        void *payload = postern_ring_write_next(ring, &writer, &packet->meta);

        if (payload == NULL || !postern_gate_gather(payload, packet)) {
            enum postern_gate_sent sent = payload == NULL
                                              ? postern_gate_send_long(ring, &writer, packet)
                                              : POSTERN_GATE_WRONG;

            if (sent == POSTERN_GATE_WRONG) {
                postern_ring_write_end(ring, &before);
                return POSTERN_ERR_ARGUMENT;
            }
            if (sent == POSTERN_GATE_NOT_SENT) {
                break;
            }
        }
        batch->bytes += packet->meta.length;
    }
    postern_ring_write_end(ring, &writer);
    full = !postern_ring_room(ring, batch->room);
    if (full || batch->more == 0 || batch->done < batch->count) {
        doorbell = postern_ring_publish(ring);
    }
    return (doorbell ? POSTERN_GATE_DOORBELL : 0) | (full ? POSTERN_GATE_FULL : 0) |
           postern_gate_sync_bit(ring);
}

/* A batch that is not ended. */
static inline int64_t postern_gate_look(struct postern_gate_batch *batch)
{
    struct postern_ring *ring = batch->ring;
    struct postern_ring_reader reader = postern_ring_read_begin(ring);
    uint32_t done = 0;

    while (done < batch->count &&
           (postern_ring_read_next(&reader, &batch->packets[done].meta) != NULL ||
            postern_ring_read_posted(&reader))) {
        done++;
    }
    batch->done = done;
    if (reader.fault != POSTERN_FAULT_NONE && done == 0) {
        postern_ring_fail(ring, reader.fault);
    }
    return postern_gate_sync_bit(ring);
}

/* Nothing is lost in between: arm_rx looks again. */
static inline int64_t postern_gate_poll(struct postern_gate_batch *batch)
{
    int64_t result = postern_gate_look(batch);

    if (batch->done == 0 && postern_ring_arm_rx(batch->ring)) {
        result |= POSTERN_GATE_WAIT;
    }
    return result;
}

static inline int64_t postern_gate_take(struct postern_gate_batch *batch)
{
    struct postern_ring *ring = batch->ring;
    struct postern_ring_reader reader = postern_ring_read_begin(ring);

    batch->bytes = 0;
    batch->dropped = 0;
    for (batch->done = 0; batch->done < batch->count; batch->done++) {
        struct postern_gate_packet *packet = &batch->packets[batch->done];
        const uint8_t *payload = postern_ring_read_next(&reader, &packet->meta);

        if (payload == NULL) {
            if (!postern_ring_read_posted(&reader)) {
                break;
            }
        } else if (!postern_gate_scatter(packet, payload)) {
            packet->meta.length = 0;
            batch->dropped++;
        }
        batch->bytes += packet->meta.length;
    }
    postern_ring_read_end(ring, &reader);
    return (postern_ring_release(ring) ? POSTERN_GATE_DOORBELL : 0) | postern_gate_sync_bit(ring);
}

static inline int64_t postern_gate_ring_call(uint32_t function,
                                             const struct postern_gate_ring *arguments)
{
    struct postern_ring *ring = arguments->ring;

    switch (function) {
    case POSTERN_GATE_RING_OPEN:
        postern_ring_open(ring, arguments->mtu, arguments->seed);
        return POSTERN_GATE_DOORBELL;
    case POSTERN_GATE_RING_CLOSE:
        postern_ring_close(ring);
        return POSTERN_GATE_DOORBELL;
    case POSTERN_GATE_RING_SET_MTU:
        postern_ring_set_mtu(ring, arguments->mtu);
        return 0;
    case POSTERN_GATE_RING_SYNC:
        return postern_ring_sync(ring) ? POSTERN_GATE_DOORBELL : 0;
    case POSTERN_GATE_RING_ROOM:
        return postern_ring_room(ring, arguments->bytes) ? 0 : POSTERN_GATE_FULL;
    case POSTERN_GATE_RING_ARM_TX:
        return postern_ring_arm_tx(ring, arguments->bytes) ? POSTERN_GATE_WAIT : 0;
    default: /* POSTERN_GATE_RING_ARM_RX */
        return postern_ring_arm_rx(ring) ? POSTERN_GATE_WAIT : 0;
    }
}

/* The function of that number, with what belongs to it. UNKNOWN: it is none for rings. */
static inline int64_t postern_gate_ring_function(uint32_t function, void *arguments)
{
    switch (function) {
    case POSTERN_GATE_RING_SEND:
        return postern_gate_send(arguments);
    case POSTERN_GATE_RING_LOOK:
        return postern_gate_look(arguments);
    case POSTERN_GATE_RING_TAKE:
        return postern_gate_take(arguments);
    case POSTERN_GATE_RING_POLL:
        return postern_gate_poll(arguments);
    case POSTERN_GATE_RING_POST:
        return postern_gate_post(arguments);
    default:
        return function >= POSTERN_GATE_RING_OPEN && function <= POSTERN_GATE_RING_ARM_RX
                   ? postern_gate_ring_call(function, arguments)
                   : POSTERN_ERR_UNKNOWN;
    }
}

#endif
