/* SPDX-License-Identifier: BSD-2-Clause */
/* Bursts, and what keeps a port in step with its peer. */
#include "guests/libpostern/port.h"

#include "abi/gate_ring_ops.h"

/* Bursts between two tries to reach a window that could not be: each costs an exit. */
#define RETRY_BURSTS 10000u

/* In the gate's place when the window can be touched as it is. */
static int64_t call_directly(uint32_t view, uint32_t function, void *arguments)
{
    (void)view;
    return postern_gate_ring_function(function, arguments);
}

static bool enter(struct postern_port_half *half)
{
    /* Partner: the release in leave. */
    return __atomic_exchange_n(&half->busy, 1, __ATOMIC_ACQUIRE) == 0;
}

static void leave(struct postern_port_half *half)
{
    __atomic_store_n(&half->busy, 0, __ATOMIC_RELEASE);
}

static struct postern_port_half *other_half(struct postern_port *port,
                                            const struct postern_port_half *half)
{
    return half == &port->rx ? &port->tx : &port->rx;
}

/* A counter has one writer; it may be read at any time. */
static inline void add(uint64_t *counter, uint64_t value)
{
    __atomic_store_n(counter, *counter + value, __ATOMIC_RELAXED);
}

static int64_t cross(struct postern_port *port, struct postern_port_half *half, uint32_t function,
                     void *arguments)
{
    int64_t result = port->device.gate(port->device.view, function, arguments);

    add(&half->crossings, 1);
    if (result < 0 && result != POSTERN_ERR_ARGUMENT) {
        add(&half->errors, 1);
        __atomic_store_n(&port->error, result, __ATOMIC_RELAXED);
    }
    return result;
}

/* Rings if the result says so. */
static void ring_if_due(struct postern_port *port, struct postern_port_half *half, int64_t result)
{
    if (result >= 0 && (result & POSTERN_GATE_DOORBELL) != 0) {
        add(&half->doorbells, 1);
        port->device.ring(port->device.context);
    }
}

/* Any number that differs from run to run. */
static uint32_t make_seed(void)
{
    return (uint32_t)__builtin_ia32_rdtsc();
}

/* With both halves. */
static bool open_ring(struct postern_port *port, struct postern_port_half *half)
{
    struct postern_gate_ring call = {.ring = &port->ring, .mtu = port->mtu, .seed = make_seed()};
    int64_t result;

    __atomic_store_n(&port->error, 0, __ATOMIC_RELAXED);
    result = cross(port, half, POSTERN_GATE_RING_OPEN, &call);
    ring_if_due(port, half, result);
    return result >= 0;
}

/* Begins anew if the window can be reached again: a look touches the peer's section too. With both
 * halves. */
static void recover(struct postern_port *port, struct postern_port_half *half)
{
    struct postern_gate_batch nothing = {.ring = &port->ring};

    if (cross(port, half, POSTERN_GATE_RING_LOOK, &nothing) >= 0) {
        (void)open_ring(port, half);
    }
}

/* Follows the peer to another generation, or tells it that it broke the ring. Half `half` is
 * entered; if the other one is busy, the next burst will find the same again. */
static void bring_up_to_date(struct postern_port *port, struct postern_port_half *half)
{
    struct postern_gate_ring call = {.ring = &port->ring};

    if (!enter(other_half(port, half))) {
        return;
    }
    if (port->error != 0) {
        recover(port, half);
    } else {
        add(&half->syncs, 1);
        ring_if_due(port, half, cross(port, half, POSTERN_GATE_RING_SYNC, &call));
    }
    leave(other_half(port, half));
}

/* What a burst's result asks for. */
static void heed(struct postern_port *port, struct postern_port_half *half, int64_t result)
{
    ring_if_due(port, half, result);
    if (result >= 0 && (result & POSTERN_GATE_SYNC) != 0) {
        bring_up_to_date(port, half);
    }
}

/* After a crossing failed. */
static void wait_and_recover(struct postern_port *port, struct postern_port_half *half)
{
    if (__atomic_sub_fetch(&port->delay, 1, __ATOMIC_RELAXED) % RETRY_BURSTS == 0) {
        bring_up_to_date(port, half);
    }
}

static bool has_failed(const struct postern_port *port)
{
    return __builtin_expect(__atomic_load_n(&port->error, __ATOMIC_RELAXED) != 0, 0);
}

/* Enters a half for a burst. False: there is nothing to be done now, and the half is left. */
static bool begin_burst(struct postern_port *port, struct postern_port_half *half)
{
    if (!enter(half)) {
        return false;
    }
    if (!has_failed(port)) {
        return true;
    }
    wait_and_recover(port, half);
    leave(half);
    return false;
}

unsigned postern_rx_burst(struct postern_port *port, struct postern_gate_packet *packets,
                          unsigned count)
{
    struct postern_port_half *half = &port->rx;
    struct postern_gate_batch batch = {.ring = &port->ring, .packets = packets, .count = count};
    int64_t result;

    if (!begin_burst(port, half)) {
        return 0;
    }
    result = cross(port, half, POSTERN_GATE_RING_TAKE, &batch);
    if (result < 0) {
        batch.done = 0;
    } else {
        add(&half->packets, batch.done - batch.dropped);
        add(&half->bytes, batch.bytes);
        add(&half->dropped, batch.dropped);
        if (result != 0) {
            heed(port, half, result);
        }
    }
    leave(half);
    return batch.done;
}

/* Sends up to the first packet that cannot be sent now, or ever. */
static int64_t send_some(struct postern_port *port, struct postern_gate_batch *batch)
{
    struct postern_port_half *half = &port->tx;
    int64_t result = cross(port, half, POSTERN_GATE_RING_SEND, batch);

    if (result < 0 && result != POSTERN_ERR_ARGUMENT) {
        batch->done = 0;
        return result;
    }
    add(&half->packets, batch->done);
    add(&half->bytes, batch->bytes);
    if (result > 0) {
        heed(port, half, result);
    }
    return result;
}

/* Was the batch's first packet that is not done with one that can never be? */
static bool is_refused(const struct postern_port *port, const struct postern_gate_batch *batch,
                       int64_t result)
{
    uint32_t length;

    if (result < 0 || batch->done == batch->count) {
        return result == POSTERN_ERR_ARGUMENT;
    }
    length = batch->packets[batch->done].meta.length;
    return length == 0 || length > port->ring.max_payload;
}

unsigned postern_tx_burst(struct postern_port *port, struct postern_gate_packet *packets,
                          unsigned count)
{
    struct postern_port_half *half = &port->tx;
    struct postern_gate_batch batch = {.ring = &port->ring, .packets = packets, .count = count};
    int64_t result;

    if (!begin_burst(port, half)) {
        return 0;
    }
    result = send_some(port, &batch);
    while (__builtin_expect(is_refused(port, &batch, result), 0)) {
        add(&half->dropped, 1);
        batch.packets += batch.done + 1;
        batch.count -= batch.done + 1;
        result = send_some(port, &batch);
    }
    leave(half);
    return (unsigned)(batch.packets - packets) + batch.done;
}

bool postern_tx_done(struct postern_port *port)
{
    struct postern_gate_ring call = {.ring = &port->ring, .bytes = port->ring.data_size};
    int64_t result = POSTERN_GATE_FULL;

    if (enter(&port->tx)) {
        if (!has_failed(port)) {
            result = cross(port, &port->tx, POSTERN_GATE_RING_ROOM, &call);
        }
        leave(&port->tx);
    }
    return result == 0;
}

bool postern_port_link(struct postern_port *port)
{
    struct postern_gate_batch nothing = {.ring = &port->ring};
    struct postern_port_half *half = &port->rx;

    if (enter(half)) {
        if (has_failed(port)) {
            bring_up_to_date(port, half);
        } else {
            heed(port, half, cross(port, half, POSTERN_GATE_RING_LOOK, &nothing));
        }
        leave(half);
    }
    return postern_ring_works(&port->ring) && !has_failed(port) &&
           port->device.peer_runs(port->device.context);
}

bool postern_port_set_link(struct postern_port *port, bool up)
{
    if (up) {
        return open_ring(port, &port->rx);
    }
    postern_port_detach(port);
    return true;
}

uint32_t postern_port_peer_mtu(const struct postern_port *port)
{
    return port->ring.up ? port->ring.peer_mtu : 0;
}

void postern_port_set_mtu(struct postern_port *port, uint32_t mtu)
{
    struct postern_gate_ring call = {.ring = &port->ring, .mtu = mtu};

    port->mtu = mtu;
    (void)port->device.gate(port->device.view, POSTERN_GATE_RING_SET_MTU, &call);
}

const struct postern_port_info *postern_port_info(const struct postern_port *port)
{
    return &port->info;
}

void postern_port_stats(const struct postern_port *port, struct postern_port_stats *stats)
{
    const struct postern_port_half *rx = &port->rx, *tx = &port->tx;

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

bool postern_port_attach(struct postern_port *port, const struct postern_port_device *device,
                         uint32_t mtu)
{
    if (device->section_size > POSTERN_SECTION_MAX ||
        !postern_ring_init(&port->ring, device->own, device->peer,
                           (uint32_t)device->section_size)) {
        return false;
    }
    port->ring.polls = true;
    port->device = *device;
    port->info.gated = device->gate != NULL;
    port->info.max_frame = port->ring.max_payload;
    if (device->gate == NULL) {
        port->device.gate = call_directly;
    }
    port->mtu = mtu;
    return open_ring(port, &port->rx);
}

void postern_port_detach(struct postern_port *port)
{
    struct postern_gate_ring call = {.ring = &port->ring};

    /* Tried after an error too: it needs the own section only. */
    ring_if_due(port, &port->rx, cross(port, &port->rx, POSTERN_GATE_RING_CLOSE, &call));
}
