/* SPDX-License-Identifier: BSD-2-Clause */
#include "guests/lwip/statistics.h"

#include <lwip/stats.h>

#include "abi/hypercall.h"
#include "guests/lwip/hypercall.h"
#include "guests/lwip/interrupts.h"

static void add(struct text *text, const char *name, uint64_t value)
{
    text_add(text, "%s %lu\n", name, value);
}

static void add_packets(struct text *text, const struct nic_counters *counters)
{
    add(text, "rx.packets", counters->rx_packets);
    add(text, "rx.bytes", counters->rx_bytes);
    add(text, "rx.large", counters->rx_large);
    add(text, "rx.unchecked", counters->rx_unchecked);
    add(text, "rx.dropped", counters->rx_dropped);
    add(text, "tx.packets", counters->tx_packets);
    add(text, "tx.bytes", counters->tx_bytes);
    add(text, "tx.full", counters->tx_full);
    add(text, "tx.dropped", counters->tx_dropped);
    add(text, "doorbells", counters->lanes.doorbells);
    add(text, "rx.filtered", counters->rx_filtered);
    add(text, "tx.filtered", counters->tx_filtered);
}

static void add_ring(struct text *text, const struct nic *nic)
{
    const struct postern_ring *ring = &nic->lanes[0].port.ring;

    text_add(text, "link.mode %s\n", nic->lanes[0].port.gated ? "gated" : "open");
    add(text, "link.up", netif_is_link_up(&nic->netif));
    add(text, "link.ups", nic->counters.links_up);
    add(text, "link.faults", nic->counters.lanes.faults);
    add(text, "link.gate_errors", nic->counters.lanes.gate_errors);
    add(text, "ring.generation", ring->generation);
    add(text, "ring.peer_generation", ring->peer_generation);
    add(text, "ring.data_size", ring->data_size);
    add(text, "ring.head", ring->head);
    add(text, "ring.peer_tail", ring->peer_tail);
    add(text, "ring.tail", ring->tail);
    add(text, "ring.peer_head", ring->peer_head);
}

/* Of a network's member, by where the lanes lead. */
static void add_lanes(struct text *text, const struct nic *nic)
{
    for (uint32_t i = 0; device_is_member(&nic->device) && i < nic->lane_count; i++) {
        const struct lane *lane = &nic->lanes[i];
        char name[16] = "switch";
        struct text direct;
        if (lane->port.queue != nic->device.to_switch) {
            text_init(&direct, name, sizeof(name));
            text_add(&direct, "direct%u", lane->port.queue);
        }
        text_add(text, "%s.rx %lu\n", name, lane->rx_packets);
        text_add(text, "%s.tx %lu\n", name, lane->tx_packets);
    }
}

static void add_machine(struct text *text, const struct nic *nic)
{
    add(text, "uptime_ms", milliseconds());
    add(text, "exits", (uint64_t)hypercall(POSTERN_HC_EXITS, 0, 0));
    text_add(text, "idle.way %s\n", idle_name(nic->idle));
    add(text, "idle.waits", nic->waits);
    add(text, "interrupts.timer", interrupt_count(VECTOR_TIMER));
    add(text, "interrupts.ring", interrupt_count(VECTOR_RING));
    add(text, "interrupts.link", interrupt_count(VECTOR_LINK));
}

static void add_lwip(struct text *text)
{
    add(text, "heap.size", MEM_SIZE);
    add(text, "heap.used", lwip_stats.mem.used);
    add(text, "heap.most", lwip_stats.mem.max);
    add(text, "heap.refused", lwip_stats.mem.err);
    add(text, "tcp.received", lwip_stats.tcp.recv);
    add(text, "tcp.sent", lwip_stats.tcp.xmit);
    add(text, "tcp.dropped", lwip_stats.tcp.drop);
    add(text, "tcp.bad_checksum", lwip_stats.tcp.chkerr);
    add(text, "icmp.received", lwip_stats.icmp.recv);
}

void statistics_add(struct text *text, const struct statistics_source *source)
{
    add_machine(text, source->nic);
    add_packets(text, &source->nic->counters);
    add_ring(text, source->nic);
    add_lanes(text, source->nic);
    add_lwip(text);
}
