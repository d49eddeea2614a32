// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What ethtool asks of the interface. */
#include "postern_member.h"
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
	[POSTERN_TX_STALLS] = "tx_stalls",
	[POSTERN_TX_REFUSED] = "tx_refused",
	[POSTERN_TX_FILTERED] = "tx_filtered",
	[POSTERN_TX_GIVEN_UP] = "tx_given_up",
	[POSTERN_RX_LENGTH] = "rx_bad_length",
	[POSTERN_RX_REFUSED] = "rx_refused",
	[POSTERN_RX_FILTERED] = "rx_filtered",
	[POSTERN_RX_NO_MEMORY] = "rx_no_memory",
	[POSTERN_BROKEN] = "broken",
	[POSTERN_GATE_ERRORS] = "gate_errors",
	[POSTERN_RX_POSTED] = "rx_posted",
	[POSTERN_POSTS] = "posts",
	[POSTERN_XDP_PASS] = "xdp_pass",
	[POSTERN_XDP_DROP] = "xdp_drop",
	[POSTERN_XDP_ABORTED] = "xdp_aborted",
	[POSTERN_XDP_TX] = "xdp_tx",
	[POSTERN_XDP_REDIRECT] = "xdp_redirect",
	[POSTERN_XDP_SEGMENTS] = "xdp_segments",
	[POSTERN_XDP_XMIT] = "xdp_xmit",
	[POSTERN_XDP_XMIT_DROPS] = "xdp_xmit_drops",
};

static void postern_get_drvinfo(struct net_device *dev, struct ethtool_drvinfo *info)
{
	struct postern_nic *nic = netdev_priv(dev);

	strscpy(info->driver, KBUILD_MODNAME, sizeof(info->driver));
	strscpy(info->bus_info, pci_name(nic->pdev), sizeof(info->bus_info));
}

/* Of a member, lanes that lead nowhere are not shown. */
static bool postern_shows(const struct postern_nic *nic, unsigned int queue)
{
	return !nic->member || postern_member_has(nic->member, queue);
}

static unsigned int postern_shown(const struct postern_nic *nic)
{
	unsigned int queue, count = 0;

	for (queue = 0; queue < nic->queue_count; queue++)
		count += postern_shows(nic, queue);
	return count;
}

static void postern_queue_name(const struct postern_queue *queue, char *name, size_t size)
{
	if (queue->nic->member)
		postern_member_name(queue, name, size);
	else
		snprintf(name, size, "queue%u", queue->index);
}

/* The sums, and then the same of each queue. */
static int postern_get_sset_count(struct net_device *dev, int set)
{
	const struct postern_nic *nic = netdev_priv(dev);

	return set == ETH_SS_STATS ? POSTERN_COUNTERS * (1 + postern_shown(nic)) : -EOPNOTSUPP;
}

static void postern_get_strings(struct net_device *dev, u32 set, u8 *names)
{
	const struct postern_nic *nic = netdev_priv(dev);
	char prefix[ETH_GSTRING_LEN];
	unsigned int i, queue;

	if (set != ETH_SS_STATS)
		return;
	for (i = 0; i < POSTERN_COUNTERS; i++)
		ethtool_sprintf(&names, "%s", postern_counter_names[i]);
	for (queue = 0; queue < nic->queue_count; queue++) {
		if (!postern_shows(nic, queue))
			continue;
		postern_queue_name(&nic->queues[queue], prefix, sizeof(prefix));
		for (i = 0; i < POSTERN_COUNTERS; i++)
			ethtool_sprintf(&names, "%s_%s", prefix, postern_counter_names[i]);
	}
}

static void postern_get_ethtool_stats(struct net_device *dev, struct ethtool_stats *stats,
				      u64 *values)
{
	const struct postern_nic *nic = netdev_priv(dev);
	u64 *sums = values;
	unsigned int i, queue;

	memset(sums, 0, POSTERN_COUNTERS * sizeof(*sums));
	for (queue = 0; queue < nic->queue_count; queue++) {
		if (!postern_shows(nic, queue))
			continue;
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

	channels->max_combined = postern_shown(nic);
	channels->combined_count = nic->member ? channels->max_combined : postern_used(nic);
}

static int postern_set_channels(struct net_device *dev, struct ethtool_channels *channels)
{
	struct postern_nic *nic = netdev_priv(dev);

	/* A member that left a lane unused would not be reached by it. */
	if (nic->member)
		return -EOPNOTSUPP;
	/* The core has checked it against the maxima. */
	return postern_use_queues(nic, channels->combined_count);
}

/* A ring has bytes rather than entries: so many packets of the MTU's size. */
static u32 postern_packet_bytes(const struct net_device *dev)
{
	return postern_ring_record_size(dev->mtu + ETH_HLEN, 0);
}

static void postern_get_ringparam(struct net_device *dev, struct ethtool_ringparam *param,
				  struct kernel_ethtool_ringparam *kernel,
				  struct netlink_ext_ack *extack)
{
	const struct postern_nic *nic = netdev_priv(dev);
	const struct postern_port *port = &nic->queues[0].port;
	u32 packet = postern_packet_bytes(dev);

	param->rx_max_pending = port->ring.data_size / packet;
	param->tx_max_pending = param->rx_max_pending;
	param->rx_pending = param->rx_max_pending;
	param->tx_pending = (port->ring.data_size - port->tx_kept) / packet;
}

static void postern_limit_queue(struct postern_queue *queue, u64 bytes)
{
	struct netdev_queue *txq = postern_txq(queue);
	struct postern_port *port = &queue->port;

	__netif_tx_lock_bh(txq);
	port->tx_kept = port->ring.data_size -
			clamp(bytes, postern_port_tx_least(port), port->ring.data_size);
	__netif_tx_unlock_bh(txq);
}

/* The window's size is the configuration's. What can be chosen is how much of the own section may
 * wait for the peer: less of it is a shorter wait, and more doorbells while the peer is slower. */
static int postern_set_ringparam(struct net_device *dev, struct ethtool_ringparam *param,
				 struct kernel_ethtool_ringparam *kernel,
				 struct netlink_ext_ack *extack)
{
	struct postern_nic *nic = netdev_priv(dev);
	u32 packet = postern_packet_bytes(dev);
	u64 size = nic->queues[0].port.ring.data_size;
	u64 bytes = (u64)param->tx_pending * packet;
	unsigned int i;

	if (param->rx_pending != size / packet) {
		NL_SET_ERR_MSG_MOD(extack, "what is received waits in the peer's ring: limit that");
		return -EINVAL;
	}
	/* All of it, though it is no whole number of packets. */
	if (param->tx_pending == size / packet)
		bytes = size;
	for (i = 0; i < nic->queue_count; i++)
		postern_limit_queue(&nic->queues[i], bytes);
	/* A queue that is stopped may go on now. */
	if (nic->open)
		postern_look(nic);
	return 0;
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
	.set_ringparam = postern_set_ringparam,
	.get_ts_info = postern_get_ts_info,
	.reset = postern_ethtool_reset,
};
