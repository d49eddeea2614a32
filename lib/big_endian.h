/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers as networks have them: the highest byte first, at any address. */
#ifndef POSTERN_LIB_BIG_ENDIAN_H
#define POSTERN_LIB_BIG_ENDIAN_H

#include "lib/types.h"

static inline uint32_t get_be16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static inline void put_be16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static inline uint32_t get_be32(const uint8_t *at)
{
    return get_be16(at) << 16 | get_be16(at + 2);
}

static inline void put_be32(uint8_t *at, uint32_t value)
{
    put_be16(at, value >> 16);
    put_be16(at + 2, value);
}

#endif
