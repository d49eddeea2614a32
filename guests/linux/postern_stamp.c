// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Hardware timestamps by the time-stamp counter, and the counter as a clock for /dev/ptpN. */
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/net_tstamp.h>
#include <linux/ptp_clock_kernel.h>
#include <linux/uaccess.h>
#include <asm/tsc.h>

#include "postern_nic.h"

static struct ptp_clock *postern_clock;

/* Since the counter was 0. Of a count that is not in the future, as what it is multiplied with
 * fits into 64 bits then. */
static u64 postern_nanoseconds(u64 tsc)
{
	return mul_u64_u32_div(tsc, NSEC_PER_MSEC, tsc_khz);
}

void postern_stamp_tell(struct sk_buff *skb, u64 stamp)
{
	struct skb_shared_hwtstamps times = {
		.hwtstamp = ns_to_ktime(postern_nanoseconds(stamp)),
	};

	skb_tstamp_tx(skb, &times);
}

void postern_stamp_receive(struct sk_buff *skb, u64 stamp)
{
	/* The peer's word: from the future it is a lie. */
	if (stamp > rdtsc_ordered())
		return;
	skb_hwtstamps(skb)->hwtstamp = ns_to_ktime(postern_nanoseconds(stamp));
}

static int postern_get_stamps(struct postern_nic *nic, struct ifreq *request)
{
	struct hwtstamp_config config = {
		.tx_type = nic->stamps.send ? HWTSTAMP_TX_ON : HWTSTAMP_TX_OFF,
		.rx_filter = nic->stamps.receive ? HWTSTAMP_FILTER_ALL : HWTSTAMP_FILTER_NONE,
	};

	return copy_to_user(request->ifr_data, &config, sizeof(config)) ? -EFAULT : 0;
}

static int postern_set_stamps(struct postern_nic *nic, struct ifreq *request)
{
	struct hwtstamp_config config;

	if (!tsc_khz)
		return -EOPNOTSUPP;
	if (copy_from_user(&config, request->ifr_data, sizeof(config)))
		return -EFAULT;
	/* The core has looked at what it asks for. */
	if (config.tx_type != HWTSTAMP_TX_OFF && config.tx_type != HWTSTAMP_TX_ON)
		return -ERANGE;
	WRITE_ONCE(nic->stamps.send, config.tx_type == HWTSTAMP_TX_ON);
	WRITE_ONCE(nic->stamps.receive, config.rx_filter != HWTSTAMP_FILTER_NONE);
	return postern_get_stamps(nic, request);
}

int postern_ioctl(struct net_device *dev, struct ifreq *request, int command)
{
	struct postern_nic *nic = netdev_priv(dev);

	switch (command) {
	case SIOCSHWTSTAMP:
		return postern_set_stamps(nic, request);
	case SIOCGHWTSTAMP:
		return postern_get_stamps(nic, request);
	default:
		return -EOPNOTSUPP;
	}
}

int postern_get_ts_info(struct net_device *dev, struct ethtool_ts_info *info)
{
	info->so_timestamping = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_RX_SOFTWARE |
				SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_TX_HARDWARE |
				SOF_TIMESTAMPING_RX_HARDWARE | SOF_TIMESTAMPING_RAW_HARDWARE;
	info->phc_index = postern_clock ? ptp_clock_index(postern_clock) : -1;
	info->tx_types = BIT(HWTSTAMP_TX_OFF) | BIT(HWTSTAMP_TX_ON);
	info->rx_filters = BIT(HWTSTAMP_FILTER_NONE) | BIT(HWTSTAMP_FILTER_ALL);
	return 0;
}

static int postern_clock_get(struct ptp_clock_info *info, struct timespec64 *time,
			     struct ptp_system_timestamp *system)
{
	u64 tsc;

	ptp_read_system_prets(system);
	tsc = rdtsc_ordered();
	ptp_read_system_postts(system);
	*time = ns_to_timespec64(postern_nanoseconds(tsc));
	return 0;
}

/* Nobody sets the clock that all VMs have. */
static int postern_clock_set(struct ptp_clock_info *info, const struct timespec64 *time)
{
	return -EOPNOTSUPP;
}

static int postern_clock_move(struct ptp_clock_info *info, s64 delta)
{
	return -EOPNOTSUPP;
}

static int postern_clock_tune(struct ptp_clock_info *info, long scaled_ppm)
{
	return -EOPNOTSUPP;
}

static int postern_clock_enable(struct ptp_clock_info *info, struct ptp_clock_request *request,
				int on)
{
	return -EOPNOTSUPP;
}

static struct ptp_clock_info postern_clock_info = {
	.owner = THIS_MODULE,
	.name = "postern TSC",
	.gettimex64 = postern_clock_get,
	.settime64 = postern_clock_set,
	.adjtime = postern_clock_move,
	.adjfine = postern_clock_tune,
	.enable = postern_clock_enable,
};

void postern_clock_register(void)
{
	struct ptp_clock *clock = tsc_khz ? ptp_clock_register(&postern_clock_info, NULL) : NULL;

	/* NULL is a kernel without such clocks: times are told all the same. */
	if (IS_ERR(clock))
		pr_warn("%s: no clock for timestamps: %ld\n", KBUILD_MODNAME, PTR_ERR(clock));
	else
		postern_clock = clock;
}

void postern_clock_unregister(void)
{
	if (postern_clock)
		ptp_clock_unregister(postern_clock);
	postern_clock = NULL;
}
