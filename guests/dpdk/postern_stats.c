/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver's counters. */
#include "guests/dpdk/postern_pmd.h"

static void read_counters(const struct pmd_device *device, unsigned i, struct pmd_counters *now)
{
    postern_queue_stats(postern_port_queue(device->port, i), &now->port);
    now->no_mbuf = device->rx[i] != NULL ? device->rx[i]->no_mbuf : 0;
    now->rx_refused = device->rx[i] != NULL ? device->rx[i]->refused : 0;
    now->tx_refused = device->tx[i] != NULL ? device->tx[i]->refused : 0;
}

static unsigned queues_of(const struct pmd_device *device)
{
    return postern_port_info(device->port)->queues;
}

static void add_queue(const struct pmd_device *device, unsigned i, struct rte_eth_stats *stats)
{
    const struct pmd_counters *zero = &device->zero[i];
    struct pmd_counters now;

    read_counters(device, i, &now);
    stats->q_ipackets[i] = now.port.rx_packets - zero->port.rx_packets;
    stats->q_ibytes[i] = now.port.rx_bytes - zero->port.rx_bytes;
    stats->q_opackets[i] = now.port.tx_packets - zero->port.tx_packets;
    stats->q_obytes[i] = now.port.tx_bytes - zero->port.tx_bytes;
    stats->q_errors[i] =
        now.port.rx_dropped - zero->port.rx_dropped + now.rx_refused - zero->rx_refused;
    stats->ipackets += stats->q_ipackets[i];
    stats->ibytes += stats->q_ibytes[i];
    stats->opackets += stats->q_opackets[i];
    stats->obytes += stats->q_obytes[i];
    stats->ierrors += stats->q_errors[i];
    stats->oerrors +=
        now.port.tx_refused - zero->port.tx_refused + now.tx_refused - zero->tx_refused;
    stats->rx_nombuf += now.no_mbuf - zero->no_mbuf;
}

/* The caller has zeroed them. */
int pmd_stats_get(struct rte_eth_dev *dev, struct rte_eth_stats *stats)
{
    const struct pmd_device *device = dev->data->dev_private;

    for (unsigned i = 0; i < queues_of(device); i++) {
        add_queue(device, i, stats);
    }
    return 0;
}

int pmd_stats_reset(struct rte_eth_dev *dev)
{
    struct pmd_device *device = dev->data->dev_private;

    for (unsigned i = 0; i < queues_of(device); i++) {
        read_counters(device, i, &device->zero[i]);
    }
    return 0;
}

static const struct {
    const char *name;
    size_t offset; /* in struct postern_port_stats */
} xstats[] = {
    {"crossings", offsetof(struct postern_port_stats, crossings)},
    {"doorbells", offsetof(struct postern_port_stats, doorbells)},
    {"syncs", offsetof(struct postern_port_stats, syncs)},
    {"crossing_errors", offsetof(struct postern_port_stats, errors)},
    {"rx_too_long", offsetof(struct postern_port_stats, rx_dropped)},
    {"tx_refused", offsetof(struct postern_port_stats, tx_refused)},
};

int pmd_xstats_get_names(struct rte_eth_dev *dev, struct rte_eth_xstat_name *names, unsigned size)
{
    (void)dev;
    for (unsigned i = 0; names != NULL && i < size && i < RTE_DIM(xstats); i++) {
        (void)snprintf(names[i].name, sizeof(names[i].name), "%s", xstats[i].name);
    }
    return (int)RTE_DIM(xstats);
}

/* Of all queues, since they were reset. */
static uint64_t sum(const struct pmd_device *device, size_t offset)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < queues_of(device); i++) {
        struct pmd_counters now;

        read_counters(device, i, &now);
        value += *(const uint64_t *)((const char *)&now.port + offset) -
                 *(const uint64_t *)((const char *)&device->zero[i].port + offset);
    }
    return value;
}

int pmd_xstats_get(struct rte_eth_dev *dev, struct rte_eth_xstat *values, unsigned size)
{
    const struct pmd_device *device = dev->data->dev_private;

    if (size < RTE_DIM(xstats)) {
        return (int)RTE_DIM(xstats);
    }
    for (unsigned i = 0; i < RTE_DIM(xstats); i++) {
        values[i].id = i;
        values[i].value = sum(device, xstats[i].offset);
    }
    return (int)RTE_DIM(xstats);
}
