/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gate's functions. They run in the guest, with its rights and on its stack, so they need not
 * distrust their arguments: a caller that gives wrong ones harms itself.
 *
 * This file becomes one page: no data, no other function than its own, and of the registers only
 * those that a call may change (vmfunc/build.mk).
 */
#include "vmfunc/gate/body.h"

#include "abi/gate_ring.h"
#include "abi/hypercall.h"

#ifdef POSTERN_HOST
/* What the sanitizers see. */
static void copy(void *to, const void *from, uint64_t size)
{
    if (size != 0) {
        (void)__builtin_memcpy(to, from, size);
    }
}
#else
static inline void copy(void *to, const void *from, uint64_t size)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}
#endif

static int64_t do_copy(const struct postern_gate_copy *arguments)
{
    /* Linear addresses of the caller. */
    copy((void *)(uintptr_t)arguments->to, (const void *)(uintptr_t)arguments->from,
         arguments->size);
    return 0;
}

static int64_t do_load(struct postern_gate_access *access)
{
    const uint64_t *word = (const uint64_t *)(uintptr_t)access->window;

    if (access->window % sizeof(*word) != 0) {
        return POSTERN_ERR_ARGUMENT;
    }
    access->value = POSTERN_LOAD_ACQUIRE(word);
    return 0;
}

static int64_t do_store(const struct postern_gate_access *access)
{
    uint64_t *word = (uint64_t *)(uintptr_t)access->window;

    if (access->window % sizeof(*word) != 0) {
        return POSTERN_ERR_ARGUMENT;
    }
    POSTERN_STORE_RELEASE(word, access->value);
    return 0;
}

/* Copies the packet's pieces, which have to have as many bytes as its meta says, to `payload`. */
static bool gather(uint8_t *payload, const struct postern_gate_packet *packet)
{
    uint64_t rest = packet->meta.length;

    for (uint64_t i = 0; i < packet->piece_count; i++) {
        const struct postern_gate_piece *piece = &packet->pieces[i];

        if (piece->size > rest) {
            return false;
        }
        copy(payload, piece->address, piece->size);
        payload += piece->size;
        rest -= piece->size;
    }
    return rest == 0;
}

/* Copies the payload, as many bytes as the packet's meta says, to its pieces. False: they are too
 * small. */
static bool scatter(const struct postern_gate_packet *packet, const uint8_t *payload)
{
    uint64_t rest = packet->meta.length;

    for (uint64_t i = 0; i < packet->piece_count && rest != 0; i++) {
        const struct postern_gate_piece *piece = &packet->pieces[i];
        uint64_t size = piece->size < rest ? piece->size : rest;

        copy(piece->address, payload, size);
        payload += size;
        rest -= size;
    }
    return rest == 0;
}

static int64_t do_send(struct postern_gate_batch *batch)
{
    struct postern_ring *ring = batch->ring;
    struct postern_ring_writer writer = postern_ring_write_begin(ring);
    bool full;
    bool doorbell = false;

    for (batch->done = 0; batch->done < batch->count; batch->done++) {
        const struct postern_gate_packet *packet = &batch->packets[batch->done];
        void *payload = postern_ring_write_next(ring, &writer, &packet->meta);

        if (payload == NULL) {
            break;
        }
        if (!gather(payload, packet)) {
            return POSTERN_ERR_ARGUMENT;
        }
    }
    postern_ring_write_end(ring, &writer);
    full = !postern_ring_room(ring, batch->room);
    if (full || batch->more == 0 || batch->done < batch->count) {
        doorbell = postern_ring_publish(ring);
    }
    return (doorbell ? POSTERN_GATE_DOORBELL : 0) | (full ? POSTERN_GATE_FULL : 0);
}

/* A batch that is not ended. */
static int64_t do_look(struct postern_gate_batch *batch)
{
    struct postern_ring *ring = batch->ring;
    struct postern_ring_reader reader = postern_ring_read_begin(ring);
    uint32_t done = 0;

    while (done < batch->count &&
           postern_ring_read_next(&reader, &batch->packets[done].meta) != NULL) {
        done++;
    }
    batch->done = done;
    if (reader.fault != POSTERN_FAULT_NONE && done == 0) {
        postern_ring_fail(ring, reader.fault);
    }
    return postern_ring_sync_needed(ring) ? POSTERN_GATE_SYNC : 0;
}

/* Nothing is lost in between: arm_rx looks again. */
static int64_t do_poll(struct postern_gate_batch *batch)
{
    int64_t result = do_look(batch);

    if (batch->done == 0 && postern_ring_arm_rx(batch->ring)) {
        result |= POSTERN_GATE_WAIT;
    }
    return result;
}

static int64_t do_take(struct postern_gate_batch *batch)
{
    struct postern_ring *ring = batch->ring;
    struct postern_ring_reader reader = postern_ring_read_begin(ring);

    for (batch->done = 0; batch->done < batch->count; batch->done++) {
        struct postern_gate_packet *packet = &batch->packets[batch->done];
        const uint8_t *payload = postern_ring_read_next(&reader, &packet->meta);

        if (payload == NULL) {
            break;
        }
        if (!scatter(packet, payload)) {
            packet->meta.length = 0;
        }
    }
    postern_ring_read_end(ring, &reader);
    return postern_ring_release(ring) ? POSTERN_GATE_DOORBELL : 0;
}

static int64_t ring_function(uint32_t function, const struct postern_gate_ring *arguments)
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

int64_t gate_function(uint32_t function, void *arguments)
{
    switch (function) {
    case POSTERN_GATE_NOTHING:
        return 0;
    case POSTERN_GATE_COPY:
        return do_copy(arguments);
    case POSTERN_GATE_LOAD:
        return do_load(arguments);
    case POSTERN_GATE_STORE:
        return do_store(arguments);
    case POSTERN_GATE_RING_SEND:
        return do_send(arguments);
    case POSTERN_GATE_RING_LOOK:
        return do_look(arguments);
    case POSTERN_GATE_RING_TAKE:
        return do_take(arguments);
    case POSTERN_GATE_RING_POLL:
        return do_poll(arguments);
    default:
        return function >= POSTERN_GATE_RING_OPEN && function <= POSTERN_GATE_RING_ARM_RX
                   ? ring_function(function, arguments)
                   : POSTERN_ERR_UNKNOWN;
    }
}
