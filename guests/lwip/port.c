/* SPDX-License-Identifier: BSD-2-Clause */
#include "guests/lwip/port.h"

#include <string.h>

#include "abi/hypercall.h"
#include "abi/pci.h"
#include "guests/lwip/console.h"
#include "guests/lwip/cpu.h"
#include "guests/lwip/hypercall.h"
#include "guests/lwip/paging.h"

/* What a crossing answers that could not be made: nothing to do, no room, no reason not to wait. */
#define NO_ANSWER (POSTERN_GATE_FULL | POSTERN_GATE_WAIT)

static postern_gate_t gate; /* at its home: start.S maps it there, executable */

static int64_t cross(struct port *port, uint32_t function, void *arguments)
{
    int64_t result;

    if (port->error != 0) {
        return NO_ANSWER;
    }
    result = gate(port->view, function, arguments);
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
    gate = (postern_gate_t)(home & ~0xfffll);
    port->view = (uint32_t)view;
}

void port_init(struct port *port, const struct device *device)
{
    uint8_t *window = map_window(device->window, 2 * (size_t)device->section_size);

    *port = (struct port){.number = device->port, .gated = device->mode == POSTERN_MODE_GATED};
    if (window == NULL || !postern_ring_init(&port->ring, window, window + device->section_size,
                                             device->section_size)) {
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
    port->payload = NULL;
    if (port->gated) {
        (void)cross(port, POSTERN_GATE_RING_OPEN, &call);
    } else {
        postern_ring_open(&port->ring, call.mtu, call.seed);
    }
}

/* That the peer does not run is no error: it looks when it opens. */
void port_doorbell(const struct port *port)
{
    (void)hypercall(POSTERN_HC_DOORBELL, port->number, 0);
}

int64_t port_sync(struct port *port)
{
    if (port->gated) {
        return cross_call(port, POSTERN_GATE_RING_SYNC, 0) & POSTERN_GATE_DOORBELL;
    }
    port->payload = NULL;
    return postern_ring_sync(&port->ring) ? POSTERN_GATE_DOORBELL : 0;
}

int64_t port_look(struct port *port, struct postern_gate_packet *packets, uint32_t count,
                  uint32_t *found)
{
    struct postern_gate_batch batch = {.packets = packets, .count = count};
    int64_t result;

    if (port->gated) {
        result = cross_batch(port, POSTERN_GATE_RING_LOOK, &batch) & POSTERN_GATE_SYNC;
        *found = batch.done;
        return result;
    }
    port->payload = postern_ring_peek(&port->ring, &packets[0].meta);
    *found = port->payload != NULL ? 1 : 0;
    return postern_ring_sync_needed(&port->ring) ? POSTERN_GATE_SYNC : 0;
}

static uint64_t room_in(const struct postern_gate_packet *packet)
{
    uint64_t room = 0;

    for (uint64_t i = 0; i < packet->piece_count; i++) {
        room += packet->pieces[i].size;
    }
    return room;
}

static void copy_out(struct postern_gate_packet *packet, const uint8_t *payload)
{
    uint64_t left = packet->meta.length;

    if (room_in(packet) < left) {
        packet->meta.length = 0;
        return;
    }
    for (uint64_t i = 0; left > 0; i++) {
        uint64_t size = packet->pieces[i].size < left ? packet->pieces[i].size : left;
        memcpy(packet->pieces[i].address, payload, size);
        payload += size;
        left -= size;
    }
}

int64_t port_take(struct port *port, struct postern_gate_packet *packets, uint32_t count,
                  uint32_t *taken)
{
    struct postern_gate_batch batch = {.packets = packets, .count = count};
    int64_t result;

    if (port->gated) {
        result = cross_batch(port, POSTERN_GATE_RING_TAKE, &batch) & POSTERN_GATE_DOORBELL;
        *taken = batch.done;
        return result;
    }
    *taken = count > 0 && port->payload != NULL ? 1 : 0;
    if (*taken == 0) {
        return 0;
    }
    copy_out(packets, port->payload);
    port->payload = NULL;
    postern_ring_consume(&port->ring);
    return postern_ring_release(&port->ring) ? POSTERN_GATE_DOORBELL : 0;
}

int64_t port_send(struct port *port, struct postern_gate_packet *packet, bool *sent)
{
    struct postern_gate_batch batch = {.packets = packet, .count = 1, .more = 1};
    int64_t result;
    uint8_t *payload;

    if (port->gated) {
        result = cross_batch(port, POSTERN_GATE_RING_SEND, &batch) & POSTERN_GATE_DOORBELL;
        *sent = batch.done == 1;
        return result;
    }
    payload = postern_ring_reserve(&port->ring, &packet->meta);
    *sent = payload != NULL;
    if (payload == NULL) {
        return port_flush(port);
    }
    for (uint64_t i = 0; i < packet->piece_count; i++) {
        memcpy(payload, packet->pieces[i].address, packet->pieces[i].size);
        payload += packet->pieces[i].size;
    }
    postern_ring_commit(&port->ring);
    return 0;
}

int64_t port_flush(struct port *port)
{
    struct postern_gate_batch batch = {.count = 0};

    if (port->gated) {
        return cross_batch(port, POSTERN_GATE_RING_SEND, &batch) & POSTERN_GATE_DOORBELL;
    }
    return postern_ring_publish(&port->ring) ? POSTERN_GATE_DOORBELL : 0;
}

bool port_has_room(struct port *port, uint64_t bytes)
{
    if (port->gated) {
        return (cross_call(port, POSTERN_GATE_RING_ROOM, bytes) & POSTERN_GATE_FULL) == 0;
    }
    return postern_ring_room(&port->ring, bytes);
}

bool port_wait_for_room(struct port *port, uint64_t bytes)
{
    if (port->gated) {
        return (cross_call(port, POSTERN_GATE_RING_ARM_TX, bytes) & POSTERN_GATE_WAIT) != 0;
    }
    return postern_ring_arm_tx(&port->ring, bytes);
}

bool port_wait_for_packets(struct port *port)
{
    if (port->gated) {
        return (cross_call(port, POSTERN_GATE_RING_ARM_RX, 0) & POSTERN_GATE_WAIT) != 0;
    }
    return postern_ring_arm_rx(&port->ring);
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

    return gate(port->view, POSTERN_GATE_RING_LOOK, &nothing) >= 0;
}
