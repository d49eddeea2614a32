/* SPDX-License-Identifier: BSD-2-Clause */
#include "guests/lwip/offload.h"

#define ETHERNET_SIZE  14u
#define ETHERTYPE      12u
#define ETHERTYPE_IPV4 0x0800u
#define IPV4_SIZE      20u /* without options */
#define IPV4_TOTAL     2u
#define IPV4_FRAGMENT  6u
#define FRAGMENT_MASK  0x3fffu /* more fragments, and the offset */
#define IPV4_PROTOCOL  9u
#define IPV4_SOURCE    12u
#define PROTOCOL_TCP   6u
#define PROTOCOL_UDP   17u
#define TCP_SIZE       20u
#define TCP_CHECKSUM   16u
#define UDP_SIZE       8u
#define UDP_CHECKSUM   6u

static uint32_t read16(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 8 | bytes[1];
}

/* The sum of the pseudo-header, not complemented: source, destination, protocol, length. */
static uint32_t pseudo_header_sum(const uint8_t *ip, uint32_t protocol, uint32_t size)
{
    uint32_t sum = protocol + size;

    for (unsigned i = 0; i < 4; i++) {
        sum += read16(ip + IPV4_SOURCE + 2 * i);
    }
    sum = (sum & 0xffff) + (sum >> 16);
    return (sum & 0xffff) + (sum >> 16);
}

/* Has the peer finish the checksum at `field` of what begins at `start`. */
static void leave_checksum(uint8_t *frame, uint32_t start, uint32_t field, uint32_t sum,
                           struct postern_ring_meta *meta)
{
    frame[start + field] = (uint8_t)(sum >> 8);
    frame[start + field + 1] = (uint8_t)sum;
    meta->flags = POSTERN_RECORD_CSUM;
    meta->csum_start = (uint16_t)start;
    meta->csum_offset = (uint16_t)field;
}

bool offload_describe(uint8_t *frame, uint32_t available, uint32_t length,
                      struct postern_ring_meta *meta)
{
    const uint8_t *ip = frame + ETHERNET_SIZE;

    *meta = (struct postern_ring_meta){.length = length};
    if (available < ETHERNET_SIZE) {
        return false;
    }
    if (read16(frame + ETHERTYPE) != ETHERTYPE_IPV4) {
        return true;
    }
    if (available < ETHERNET_SIZE + IPV4_SIZE) {
        return false;
    }
    uint32_t protocol = ip[IPV4_PROTOCOL];
    uint32_t header = (ip[0] & 0xfu) * 4;
    uint32_t total = read16(ip + IPV4_TOTAL);
    uint32_t start = ETHERNET_SIZE + header;
    uint32_t least = protocol == PROTOCOL_TCP ? TCP_SIZE : UDP_SIZE;
    if (protocol != PROTOCOL_TCP && protocol != PROTOCOL_UDP) {
        return true;
    }
    /* A fragment goes without: lwIP leaves 0 in it, which for UDP means that there is none. */
    if ((read16(ip + IPV4_FRAGMENT) & FRAGMENT_MASK) != 0) {
        return true;
    }
    if (header < IPV4_SIZE || total < header + least || ETHERNET_SIZE + total > length ||
        available < start + least) {
        return false;
    }
    uint32_t field = protocol == PROTOCOL_TCP ? TCP_CHECKSUM : UDP_CHECKSUM;
    leave_checksum(frame, start, field, pseudo_header_sum(ip, protocol, total - header), meta);
    return true;
}
