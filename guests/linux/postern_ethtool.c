// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What ethtool asks of the interface. */
#include "postern_nic.h"

static const char postern_counter_names[POSTERN_COUNTERS][ETH_GSTRING_LEN] = {
	[POSTERN_TX_DOORBELLS] = "tx_doorbells",
	[POSTERN_RX_DOORBELLS] = "rx_doorbells",
	[POSTERN_LINK_DOORBELLS] = "link_doorbells",
	[POSTERN_RING_INTERRUPTS] = "ring_interrupts",
	[POSTERN_LINK_INTERRUPTS] = "link_interrupts",
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

static int postern_get_sset_count(struct net_device *dev, int set)
{
	return set == ETH_SS_STATS ? POSTERN_COUNTERS : -EOPNOTSUPP;
}

static void postern_get_strings(struct net_device *dev, u32 set, u8 *names)
{
	if (set == ETH_SS_STATS)
		memcpy(names, postern_counter_names, sizeof(postern_counter_names));
}

static void postern_get_ethtool_stats(struct net_device *dev, struct ethtool_stats *stats,
				      u64 *values)
{
	struct postern_nic *nic = netdev_priv(dev);
	int i;

	for (i = 0; i < POSTERN_COUNTERS; i++)
		values[i] = READ_ONCE(nic->counters[i]);
}

const struct ethtool_ops postern_ethtool_ops = {
	.get_drvinfo = postern_get_drvinfo,
	.get_link = ethtool_op_get_link,
	.get_sset_count = postern_get_sset_count,
	.get_strings = postern_get_strings,
	.get_ethtool_stats = postern_get_ethtool_stats,
	.get_ts_info = ethtool_op_get_ts_info,
};
