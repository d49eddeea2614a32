// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Postern's NIC: one end of a link between two virtual machines.
 *
 * A packet is copied into this end's section of the link's window and out of the peer's; the
 * hypervisor takes part only in doorbells. abi/pci.h has the device, abi/ring.h the window and
 * abi/ring_ops.h the ring, with all the checks of what the peer writes.
 *
 * Locking: the ring's producer half belongs to the transmit lock, its consumer half to NAPI, and
 * what excludes both (sync) is done in NAPI under the transmit lock.
 */
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/if_vlan.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/pci.h>
#include <linux/rtnetlink.h>
#include <linux/tcp.h>
#include <linux/timex.h>
#include <linux/virtio_net.h>

#include "abi/pci.h"
#include "abi/ring_ops.h"
#include "postern_hypercall.h"

/* A frame up to this long is received into one linear buffer; of a longer one only this much. */
#define POSTERN_LINEAR_MAX     2048u
#define POSTERN_LINEAR_HEAD    256u

#define POSTERN_FRAME_OVERHEAD (ETH_HLEN + VLAN_HLEN)
#define POSTERN_MTU_MAX	       (65535u - ETH_HLEN)

enum postern_counter {
	POSTERN_TX_DOORBELLS,
	POSTERN_RX_DOORBELLS,
	POSTERN_LINK_DOORBELLS,
	POSTERN_RING_INTERRUPTS,
	POSTERN_LINK_INTERRUPTS,
	POSTERN_TX_STOPS,
	POSTERN_TX_REFUSED,
	POSTERN_RX_LENGTH,
	POSTERN_RX_REFUSED,
	POSTERN_RX_NO_MEMORY,
	POSTERN_BROKEN,
	POSTERN_COUNTERS,
};

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
};

static const char *const postern_fault_names[POSTERN_FAULTS] = {
	[POSTERN_FAULT_IDENTITY] = "another ring version",
	[POSTERN_FAULT_HEAD] = "a wrong head",
	[POSTERN_FAULT_TAIL] = "a wrong tail",
	[POSTERN_FAULT_PAD] = "a wrong pad",
	[POSTERN_FAULT_LENGTH] = "a record's length",
	[POSTERN_FAULT_META] = "a record's flags",
};

struct postern_nic {
	struct postern_ring ring;
	struct net_device *dev;
	struct pci_dev *pdev;
	void __iomem *registers;
	u32 port;
	bool has_hypercalls;
	bool peer_runs; /* what POSTERN_REG_LINK said last */
	/* The fault that was reported last, and whose: NAPI's. */
	u32 reported_fault;
	u32 reported_generation;
	struct napi_struct napi;
	/* Each has one writer at a time: the transmit lock, NAPI or the interrupt. */
	u64 counters[POSTERN_COUNTERS];
};

static void postern_count(struct postern_nic *nic, enum postern_counter counter)
{
	WRITE_ONCE(nic->counters[counter], nic->counters[counter] + 1);
}

/* Interrupts the peer. A peer that is not running misses nothing: it looks when it opens. */
static void postern_doorbell(struct postern_nic *nic, enum postern_counter counter)
{
	postern_count(nic, counter);
	if (nic->has_hypercalls)
		postern_hypercall(POSTERN_HC_DOORBELL, nic->port);
	else
		writel(1, nic->registers + POSTERN_REG_DOORBELL);
}

/* Bytes of the ring that must be free for the queue to run: a pad and a record of any size. */
static u64 postern_tx_low(const struct postern_nic *nic)
{
	return 2 * postern_ring_record_size(nic->ring.max_payload);
}

/* Bytes free at which a stopped queue starts again: more, so that it does not stop at once. */
static u64 postern_tx_high(const struct postern_nic *nic)
{
	return nic->ring.data_size / 4 * 3;
}

/* What the peer must know to finish the packet. False for a packet that a record cannot describe.
 */
static bool postern_describe(const struct sk_buff *skb, struct postern_ring_meta *meta)
{
	struct virtio_net_hdr header;

	if (virtio_net_hdr_from_skb(skb, &header, true, true, 0))
		return false;
	*meta = (struct postern_ring_meta){.length = skb->len};
	if (header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		meta->flags = POSTERN_RECORD_CSUM;
		meta->csum_start = skb_checksum_start_offset(skb);
		meta->csum_offset = skb->csum_offset;
	} else if (header.flags & VIRTIO_NET_HDR_F_DATA_VALID) {
		meta->flags = POSTERN_RECORD_VALID;
	}
	if (skb_is_gso(skb)) {
		meta->gso_type = skb_shinfo(skb)->gso_type & SKB_GSO_TCPV4 ? POSTERN_GSO_TCP4
									   : POSTERN_GSO_TCP6;
		meta->gso_size = skb_shinfo(skb)->gso_size;
		meta->header_length = skb_tcp_all_headers(skb);
		if (header.gso_type & VIRTIO_NET_HDR_GSO_ECN)
			meta->flags |= POSTERN_RECORD_ECN;
	}
	/* A packet from elsewhere may be odd; the peer must not find this end faulty for it. */
	return postern_ring_meta_valid(meta);
}

/* Stops the queue until the peer has made room. With the transmit lock and all published. */
static void postern_stop_queue(struct postern_nic *nic)
{
	netif_stop_queue(nic->dev);
	postern_count(nic, POSTERN_TX_STOPS);
	/* The full barrier in arm_tx also puts the stop before the look at the tail; with the
	 * transmit lock in postern_wake_queue it leaves no gap. */
	if (!postern_ring_arm_tx(&nic->ring, postern_tx_high(nic)))
		netif_start_queue(nic->dev);
}

/* Shows the peer what was committed, unless there is `more` to come at once, and stops the queue
 * when a next packet may not fit. */
static void postern_finish_xmit(struct postern_nic *nic, bool more)
{
	bool room = postern_ring_room(&nic->ring, postern_tx_low(nic));

	if (room && more)
		return;
	if (postern_ring_publish(&nic->ring))
		postern_doorbell(nic, POSTERN_TX_DOORBELLS);
	if (!room)
		postern_stop_queue(nic);
	if (READ_ONCE(nic->ring.fault))
		napi_schedule(&nic->napi);
}

static netdev_tx_t postern_start_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct postern_nic *nic = netdev_priv(dev);
	struct postern_ring_meta meta;
	unsigned int length = skb->len;
	void *payload;

	if (!postern_describe(skb, &meta) || length > nic->ring.max_payload) {
		postern_count(nic, POSTERN_TX_REFUSED);
		goto drop;
	}
	payload = postern_ring_reserve(&nic->ring, length);
	if (!payload) {
		if (!postern_ring_works(&nic->ring))
			goto drop;
		postern_finish_xmit(nic, false);
		return NETDEV_TX_BUSY;
	}
	if (skb_copy_bits(skb, 0, payload, length))
		goto drop;
	skb_tx_timestamp(skb);
	postern_ring_commit(&nic->ring, &meta);
	dev_sw_netstats_tx_add(dev, 1, length);
	dev_consume_skb_any(skb);
	postern_finish_xmit(nic, netdev_xmit_more());
	return NETDEV_TX_OK;

drop:
	dev_core_stats_tx_dropped_inc(dev);
	dev_kfree_skb_any(skb);
	/* Packets before this one of the same batch may still be unpublished. */
	postern_finish_xmit(nic, netdev_xmit_more());
	return NETDEV_TX_OK;
}

/* Copies a payload of `length` bytes out of the window; NULL without memory. */
static struct sk_buff *postern_copy_payload(struct postern_nic *nic, const u8 *payload, u32 length)
{
	u32 copied = length <= POSTERN_LINEAR_MAX ? length : POSTERN_LINEAR_HEAD;
	struct sk_buff *skb = napi_alloc_skb(&nic->napi, copied);
	int frag;

	BUILD_BUG_ON(DIV_ROUND_UP(POSTERN_RING_MAX_PAYLOAD - POSTERN_LINEAR_HEAD, PAGE_SIZE) >
		     MAX_SKB_FRAGS);
	if (!skb)
		return NULL;
	skb_put_data(skb, payload, copied);
	for (frag = 0; copied < length; frag++) {
		u32 chunk = min_t(u32, length - copied, PAGE_SIZE);
		struct page *page = dev_alloc_page();

		if (!page) {
			kfree_skb(skb);
			return NULL;
		}
		memcpy(page_address(page), payload + copied, chunk);
		skb_add_rx_frag(skb, frag, page, 0, chunk, PAGE_SIZE);
		copied += chunk;
	}
	return skb;
}

/* Gives the packet its checksum and GSO state, after the kernel's own checks for virtio devices.
 * False for a packet that does not pass them. */
static bool postern_apply_meta(struct sk_buff *skb, const struct postern_ring_meta *meta)
{
	struct virtio_net_hdr header = {};

	if (meta->flags & POSTERN_RECORD_CSUM) {
		header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		header.csum_start = __cpu_to_virtio16(true, meta->csum_start);
		header.csum_offset = __cpu_to_virtio16(true, meta->csum_offset);
	} else if (meta->flags & POSTERN_RECORD_VALID) {
		skb->ip_summed = CHECKSUM_UNNECESSARY;
	}
	if (meta->gso_type != POSTERN_GSO_NONE) {
		header.gso_type = meta->gso_type == POSTERN_GSO_TCP4 ? VIRTIO_NET_HDR_GSO_TCPV4
								     : VIRTIO_NET_HDR_GSO_TCPV6;
		header.gso_size = __cpu_to_virtio16(true, meta->gso_size);
		header.hdr_len = __cpu_to_virtio16(true, meta->header_length);
		if (meta->flags & POSTERN_RECORD_ECN)
			header.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	}
	return virtio_net_hdr_to_skb(skb, &header, true) == 0;
}

static void postern_receive(struct postern_nic *nic, const void *payload,
			    const struct postern_ring_meta *meta)
{
	struct net_device *dev = nic->dev;
	struct sk_buff *skb;

	if (meta->length < ETH_HLEN || (meta->gso_type == POSTERN_GSO_NONE &&
					meta->length > dev->mtu + POSTERN_FRAME_OVERHEAD)) {
		postern_count(nic, POSTERN_RX_LENGTH);
		dev_core_stats_rx_dropped_inc(dev);
		return;
	}
	skb = postern_copy_payload(nic, payload, meta->length);
	if (!skb) {
		postern_count(nic, POSTERN_RX_NO_MEMORY);
		dev_core_stats_rx_dropped_inc(dev);
		return;
	}
	if (!postern_apply_meta(skb, meta)) {
		postern_count(nic, POSTERN_RX_REFUSED);
		dev_core_stats_rx_dropped_inc(dev);
		kfree_skb(skb);
		return;
	}
	dev_sw_netstats_rx_add(dev, meta->length);
	skb->protocol = eth_type_trans(skb, dev);
	napi_gro_receive(&nic->napi, skb);
}

/* Says once for each generation of the peer that it broke the ring. */
static void postern_report_fault(struct postern_nic *nic)
{
	u32 fault = nic->ring.fault;

	if (fault != POSTERN_FAULT_NONE &&
	    (nic->reported_fault == POSTERN_FAULT_NONE ||
	     nic->reported_generation != nic->ring.peer_generation)) {
		postern_count(nic, POSTERN_BROKEN);
		if (net_ratelimit())
			netdev_warn(nic->dev, "the peer broke the ring: %s\n",
				    postern_fault_names[fault]);
	}
	nic->reported_fault = fault;
	nic->reported_generation = nic->ring.peer_generation;
}

static void postern_update_carrier(struct postern_nic *nic)
{
	struct net_device *dev = nic->dev;
	bool up = nic->ring.up && READ_ONCE(nic->peer_runs);

	if (up == netif_carrier_ok(dev))
		return;
	if (up) {
		netif_carrier_on(dev);
		netif_wake_queue(dev);
	} else {
		netif_carrier_off(dev);
	}
	if (!net_ratelimit())
		return;
	if (up)
		netdev_info(dev, "link up, the peer's MTU is %u\n", nic->ring.peer_mtu);
	else
		netdev_info(dev, "link down\n");
}

/* Follows the peer to another generation, or tells it that it broke the ring. NAPI only. */
static void postern_sync(struct postern_nic *nic)
{
	bool bell;

	netif_tx_lock(nic->dev);
	bell = postern_ring_sync(&nic->ring);
	netif_tx_unlock(nic->dev);
	postern_report_fault(nic);
	if (bell)
		postern_doorbell(nic, POSTERN_LINK_DOORBELLS);
}

/* Starts the queue again when the peer has made room. NAPI only. */
static void postern_wake_queue(struct postern_nic *nic)
{
	netif_tx_lock(nic->dev);
	if (netif_queue_stopped(nic->dev) && postern_ring_works(&nic->ring) &&
	    postern_ring_room(&nic->ring, postern_tx_high(nic)))
		netif_wake_queue(nic->dev);
	netif_tx_unlock(nic->dev);
}

static void postern_release(struct postern_nic *nic)
{
	if (postern_ring_release(&nic->ring))
		postern_doorbell(nic, POSTERN_RX_DOORBELLS);
}

static int postern_poll(struct napi_struct *napi, int budget)
{
	struct postern_nic *nic = container_of(napi, struct postern_nic, napi);
	struct postern_ring *ring = &nic->ring;
	struct postern_ring_meta meta;
	const void *payload;
	int done = 0;

	if (postern_ring_sync_needed(ring))
		postern_sync(nic);
	postern_update_carrier(nic);
	while (done < budget && (payload = postern_ring_peek(ring, &meta)) != NULL) {
		postern_receive(nic, payload, &meta);
		postern_ring_consume(ring);
		done++;
		/* A peer that sends large packets need not wait for the whole batch. */
		if (ring->tail - ring->published_tail >= ring->data_size / 4)
			postern_release(nic);
	}
	postern_release(nic);
	if (netif_queue_stopped(nic->dev))
		postern_wake_queue(nic);
	if (done == budget)
		return budget;
	/* Armed while still scheduled: an interrupt from here on is remembered by NAPI, and
	 * napi_complete_done then polls again. */
	if (!postern_ring_arm_rx(ring))
		return budget;
	napi_complete_done(napi, done);
	return done;
}

static irqreturn_t postern_ring_interrupt(int irq, void *data)
{
	struct postern_nic *nic = data;

	postern_count(nic, POSTERN_RING_INTERRUPTS);
	napi_schedule(&nic->napi);
	return IRQ_HANDLED;
}

static void postern_read_link(struct postern_nic *nic)
{
	u32 link = readl(nic->registers + POSTERN_REG_LINK);

	WRITE_ONCE(nic->peer_runs, (link & POSTERN_LINK_PEER_RUNS) != 0);
}

static irqreturn_t postern_link_interrupt(int irq, void *data)
{
	struct postern_nic *nic = data;

	postern_count(nic, POSTERN_LINK_INTERRUPTS);
	postern_read_link(nic);
	napi_schedule(&nic->napi);
	return IRQ_HANDLED;
}

static int postern_request_irqs(struct postern_nic *nic)
{
	int ring_irq = pci_irq_vector(nic->pdev, POSTERN_VECTOR_RING);
	int link_irq = pci_irq_vector(nic->pdev, POSTERN_VECTOR_LINK);
	int err = request_irq(ring_irq, postern_ring_interrupt, 0, nic->dev->name, nic);

	if (err)
		return err;
	err = request_irq(link_irq, postern_link_interrupt, 0, nic->dev->name, nic);
	if (err)
		free_irq(ring_irq, nic);
	return err;
}

static int postern_open(struct net_device *dev)
{
	struct postern_nic *nic = netdev_priv(dev);
	int err;

	netif_carrier_off(dev);
	nic->reported_fault = POSTERN_FAULT_NONE;
	postern_ring_open(&nic->ring, dev->mtu, (u32)get_cycles());
	err = postern_request_irqs(nic);
	if (err) {
		postern_ring_close(&nic->ring);
		return err;
	}
	napi_enable(&nic->napi);
	netif_start_queue(dev);
	postern_doorbell(nic, POSTERN_LINK_DOORBELLS);
	/* After the interrupt is enabled: a change between the two is not missed. */
	postern_read_link(nic);
	/* The peer's own opening may have rung before anybody listened here. */
	local_bh_disable();
	napi_schedule(&nic->napi);
	local_bh_enable();
	return 0;
}

static int postern_stop(struct net_device *dev)
{
	struct postern_nic *nic = netdev_priv(dev);

	netif_tx_disable(dev);
	free_irq(pci_irq_vector(nic->pdev, POSTERN_VECTOR_LINK), nic);
	free_irq(pci_irq_vector(nic->pdev, POSTERN_VECTOR_RING), nic);
	napi_disable(&nic->napi);
	netif_carrier_off(dev);
	postern_ring_close(&nic->ring);
	postern_doorbell(nic, POSTERN_LINK_DOORBELLS);
	return 0;
}

static int postern_change_mtu(struct net_device *dev, int mtu)
{
	struct postern_nic *nic = netdev_priv(dev);

	dev->mtu = mtu;
	if (netif_running(dev))
		postern_ring_set_mtu(&nic->ring, mtu);
	return 0;
}

static const struct net_device_ops postern_netdev_ops = {
	.ndo_open = postern_open,
	.ndo_stop = postern_stop,
	.ndo_start_xmit = postern_start_xmit,
	.ndo_change_mtu = postern_change_mtu,
	.ndo_get_stats64 = dev_get_tstats64,
	.ndo_set_mac_address = eth_mac_addr,
	.ndo_validate_addr = eth_validate_addr,
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

static const struct ethtool_ops postern_ethtool_ops = {
	.get_drvinfo = postern_get_drvinfo,
	.get_link = ethtool_op_get_link,
	.get_sset_count = postern_get_sset_count,
	.get_strings = postern_get_strings,
	.get_ethtool_stats = postern_get_ethtool_stats,
	.get_ts_info = ethtool_op_get_ts_info,
};

static int postern_map_registers(struct postern_nic *nic)
{
	struct device *device = &nic->pdev->dev;
	u32 magic, abi, mode;

	if (pci_resource_len(nic->pdev, POSTERN_BAR_REGISTERS) < POSTERN_BAR_REGISTERS_SIZE)
		return dev_err_probe(device, -ENODEV, "BAR %u is too small\n",
				     POSTERN_BAR_REGISTERS);
	nic->registers = pcim_iomap(nic->pdev, POSTERN_BAR_REGISTERS, 0);
	if (!nic->registers)
		return -ENOMEM;
	magic = readl(nic->registers + POSTERN_REG_MAGIC);
	abi = readl(nic->registers + POSTERN_REG_ABI);
	mode = readl(nic->registers + POSTERN_REG_MODE);
	if (magic != POSTERN_NIC_MAGIC || abi != POSTERN_NIC_ABI)
		return dev_err_probe(device, -ENODEV, "unknown device: magic %#x, ABI %u\n", magic,
				     abi);
	if (mode != POSTERN_MODE_OPEN)
		return dev_err_probe(device, -ENODEV, "unknown link mode %u\n", mode);
	nic->port = readl(nic->registers + POSTERN_REG_PORT);
	nic->has_hypercalls = postern_present();
	return 0;
}

static int postern_map_window(struct postern_nic *nic)
{
	struct device *device = &nic->pdev->dev;
	u32 section = readl(nic->registers + POSTERN_REG_SECTION_SIZE);
	resource_size_t length = pci_resource_len(nic->pdev, POSTERN_BAR_WINDOW);
	u8 *window;

	if (length < 2 * (u64)section)
		return dev_err_probe(device, -ENODEV, "BAR %u has %pa bytes for sections of %#x\n",
				     POSTERN_BAR_WINDOW, &length, section);
	/* It is memory, shared with the peer's CPUs and with no device. */
	window = devm_memremap(device, pci_resource_start(nic->pdev, POSTERN_BAR_WINDOW),
			       2 * (size_t)section, MEMREMAP_WB);
	if (IS_ERR(window))
		return PTR_ERR(window);
	if (!postern_ring_init(&nic->ring, window, window + section, section))
		return dev_err_probe(device, -ENODEV, "no section has %#x bytes\n", section);
	return 0;
}

static void postern_read_mac(struct postern_nic *nic)
{
	u32 low = readl(nic->registers + POSTERN_REG_MAC_LOW);
	u32 high = readl(nic->registers + POSTERN_REG_MAC_HIGH);
	u8 address[ETH_ALEN] = {low, low >> 8, low >> 16, low >> 24, high, high >> 8};

	if (is_valid_ether_addr(address))
		eth_hw_addr_set(nic->dev, address);
	else
		eth_hw_addr_random(nic->dev);
}

static void postern_set_features(struct postern_nic *nic)
{
	struct net_device *dev = nic->dev;
	u32 frame = nic->ring.max_payload - POSTERN_FRAME_OVERHEAD;

	dev->hw_features =
		NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_TSO | NETIF_F_TSO6 | NETIF_F_TSO_ECN;
	dev->features = dev->hw_features | NETIF_F_HIGHDMA;
	dev->vlan_features = dev->features;
	dev->min_mtu = ETH_MIN_MTU;
	dev->max_mtu = min(POSTERN_MTU_MAX, frame);
	netif_set_tso_max_size(dev, min_t(u32, frame, GSO_LEGACY_MAX_SIZE));
}

static int postern_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct net_device *dev;
	struct postern_nic *nic;
	int err;

	dev = devm_alloc_etherdev(&pdev->dev, sizeof(*nic));
	if (!dev)
		return -ENOMEM;
	nic = netdev_priv(dev);
	nic->dev = dev;
	nic->pdev = pdev;
	err = pcim_enable_device(pdev);
	if (err)
		return err;
	err = pci_request_regions(pdev, KBUILD_MODNAME);
	if (err)
		return err;
	err = postern_map_registers(nic);
	if (err)
		return err;
	err = postern_map_window(nic);
	if (err)
		return err;
	pci_set_master(pdev);
	err = pci_alloc_irq_vectors(pdev, POSTERN_VECTORS, POSTERN_VECTORS, PCI_IRQ_MSIX);
	if (err < 0)
		return dev_err_probe(&pdev->dev, err, "no MSI-X vectors\n");

	SET_NETDEV_DEV(dev, &pdev->dev);
	dev->netdev_ops = &postern_netdev_ops;
	dev->ethtool_ops = &postern_ethtool_ops;
	dev->tstats = devm_netdev_alloc_pcpu_stats(&pdev->dev, struct pcpu_sw_netstats);
	if (!dev->tstats)
		return -ENOMEM;
	postern_read_mac(nic);
	postern_set_features(nic);
	netif_napi_add(dev, &nic->napi, postern_poll);
	netif_carrier_off(dev);
	pci_set_drvdata(pdev, nic);
	return devm_register_netdev(&pdev->dev, dev);
}

/* The peer sees the link go down, and no interrupt comes any more. */
static void postern_shutdown(struct pci_dev *pdev)
{
	struct postern_nic *nic = pci_get_drvdata(pdev);

	rtnl_lock();
	netif_device_detach(nic->dev);
	dev_close(nic->dev);
	rtnl_unlock();
}

static const struct pci_device_id postern_ids[] = {
	{PCI_DEVICE(POSTERN_PCI_VENDOR, POSTERN_PCI_NIC)},
	{},
};
MODULE_DEVICE_TABLE(pci, postern_ids);

/* No remove: all that probe takes is given back by the device core, the interface first. */
static struct pci_driver postern_driver = {
	.name = KBUILD_MODNAME,
	.id_table = postern_ids,
	.probe = postern_probe,
	.shutdown = postern_shutdown,
};
module_pci_driver(postern_driver);

MODULE_DESCRIPTION("Network driver for Postern's links between virtual machines");
MODULE_AUTHOR("The Postern project");
MODULE_LICENSE("Dual BSD/GPL");
