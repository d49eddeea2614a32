/* SPDX-License-Identifier: BSD-2-Clause */
#include "guests/lwip/port.h"

#include "abi/gate_ring_ops.h"
#include "abi/hypercall.h"
#include "abi/pci.h"
#include "guests/lwip/console.h"
#include "guests/lwip/cpu.h"
#include "guests/lwip/hypercall.h"
#include "guests/lwip/paging.h"

/* What a crossing answers that could not be made: nothing to do, no room, no reason not to wait. */
#define NO_ANSWER (POSTERN_GATE_FULL | POSTERN_GATE_WAIT)

/* In the gate's place when the window can be touched as it is. */
static int64_t call_directly(uint32_t view, uint32_t function, void *arguments)
{
    (void)view;
    return postern_gate_ring_function(function, arguments);
}

static int64_t cross(struct port *port, uint32_t function, void *arguments)
{
    int64_t result;

    if (port->error != 0) {
        return NO_ANSWER;
    }
    result = port->gate(port->view, function, arguments);
    if (result >= 0) {
        return result;
    }
    port->error = result;
    return NO_ANSWER;
}

static int64_t cross_call(struct port *port, uint32_t function, uint64_t bytes)
{
    struct postern_gate_ring call = {.ring = &port->ring, .bytes = bytes};

    return cross(port, function, &call);
}

/* Sets `done` to 0 when the crossing fails. */
static int64_t cross_batch(struct port *port, uint32_t function, struct postern_gate_batch *batch)
{
    int64_t result;

    batch->ring = &port->ring;
    batch->done = 0;
    result = cross(port, function, batch);
    if (port->error != 0) {
        batch->done = 0;
    }
    return result;
}

static void open_view(struct port *port)
{
    int64_t home = hypercall(POSTERN_HC_GATE, 0, 0);
    int64_t view = hypercall(POSTERN_HC_VIEW_OPEN, port->number, POSTERN_ALL_VCPUS);

    if (home <= 0 || view < 0) {
        give_up("postern-lwip: the port's view cannot be opened (%ld, %ld)\n", home, view);
    }
    /* At its home: start.S maps it there, executable. */
    port->gate = (postern_gate_t)(home & ~0xfffll);
    port->view = (uint32_t)view;
}

void port_init(struct port *port, const struct device *device, uint32_t queue)
{
    uint8_t *window = map_memory(device->window, 2 * (size_t)device->section_size);
    uint32_t slice = device->section_size / device->queues;
    uint8_t *own = window + queue * (size_t)slice;

    *port = (struct port){.gate = call_directly,
                          .number = device->port,
                          .queue = queue,
                          .gated = device->mode == POSTERN_MODE_GATED};
    if (window == NULL || !postern_ring_init(&port->ring, own, own + device->section_size, slice)) {
        give_up("postern-lwip: no use for a window at 0x%lx with sections of 0x%x bytes\n",
                device->window, device->section_size);
    }
    if (port->gated) {
        open_view(port);
    }
}

void port_open(struct port *port, uint32_t mtu)
{
    struct postern_gate_ring call = {.ring = &port->ring, .mtu = mtu, .seed = (uint32_t)rdtsc()};

    port->error = 0;
    (void)cross(port, POSTERN_GATE_RING_OPEN, &call);
}

void port_close(struct port *port)
{
    (void)cross_call(port, POSTERN_GATE_RING_CLOSE, 0);
}

void port_close_view(const struct port *port)
{
    if (port->gated) {
        (void)hypercall(POSTERN_HC_VIEW_CLOSE, port->number, POSTERN_ALL_VCPUS);
    }
}

/* That the peer does not run is no error: it looks when it opens. */
void port_doorbell(const struct port *port)
{
    (void)hypercall(POSTERN_HC_DOORBELL, port->number, port->queue);
}

int64_t port_sync(struct port *port)
{
    return cross_call(port, POSTERN_GATE_RING_SYNC, 0) & POSTERN_GATE_DOORBELL;
}

int64_t port_look(struct port *port, struct postern_gate_packet *packets, uint32_t count,
                  uint32_t *found)
{
    struct postern_gate_batch batch = {.packets = packets, .count = count};
    int64_t result = cross_batch(port, POSTERN_GATE_RING_LOOK, &batch);

    *found = batch.done;
    return result & POSTERN_GATE_SYNC;
}

int64_t port_take(struct port *port, struct postern_gate_packet *packets, uint32_t count,
                  uint32_t *taken)
{
    struct postern_gate_batch batch = {.packets = packets, .count = count};
    int64_t result = cross_batch(port, POSTERN_GATE_RING_TAKE, &batch);

    *taken = batch.done;
    return result & POSTERN_GATE_DOORBELL;
}

int64_t port_send(struct port *port, struct postern_gate_packet *packet, bool *sent)
{
    struct postern_gate_batch batch = {.packets = packet, .count = 1, .more = 1};
    int64_t result = cross_batch(port, POSTERN_GATE_RING_SEND, &batch);

    *sent = batch.done == 1;
    return result & POSTERN_GATE_DOORBELL;
}

int64_t port_flush(struct port *port)
{
    struct postern_gate_batch batch = {.count = 0};

    return cross_batch(port, POSTERN_GATE_RING_SEND, &batch) & POSTERN_GATE_DOORBELL;
}

bool port_has_room(struct port *port, uint64_t bytes)
{
    return (cross_call(port, POSTERN_GATE_RING_ROOM, bytes) & POSTERN_GATE_FULL) == 0;
}

bool port_wait_for_room(struct port *port, uint64_t bytes)
{
    return (cross_call(port, POSTERN_GATE_RING_ARM_TX, bytes) & POSTERN_GATE_WAIT) != 0;
}

bool port_wait_for_packets(struct port *port)
{
    return (cross_call(port, POSTERN_GATE_RING_ARM_RX, 0) & POSTERN_GATE_WAIT) != 0;
}

bool port_mwait(struct port *port)
{
    if (port->gated) {
        return (cross_call(port, POSTERN_GATE_RING_WAIT, 0) & POSTERN_GATE_WAIT) != 0 &&
               port->error == 0;
    }
    return postern_ring_wait(&port->ring);
}

/* The look touches what may be out of reach: the peer's section. */
bool port_revived(struct port *port)
{
    struct postern_gate_batch nothing = {.ring = &port->ring};

    return port->gate(port->view, POSTERN_GATE_RING_LOOK, &nothing) >= 0;
}
