/* SPDX-License-Identifier: BSD-2-Clause */
/* The network device's control queue (VIRTIO 1.2, "Control Virtqueue"), and what it sets: which
 * frames the driver wants. */
#include "virtio/net_parts.h"

#include "abi/fdb_ops.h"
#include "lib/string.h"

#define CLASS_RX        0u
#define CLASS_MAC       1u
#define CLASS_VLAN      2u
#define CLASS_MQ        4u
#define CLASS_OFFLOADS  5u

#define MAC_TABLE_SET   0u
#define MAC_ADDRESS_SET 1u
#define VLAN_ADD        0u
#define VLAN_REMOVE     1u
#define MQ_SET_PAIRS    0u
#define OFFLOADS_SET    0u

#define ACK_OK          0u
#define ACK_ERROR       1u

#define MAC_SIZE        6u
#define BROADCAST       POSTERN_FDB_MAC_MASK

static bool has(const struct virtio_net *net, uint64_t feature)
{
    return (net->device.accepted & feature) != 0;
}

void net_set_mac(struct virtio_net *net, uint64_t mac)
{
    memcpy(net->device.config, &mac, MAC_SIZE);
}

void net_control_reset(struct virtio_net *net)
{
    net->pairs = 1;
    net->offloads = ~0ull;
    net->untold = 0;
    net->filter = (struct virtio_net_filter){.promiscuous = true};
    memset(net->flows, 0, sizeof(net->flows));
    net_set_mac(net, net->mac);
}

static bool copy(struct virtq_cursor *in, void *to, uint32_t size)
{
    return virtq_copy_from(in, to, size) == size;
}

static bool set_mode(struct virtio_net *net, uint32_t command, struct virtq_cursor *in)
{
    struct virtio_net_filter *f = &net->filter;
    bool *const modes[] = {&f->promiscuous,  &f->all_multicast, &f->all_unicast,
                           &f->no_multicast, &f->no_unicast,    &f->no_broadcast};
    uint32_t count = has(net, NET_F_CTRL_RX_EXTRA) ? ARRAY_SIZE(modes) : 2;
    uint8_t on;

    if (!has(net, NET_F_CTRL_RX) || command >= count || !copy(in, &on, sizeof(on))) {
        return false;
    }
    *modes[command] = on != 0;
    return true;
}

/* Passes over bytes. */
static bool skip(struct virtq_cursor *in, uint64_t size)
{
    uint8_t *bytes;

    while (size > 0) {
        uint32_t part = virtq_take(in, size > UINT32_MAX ? UINT32_MAX : (uint32_t)size, &bytes);
        if (part == 0) {
            return false;
        }
        size -= part;
    }
    return true;
}

static bool read_macs(struct virtq_cursor *in, struct virtio_net_macs *macs)
{
    uint32_t count;

    *macs = (struct virtio_net_macs){0};
    if (!copy(in, &count, sizeof(count))) {
        return false;
    }
    if (count > VIRTIO_NET_MACS) {
        macs->all = true;
        return skip(in, (uint64_t)count * MAC_SIZE);
    }
    for (; macs->count < count; macs->count++) {
        if (!copy(in, &macs->macs[macs->count], MAC_SIZE)) {
            return false;
        }
    }
    return true;
}

static bool set_macs(struct virtio_net *net, struct virtq_cursor *in)
{
    struct virtio_net_macs unicast, multicast;

    if (!has(net, NET_F_CTRL_RX) || !read_macs(in, &unicast) || !read_macs(in, &multicast)) {
        return false;
    }
    net->filter.unicast = unicast;
    net->filter.multicast = multicast;
    return true;
}

static bool set_address(struct virtio_net *net, struct virtq_cursor *in)
{
    uint64_t mac = 0;

    if (!has(net, NET_F_CTRL_MAC_ADDR) || !copy(in, &mac, MAC_SIZE)) {
        return false;
    }
    net_set_mac(net, mac);
    return true;
}

static bool set_vlan(struct virtio_net *net, uint32_t command, struct virtq_cursor *in)
{
    uint16_t vlan;

    if (!has(net, NET_F_CTRL_VLAN) || command > VLAN_REMOVE || !copy(in, &vlan, sizeof(vlan)) ||
        vlan >= VIRTIO_NET_VLANS) {
        return false;
    }
    if (command == VLAN_ADD) {
        net->filter.vlans[vlan / 64] |= BIT(vlan % 64);
    } else {
        net->filter.vlans[vlan / 64] &= ~BIT(vlan % 64);
    }
    return true;
}

static bool set_pairs(struct virtio_net *net, struct virtq_cursor *in)
{
    uint16_t pairs;

    if (!has(net, NET_F_MQ) || !copy(in, &pairs, sizeof(pairs)) || pairs == 0 ||
        pairs > net->pairs_max) {
        return false;
    }
    net->pairs = pairs;
    return true;
}

static bool set_offloads(struct virtio_net *net, struct virtq_cursor *in)
{
    uint64_t offloads;

    if (!has(net, NET_F_CTRL_GUEST_OFFLOADS) || !copy(in, &offloads, sizeof(offloads)) ||
        (offloads & ~(net->device.accepted & NET_F_OFFLOADS)) != 0) {
        return false;
    }
    net->offloads = offloads;
    return true;
}

static bool carry_out(struct virtio_net *net, uint32_t class, uint32_t command,
                      struct virtq_cursor *in)
{
    switch (class) {
    case CLASS_RX:
        return set_mode(net, command, in);
    case CLASS_MAC:
        return command == MAC_TABLE_SET ? set_macs(net, in)
                                        : command == MAC_ADDRESS_SET && set_address(net, in);
    case CLASS_VLAN:
        return set_vlan(net, command, in);
    case CLASS_MQ:
        return command == MQ_SET_PAIRS && set_pairs(net, in);
    case CLASS_OFFLOADS:
        return command == OFFLOADS_SET && set_offloads(net, in);
    default:
        return false;
    }
}

uint32_t net_control(struct virtio_net *net, const struct virtq_chain *chain)
{
    struct virtq_cursor in = virtq_readable(chain), out = virtq_writable(chain);
    uint8_t header[2];

    if (chain->writable_size == 0 || !copy(&in, header, sizeof(header))) {
        virtio_fail(&net->device, "a command without its header or room for its answer");
        return 0;
    }
    uint8_t ack = ACK_ERROR;

    if (carry_out(net, header[0], header[1], &in)) {
        ack = ACK_OK;
    }
    return virtq_copy_to(&out, &ack, sizeof(ack));
}

static bool is_among(const struct virtio_net_macs *macs, uint64_t mac)
{
    for (uint32_t i = 0; i < macs->count; i++) {
        if (macs->macs[i] == mac) {
            return true;
        }
    }
    return macs->all;
}

static bool wants_address(const struct virtio_net *net, uint64_t mac)
{
    const struct virtio_net_filter *f = &net->filter;

    if (mac == BROADCAST) {
        return !f->no_broadcast;
    }
    if ((mac & POSTERN_FDB_MULTICAST) != 0) {
        return !f->no_multicast && (f->all_multicast || is_among(&f->multicast, mac));
    }
    return !f->no_unicast && (f->all_unicast || mac == postern_fdb_mac(net->device.config) ||
                              is_among(&f->unicast, mac));
}

bool net_wants(const struct virtio_net *net, const uint8_t *frame, uint32_t length)
{
    struct postern_fdb_frame parsed;

    if (net->filter.promiscuous) {
        return true;
    }
    if (!postern_fdb_parse(frame, length, &parsed) || !wants_address(net, parsed.destination)) {
        return false;
    }
    return !has(net, NET_F_CTRL_VLAN) || parsed.vlan == 0 ||
           (net->filter.vlans[parsed.vlan / 64] & BIT(parsed.vlan % 64)) != 0;
}
