// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Postern's NIC: one end of a link between two virtual machines, or a member's place in a network
 * of several (postern_member.h).
 *
 * A packet is copied into this end's section of the link's window and out of the peer's; the
 * hypervisor takes part only in doorbells. abi/pci.h has the device, abi/ring.h the window and
 * abi/ring_ops.h the ring, with all the checks of what the peer writes.
 *
 * This file finds the device and sets the interface up.
 */
#include <linux/etherdevice.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/rtnetlink.h>

#include "abi/dev.h"
#include "abi/pci.h"
#include "postern_hypercall.h"
#include "postern_member.h"
#include "postern_nic.h"

#define POSTERN_MTU_MAX (65535u - ETH_HLEN)

/* All, under rtnl. */
static LIST_HEAD(postern_nics);

static int postern_map_registers(struct postern_nic *nic)
{
	struct device *device = &nic->pdev->dev;
	u32 magic, abi, mode, queues;

	if (pci_resource_len(nic->pdev, POSTERN_BAR_REGISTERS) < POSTERN_BAR_REGISTERS_SIZE)
		return dev_err_probe(device, -ENODEV, "BAR %u is too small\n",
				     POSTERN_BAR_REGISTERS);
	nic->registers = pcim_iomap(nic->pdev, POSTERN_BAR_REGISTERS, 0);
	if (!nic->registers)
		return -ENOMEM;
	magic = readl(nic->registers + POSTERN_REG_MAGIC);
	abi = readl(nic->registers + POSTERN_REG_ABI);
	mode = readl(nic->registers + POSTERN_REG_MODE);
	queues = readl(nic->registers + POSTERN_REG_QUEUES);
	if (magic != POSTERN_NIC_MAGIC || abi != POSTERN_NIC_ABI)
		return dev_err_probe(device, -ENODEV, "unknown device: magic %#x, ABI %u\n", magic,
				     abi);
	if (mode > POSTERN_MODE_DIRECT)
		return dev_err_probe(device, -ENODEV, "unknown link mode %u\n", mode);
	if (queues == 0 || queues > POSTERN_QUEUES_MAX)
		return dev_err_probe(device, -ENODEV, "no port has %u queues\n", queues);
	nic->queue_count = queues;
	nic->gated = mode != POSTERN_MODE_OPEN;
	if (mode == POSTERN_MODE_DIRECT)
		nic->pool_size = readl(nic->registers + POSTERN_REG_POOL_SIZE);
	nic->number = readl(nic->registers + POSTERN_REG_PORT);
	nic->has_hypercalls = postern_present();
	return 0;
}

/* A queue has a slice of both sections. */
static int postern_init_queue(struct postern_queue *queue, u8 *window, u32 section)
{
	struct postern_nic *nic = queue->nic;
	u32 slice = section / nic->queue_count;
	u8 *own = window + queue->index * (size_t)slice;
	const void *peer = own + section;
	int err;

	if (nic->member)
		peer = postern_member_peer(queue, peer);
	if (!postern_ring_init(&queue->port.ring, own, peer, slice))
		return dev_err_probe(&nic->pdev->dev, -ENODEV,
				     "no section of %#x bytes has %u queues\n", section,
				     nic->queue_count);
	queue->port.gated = nic->gated;
	postern_stall_init(queue);
	postern_limit_init(queue);
	err = postern_tx_init(queue);
	return err ? err : postern_rx_init(queue);
}

static int postern_init_queues(struct postern_nic *nic, u8 *window, u32 section)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < nic->queue_count && !err; i++) {
		nic->queues[i].nic = nic;
		nic->queues[i].index = i;
		err = postern_init_queue(&nic->queues[i], window, section);
	}
	return err;
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
	nic->window = pci_resource_start(nic->pdev, POSTERN_BAR_WINDOW);
	nic->window_size = 2 * (size_t)section;
	/* It is memory, shared with the peer's CPUs and with no device. Of a gated port there is
	 * something behind the mapping in the port's view only. */
	window = devm_memremap(device, nic->window, nic->window_size, MEMREMAP_WB);
	if (IS_ERR(window))
		return PTR_ERR(window);
	return postern_init_queues(nic, window, section);
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
	u32 frame = nic->queues[0].port.ring.max_payload - POSTERN_FRAME_OVERHEAD;

	dev->hw_features =
		NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_TSO | NETIF_F_TSO6 | NETIF_F_TSO_ECN;
	dev->features = dev->hw_features | NETIF_F_HIGHDMA;
	dev->vlan_features = dev->features;
	dev->min_mtu = ETH_MIN_MTU;
	dev->max_mtu = min(POSTERN_MTU_MAX, frame);
	netif_set_tso_max_size(dev, min_t(u32, frame, GSO_LEGACY_MAX_SIZE));
}

struct postern_nic *postern_find_nic(u32 number)
{
	struct postern_nic *nic, *any = NULL;

	ASSERT_RTNL();
	list_for_each_entry(nic, &postern_nics, list) {
		if (nic->number == number)
			return nic;
		if (!nic->member && (!any || (!nic->user && !netif_running(nic->dev))))
			any = nic;
	}
	return number == POSTERN_DEV_ANY ? any : NULL;
}

static void postern_unlist(void *data)
{
	struct postern_nic *nic = data;

	rtnl_lock();
	postern_dev_detach(nic);
	list_del(&nic->list);
	rtnl_unlock();
}

static void postern_release_xdp(void *data)
{
	postern_xdp_release(data);
}

static int postern_list(struct postern_nic *nic)
{
	rtnl_lock();
	list_add_tail(&nic->list, &postern_nics);
	rtnl_unlock();
	return devm_add_action_or_reset(&nic->pdev->dev, postern_unlist, nic);
}

static int postern_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct net_device *dev;
	struct postern_nic *nic;
	unsigned int i;
	int err;

	dev = devm_alloc_etherdev_mqs(&pdev->dev, sizeof(*nic), POSTERN_QUEUES_MAX,
				      POSTERN_QUEUES_MAX);
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
	err = id->device == POSTERN_PCI_MEMBER ? postern_member_init(nic) : 0;
	if (err)
		return err;
	err = postern_map_window(nic);
	if (err)
		return err;
	err = postern_pool_init(nic);
	if (err)
		return err;
	pci_set_master(pdev);
	err = pci_alloc_irq_vectors(pdev, nic->queue_count + 1, nic->queue_count + 1, PCI_IRQ_MSIX);
	if (err < 0)
		return dev_err_probe(&pdev->dev, err, "no MSI-X vectors\n");

	SET_NETDEV_DEV(dev, &pdev->dev);
	dev->netdev_ops = &postern_netdev_ops;
	dev->ethtool_ops = &postern_ethtool_ops;
	postern_read_mac(nic);
	postern_set_features(nic);
	err = netif_set_real_num_queues(dev, nic->queue_count, nic->queue_count);
	if (err)
		return err;
	for (i = 0; i < nic->queue_count; i++)
		netif_napi_add(dev, &nic->queues[i].napi, postern_poll);
	netif_carrier_off(dev);
	pci_set_drvdata(pdev, nic);
	err = postern_reopen_init(nic);
	if (err)
		return err;
	err = postern_list(nic);
	if (err)
		return err;
	err = devm_add_action_or_reset(&pdev->dev, postern_release_xdp, nic);
	if (err)
		return err;
	return devm_register_netdev(&pdev->dev, dev);
}

/* The peer sees the link go down, and no interrupt comes any more. */
static void postern_shutdown(struct pci_dev *pdev)
{
	struct postern_nic *nic = pci_get_drvdata(pdev);

	rtnl_lock();
	netif_device_detach(nic->dev);
	dev_close(nic->dev);
	postern_dev_detach(nic);
	rtnl_unlock();
}

/* Sleep: the rings are closed, and afterwards opened anew. */
static int postern_suspend(struct device *device)
{
	struct postern_nic *nic = dev_get_drvdata(device);

	rtnl_lock();
	netif_device_detach(nic->dev);
	if (netif_running(nic->dev))
		postern_stop(nic->dev);
	rtnl_unlock();
	return 0;
}

static int postern_resume(struct device *device)
{
	struct postern_nic *nic = dev_get_drvdata(device);
	int err = 0;

	rtnl_lock();
	if (netif_running(nic->dev))
		err = postern_open(nic->dev);
	if (!err)
		netif_device_attach(nic->dev);
	rtnl_unlock();
	return err;
}

static DEFINE_SIMPLE_DEV_PM_OPS(postern_pm, postern_suspend, postern_resume);

static const struct pci_device_id postern_ids[] = {
	{PCI_DEVICE(POSTERN_PCI_VENDOR, POSTERN_PCI_NIC)},
	{PCI_DEVICE(POSTERN_PCI_VENDOR, POSTERN_PCI_MEMBER)},
	{},
};
MODULE_DEVICE_TABLE(pci, postern_ids);

/* No remove: all that probe takes is given back by the device core, the interface first. */
static struct pci_driver postern_driver = {
	.name = KBUILD_MODNAME,
	.id_table = postern_ids,
	.probe = postern_probe,
	.shutdown = postern_shutdown,
	.driver.pm = pm_sleep_ptr(&postern_pm),
};

static int __init postern_init(void)
{
	int err = postern_dev_register();

	if (err)
		return err;
	postern_clock_register();
	err = pci_register_driver(&postern_driver);
	if (err) {
		postern_clock_unregister();
		postern_dev_unregister();
	}
	return err;
}

/* With the last interface the last view is closed and the gate gone from this module's text. */
static void __exit postern_exit(void)
{
	postern_dev_unregister();
	pci_unregister_driver(&postern_driver);
	postern_clock_unregister();
}

module_init(postern_init);
module_exit(postern_exit);

MODULE_DESCRIPTION("Network driver for Postern's links and networks of virtual machines");
MODULE_AUTHOR("The Postern project");
MODULE_LICENSE("Dual BSD/GPL");
