/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/offload.h"

#include "abi/fdb_ops.h"
#include "lib/big_endian.h"
#include "lib/string.h"

#define ETHERTYPE      12u
#define ETHERTYPE_IPV4 0x0800u
#define ETHERTYPE_IPV6 0x86ddu
#define ETHERTYPE_QINQ 0x88a8u
#define TAGS_MAX       2u
#define PROTOCOL_TCP   6u

#define IPV4_HEADER    20u
#define IPV4_LENGTH    2u
#define IPV4_ID        4u
#define IPV4_FRAGMENT  6u
#define FRAGMENT_MASK  0x3fffu /* more fragments, and the offset */
#define IPV4_PROTOCOL  9u
#define IPV4_CHECKSUM  10u
#define IPV4_SOURCE    12u
#define IPV6_HEADER    40u
#define IPV6_LENGTH    4u
#define IPV6_SOURCE    8u

#define TCP_HEADER     20u
#define TCP_SEQUENCE   4u
#define TCP_FLAGS      13u
#define TCP_FIN_PSH    0x09u
#define TCP_CWR        0x80u
#define TCP_CHECKSUM   16u

/*
 * Sums of the Internet checksum (RFC 1071): of 16-bit words as they lie in memory, whichever end is
 * first there, so that a folded sum is stored as it is. Words of 32 bits are added, and the carries
 * later; 2^32 of them would be needed for one to get lost.
 */
static uint64_t sum_bytes(uint64_t sum, const uint8_t *bytes, uint32_t size)
{
    uint32_t word = 0;

    for (; size >= sizeof(word); size -= (uint32_t)sizeof(word), bytes += sizeof(word)) {
        memcpy(&word, bytes, sizeof(word));
        sum += word;
    }
    word = 0;
    memcpy(&word, bytes, size);
    return sum + word;
}

/* Adds a number of 16 bits. */
static uint64_t sum16(uint64_t sum, uint32_t value)
{
    uint8_t bytes[2];

    put_be16(bytes, value);
    return sum_bytes(sum, bytes, sizeof(bytes));
}

static uint16_t fold(uint64_t sum)
{
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)sum;
}

static void store(uint8_t *at, uint16_t sum)
{
    memcpy(at, &sum, sizeof(sum));
}

void offload_checksum(uint8_t *frame, struct postern_ring_meta *meta)
{
    if ((meta->flags & POSTERN_RECORD_CSUM) == 0) {
        return;
    }
    uint32_t start = meta->csum_start;
    /* The field has the sum of the pseudo-header, which so becomes part of the checksum. */
    uint16_t sum = (uint16_t)~fold(sum_bytes(0, frame + start, meta->length - start));

    /* To UDP 0 says that there is no checksum; the other zero is as good (RFC 768). */
    store(frame + start + meta->csum_offset, sum != 0 ? sum : 0xffff);
    meta->flags &= (uint16_t)~POSTERN_RECORD_CSUM;
    meta->csum_start = 0;
    meta->csum_offset = 0;
}

/* Where the IP header begins, behind the tags; 0 if the frame ends before. */
static uint32_t find_ip(const uint8_t *frame, uint32_t length, uint32_t *ethertype)
{
    uint32_t at = ETHERTYPE;

    for (unsigned tags = 0; at + 2 <= length; tags++, at += POSTERN_VLAN_TAG) {
        *ethertype = get_be16(frame + at);
        if (tags == TAGS_MAX ||
            (*ethertype != POSTERN_ETHERTYPE_VLAN && *ethertype != ETHERTYPE_QINQ)) {
            return at + 2;
        }
    }
    return 0;
}

static bool is_ipv4(const uint8_t *ip, uint32_t size)
{
    return size >= IPV4_HEADER && ip[0] >> 4 == 4 && (ip[0] & 0xfu) * 4 == size &&
           ip[IPV4_PROTOCOL] == PROTOCOL_TCP && (get_be16(ip + IPV4_FRAGMENT) & FRAGMENT_MASK) == 0;
}

bool offload_cut_begin(struct offload_cut *cut, const uint8_t *frame,
                       const struct postern_ring_meta *meta)
{
    uint32_t ethertype = 0, tcp = meta->csum_start;
    uint32_t ip = find_ip(frame, meta->length, &ethertype);

    *cut = (struct offload_cut){.frame = frame, .meta = *meta, .ip = ip};
    if (ip == 0 || tcp < ip || meta->csum_offset != TCP_CHECKSUM ||
        meta->header_length < tcp + TCP_HEADER) {
        return false;
    }
    if (meta->gso_type == POSTERN_GSO_TCP4) {
        return ethertype == ETHERTYPE_IPV4 && is_ipv4(frame + ip, tcp - ip);
    }
    /* What is between its header and TCP's is copied. */
    return ethertype == ETHERTYPE_IPV6 && tcp - ip >= IPV6_HEADER && frame[ip] >> 4 == 6;
}

/* The IP header of segment `number`, of `size` bytes from that header on. */
static void fix_ip(const struct offload_cut *cut, uint8_t *ip, uint32_t number, uint32_t size)
{
    if (cut->meta.gso_type == POSTERN_GSO_TCP6) {
        put_be16(ip + IPV6_LENGTH, size - IPV6_HEADER);
        return;
    }
    put_be16(ip + IPV4_LENGTH, size);
    put_be16(ip + IPV4_ID, get_be16(ip + IPV4_ID) + number);
    put_be16(ip + IPV4_CHECKSUM, 0);
    store(ip + IPV4_CHECKSUM, (uint16_t)~fold(sum_bytes(0, ip, cut->meta.csum_start - cut->ip)));
}

/* The TCP header of a segment of `size` bytes, that header included. */
static void fix_tcp(const struct offload_cut *cut, const uint8_t *ip, uint8_t *tcp, uint32_t size,
                    bool last)
{
    bool four = cut->meta.gso_type == POSTERN_GSO_TCP4;
    uint64_t sum = four ? sum_bytes(0, ip + IPV4_SOURCE, 8) : sum_bytes(0, ip + IPV6_SOURCE, 32);

    put_be32(tcp + TCP_SEQUENCE, get_be32(tcp + TCP_SEQUENCE) + cut->done);
    if (cut->done != 0) {
        tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
    }
    if (!last) {
        tcp[TCP_FLAGS] &= (uint8_t)~TCP_FIN_PSH;
    }
    store(tcp + TCP_CHECKSUM, fold(sum16(sum16(sum, PROTOCOL_TCP), size)));
}

bool offload_cut_next(struct offload_cut *cut, uint8_t *to, struct postern_ring_meta *segment)
{
    uint32_t headers = cut->meta.header_length, left = cut->meta.length - headers - cut->done;
    uint32_t part = left < cut->meta.gso_size ? left : cut->meta.gso_size;

    if (left == 0) {
        return false;
    }
    memcpy(to, cut->frame, headers);
    memcpy(to + headers, cut->frame + headers + cut->done, part);
    fix_ip(cut, to + cut->ip, cut->done / cut->meta.gso_size, headers + part - cut->ip);
    fix_tcp(cut, to + cut->ip, to + cut->meta.csum_start, headers + part - cut->meta.csum_start,
            part == left);
    cut->done += part;
    *segment = (struct postern_ring_meta){.length = headers + part,
                                          .flags = POSTERN_RECORD_CSUM,
                                          .csum_start = cut->meta.csum_start,
                                          .csum_offset = cut->meta.csum_offset};
    return true;
}
