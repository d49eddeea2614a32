/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual device net_postern: a port of /dev/postern, by libpostern. Argument: port=N, the
 * number of the port; without it any that nobody has. docs/libpostern.md has the commands.
 */
#include <bus_vdev_driver.h>
#include <ethdev_vdev.h>
#include <rte_kvargs.h>
#include <rte_malloc.h>

#include "guests/dpdk/postern_pmd.h"

RTE_LOG_REGISTER_DEFAULT(pmd_log, NOTICE);
#define LOG(level, ...) \
    rte_log(RTE_LOG_##level, (uint32_t)pmd_log, "net_postern: " RTE_FMT(__VA_ARGS__, ) "\n")

static const struct rte_eth_link link_down = {
    .link_speed = RTE_ETH_SPEED_NUM_NONE,
    .link_duplex = RTE_ETH_LINK_FULL_DUPLEX,
    .link_autoneg = RTE_ETH_LINK_FIXED,
    .link_status = RTE_ETH_LINK_DOWN,
};

static int pmd_link_update(struct rte_eth_dev *dev, int wait)
{
    const struct pmd_device *device = dev->data->dev_private;
    struct rte_eth_link link = link_down;

    (void)wait;
    if (dev->data->dev_started && postern_port_link(device->port)) {
        link.link_status = RTE_ETH_LINK_UP;
        link.link_speed = RTE_ETH_SPEED_NUM_UNKNOWN;
    }
    return rte_eth_linkstatus_set(dev, &link);
}

static uint32_t frame_of(uint16_t mtu)
{
    return (uint32_t)mtu + PMD_OVERHEAD;
}

static int pmd_configure(struct rte_eth_dev *dev)
{
    (void)dev;
    return 0;
}

/* Can frames of that MTU be received? */
static int check_frame(const struct rte_eth_dev *dev, uint16_t mtu)
{
    const struct pmd_device *device = dev->data->dev_private;

    if ((dev->data->dev_conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_SCATTER) != 0) {
        return 0;
    }
    for (unsigned i = 0; i < POSTERN_QUEUES_MAX; i++) {
        if (device->rx[i] != NULL && frame_of(mtu) > device->rx[i]->room) {
            LOG(ERR, "an MTU of %u needs mbufs of %u bytes, or the offload SCATTER; they have %u",
                mtu, frame_of(mtu), device->rx[i]->room);
            return -EINVAL;
        }
    }
    return 0;
}

/* Room for packets in all queues that receive. */
static int prepare_queues(const struct rte_eth_dev *dev)
{
    const struct pmd_device *device = dev->data->dev_private;
    int error = 0;

    for (unsigned i = 0; error == 0 && i < POSTERN_QUEUES_MAX; i++) {
        if (device->rx[i] != NULL) {
            error = pmd_rx_prepare(device->rx[i], frame_of(dev->data->mtu), dev->data->numa_node);
        }
    }
    return error;
}

static int pmd_start(struct rte_eth_dev *dev)
{
    struct pmd_device *device = dev->data->dev_private;
    int error = check_frame(dev, dev->data->mtu);

    if (error == 0) {
        error = prepare_queues(dev);
    }
    if (error != 0) {
        return error;
    }
    /* The peer sends to no other queue. */
    postern_port_use_queues(device->port, RTE_MAX((unsigned)dev->data->nb_rx_queues,
                                                  (unsigned)dev->data->nb_tx_queues));
    postern_port_set_mtu(device->port, dev->data->mtu);
    return postern_port_set_link(device->port, true) ? 0 : -EIO;
}

static int pmd_stop(struct rte_eth_dev *dev)
{
    struct pmd_device *device = dev->data->dev_private;

    (void)postern_port_set_link(device->port, false);
    for (unsigned i = 0; i < POSTERN_QUEUES_MAX; i++) {
        if (device->rx[i] != NULL) {
            pmd_rx_empty(device->rx[i]);
        }
    }
    return rte_eth_linkstatus_set(dev, &link_down);
}

static int pmd_set_link_up(struct rte_eth_dev *dev)
{
    const struct pmd_device *device = dev->data->dev_private;

    return postern_port_set_link(device->port, true) ? 0 : -EIO;
}

static int pmd_set_link_down(struct rte_eth_dev *dev)
{
    const struct pmd_device *device = dev->data->dev_private;

    (void)postern_port_set_link(device->port, false);
    return 0;
}

static int pmd_info(struct rte_eth_dev *dev, struct rte_eth_dev_info *info)
{
    const struct pmd_device *device = dev->data->dev_private;
    const struct postern_port_info *port = postern_port_info(device->port);
    uint32_t frame = port->max_frame;

    info->max_mac_addrs = 1;
    info->max_rx_queues = (uint16_t)port->queues;
    info->max_tx_queues = (uint16_t)port->queues;
    info->min_rx_bufsize = RTE_ETHER_MIN_LEN;
    info->max_rx_pktlen = frame;
    info->min_mtu = RTE_ETHER_MIN_MTU;
    info->max_mtu = (uint16_t)RTE_MIN(frame - PMD_OVERHEAD, (uint32_t)UINT16_MAX);
    info->rx_offload_capa = RTE_ETH_RX_OFFLOAD_SCATTER;
    info->tx_offload_capa = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
    info->tx_desc_lim.nb_seg_max = PMD_TX_PIECES;
    info->tx_desc_lim.nb_mtu_seg_max = PMD_TX_PIECES;
    info->default_rxportconf.burst_size = PMD_BURST;
    info->default_txportconf.burst_size = PMD_BURST;
    return 0;
}

static int pmd_set_mtu(struct rte_eth_dev *dev, uint16_t mtu)
{
    const struct pmd_device *device = dev->data->dev_private;

    if (dev->data->dev_started) {
        LOG(ERR, "the MTU changes when the port is stopped only");
        return -EBUSY;
    }
    postern_port_set_mtu(device->port, mtu);
    return check_frame(dev, mtu);
}

/* A link has two ends: all that comes is for this one. */
static int pmd_receive_all(struct rte_eth_dev *dev)
{
    (void)dev;
    return 0;
}

static int pmd_set_mac(struct rte_eth_dev *dev, struct rte_ether_addr *mac)
{
    struct pmd_device *device = dev->data->dev_private;

    rte_ether_addr_copy(mac, &device->mac);
    return 0;
}

static int pmd_rx_setup(struct rte_eth_dev *dev, uint16_t number, uint16_t descriptors,
                        unsigned socket, const struct rte_eth_rxconf *configuration,
                        struct rte_mempool *pool)
{
    struct pmd_device *device = dev->data->dev_private;
    struct pmd_rx_queue *queue = rte_zmalloc_socket(NULL, sizeof(*queue), 64, (int)socket);

    (void)descriptors;
    (void)configuration;
    if (queue == NULL) {
        return -ENOMEM;
    }
    queue->queue = postern_port_queue(device->port, number);
    queue->pool = pool;
    queue->port_id = dev->data->port_id;
    queue->room = (uint16_t)(rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM);
    device->rx[number] = queue;
    dev->data->rx_queues[number] = queue;
    return 0;
}

static void pmd_rx_release(struct rte_eth_dev *dev, uint16_t number)
{
    struct pmd_device *device = dev->data->dev_private;

    if (device->rx[number] != NULL) {
        pmd_rx_empty(device->rx[number]);
        rte_free(device->rx[number]);
        device->rx[number] = NULL;
    }
}

static int pmd_tx_setup(struct rte_eth_dev *dev, uint16_t number, uint16_t descriptors,
                        unsigned socket, const struct rte_eth_txconf *configuration)
{
    struct pmd_device *device = dev->data->dev_private;
    struct pmd_tx_queue *queue = rte_zmalloc_socket(NULL, sizeof(*queue), 64, (int)socket);

    (void)descriptors;
    (void)configuration;
    if (queue == NULL) {
        return -ENOMEM;
    }
    queue->queue = postern_port_queue(device->port, number);
    device->tx[number] = queue;
    dev->data->tx_queues[number] = queue;
    return 0;
}

static void pmd_tx_release(struct rte_eth_dev *dev, uint16_t number)
{
    struct pmd_device *device = dev->data->dev_private;

    rte_free(device->tx[number]);
    device->tx[number] = NULL;
}

static int pmd_close(struct rte_eth_dev *dev)
{
    struct pmd_device *device = dev->data->dev_private;

    if (rte_eal_process_type() != RTE_PROC_PRIMARY) {
        return 0;
    }
    for (uint16_t i = 0; i < POSTERN_QUEUES_MAX; i++) {
        pmd_rx_release(dev, i);
        pmd_tx_release(dev, i);
    }
    postern_port_close(device->port);
    device->port = NULL;
    /* It is in the device itself. */
    dev->data->mac_addrs = NULL;
    return 0;
}

static const struct eth_dev_ops operations = {
    .dev_configure = pmd_configure,
    .dev_start = pmd_start,
    .dev_stop = pmd_stop,
    .dev_set_link_up = pmd_set_link_up,
    .dev_set_link_down = pmd_set_link_down,
    .dev_close = pmd_close,
    .dev_infos_get = pmd_info,
    .link_update = pmd_link_update,
    .mtu_set = pmd_set_mtu,
    .promiscuous_enable = pmd_receive_all,
    .promiscuous_disable = pmd_receive_all,
    .allmulticast_enable = pmd_receive_all,
    .allmulticast_disable = pmd_receive_all,
    .mac_addr_set = pmd_set_mac,
    .stats_get = pmd_stats_get,
    .stats_reset = pmd_stats_reset,
    .xstats_get = pmd_xstats_get,
    .xstats_get_names = pmd_xstats_get_names,
    .xstats_reset = pmd_stats_reset,
    .rx_queue_setup = pmd_rx_setup,
    .rx_queue_release = pmd_rx_release,
    .tx_queue_setup = pmd_tx_setup,
    .tx_queue_release = pmd_tx_release,
};

static int read_number(const char *key, const char *value, void *number)
{
    char *end;
    unsigned long read = strtoul(value, &end, 0);

    if (*value < '0' || *value > '9' || *end != '\0' || read >= POSTERN_DEV_ANY) {
        LOG(ERR, "%s=%s is no number of a port", key, value);
        return -EINVAL;
    }
    *(uint32_t *)number = (uint32_t)read;
    return 0;
}

static int read_arguments(const char *text, uint32_t *number)
{
    static const char *const keys[] = {"port", NULL};
    struct rte_kvargs *list;
    int error;

    *number = POSTERN_DEV_ANY;
    if (text == NULL || *text == '\0') {
        return 0;
    }
    list = rte_kvargs_parse(text, keys);
    if (list == NULL) {
        LOG(ERR, "the arguments \"%s\" are not port=N", text);
        return -EINVAL;
    }
    error = rte_kvargs_process(list, "port", read_number, number);
    rte_kvargs_free(list);
    return error < 0 ? -EINVAL : 0;
}

/* The port is had from now on, and its link is down until the device is started. */
static int open_port(struct rte_eth_dev *dev, uint32_t number)
{
    struct pmd_device *device = dev->data->dev_private;
    int error = postern_port_open(number, RTE_ETHER_MTU, &device->port);

    if (error != 0) {
        LOG(ERR, "%s: no port is to be had from " POSTERN_DEV_PATH ": %s", dev->data->name,
            strerror(-error));
        return error;
    }
    (void)postern_port_set_link(device->port, false);
    memcpy(device->mac.addr_bytes, postern_port_info(device->port)->mac,
           sizeof(device->mac.addr_bytes));
    return 0;
}

static int pmd_probe(struct rte_vdev_device *vdev)
{
    struct rte_eth_dev *dev;
    struct pmd_device *device;
    uint32_t number;
    int error = read_arguments(rte_vdev_device_args(vdev), &number);

    if (error != 0) {
        return error;
    }
    if (rte_eal_process_type() != RTE_PROC_PRIMARY) {
        LOG(ERR, "a port is one process's alone");
        return -ENOTSUP;
    }
    dev = rte_eth_vdev_allocate(vdev, sizeof(*device));
    if (dev == NULL) {
        return -ENOMEM;
    }
    error = open_port(dev, number);
    if (error != 0) {
        (void)rte_eth_dev_release_port(dev);
        return error;
    }
    device = dev->data->dev_private;
    dev->data->mac_addrs = &device->mac;
    dev->data->dev_link = link_down;
    dev->data->dev_flags |= RTE_ETH_DEV_AUTOFILL_QUEUE_XSTATS;
    dev->dev_ops = &operations;
    dev->rx_pkt_burst = pmd_rx_burst;
    dev->tx_pkt_burst = pmd_tx_burst;
    rte_eth_dev_probing_finish(dev);
    return 0;
}

static int pmd_remove(struct rte_vdev_device *vdev)
{
    struct rte_eth_dev *dev = rte_eth_dev_allocated(rte_vdev_device_name(vdev));

    if (dev == NULL) {
        return 0;
    }
    (void)pmd_close(dev);
    return rte_eth_dev_release_port(dev);
}

static struct rte_vdev_driver pmd_driver = {
    .probe = pmd_probe,
    .remove = pmd_remove,
};

RTE_PMD_REGISTER_VDEV(net_postern, pmd_driver);
RTE_PMD_REGISTER_PARAM_STRING(net_postern, "port=<number>");
