/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/token_bucket.h"

/* Beyond it a difference of two times is of one that lies before the other. */
#define HALF_CLOCK (UINT64_MAX / 2)
/* So that their product with TOKENS_MAX does not overflow. */
#define PARTS_BITS 20
#define TOKENS_MAX (1ull << 40)

/* Rounded up: no rate is exceeded. */
static uint64_t ticks_of(const struct token_bucket *bucket, uint64_t tokens)
{
    return tokens * bucket->interval + (tokens * bucket->part + bucket->parts - 1) / bucket->parts;
}

void token_bucket_init(struct token_bucket *bucket, uint64_t hz, uint64_t rate, uint64_t burst,
                       uint64_t largest, uint64_t now)
{
    burst = burst < TOKENS_MAX ? burst : TOKENS_MAX;
    largest = largest < TOKENS_MAX ? largest : TOKENS_MAX;
    bucket->interval = hz / rate;
    bucket->part = hz % rate;
    bucket->parts = rate;
    while (bucket->parts >> PARTS_BITS != 0) {
        bucket->part = bucket->part / 2 + bucket->part % 2;
        bucket->parts /= 2;
    }
    /* The depth and the debt together are to be less than half of the clock's range. */
    uint64_t longest = HALF_CLOCK / 2 / (burst > largest ? burst : largest);
    if (bucket->interval >= longest) {
        bucket->interval = longest;
        bucket->part = 0;
    }
    bucket->depth = ticks_of(bucket, burst);
    bucket->debt = ticks_of(bucket, largest) - ticks_of(bucket, 1);
    atomic_store_explicit(&bucket->full_at, now, memory_order_relaxed);
}

bool token_bucket_take(struct token_bucket *bucket, uint64_t tokens, uint64_t now)
{
    /* Relaxed: nothing else is told by it. */
    uint64_t full_at = atomic_load_explicit(&bucket->full_at, memory_order_relaxed);
    uint64_t missing;
    bool taken;

    do {
        missing = full_at - now;
        if (missing > HALF_CLOCK) {
            missing = 0; /* it has been full for a while */
        }
        if (missing > bucket->depth + bucket->debt) {
            missing = bucket->depth + bucket->debt; /* the clock has gone back */
        }
        taken = missing + ticks_of(bucket, 1) <= bucket->depth;
        if (taken) {
            missing += ticks_of(bucket, tokens);
        }
    } while (!atomic_compare_exchange_weak_explicit(&bucket->full_at, &full_at, now + missing,
                                                    memory_order_relaxed, memory_order_relaxed));
    return taken;
}
