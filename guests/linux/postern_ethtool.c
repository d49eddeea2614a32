// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What ethtool asks of the interface. */
#include "postern_nic.h"

static const char postern_counter_names[POSTERN_COUNTERS][ETH_GSTRING_LEN] = {
	[POSTERN_RX_PACKETS] = "rx_packets",
	[POSTERN_RX_BYTES] = "rx_bytes",
	[POSTERN_TX_PACKETS] = "tx_packets",
	[POSTERN_TX_BYTES] = "tx_bytes",
	[POSTERN_TX_DOORBELLS] = "tx_doorbells",
	[POSTERN_RX_DOORBELLS] = "rx_doorbells",
	[POSTERN_LINK_DOORBELLS] = "link_doorbells",
	[POSTERN_RING_INTERRUPTS] = "ring_interrupts",
	[POSTERN_LINK_INTERRUPTS] = "link_interrupts",
	[POSTERN_POLLS] = "polls",
	[POSTERN_BUSY_POLLS] = "busy_polls",
	[POSTERN_REARMS] = "rearms",
	[POSTERN_LINGERS] = "lingers",
	[POSTERN_TX_STOPS] = "tx_stops",
	[POSTERN_TX_REFUSED] = "tx_refused",
	[POSTERN_RX_LENGTH] = "rx_bad_length",
	[POSTERN_RX_REFUSED] = "rx_refused",
	[POSTERN_RX_NO_MEMORY] = "rx_no_memory",
	[POSTERN_BROKEN] = "broken",
	[POSTERN_GATE_ERRORS] = "gate_errors",
};

static void postern_get_drvinfo(struct net_device *dev, struct ethtool_drvinfo *info)
{
	struct postern_nic *nic = netdev_priv(dev);

	strscpy(info->driver, KBUILD_MODNAME, sizeof(info->driver));
	strscpy(info->bus_info, pci_name(nic->pdev), sizeof(info->bus_info));
}

/* The sums, and then the same of each queue. */
static int postern_get_sset_count(struct net_device *dev, int set)
{
	const struct postern_nic *nic = netdev_priv(dev);

	return set == ETH_SS_STATS ? POSTERN_COUNTERS * (1 + nic->queue_count) : -EOPNOTSUPP;
}

static void postern_get_strings(struct net_device *dev, u32 set, u8 *names)
{
	const struct postern_nic *nic = netdev_priv(dev);
	unsigned int i, queue;

	if (set != ETH_SS_STATS)
		return;
	for (i = 0; i < POSTERN_COUNTERS; i++)
		ethtool_sprintf(&names, "%s", postern_counter_names[i]);
	for (queue = 0; queue < nic->queue_count; queue++)
		for (i = 0; i < POSTERN_COUNTERS; i++)
			ethtool_sprintf(&names, "queue%u_%s", queue, postern_counter_names[i]);
}

static void postern_get_ethtool_stats(struct net_device *dev, struct ethtool_stats *stats,
				      u64 *values)
{
	const struct postern_nic *nic = netdev_priv(dev);
	u64 *sums = values;
	unsigned int i, queue;

	memset(sums, 0, POSTERN_COUNTERS * sizeof(*sums));
	for (queue = 0; queue < nic->queue_count; queue++) {
		values += POSTERN_COUNTERS;
		for (i = 0; i < POSTERN_COUNTERS; i++) {
			values[i] = READ_ONCE(nic->queues[queue].counters[i]);
			sums[i] += values[i];
		}
	}
}

static void postern_get_channels(struct net_device *dev, struct ethtool_channels *channels)
{
	const struct postern_nic *nic = netdev_priv(dev);

	channels->max_combined = nic->queue_count;
	channels->combined_count = postern_used(nic);
}

static int postern_set_channels(struct net_device *dev, struct ethtool_channels *channels)
{
	/* The core has checked it against the maxima. */
	return postern_use_queues(netdev_priv(dev), channels->combined_count);
}

/* A ring has bytes rather than entries: so many packets of the MTU's size. */
static void postern_get_ringparam(struct net_device *dev, struct ethtool_ringparam *param,
				  struct kernel_ethtool_ringparam *kernel,
				  struct netlink_ext_ack *extack)
{
	const struct postern_nic *nic = netdev_priv(dev);
	u32 record = postern_ring_record_size(dev->mtu + ETH_HLEN, 0);

	param->rx_max_pending = nic->queues[0].port.ring.data_size / record;
	param->tx_max_pending = param->rx_max_pending;
	param->rx_pending = param->rx_max_pending;
	param->tx_pending = param->rx_max_pending;
}

/* There is no wire: no speed, no negotiation. */
static int postern_get_link_ksettings(struct net_device *dev, struct ethtool_link_ksettings *link)
{
	ethtool_link_ksettings_zero_link_mode(link, supported);
	ethtool_link_ksettings_zero_link_mode(link, advertising);
	link->base.speed = SPEED_UNKNOWN;
	link->base.duplex = DUPLEX_FULL;
	link->base.port = PORT_OTHER;
	link->base.autoneg = AUTONEG_DISABLE;
	return 0;
}

/* Opens the rings anew. */
static int postern_ethtool_reset(struct net_device *dev, u32 *flags)
{
	int err = postern_reset(netdev_priv(dev));

	if (!err)
		*flags &= ~(ETH_RESET_DMA | ETH_RESET_OFFLOAD | ETH_RESET_RAM);
	return err;
}

const struct ethtool_ops postern_ethtool_ops = {
	.get_drvinfo = postern_get_drvinfo,
	.get_link = ethtool_op_get_link,
	.get_link_ksettings = postern_get_link_ksettings,
	.get_sset_count = postern_get_sset_count,
	.get_strings = postern_get_strings,
	.get_ethtool_stats = postern_get_ethtool_stats,
	.get_channels = postern_get_channels,
	.set_channels = postern_set_channels,
	.get_ringparam = postern_get_ringparam,
	.get_ts_info = ethtool_op_get_ts_info,
	.reset = postern_ethtool_reset,
};
