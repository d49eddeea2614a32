/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a snapshot has of a virtio device. Nothing is in flight between two exits, so that is what
 * its driver has set up, and how far each queue is; the rings themselves are in the guest's memory.
 * An image may come from anybody; what it can do then is what a driver can do.
 */
#ifndef POSTERN_VIRTIO_IMAGE_H
#define POSTERN_VIRTIO_IMAGE_H

#include "virtio/net.h"
#include "virtio/pci.h"

#define VIRTIO_IMAGE_VERSION     1u
#define VIRTIO_NET_IMAGE_VERSION 1u

struct virtio_queue_image {
    uint64_t descriptors, driver, device; /* guest-physical */
    uint32_t size, vector;
    uint16_t next, used, reported;
    uint8_t enabled, next_wrap, used_wrap, reported_wrap; /* 0 or 1 */
    uint8_t zero[6];
};

struct virtio_image {
    uint32_t id; /* of the model */
    uint32_t queue_count;
    uint64_t offered, accepted;
    uint8_t status, isr, generation, zero;
    uint32_t config_vector;
    uint32_t device_feature_select, driver_feature_select;
    uint32_t queue_select;
    uint32_t zero_too;
    uint8_t config[VIRTIO_CONFIG_MAX];
    struct virtio_queue_image queues[VIRTIO_QUEUES_MAX];
};

struct virtio_net_macs_image {
    uint32_t all, count;
    uint64_t macs[VIRTIO_NET_MACS];
};

/* A NIC's, besides. */
struct virtio_net_image {
    uint64_t offloads;
    uint32_t pairs;
    uint8_t promiscuous, all_multicast, all_unicast; /* 0 or 1 */
    uint8_t no_multicast, no_unicast, no_broadcast;
    uint8_t zero[6];
    struct virtio_net_macs_image unicast, multicast;
    uint64_t vlans[VIRTIO_NET_VLANS / 64];
};

void virtio_image_take(const struct virtio_pci *pci, struct virtio_image *image);
void virtio_net_image_take(const struct virtio_net *net, struct virtio_net_image *image);

/* Take the state over, after a reset. False: the image is none of such a device, or in no state
 * that a driver can bring it to; then it is to be reset again. Queues lie in memory that is there
 * already. */
bool virtio_image_put(struct virtio_pci *pci, const struct virtio_image *image) MUST_CHECK;
bool virtio_net_image_put(struct virtio_net *net, const struct virtio_net_image *image) MUST_CHECK;

#endif
