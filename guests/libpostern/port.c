/* SPDX-License-Identifier: BSD-2-Clause */
/* A port: its queues together. */
#include "guests/libpostern/port.h"

bool postern_port_attach(struct postern_port *port, const struct postern_port_device *device,
                         uint32_t mtu)
{
    if (device->queues == 0 || device->queues > POSTERN_QUEUES_MAX) {
        return false;
    }
    port->device = *device;
    port->used = device->queues;
    port->mtu = mtu;
    for (unsigned i = 0; i < device->queues; i++) {
        if (!postern_queue_init(&port->queues[i], port, i)) {
            return false;
        }
    }
    port->info.queues = device->queues;
    port->info.gated = device->gate != NULL;
    port->info.max_frame = port->queues[0].ring.max_payload;
    return postern_port_set_link(port, true);
}

void postern_port_detach(struct postern_port *port)
{
    (void)postern_port_set_link(port, false);
}

struct postern_queue *postern_port_queue(struct postern_port *port, unsigned index)
{
    return index < port->info.queues ? &port->queues[index] : NULL;
}

void postern_port_use_queues(struct postern_port *port, unsigned count)
{
    port->used = count < port->info.queues ? count : port->info.queues;
}

bool postern_port_set_link(struct postern_port *port, bool up)
{
    bool good = true;

    for (unsigned i = 0; i < port->info.queues; i++) {
        struct postern_queue *queue = &port->queues[i];

        if (!up || i >= port->used) {
            postern_queue_close(queue);
        } else {
            good = postern_queue_open(queue, &queue->rx) && good;
        }
    }
    return good;
}

bool postern_port_link(struct postern_port *port)
{
    bool works = false;

    for (unsigned i = 0; i < port->used; i++) {
        bool link = postern_queue_link(&port->queues[i]);

        works = i == 0 ? link : works;
    }
    return works && port->device.peer_runs(port->device.context);
}

uint32_t postern_port_peer_mtu(const struct postern_port *port)
{
    const struct postern_ring *ring = &port->queues[0].ring;

    return ring->up ? ring->peer_mtu : 0;
}

void postern_port_set_mtu(struct postern_port *port, uint32_t mtu)
{
    port->mtu = mtu;
    for (unsigned i = 0; i < port->info.queues; i++) {
        struct postern_queue *queue = &port->queues[i];
        struct postern_gate_ring call = {.ring = &queue->ring, .mtu = mtu};

        (void)queue->gate(queue->view, POSTERN_GATE_RING_SET_MTU, &call);
    }
}

const struct postern_port_info *postern_port_info(const struct postern_port *port)
{
    return &port->info;
}

void postern_port_stats(const struct postern_port *port, struct postern_port_stats *stats)
{
    *stats = (struct postern_port_stats){0};
    for (unsigned i = 0; i < port->info.queues; i++) {
        struct postern_port_stats queue;

        postern_queue_stats(&port->queues[i], &queue);
        stats->rx_packets += queue.rx_packets;
        stats->rx_bytes += queue.rx_bytes;
        stats->rx_dropped += queue.rx_dropped;
        stats->tx_packets += queue.tx_packets;
        stats->tx_bytes += queue.tx_bytes;
        stats->tx_refused += queue.tx_refused;
        stats->crossings += queue.crossings;
        stats->doorbells += queue.doorbells;
        stats->syncs += queue.syncs;
        stats->errors += queue.errors;
    }
}
