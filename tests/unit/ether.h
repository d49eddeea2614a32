/* SPDX-License-Identifier: BSD-2-Clause */
/* Ethernet frames for tests. */
#ifndef POSTERN_TESTS_UNIT_ETHER_H
#define POSTERN_TESTS_UNIT_ETHER_H

#include <stdint.h>
#include <string.h>

#define ETHER_BROADCAST 0xffffffffffffull
#define ETHER_IPV4      0x0800u
#define ETHER_IPV6      0x86ddu
#define ETHER_NO_TAG    (-1)

/* The address of station `number`: a local one. Byte 0 is the lowest. */
static inline uint64_t ether_mac(uint32_t number)
{
    return 0x02ull | (uint64_t)number << 16;
}

static inline uint8_t *ether_put_mac(uint8_t *at, uint64_t mac)
{
    for (unsigned i = 0; i < 6; i++) {
        *at++ = (uint8_t)(mac >> 8 * i);
    }
    return at;
}

/* Makes a frame of `length` bytes (18 at least); `tag` is the tag's 16 bits, or ETHER_NO_TAG. */
static inline void ether_frame(uint8_t *frame, uint32_t length, uint64_t to, uint64_t from, int tag,
                               uint16_t type)
{
    uint8_t *at = ether_put_mac(ether_put_mac(frame, to), from);

    if (tag != ETHER_NO_TAG) {
        *at++ = 0x81;
        *at++ = 0x00;
        *at++ = (uint8_t)(tag >> 8);
        *at++ = (uint8_t)tag;
    }
    *at++ = (uint8_t)(type >> 8);
    *at++ = (uint8_t)type;
    memset(at, 0x5a, length - (size_t)(at - frame));
}

#endif
