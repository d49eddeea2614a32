/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver's counters. */
#include "guests/dpdk/postern_pmd.h"

static uint64_t no_mbuf(const struct pmd_device *device)
{
    return device->rx != NULL ? device->rx->no_mbuf : 0;
}

static uint64_t rx_refused(const struct pmd_device *device)
{
    return device->rx != NULL ? device->rx->refused : 0;
}

static uint64_t tx_refused(const struct pmd_device *device)
{
    return device->tx != NULL ? device->tx->refused : 0;
}

int pmd_stats_get(struct rte_eth_dev *dev, struct rte_eth_stats *stats)
{
    const struct pmd_device *device = dev->data->dev_private;
    const struct postern_port_stats *zero = &device->zero;
    struct postern_port_stats now;

    postern_port_stats(device->port, &now);
    stats->ipackets = now.rx_packets - zero->rx_packets;
    stats->ibytes = now.rx_bytes - zero->rx_bytes;
    stats->ierrors =
        now.rx_dropped - zero->rx_dropped + rx_refused(device) - device->zero_refused[0];
    stats->rx_nombuf = no_mbuf(device) - device->zero_no_mbuf;
    stats->opackets = now.tx_packets - zero->tx_packets;
    stats->obytes = now.tx_bytes - zero->tx_bytes;
    stats->oerrors =
        now.tx_refused - zero->tx_refused + tx_refused(device) - device->zero_refused[1];
    stats->q_ipackets[0] = stats->ipackets;
    stats->q_ibytes[0] = stats->ibytes;
    stats->q_opackets[0] = stats->opackets;
    stats->q_obytes[0] = stats->obytes;
    stats->q_errors[0] = stats->ierrors;
    return 0;
}

int pmd_stats_reset(struct rte_eth_dev *dev)
{
    struct pmd_device *device = dev->data->dev_private;

    postern_port_stats(device->port, &device->zero);
    device->zero_no_mbuf = no_mbuf(device);
    device->zero_refused[0] = rx_refused(device);
    device->zero_refused[1] = tx_refused(device);
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

static uint64_t counter(const struct postern_port_stats *stats, unsigned i)
{
    return *(const uint64_t *)((const char *)stats + xstats[i].offset);
}

int pmd_xstats_get(struct rte_eth_dev *dev, struct rte_eth_xstat *values, unsigned size)
{
    const struct pmd_device *device = dev->data->dev_private;
    struct postern_port_stats now;

    if (size < RTE_DIM(xstats)) {
        return (int)RTE_DIM(xstats);
    }
    postern_port_stats(device->port, &now);
    for (unsigned i = 0; i < RTE_DIM(xstats); i++) {
        values[i].id = i;
        values[i].value = counter(&now, i) - counter(&device->zero, i);
    }
    return (int)RTE_DIM(xstats);
}
