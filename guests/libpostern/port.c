/* SPDX-License-Identifier: BSD-2-Clause */
/* A port: its queues together. */
#include "guests/libpostern/port.h"

/* Over the device as it is now. */
static bool init_queues(struct postern_port *port)
{
    for (unsigned i = 0; i < port->device.queues; i++) {
        if (!postern_queue_init(&port->queues[i], port, i)) {
            return false;
        }
    }
    port->info.gated = port->device.gate != NULL;
    return true;
}

bool postern_port_attach(struct postern_port *port, const struct postern_port_device *device,
                         uint32_t mtu)
{
    if (device->queues == 0 || device->queues > POSTERN_QUEUES_MAX) {
        return false;
    }
    port->device = *device;
    port->used = device->queues;
    port->mtu = mtu;
    if (!init_queues(port)) {
        return false;
    }
    port->info.queues = device->queues;
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

    port->open = up;
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

/* Lets others into the first `count` queues again. */
static void leave_others(struct postern_port *port, const struct postern_queue *entered,
                         unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (&port->queues[i] != entered) {
            postern_queue_leave(&port->queues[i].rx);
            postern_queue_leave(&port->queues[i].tx);
        }
    }
}

/* Keeps others out of all queues but one, which is entered. False: somebody is in one of them, and
 * nobody is kept out. */
static bool enter_others(struct postern_port *port, const struct postern_queue *entered)
{
    for (unsigned i = 0; i < port->info.queues; i++) {
        struct postern_queue *queue = &port->queues[i];
        bool rx = queue == entered || postern_queue_enter(&queue->rx);
        bool tx = rx && (queue == entered || postern_queue_enter(&queue->tx));

        if (!tx) {
            if (rx) {
                postern_queue_leave(&queue->rx);
            }
            leave_others(port, entered, i);
            return false;
        }
    }
    return true;
}

/* Nobody is in a queue. */
static void open_anew(struct postern_port *port)
{
    struct postern_port_device *device = &port->device;

    for (unsigned i = 0; i < port->info.queues; i++) {
        postern_queue_close(&port->queues[i]);
    }
    if (!device->follow(device->context, device)) {
        /* Never again: the rings would be opened anew with each look. */
        device->follow = NULL;
    }
    /* The sections are where they were, and good. */
    (void)init_queues(port);
    if (port->open) {
        (void)postern_port_set_link(port, true);
    }
}

bool postern_port_follow(struct postern_port *port, const struct postern_queue *entered)
{
    const uint32_t asked = POSTERN_LINK_OTHER_MODE | POSTERN_LINK_RESTORED;

    if (port->device.follow == NULL || (port->device.link(port->device.context) & asked) == 0) {
        return true;
    }
    if (enter_others(port, entered)) {
        open_anew(port);
        leave_others(port, entered, port->info.queues);
    }
    return false;
}

bool postern_port_link(struct postern_port *port)
{
    bool works = false;

    (void)postern_port_follow(port, NULL);
    for (unsigned i = 0; i < port->used; i++) {
        bool link = postern_queue_link(&port->queues[i]);

        works = i == 0 ? link : works;
    }
    return works && (port->device.link(port->device.context) & POSTERN_LINK_PEER_RUNS) != 0;
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
