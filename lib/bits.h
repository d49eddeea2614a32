/* SPDX-License-Identifier: BSD-2-Clause */
/* Bit and alignment arithmetic. Alignments are powers of two. */
#ifndef POSTERN_LIB_BITS_H
#define POSTERN_LIB_BITS_H

#include "lib/types.h"

#define BIT(n)       (1ull << (n))
#define BIT32(n)     (1u << (n))
#define MASK(hi, lo) ((~0ull >> (63 - (hi))) & (~0ull << (lo)))

static inline uint64_t align_up(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

static inline uint64_t align_down(uint64_t value, uint64_t alignment)
{
    return value & ~(alignment - 1);
}

static inline bool is_aligned(uint64_t value, uint64_t alignment)
{
    return (value & (alignment - 1)) == 0;
}

static inline bool is_power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/* The index of the highest set bit; `value` must not be 0. */
static inline unsigned highest_bit(uint64_t value)
{
    return 63u - (unsigned)__builtin_clzll(value);
}

/* Whether [base, base + size) lies inside [outer, outer + outer_size), with no sum that wraps. */
static inline bool range_within(uint64_t base, uint64_t size, uint64_t outer, uint64_t outer_size)
{
    return base >= outer && size <= outer_size && base - outer <= outer_size - size;
}

#endif
