/* SPDX-License-Identifier: BSD-2-Clause */
/* What net.c and net_control.c share. Nobody else includes this. */
#ifndef POSTERN_VIRTIO_NET_PARTS_H
#define POSTERN_VIRTIO_NET_PARTS_H

#include "lib/bits.h"
#include "virtio/net.h"

#define NET_F_CSUM                BIT(0)
#define NET_F_GUEST_CSUM          BIT(1)
#define NET_F_CTRL_GUEST_OFFLOADS BIT(2)
#define NET_F_MTU                 BIT(3)
#define NET_F_MAC                 BIT(5)
#define NET_F_GUEST_TSO4          BIT(7)
#define NET_F_GUEST_TSO6          BIT(8)
#define NET_F_GUEST_ECN           BIT(9)
#define NET_F_HOST_TSO4           BIT(11)
#define NET_F_HOST_TSO6           BIT(12)
#define NET_F_HOST_ECN            BIT(13)
#define NET_F_MRG_RXBUF           BIT(15)
#define NET_F_STATUS              BIT(16)
#define NET_F_CTRL_VQ             BIT(17)
#define NET_F_CTRL_RX             BIT(18)
#define NET_F_CTRL_VLAN           BIT(19)
#define NET_F_CTRL_RX_EXTRA       BIT(20)
#define NET_F_MQ                  BIT(22)
#define NET_F_CTRL_MAC_ADDR       BIT(23)

#define NET_F_OFFLOADS            (NET_F_GUEST_CSUM | NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6 | NET_F_GUEST_ECN)

/* What the driver may set, as it is after a reset: all frames come. */
void net_control_reset(struct virtio_net *net);

/* Carries out a chain of the control queue. Returns the bytes written to it. */
uint32_t net_control(struct virtio_net *net, const struct virtq_chain *chain);

/* Whether the driver wants the frame, of `length` bytes. */
bool net_wants(const struct virtio_net *net, const uint8_t *frame, uint32_t length);

/* Gives the device's configuration an address. */
void net_set_mac(struct virtio_net *net, uint64_t mac);

#endif
