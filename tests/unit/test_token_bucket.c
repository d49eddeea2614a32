/* SPDX-License-Identifier: BSD-2-Clause */
/* The token bucket against a count of what it gives, with clocks as they should be and as not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/token_bucket.h"
#include "tests/unit/random.h"

#define HZ       3000000000ull
#define RATE     1000u
#define BURST    256u
#define INTERVAL (HZ / RATE)
#define YEAR     (HZ * 60 * 60 * 24 * 365)

static struct token_bucket start(uint64_t now)
{
    struct token_bucket bucket;

    token_bucket_init(&bucket, HZ, RATE, BURST, 1, now);
    return bucket;
}

/* How many tokens there are at `now`, all of them taken. */
static unsigned take_all(struct token_bucket *bucket, uint64_t now)
{
    unsigned count = 0;

    while (count < 10000 && token_bucket_take(bucket, 1, now)) {
        count++;
    }
    return count;
}

static void test_burst_and_rate(void **state)
{
    struct token_bucket bucket = start(12345);
    uint64_t now = 12345;

    (void)state;
    assert_int_equal(take_all(&bucket, now), BURST);
    assert_int_equal(take_all(&bucket, now + INTERVAL - 1), 0);
    for (unsigned i = 0; i < 1000; i++) {
        now += INTERVAL;
        assert_int_equal(take_all(&bucket, now), 1);
    }
    now += 10 * INTERVAL + INTERVAL / 2;
    assert_int_equal(take_all(&bucket, now), 10);
    now += INTERVAL / 2; /* the half from before counts */
    assert_int_equal(take_all(&bucket, now), 1);
    now += 1000000 * INTERVAL;
    assert_int_equal(take_all(&bucket, now), BURST);
}

/* Whatever the steps are, no stretch of time gives more than its rate and a burst, and one who
 * always asks gets what the rate says. */
static void test_bound(void **state)
{
    struct random random = {0x70cce7};
    struct token_bucket bucket = start(0);
    uint64_t now = 0, count = 0;

    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        now += random_below(&random, INTERVAL / 2);
        count += token_bucket_take(&bucket, 1, now) ? 1 : 0;
        assert_true(count <= BURST + now / INTERVAL);
    }
    assert_true(count >= now / INTERVAL);
}

/* Moments at which a difference or a sum could overflow: full there at once, and the rate holds. */
static void test_far_times(void **state)
{
    static const uint64_t starts[] = {0,
                                      1,
                                      YEAR,
                                      100 * YEAR,
                                      UINT64_MAX / 2 - INTERVAL,
                                      UINT64_MAX / 2,
                                      UINT64_MAX / 2 + 1,
                                      UINT64_MAX - BURST * INTERVAL,
                                      UINT64_MAX - 1,
                                      UINT64_MAX};

    (void)state;
    for (unsigned i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        struct token_bucket bucket = start(starts[i]);
        uint64_t now = starts[i]; /* it may wrap */
        assert_int_equal(take_all(&bucket, now), BURST);
        for (unsigned n = 0; n < 1000; n++) {
            now += INTERVAL;
            assert_int_equal(take_all(&bucket, now), 1);
        }
    }
}

/* A bucket that nobody takes from for years. */
static void test_long_idle(void **state)
{
    (void)state;
    for (uint64_t years = 1; years <= 60; years++) {
        struct token_bucket bucket = start(7 * YEAR);
        assert_int_equal(take_all(&bucket, 7 * YEAR), BURST);
        assert_int_equal(take_all(&bucket, (7 + years) * YEAR), BURST);
    }
    /* Beyond half of the clock's range it counts as a clock that went back: empty, no worse. */
    struct token_bucket bucket = start(0);
    assert_false(token_bucket_take(&bucket, 1, 150 * YEAR));
    assert_true(token_bucket_take(&bucket, 1, 150 * YEAR + INTERVAL));
}

/* A clock that goes back costs one token's time at most, however far it goes. */
static void test_clock_goes_back(void **state)
{
    struct random random = {0xbacc};

    (void)state;
    for (unsigned i = 0; i < 10000; i++) {
        uint64_t before = (uint64_t)random_next(&random) << 32 | random_next(&random);
        uint64_t after = (uint64_t)random_next(&random) << 32 | random_next(&random);
        struct token_bucket bucket = start(before);
        (void)take_all(&bucket, before);
        unsigned first = take_all(&bucket, after);
        assert_in_range(first, 0, BURST);
        assert_int_equal(take_all(&bucket, after + INTERVAL), 1);
        assert_int_equal(take_all(&bucket, after + 1000 * INTERVAL), BURST);
    }
}

/* Numbers at the edges of what they may be. */
static void test_extreme_limits(void **state)
{
    static const uint64_t numbers[] = {1, 2, 1000, HZ, UINT64_MAX / 2, UINT64_MAX};
    struct token_bucket bucket;

    (void)state;
    for (unsigned h = 0; h < 6; h++) {
        for (unsigned r = 0; r < 6; r++) {
            for (unsigned b = 0; b < 6; b++) {
                for (unsigned l = 0; l < 6; l++) {
                    token_bucket_init(&bucket, numbers[h], numbers[r], numbers[b], numbers[l], 5);
                    assert_true(bucket.depth >= 1 && bucket.depth >= bucket.interval);
                    assert_true(bucket.depth + bucket.debt <= UINT64_MAX / 2);
                    assert_true(token_bucket_take(&bucket, 1, 5));
                    assert_true(token_bucket_take(&bucket, 1, 5 + bucket.interval + 1));
                }
            }
        }
    }
    token_bucket_init(&bucket, 1000, 5000, 15, 1,
                      0); /* more tokens than ticks: one for each tick */
    assert_int_equal(take_all(&bucket, 0), 3);
    assert_int_equal(take_all(&bucket, 2), 2);
}

/* Takes of many tokens: where there is one there are all of them, and they are owed. */
static void test_large_takes(void **state)
{
    struct token_bucket bucket;

    (void)state;
    token_bucket_init(&bucket, 1000, 100, 20, 500, 0); /* ten ticks for each token */
    assert_true(token_bucket_take(&bucket, 19, 0));
    assert_true(token_bucket_take(&bucket, 500, 0)); /* of which 499 are owed */
    assert_false(token_bucket_take(&bucket, 1, 4999));
    assert_true(token_bucket_take(&bucket, 1, 5000));
    assert_false(token_bucket_take(&bucket, 1, 5009));
    /* A clock that goes back finds no more owed than ever can be. */
    assert_true(token_bucket_take(&bucket, 500, 1ull << 40));
    assert_false(token_bucket_take(&bucket, 1, 99));
    assert_true(token_bucket_take(&bucket, 1, 99 + 5000));
}

/* Rates that no whole number of ticks gives, and such as are beyond the clock's: what is given is
 * what they say, but for the burst and the last take. */
static void test_rates(void **state)
{
    static const uint64_t rates[] = {3, 999, 600000000, 999999999, 1000000001, 100000000000};
    const uint64_t hz = 1000000000, seconds = 5, largest = 65600;
    struct random random = {0x4a7e5};

    (void)state;
    for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        struct token_bucket bucket;
        uint64_t burst = rates[i] / 10 + 1, given = 0, step = seconds * hz / 2000000, now = 0;
        token_bucket_init(&bucket, hz, rates[i], burst, largest, 0);
        for (; now < seconds * hz; now += step) {
            uint64_t tokens = 60 + random_below(&random, 65540);
            for (unsigned n = 0; n < 10 && token_bucket_take(&bucket, tokens, now); n++) {
                given += tokens;
            }
        }
        assert_true(given <= rates[i] * seconds + burst + largest);
        assert_true(given >= rates[i] * seconds / 100 * 99);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_and_rate),  cmocka_unit_test(test_bound),
        cmocka_unit_test(test_far_times),       cmocka_unit_test(test_long_idle),
        cmocka_unit_test(test_clock_goes_back), cmocka_unit_test(test_extreme_limits),
        cmocka_unit_test(test_large_takes),     cmocka_unit_test(test_rates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
