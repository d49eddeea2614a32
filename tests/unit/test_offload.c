/* SPDX-License-Identifier: BSD-2-Clause */
/* Checksums that are made, and segments that are cut, against plain ways of doing the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/offload.h"
#include "tests/unit/ether.h"
#include "tests/unit/random.h"

#define FIN  0x01u
#define PSH  0x08u
#define ACK  0x10u
#define CWR  0x80u
#define QINQ 0x88a8u

enum kind { IPV4, IPV4_OPTIONS, IPV6, IPV6_EXTENSION, KINDS };

struct packet {
    uint8_t *frame; /* a heap block of meta.length bytes */
    struct postern_ring_meta meta;
    uint32_t ip, tcp;
    bool six;
};

/* The checksum as RFC 1071 has it, 16 bits at a time; 0 for bytes with a right one in them. */
static uint16_t plain_sum(const uint8_t *bytes, uint32_t size, uint32_t sum)
{
    for (uint32_t i = 0; i < size; i++) {
        sum += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
    }
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)~sum;
}

static uint32_t get16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
    return get16(at) << 16 | get16(at + 2);
}

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint32_t pseudo_sum(const uint8_t *ip, bool six, uint32_t size)
{
    uint32_t from = six ? 8 : 12, bytes = six ? 32 : 8;

    return (uint16_t)~plain_sum(ip + from, bytes, 6 + size);
}

/* A large segment: its payload counts up, its sequence number is about to wrap. */
static struct packet make(enum kind kind, unsigned tags, uint32_t payload, uint16_t gso_size,
                          uint8_t flags)
{
    static const uint32_t ip_sizes[] = {20, 28, 40, 48};
    struct packet p = {.six = kind >= IPV6};

    p.ip = 14 + 4 * tags;
    p.tcp = p.ip + ip_sizes[kind];
    uint32_t headers = p.tcp + 32;
    p.meta = (struct postern_ring_meta){
        .length = headers + payload,
        .flags = POSTERN_RECORD_CSUM,
        .csum_start = (uint16_t)p.tcp,
        .csum_offset = 16,
        .gso_type = p.six ? POSTERN_GSO_TCP6 : POSTERN_GSO_TCP4,
        .gso_size = gso_size,
        .header_length = (uint16_t)headers,
    };
    assert_true(postern_ring_meta_valid(&p.meta));
    p.frame = malloc(p.meta.length);
    for (uint32_t i = 0; i < p.meta.length; i++) {
        p.frame[i] = (uint8_t)(i * 7);
    }
    for (unsigned tag = 0; tag < tags; tag++) {
        put16(p.frame + 12 + 4 * tag, tag == 0 && tags == 2 ? QINQ : 0x8100);
    }
    put16(p.frame + p.ip - 2, p.six ? ETHER_IPV6 : ETHER_IPV4);
    uint8_t *ip = p.frame + p.ip, *tcp = p.frame + p.tcp;
    ip[0] = p.six ? 0x60 : (uint8_t)(0x40 | ip_sizes[kind] / 4);
    if (!p.six) {
        put16(ip + 4, 0xfffe);
        put16(ip + 6, 0x4000);
        ip[9] = 6;
    }
    put16(tcp + 4, 0xffff);
    put16(tcp + 6, 0xff00);
    tcp[12] = 0x80;
    tcp[13] = flags;
    return p;
}

/* One of its segments: `done` bytes of the payload are in those before it. */
static void check_segment(const struct packet *p, uint8_t *segment, struct postern_ring_meta *meta,
                          uint32_t number)
{
    uint32_t headers = p->meta.header_length, done = number * p->meta.gso_size;
    uint32_t part = meta->length - headers;
    bool last = done + part == p->meta.length - headers;
    uint8_t *ip = segment + p->ip, *tcp = segment + p->tcp;
    const uint8_t *old_ip = p->frame + p->ip, *old_tcp = p->frame + p->tcp;

    assert_true(postern_ring_meta_valid(meta));
    assert_true(last || part == p->meta.gso_size);
    assert_memory_equal(segment, p->frame, p->ip);
    assert_memory_equal(segment + headers, p->frame + headers + done, part);
    if (p->six) {
        assert_int_equal(get16(ip + 4), meta->length - p->ip - 40);
        assert_memory_equal(ip + 6, old_ip + 6, p->tcp - p->ip - 6);
    } else {
        assert_int_equal(get16(ip + 2), meta->length - p->ip);
        assert_int_equal(get16(ip + 4), (get16(old_ip + 4) + number) & 0xffff);
        assert_int_equal(plain_sum(ip, p->tcp - p->ip, 0), 0);
        assert_memory_equal(ip + 12, old_ip + 12, p->tcp - p->ip - 12);
    }
    assert_int_equal(get32(tcp + 4), get32(old_tcp + 4) + done);
    unsigned gone = (number != 0 ? CWR : 0) | (last ? 0 : FIN | PSH);
    assert_int_equal(tcp[13], old_tcp[13] & ~gone);
    assert_memory_equal(tcp + 20, old_tcp + 20, 12);
    offload_checksum(segment, meta);
    assert_int_equal(meta->flags, 0);
    uint32_t size = meta->length - p->tcp;
    assert_int_equal(plain_sum(tcp, size, pseudo_sum(ip, p->six, size)), 0);
}

static void cut_all(const struct packet *p, uint32_t segments)
{
    struct offload_cut cut;
    struct postern_ring_meta meta;
    uint32_t number = 0;

    assert_true(offload_cut_begin(&cut, p->frame, &p->meta));
    uint8_t *segment = malloc(offload_cut_size(&cut));
    for (; offload_cut_next(&cut, segment, &meta); number++) {
        check_segment(p, segment, &meta, number);
    }
    assert_int_equal(number, segments);
    assert_false(offload_cut_next(&cut, segment, &meta));
    free(segment);
}

static void cuts(void **state)
{
    static const struct {
        uint32_t payload;
        uint16_t gso_size;
        uint32_t segments;
    } sizes[] = {{4344, 1448, 3}, {4345, 1448, 4}, {1000, 1448, 1}, {1, 1, 1}, {100, 7, 15}};

    (void)state;
    for (enum kind kind = IPV4; kind < KINDS; kind++) {
        for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
            for (unsigned tags = 0; tags <= 2; tags++) {
                struct packet p =
                    make(kind, tags, sizes[i].payload, sizes[i].gso_size, ACK | PSH | FIN | CWR);
                cut_all(&p, sizes[i].segments);
                free(p.frame);
            }
        }
    }
}

/* What is no TCP over IP, or has its headers elsewhere. */
static void refuses(void **state)
{
    static const struct {
        enum kind kind;
        uint32_t at; /* from the IP header on */
        uint8_t byte;
    } wrong[] = {
        {IPV4, 0, 0x65}, /* version */
        {IPV4, 0, 0x46}, /* another header's length */
        {IPV4, 9, 17},   /* protocol */
        {IPV4, 6, 0x20}, /* a fragment */
        {IPV4, 7, 1},    {IPV6, 0, 0x45},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct packet p = make(wrong[i].kind, 0, 100, 50, ACK);
        struct offload_cut cut;
        assert_true(offload_cut_begin(&cut, p.frame, &p.meta));
        p.frame[p.ip + wrong[i].at] = wrong[i].byte;
        assert_false(offload_cut_begin(&cut, p.frame, &p.meta));
        free(p.frame);
    }
    for (unsigned i = 0; i < 5; i++) {
        struct packet p = make(IPV4, 0, 100, 50, ACK);
        struct offload_cut cut;
        p.meta.gso_type = i == 0 ? POSTERN_GSO_TCP6 : p.meta.gso_type;
        p.meta.csum_start = i == 1 ? 10 : i == 2 ? 14 : p.meta.csum_start;
        p.meta.csum_offset = i == 3 ? 6 : 16;
        p.meta.header_length = i == 4 ? (uint16_t)(p.tcp + 18) : p.meta.header_length;
        assert_true(postern_ring_meta_valid(&p.meta));
        assert_false(offload_cut_begin(&cut, p.frame, &p.meta));
        free(p.frame);
    }
}

/* Whatever the bytes: segments stay in their room, and have all of the payload. */
static void random_frames(void **state)
{
    struct random random = {77};

    (void)state;
    for (unsigned round = 0; round < 3000; round++) {
        struct packet p =
            make((enum kind)random_below(&random, KINDS), random_below(&random, 3),
                 1 + random_below(&random, 300), (uint16_t)(1 + random_below(&random, 200)), ACK);
        struct offload_cut cut;
        struct postern_ring_meta meta;
        uint32_t sum = 0;
        for (unsigned i = 0; i < 3; i++) {
            p.frame[12 + random_below(&random, p.tcp)] = (uint8_t)random_next(&random);
        }
        if (offload_cut_begin(&cut, p.frame, &p.meta)) {
            uint8_t *segment = malloc(offload_cut_size(&cut));
            while (offload_cut_next(&cut, segment, &meta)) {
                assert_true(meta.length <= offload_cut_size(&cut));
                assert_true(postern_ring_meta_valid(&meta));
                sum += meta.length - p.meta.header_length;
            }
            assert_int_equal(sum, p.meta.length - p.meta.header_length);
            free(segment);
        }
        free(p.frame);
    }
}

static void checksums(void **state)
{
    struct random random = {78};

    (void)state;
    for (unsigned round = 0; round < 2000; round++) {
        uint32_t length = 64 + random_below(&random, 100);
        uint32_t start = 14 + random_below(&random, 30), offset = random_below(&random, 10);
        uint8_t *frame = malloc(length);
        for (uint32_t i = 0; i < length; i++) {
            frame[i] = (uint8_t)random_next(&random);
        }
        struct postern_ring_meta meta = {.length = length,
                                         .flags = POSTERN_RECORD_CSUM,
                                         .csum_start = (uint16_t)start,
                                         .csum_offset = (uint16_t)(2 * offset)};
        uint32_t before = get16(frame + start + 2 * offset);
        uint16_t expected = plain_sum(frame + start, length - start, 0);
        offload_checksum(frame, &meta);
        assert_int_equal(get16(frame + start + 2 * offset), expected != 0 ? expected : 0xffff);
        /* As the receiver does: all of it, with what the field had. */
        assert_int_equal(plain_sum(frame + start, length - start, before), 0);
        assert_int_equal(meta.flags | meta.csum_start | meta.csum_offset, 0);
        assert_int_equal(meta.length, length);
        offload_checksum(frame, &meta);
        assert_int_equal(plain_sum(frame + start, length - start, before), 0);
        free(frame);
    }
}

/* A sum of zero is written as the other zero. */
static void zero_checksum(void **state)
{
    uint8_t frame[34] = {0};
    struct postern_ring_meta meta = {
        .length = sizeof(frame), .flags = POSTERN_RECORD_CSUM, .csum_start = 14, .csum_offset = 6};

    (void)state;
    frame[24] = 0xff;
    frame[25] = 0xff;
    offload_checksum(frame, &meta);
    assert_int_equal(get16(frame + 20), 0xffff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts),          cmocka_unit_test(refuses),
        cmocka_unit_test(random_frames), cmocka_unit_test(checksums),
        cmocka_unit_test(zero_checksum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
