/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/token_bucket.h"

/* Beyond it a difference of two times is of one that lies before the other. */
#define HALF_CLOCK (UINT64_MAX / 2)

void token_bucket_init(struct token_bucket *bucket, uint64_t hz, uint64_t rate, uint64_t burst,
                       uint64_t now)
{
    uint64_t interval = rate < hz ? hz / rate : 1;

    if (burst > HALF_CLOCK) {
        burst = HALF_CLOCK;
    }
    if (interval > HALF_CLOCK / burst) {
        interval = HALF_CLOCK / burst;
    }
    bucket->interval = interval;
    bucket->depth = interval * burst;
    atomic_store_explicit(&bucket->full_at, now, memory_order_relaxed);
}

bool token_bucket_take(struct token_bucket *bucket, uint64_t now)
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
        if (missing > bucket->depth) {
            missing = bucket->depth; /* the clock has gone back */
        }
        taken = missing <= bucket->depth - bucket->interval;
        if (taken) {
            missing += bucket->interval;
        }
    } while (!atomic_compare_exchange_weak_explicit(&bucket->full_at, &full_at, now + missing,
                                                    memory_order_relaxed, memory_order_relaxed));
    return taken;
}
