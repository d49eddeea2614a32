/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guests/lwip/offload.h"
#include "tests/unit/random.h"

#define ETHERNET 14u
#define TCP      6
#define UDP      17
#define ICMP     1

static void put16(uint8_t *bytes, uint32_t value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

/* An Ethernet frame with `size` bytes behind an IPv4 header of `header` bytes. */
static uint32_t make_frame(uint8_t *frame, uint8_t protocol, uint32_t header, uint32_t size)
{
    static const uint8_t addresses[8] = {10, 0, 0, 2, 192, 168, 255, 254};
    uint8_t *ip = frame + ETHERNET;

    memset(frame, 0, ETHERNET + header + size);
    put16(frame + 12, 0x0800);
    ip[0] = (uint8_t)(0x40 | header / 4);
    put16(ip + 2, header + size);
    ip[9] = protocol;
    memcpy(ip + 12, addresses, sizeof(addresses));
    for (uint32_t i = 0; i < size; i++) {
        ip[header + i] = (uint8_t)(i * 7 + 3);
    }
    return ETHERNET + header + size;
}

/* What an end does that takes the packet away from the machine. */
static void finish(uint8_t *frame, const struct postern_ring_meta *meta)
{
    uint32_t sum = 0;

    for (uint32_t i = meta->csum_start; i < meta->length; i++) {
        sum += (i - meta->csum_start) % 2 == 0 ? (uint32_t)frame[i] << 8 : frame[i];
    }
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    put16(frame + meta->csum_start + meta->csum_offset, ~sum & 0xffff);
}

/* 0xffff when the checksum is right: the sum of pseudo-header and all that is behind the IP header,
 * by the definition in RFC 793. */
static uint32_t verify(const uint8_t *frame, uint32_t header, uint32_t size)
{
    const uint8_t *ip = frame + ETHERNET;
    uint32_t sum = ip[9] + size;

    for (uint32_t i = 12; i < 20; i++) {
        sum += i % 2 == 0 ? (uint32_t)ip[i] << 8 : ip[i];
    }
    for (uint32_t i = 0; i < size; i++) {
        sum += i % 2 == 0 ? (uint32_t)ip[header + i] << 8 : ip[header + i];
    }
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

static void check_transport(uint8_t protocol, uint16_t field, uint32_t header, uint32_t size)
{
    uint8_t frame[2048];
    uint32_t length = make_frame(frame, protocol, header, size);
    struct postern_ring_meta meta;

    assert_true(offload_describe(frame, length, length, &meta));
    assert_int_equal(meta.length, length);
    assert_int_equal(meta.flags, POSTERN_RECORD_CSUM);
    assert_int_equal(meta.csum_start, ETHERNET + header);
    assert_int_equal(meta.csum_offset, field);
    assert_true(postern_ring_meta_valid(&meta));
    assert_true(offload_trusts(&meta));
    finish(frame, &meta);
    assert_int_equal(verify(frame, header, size), 0xffff);
}

static void test_transport_checksums(void **state)
{
    (void)state;
    for (uint32_t size = 20; size < 1480; size += 73) {
        check_transport(TCP, 16, 20, size);
        check_transport(UDP, 6, 20, size);
        check_transport(TCP, 16, 24, size);
    }
    check_transport(UDP, 6, 20, 8);
}

static void expect_plain(uint8_t *frame, uint32_t length)
{
    uint8_t copy[2048];
    struct postern_ring_meta meta;

    memcpy(copy, frame, length);
    assert_true(offload_describe(frame, length, length, &meta));
    assert_int_equal(meta.length, length);
    assert_int_equal(meta.flags, 0);
    assert_true(postern_ring_meta_valid(&meta));
    assert_memory_equal(copy, frame, length);
}

static void test_others_go_as_they_are(void **state)
{
    uint8_t frame[2048];
    uint32_t length;

    (void)state;
    length = make_frame(frame, ICMP, 20, 64);
    expect_plain(frame, length);
    length = make_frame(frame, UDP, 20, 64);
    put16(frame + 12, 0x0806); /* ARP */
    expect_plain(frame, length);
    length = make_frame(frame, UDP, 20, 64);
    put16(frame + ETHERNET + 6, 0x2000); /* more fragments */
    expect_plain(frame, length);
    put16(frame + ETHERNET + 6, 0x0001); /* the second fragment */
    expect_plain(frame, length);
    length = make_frame(frame, TCP, 20, 64);
    put16(frame + ETHERNET + 6, 0x4000); /* do not fragment */
    assert_true(offload_describe(frame, length, length, &(struct postern_ring_meta){0}));
}

static void test_headers_in_pieces_are_refused(void **state)
{
    uint8_t frame[2048];
    uint32_t length = make_frame(frame, TCP, 20, 100);
    struct postern_ring_meta meta;

    (void)state;
    for (uint32_t available = 0; available < ETHERNET + 40; available++) {
        /* Of its exact size: beyond it the sanitizer sees every access. */
        uint8_t *part = malloc(available > 0 ? available : 1);
        assert_non_null(part);
        memcpy(part, frame, available);
        assert_false(offload_describe(part, available, length, &meta));
        free(part);
    }
    assert_true(offload_describe(frame, ETHERNET + 40, length, &meta));
}

/* Whatever the bytes are, a record comes out that the peer does not take for a fault. */
static void test_any_bytes(void **state)
{
    struct random random = {20261121};
    struct postern_ring_meta meta;

    (void)state;
    for (unsigned round = 0; round < 100000; round++) {
        uint8_t frame[96];
        uint32_t length = 1 + random_below(&random, sizeof(frame));
        uint32_t available = random_below(&random, length + 1);
        make_frame(frame, round % 2 == 0 ? TCP : UDP, 20, sizeof(frame) - ETHERNET - 20);
        for (unsigned i = random_below(&random, 4); i > 0; i--) {
            frame[random_below(&random, sizeof(frame))] = (uint8_t)random_below(&random, 256);
        }
        uint8_t *part = malloc(available > 0 ? available : 1);
        assert_non_null(part);
        memcpy(part, frame, available);
        if (offload_describe(part, available, length, &meta)) {
            assert_true(postern_ring_meta_valid(&meta));
        }
        free(part);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transport_checksums),
        cmocka_unit_test(test_others_go_as_they_are),
        cmocka_unit_test(test_headers_in_pieces_are_refused),
        cmocka_unit_test(test_any_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
