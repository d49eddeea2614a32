/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A token bucket: at most `burst` tokens at once, and `rate` in a second over time. All of it is
 * one moment in time, when the bucket would be full again: to take tokens moves it on. Any number
 * of CPUs may take from a bucket at once, without a lock.
 *
 * Several tokens may be taken together, as for the bytes of a frame: where there is one there are
 * as many as it takes, and the bucket owes them. So nothing is refused for its size.
 *
 * Times are ticks of a clock of 64 bits. It may wrap, and may differ between CPUs: where it goes
 * back the bucket counts as empty and as owing as much as it ever may, no worse. Where tokens are
 * taken one at a time, one token's time so is the longest that a caller waits.
 */
#ifndef POSTERN_LIB_TOKEN_BUCKET_H
#define POSTERN_LIB_TOKEN_BUCKET_H

#include "lib/types.h"

struct token_bucket {
    uint64_t interval;    /* whole ticks for each token, */
    uint64_t part, parts; /* and part / parts of a tick */
    uint64_t depth;       /* ticks to fill it */
    uint64_t debt;        /* ticks that it may owe */
    _Atomic uint64_t full_at;
};

/* A full bucket, of which up to `largest` tokens are taken together. `hz` is of the clock; none of
 * the numbers may be 0. */
void token_bucket_init(struct token_bucket *bucket, uint64_t hz, uint64_t rate, uint64_t burst,
                       uint64_t largest, uint64_t now);

/* Takes so many tokens, which refill in a whole number of ticks; false if there is none. */
bool token_bucket_take(struct token_bucket *bucket, uint64_t tokens, uint64_t now) MUST_CHECK;

#endif
