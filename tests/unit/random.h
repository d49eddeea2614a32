/* SPDX-License-Identifier: BSD-2-Clause */
/* Random numbers that are the same in every run (xorshift). */
#ifndef POSTERN_TESTS_UNIT_RANDOM_H
#define POSTERN_TESTS_UNIT_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t state; /* the seed, not 0 */
};

static inline uint32_t random_next(struct random *random)
{
    random->state ^= random->state << 13;
    random->state ^= random->state >> 7;
    random->state ^= random->state << 17;
    return (uint32_t)(random->state >> 32);
}

/* A number below `limit`. */
static inline uint32_t random_below(struct random *random, uint32_t limit)
{
    return random_next(random) % limit;
}

#endif
