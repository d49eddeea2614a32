/* SPDX-License-Identifier: BSD-2-Clause */
#include "virtio/net.h"

#include "lib/big_endian.h"
#include "lib/string.h"
#include "virtio/net_parts.h"

#define NET_ID          1u
#define NET_QUEUE_SIZE  VIRTQ_SIZE_MAX

#define CONFIG_STATUS   6u
#define CONFIG_PAIRS    8u
#define CONFIG_MTU      10u
#define STATUS_LINK_UP  1u

#define NEEDS_CSUM      1u
#define DATA_VALID      2u
#define GSO_NONE        0u
#define GSO_TCPV4       1u
#define GSO_TCPV6       4u
#define GSO_ECN         0x80u

#define TCP_CHECKSUM    16u
#define TCP_DATA_OFFSET 12u
#define TCP_HEADER      20u

/* Before each frame. */
struct net_header {
    uint8_t flags, gso_type;
    uint16_t header_length; /* a hint */
    uint16_t gso_size;
    uint16_t csum_start, csum_offset;
    uint16_t buffers;
};
#define HEADER_SIZE 12u
_Static_assert(sizeof(struct net_header) == HEADER_SIZE, "the header");

/* Queues: those of the pairs, to receive and to send by turns, then the control queue. A driver
 * without MQ knows of one pair. */
static uint32_t control_queue(const struct virtio_device *device)
{
    const struct virtio_net *net = (const struct virtio_net *)device;

    return (device->accepted & NET_F_MQ) != 0 ? 2 * net->pairs_max : 2;
}

static bool waits(const struct virtio_device *device, uint32_t queue)
{
    return queue < control_queue(device) && !virtio_net_sends(queue);
}

/* Flows. */

static uint32_t word_at(const uint8_t *bytes)
{
    uint32_t word;

    memcpy(&word, bytes, sizeof(word));
    return word;
}

/* The addresses' and ports' words, each of the source with that of the destination, so that both
 * directions are one flow. `at` is behind the Ethernet header. */
static uint32_t mix_ipv4(const uint8_t *at, uint32_t left)
{
    uint32_t header = (at[0] & 0xfu) * 4;
    bool has_ports = (at[9] == 6 || at[9] == 17) && (get_be16(at + 6) & 0x3fff) == 0;
    uint32_t mix = word_at(at + 12) ^ word_at(at + 16);

    return has_ports && left >= header + 4 ? mix ^ get_be16(at + header) ^ get_be16(at + header + 2)
                                           : mix;
}

static uint32_t mix_ipv6(const uint8_t *at, uint32_t left)
{
    uint32_t mix = 0;

    for (unsigned i = 0; i < 8; i++) {
        mix ^= word_at(at + 8 + 4 * i);
    }
    return (at[6] == 6 || at[6] == 17) && left >= 44 ? mix ^ get_be16(at + 40) ^ get_be16(at + 42)
                                                     : mix;
}

/* The number of the frame's flow; its length is that of an Ethernet header or more. */
static uint32_t flow_of(const uint8_t *frame, uint32_t length)
{
    uint32_t header = get_be16(frame + 12) == 0x8100 && length >= 18 ? 18 : 14;
    uint32_t type = get_be16(frame + header - 2), left = length - header;
    uint32_t mix = type;

    if (type == 0x0800 && left >= 20) {
        mix = mix_ipv4(frame + header, left);
    } else if (type == 0x86dd && left >= 40) {
        mix = mix_ipv6(frame + header, left);
    }
    return mix * 0x9e3779b1u >> 24;
}

_Static_assert(VIRTIO_NET_FLOWS == 256, "a flow's number has 8 bits");

/* The pair by which the driver gets the frame: that by which it has answered (VIRTIO 1.2,
 * "Automatic receive steering in multiqueue mode"). */
static uint32_t pair_for(const struct virtio_net *net, const uint8_t *frame, uint32_t length)
{
    if (net->pairs == 1) {
        return 0;
    }
    uint32_t flow = flow_of(frame, length);
    uint32_t pair = net->flows[flow] != 0 ? net->flows[flow] - 1u : flow;
    return pair % net->pairs;
}

/* What the driver sends. */

/* The length of all headers of a TCP segment, 0 for one that has none. */
static uint32_t tcp_headers(const struct net_header *header, const uint8_t *frame, uint32_t length)
{
    uint32_t start = header->csum_start;

    if (header->csum_offset != TCP_CHECKSUM || length < start + TCP_HEADER) {
        return 0;
    }
    uint32_t tcp = (frame[start + TCP_DATA_OFFSET] >> 4) * 4u;
    return tcp >= TCP_HEADER ? start + tcp : 0;
}

static bool describe_gso(const struct virtio_net *net, const struct net_header *header,
                         const uint8_t *frame, struct postern_ring_meta *meta)
{
    uint32_t type = header->gso_type & ~GSO_ECN;
    uint64_t needed = type == GSO_TCPV4 ? NET_F_HOST_TSO4 : type == GSO_TCPV6 ? NET_F_HOST_TSO6 : 0;
    uint32_t headers = tcp_headers(header, frame, meta->length);

    if ((net->device.accepted & needed) == 0 || headers == 0 || headers >= meta->length ||
        header->gso_size == 0 ||
        (meta->length - headers) / header->gso_size >= VIRTIO_NET_SEGMENTS) {
        return false;
    }
    meta->gso_type = type == GSO_TCPV4 ? POSTERN_GSO_TCP4 : POSTERN_GSO_TCP6;
    meta->gso_size = header->gso_size;
    meta->header_length = (uint16_t)headers;
    meta->flags |= (header->gso_type & GSO_ECN) != 0 ? POSTERN_RECORD_ECN : 0;
    return true;
}

/* What is to be known of a frame of meta->length bytes; false for one that no driver may send. */
static bool describe(const struct virtio_net *net, const struct net_header *header,
                     const uint8_t *frame, struct postern_ring_meta *meta)
{
    if ((header->flags & NEEDS_CSUM) != 0) {
        if ((net->device.accepted & NET_F_CSUM) == 0 ||
            header->csum_start < POSTERN_ETHERNET_HEADER) {
            return false;
        }
        meta->flags = POSTERN_RECORD_CSUM;
        meta->csum_start = header->csum_start;
        meta->csum_offset = header->csum_offset;
    }
    if (header->gso_type != GSO_NONE && !describe_gso(net, header, frame, meta)) {
        return false;
    }
    return postern_ring_meta_valid(meta);
}

static bool is_full(const struct virtio_net_batch *batch)
{
    return batch->work >= VIRTIO_NET_FRAMES ||
           batch->used > VIRTIO_NET_BATCH_BYTES - VIRTIO_NET_FRAME_MAX;
}

/* Puts the chain's frame into the batch; false for one that is none. */
static bool gather(struct virtio_net *net, const struct virtq_chain *chain)
{
    struct virtio_net_batch *batch = net->batch;
    struct virtio_net_frame *frame = &batch->frames[batch->count];
    struct virtq_cursor in = virtq_readable(chain);
    struct net_header header;

    if (is_full(batch) || chain->readable_size < HEADER_SIZE + POSTERN_ETHERNET_HEADER ||
        chain->readable_size > HEADER_SIZE + VIRTIO_NET_FRAME_MAX) {
        return false;
    }
    frame->bytes = batch->bytes + batch->used;
    frame->meta = (struct postern_ring_meta){.length = chain->readable_size - HEADER_SIZE};
    (void)virtq_copy_from(&in, &header, HEADER_SIZE);
    (void)virtq_copy_from(&in, frame->bytes, frame->meta.length);
    if (!describe(net, &header, frame->bytes, &frame->meta)) {
        return false;
    }
    batch->used += (uint32_t)align_up(frame->meta.length, sizeof(uint64_t));
    batch->work +=
        1 +
        (frame->meta.gso_type != POSTERN_GSO_NONE ? frame->meta.length / frame->meta.gso_size : 0);
    batch->count++;
    return true;
}

static uint32_t handle(struct virtio_device *device, uint32_t queue,
                       const struct virtq_chain *chain)
{
    struct virtio_net *net = (struct virtio_net *)device;

    if (queue == control_queue(device)) {
        return net_control(net, chain);
    }
    if (queue > control_queue(device)) {
        return 0; /* of a pair of which the driver does not know */
    }
    if (gather(net, chain)) {
        const struct virtio_net_frame *frame = &net->batch->frames[net->batch->count - 1];
        net->sent++;
        if (net->pairs > 1) {
            net->flows[flow_of(frame->bytes, frame->meta.length)] = (uint8_t)(queue / 2 + 1);
        }
    } else {
        net->refused++;
    }
    if (is_full(net->batch)) {
        device->work = VIRTIO_BYTES_AT_ONCE;
    }
    return 0;
}

/* What comes for the driver. */

bool virtio_net_takes(const struct virtio_net *net, const struct postern_ring_meta *meta)
{
    uint64_t needed = (meta->flags & POSTERN_RECORD_CSUM) != 0 ? NET_F_GUEST_CSUM : 0;

    needed |= meta->gso_type == POSTERN_GSO_TCP4   ? NET_F_GUEST_TSO4
              : meta->gso_type == POSTERN_GSO_TCP6 ? NET_F_GUEST_TSO6
                                                   : 0;
    needed |= (meta->flags & POSTERN_RECORD_ECN) != 0 ? NET_F_GUEST_ECN : 0;
    return (needed & ~(net->device.accepted & net->offloads)) == 0;
}

static struct net_header header_for(const struct virtio_net *net,
                                    const struct postern_ring_meta *meta)
{
    struct net_header header = {.buffers = 1};

    if ((meta->flags & POSTERN_RECORD_CSUM) != 0) {
        header.flags = NEEDS_CSUM;
        header.csum_start = meta->csum_start;
        header.csum_offset = meta->csum_offset;
    } else if ((meta->flags & POSTERN_RECORD_VALID) != 0 &&
               (net->device.accepted & net->offloads & NET_F_GUEST_CSUM) != 0) {
        header.flags = DATA_VALID;
    }
    if (meta->gso_type != POSTERN_GSO_NONE) {
        header.gso_type = meta->gso_type == POSTERN_GSO_TCP4 ? GSO_TCPV4 : GSO_TCPV6;
        header.gso_type |= (meta->flags & POSTERN_RECORD_ECN) != 0 ? GSO_ECN : 0;
        header.gso_size = meta->gso_size;
        header.header_length = meta->header_length;
    }
    return header;
}

/* A frame on its way into the driver's buffers. */
struct filling {
    struct virtq_used used[VIRTIO_NET_BUFFERS];
    unsigned count;
    uint8_t *buffers_at[sizeof(uint16_t)]; /* the header's field of that name, byte by byte */
    const uint8_t *bytes;
    uint32_t left;
};

/* Takes the driver's next buffer, and has `*out` walk over it; false if there is none. */
static bool next_buffer(struct virtio_net *net, uint32_t queue, struct filling *f,
                        struct virtq_cursor *out)
{
    const struct virtq_chain *chain =
        f->count < VIRTIO_NET_BUFFERS ? virtio_take(&net->device, queue) : NULL;

    if (chain == NULL) {
        return false;
    }
    if (chain->writable_size < HEADER_SIZE) {
        virtio_fail(&net->device, "a buffer for a frame that has no room for the header");
        return false;
    }
    *out = virtq_writable(chain);
    f->used[f->count++] = (struct virtq_used){chain->id, chain->slots, 0};
    return true;
}

/* Writes the header; the number of buffers is written again when it is known. */
static void put_header(struct filling *f, struct virtq_cursor *out, const struct net_header *header)
{
    const uint32_t before = offsetof(struct net_header, buffers);
    const uint8_t *number = (const uint8_t *)&header->buffers;

    (void)virtq_copy_to(out, header, before);
    for (unsigned i = 0; i < sizeof(header->buffers); i++) {
        (void)virtq_take(out, 1, &f->buffers_at[i]);
        *f->buffers_at[i] = number[i];
    }
    f->used[0].written = HEADER_SIZE;
}

static void put_bytes(struct filling *f, struct virtq_cursor *out)
{
    uint32_t part = virtq_copy_to(out, f->bytes, f->left);

    f->used[f->count - 1].written += part;
    f->bytes += part;
    f->left -= part;
}

/* Puts header and frame into as many buffers as they take. */
static bool fill(struct virtio_net *net, uint32_t queue, struct filling *f,
                 const struct net_header *header)
{
    bool merges = (net->device.accepted & NET_F_MRG_RXBUF) != 0;
    struct virtq_cursor out;

    if (!next_buffer(net, queue, f, &out)) {
        return false;
    }
    put_header(f, &out, header);
    put_bytes(f, &out);
    if (LIKELY(f->left == 0)) {
        return true;
    }
    while (f->left > 0) {
        if (!merges || !next_buffer(net, queue, f, &out)) {
            return false;
        }
        put_bytes(f, &out);
    }
    for (unsigned i = 0; i < sizeof(uint16_t); i++) {
        *f->buffers_at[i] = (uint8_t)(f->count >> 8 * i);
    }
    return true;
}

bool virtio_net_receive(struct virtio_net *net, const uint8_t *frame,
                        const struct postern_ring_meta *meta)
{
    struct filling f;
    struct net_header header;

    f.count = 0;
    f.bytes = frame;
    f.left = meta->length;
    if (!net_wants(net, frame, meta->length)) {
        net->filtered++;
        return true;
    }
    uint32_t queue = 2 * pair_for(net, frame, meta->length);
    struct virtq *ring = virtio_queue(&net->device, queue);
    if (ring == NULL) {
        net->lost++;
        return false;
    }
    const struct virtq_mark mark = virtq_mark(ring);
    header = header_for(net, meta);
    if (!fill(net, queue, &f, &header)) {
        virtq_rewind(ring, mark);
        net->lost++;
        return false;
    }
    virtq_push_all(ring, f.used, f.count);
    net->untold |= BIT32(queue / 2);
    net->received++;
    return true;
}

void virtio_net_tell(struct virtio_net *net)
{
    for (uint32_t pair = 0; net->untold != 0; pair++) {
        if ((net->untold & BIT32(pair)) != 0) {
            virtio_tell(&net->device, 2 * pair);
            net->untold &= ~BIT32(pair);
        }
    }
}

/* Life cycle. */

static void put16(struct virtio_net *net, uint32_t offset, uint16_t value)
{
    memcpy(net->device.config + offset, &value, sizeof(value));
}

void virtio_net_set_link(struct virtio_net *net, bool up)
{
    put16(net, CONFIG_STATUS, up ? STATUS_LINK_UP : 0);
    virtio_config_changed(&net->device);
}

static void reset(struct virtio_device *device)
{
    net_control_reset((struct virtio_net *)device);
}

void virtio_net_init(struct virtio_net *net, const struct virtio_owner *owner, uint64_t features,
                     uint32_t pairs, uint64_t mac, uint16_t mtu, struct virtio_net_batch *batch)
{
    static const struct virtio_model model = {.name = "net",
                                              .id = NET_ID,
                                              .config_changes = CONFIG_PAIRS,
                                              .waits = waits,
                                              .handle = handle,
                                              .reset = reset};

    features |= NET_F_CSUM | NET_F_CTRL_GUEST_OFFLOADS | NET_F_MTU | NET_F_MAC | NET_F_OFFLOADS |
                NET_F_HOST_TSO4 | NET_F_HOST_TSO6 | NET_F_HOST_ECN | NET_F_MRG_RXBUF |
                NET_F_STATUS | NET_F_CTRL_VQ | NET_F_CTRL_RX | NET_F_CTRL_VLAN |
                NET_F_CTRL_RX_EXTRA | NET_F_CTRL_MAC_ADDR | (pairs > 1 ? NET_F_MQ : 0);
    memset(net, 0, sizeof(*net));
    net->batch = batch;
    net->mac = mac;
    net->pairs_max = pairs;
    virtio_init(&net->device, &model, owner, features, virtio_net_queues(pairs), NET_QUEUE_SIZE);
    put16(net, CONFIG_STATUS, STATUS_LINK_UP);
    put16(net, CONFIG_PAIRS, (uint16_t)pairs);
    put16(net, CONFIG_MTU, mtu);
}
