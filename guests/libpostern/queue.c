/* SPDX-License-Identifier: BSD-2-Clause */
/* A queue's ring, and what keeps it in step with its peer. */
#include "abi/gate_burst_ops.h"
#include "guests/libpostern/port.h"

/* Bursts between two tries to reach a window that could not be: each costs an exit. */
#define RETRY_BURSTS 10000u

/* In the gate's place when the window can be touched as it is. */
static int64_t call_directly(uint32_t view, uint32_t function, void *arguments)
{
    (void)view;
    return function >= POSTERN_GATE_BURST_SEND ? postern_gate_burst_function(function, arguments)
                                               : postern_gate_ring_function(function, arguments);
}

bool postern_queue_init(struct postern_queue *queue, struct postern_port *port, unsigned index)
{
    const struct postern_port_device *device = &port->device;
    const uint64_t slice = device->section_size / device->queues;

    if (slice > POSTERN_SECTION_MAX ||
        !postern_ring_init(&queue->ring, (uint8_t *)device->own + index * slice,
                           (const uint8_t *)device->peer + index * slice, (uint32_t)slice)) {
        return false;
    }
    queue->ring.polls = true;
    queue->gate = device->gate != NULL ? device->gate : call_directly;
    queue->view = device->view;
    queue->index = index;
    queue->port = port;
    return true;
}

static struct postern_queue_half *other_half(struct postern_queue *queue,
                                             const struct postern_queue_half *half)
{
    return half == &queue->rx ? &queue->tx : &queue->rx;
}

/* Rings if the result says so. */
static void ring_if_due(const struct postern_queue *queue, struct postern_queue_half *half,
                        int64_t result)
{
    const struct postern_port_device *device = &queue->port->device;

    if (result >= 0 && (result & POSTERN_GATE_DOORBELL) != 0) {
        postern_queue_add(&half->doorbells, 1);
        device->ring(device->context, queue->index);
    }
}

/* Any number that differs from run to run. */
static uint32_t make_seed(void)
{
    return (uint32_t)__builtin_ia32_rdtsc();
}

bool postern_queue_open(struct postern_queue *queue, struct postern_queue_half *half)
{
    struct postern_gate_ring call = {
        .ring = &queue->ring, .mtu = queue->port->mtu, .seed = make_seed()};
    int64_t result;

    __atomic_store_n(&queue->error, 0, __ATOMIC_RELAXED);
    result = postern_queue_cross(queue, half, POSTERN_GATE_RING_OPEN, &call);
    ring_if_due(queue, half, result);
    return result >= 0;
}

void postern_queue_close(struct postern_queue *queue)
{
    struct postern_gate_ring call = {.ring = &queue->ring};

    /* Tried after an error too: it needs the own section only. */
    ring_if_due(queue, &queue->rx,
                postern_queue_cross(queue, &queue->rx, POSTERN_GATE_RING_CLOSE, &call));
}

/* Begins anew if the window can be reached again: a look touches the peer's section too. With both
 * halves. */
static void begin_anew(struct postern_queue *queue, struct postern_queue_half *half)
{
    struct postern_gate_batch nothing = {.ring = &queue->ring};

    if (postern_queue_cross(queue, half, POSTERN_GATE_RING_LOOK, &nothing) >= 0) {
        (void)postern_queue_open(queue, half);
    }
}

/* Follows the peer to another generation, or tells it that it broke the ring. Half `half` is
 * entered; if the other one is busy, the next burst will find the same again. */
static void bring_up_to_date(struct postern_queue *queue, struct postern_queue_half *half)
{
    struct postern_gate_ring call = {.ring = &queue->ring};

    if (!postern_queue_enter(other_half(queue, half))) {
        return;
    }
    if (!postern_port_follow(queue->port, queue)) {
        /* Done, or to be found again by the next burst. */
    } else if (postern_queue_failed(queue)) {
        begin_anew(queue, half);
    } else {
        postern_queue_add(&half->syncs, 1);
        ring_if_due(queue, half, postern_queue_cross(queue, half, POSTERN_GATE_RING_SYNC, &call));
    }
    postern_queue_leave(other_half(queue, half));
}

void postern_queue_heed(struct postern_queue *queue, struct postern_queue_half *half,
                        int64_t result)
{
    ring_if_due(queue, half, result);
    if (result >= 0 && (result & POSTERN_GATE_SYNC) != 0) {
        bring_up_to_date(queue, half);
    }
}

void postern_queue_recover(struct postern_queue *queue, struct postern_queue_half *half)
{
    if (__atomic_sub_fetch(&queue->delay, 1, __ATOMIC_RELAXED) % RETRY_BURSTS == 0) {
        bring_up_to_date(queue, half);
    }
}

bool postern_queue_link(struct postern_queue *queue)
{
    struct postern_gate_batch nothing = {.ring = &queue->ring};
    struct postern_queue_half *half = &queue->rx;

    if (postern_queue_enter(half)) {
        if (postern_queue_failed(queue)) {
            bring_up_to_date(queue, half);
        } else {
            postern_queue_heed(queue, half,
                               postern_queue_cross(queue, half, POSTERN_GATE_RING_LOOK, &nothing));
        }
        postern_queue_leave(half);
    }
    return postern_ring_works(&queue->ring) && !postern_queue_failed(queue);
}

void postern_queue_stats(const struct postern_queue *queue, struct postern_port_stats *stats)
{
    const struct postern_queue_half *rx = &queue->rx, *tx = &queue->tx;

#define READ(counter) __atomic_load_n(&(counter), __ATOMIC_RELAXED)
    *stats = (struct postern_port_stats){
        .rx_packets = READ(rx->packets),
        .rx_bytes = READ(rx->bytes),
        .rx_dropped = READ(rx->dropped),
        .tx_packets = READ(tx->packets),
        .tx_bytes = READ(tx->bytes),
        .tx_refused = READ(tx->dropped),
        .crossings = READ(rx->crossings) + READ(tx->crossings),
        .doorbells = READ(rx->doorbells) + READ(tx->doorbells),
        .syncs = READ(rx->syncs) + READ(tx->syncs),
        .errors = READ(rx->errors) + READ(tx->errors),
    };
#undef READ
}
