/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A token bucket: at most `burst` events at once, and `rate` in a second over time. All of it is
 * one moment in time, when the bucket would be full again: to take a token moves it on. Any number
 * of CPUs may take from a bucket at once, without a lock.
 *
 * Times are ticks of a clock of 64 bits. It may wrap, and may differ between CPUs: where it goes
 * back the bucket counts as empty, no worse, so that one token's time is the longest that a caller
 * waits.
 */
#ifndef POSTERN_LIB_TOKEN_BUCKET_H
#define POSTERN_LIB_TOKEN_BUCKET_H

#include "lib/types.h"

struct token_bucket {
    uint64_t interval; /* ticks for each token */
    uint64_t depth;    /* ticks to fill it */
    _Atomic uint64_t full_at;
};

/* A full bucket. `hz` is of the clock; none of the numbers may be 0. A rate above `hz` is taken for
 * `hz`. */
void token_bucket_init(struct token_bucket *bucket, uint64_t hz, uint64_t rate, uint64_t burst,
                       uint64_t now);

/* Takes a token; false if there is none. */
bool token_bucket_take(struct token_bucket *bucket, uint64_t now) MUST_CHECK;

#endif
