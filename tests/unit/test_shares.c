/* SPDX-License-Identifier: BSD-2-Clause */
/* Fair sharing of a CPU's time: parts in the ratio of weights, and nobody saves time up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/shares.h"
#include "lib/bits.h"
#include "tests/unit/random.h"

#define SLICE 1000000u

static struct shares shares;
static uint64_t ran[SHARES_MAX];

static void start(const uint32_t *weights, unsigned count)
{
    memset(&shares, 0, sizeof(shares));
    memset(ran, 0, sizeof(ran));
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(shares_add(&shares, weights[i]), i);
    }
}

/* A turn of those in `wanting`, of so many ticks. Who had it. */
static int turn(uint64_t wanting, uint64_t ticks)
{
    int member = shares_choose(&shares, wanting);

    assert_int_equal(member < 0, wanting == 0);
    if (member >= 0) {
        assert_true((wanting & BIT((unsigned)member)) != 0);
        shares_charge(&shares, (uint32_t)member, ticks);
        ran[member] += ticks;
    }
    return member;
}

/* Each has its part of `total`, within two slices. */
static void check_parts(const uint32_t *weights, unsigned count, uint64_t total)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < count; i++) {
        sum += weights[i];
    }
    for (unsigned i = 0; i < count; i++) {
        uint64_t part = total * weights[i] / sum;
        assert_in_range(ran[i] + 2 * SLICE, part, part + 4 * SLICE);
    }
}

static void test_nobody(void **state)
{
    const uint32_t weights[] = {100};

    (void)state;
    start(weights, 1);
    assert_int_equal(turn(0, 0), -1);
    assert_int_equal(turn(1, SLICE), 0);
    assert_int_equal(turn(0, 0), -1);
}

static void test_equal_weights_take_turns(void **state)
{
    const uint32_t weights[] = {100, 100, 100};

    (void)state;
    start(weights, 3);
    int first = turn(7, SLICE);
    for (int i = 1; i < 30; i++) {
        assert_int_equal(turn(7, SLICE), (first + i) % 3);
    }
}

static void test_weights(void **state)
{
    static const uint32_t cases[][4] = {{100, 200, 0, 0},
                                        {1, 1000, 0, 0},
                                        {100, 300, 500, 0},
                                        {7, 11, 13, 17},
                                        {1000, 1000, 1000, 1}};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        unsigned count = 0;
        while (count < 4 && cases[i][count] != 0) {
            count++;
        }
        start(cases[i], count);
        for (unsigned round = 0; round < 20000; round++) {
            (void)turn(BIT(count) - 1, SLICE);
        }
        check_parts(cases[i], count, 20000ull * SLICE);
    }
}

/* Turns end early, by exits: time counts, not turns. */
static void test_short_turns(void **state)
{
    const uint32_t weights[] = {100, 100, 400};
    struct random random = {5};
    uint64_t total = 0;

    (void)state;
    start(weights, 3);
    for (unsigned round = 0; round < 100000; round++) {
        /* The first one's are always short. */
        uint64_t ticks = shares_choose(&shares, 7) == 0 ? 10 : 1 + random_below(&random, SLICE);
        shares_charge(&shares, shares.last, ticks);
        ran[shares.last] += ticks;
        total += ticks;
    }
    check_parts(weights, 3, total);
}

/* One that has slept has its turn at once, and then no more than its part. */
static void test_sleep_is_not_saved_up(void **state)
{
    const uint32_t weights[] = {100, 100};

    (void)state;
    start(weights, 2);
    for (unsigned round = 0; round < 1000; round++) {
        assert_int_equal(turn(1, SLICE), 0);
    }
    assert_int_equal(turn(3, SLICE), 1);
    uint64_t before = ran[0];
    for (unsigned round = 0; round < 100; round++) {
        (void)turn(3, SLICE);
    }
    assert_in_range(ran[0] - before, 49 * SLICE, 52 * SLICE);
    /* The other way round, and again after a while of nobody. */
    assert_int_equal(turn(0, 0), -1);
    before = ran[0];
    for (unsigned round = 0; round < 100; round++) {
        (void)turn(3, SLICE);
    }
    assert_in_range(ran[0] - before, 48 * SLICE, 52 * SLICE);
}

/* Who was alone had the CPU in one piece, for long. It does not owe that time to one that comes. */
static void test_long_stay_is_not_owed(void **state)
{
    const uint32_t weights[] = {100, 100, 100};

    (void)state;
    start(weights, 3);
    assert_int_equal(turn(1, 5000ull * SLICE), 0);
    assert_int_equal(turn(3, SLICE), 1);
    uint64_t before = ran[0];
    for (unsigned round = 0; round < 100; round++) {
        (void)turn(3, SLICE);
    }
    assert_in_range(ran[0] - before, 49 * SLICE, 52 * SLICE);
    /* Nor does one that comes for the first time. */
    before = ran[2];
    for (unsigned round = 0; round < 300; round++) {
        (void)turn(7, SLICE);
    }
    assert_in_range(ran[2] - before, 99 * SLICE, 102 * SLICE);
}

/* Who comes and goes all the time takes nothing from the others' ratio, nor more than its own. */
static void test_comers_and_goers(void **state)
{
    const uint32_t weights[] = {200, 100, 100};
    struct random random = {9};

    (void)state;
    start(weights, 3);
    for (unsigned round = 0; round < 50000; round++) {
        (void)turn(random_below(&random, 2) == 0 ? 7 : 3, SLICE);
    }
    assert_in_range(ran[0], 19 * ran[1] / 10, 21 * ran[1] / 10);
    assert_true(ran[2] <= ran[1] + 2 * SLICE);
}

/* Who is gone leaves the others as they were. */
static void test_one_leaves(void **state)
{
    const uint32_t weights[] = {100, 300, 200};

    (void)state;
    start(weights, 3);
    for (unsigned round = 0; round < 1000; round++) {
        (void)turn(7, SLICE);
    }
    uint64_t used = shares.members[2].used;
    shares_remove(&shares, 1);
    assert_int_equal(shares.count, 2);
    assert_int_equal(shares.members[1].weight, 200);
    assert_int_equal(shares.members[1].used, used);
    assert_int_equal(shares.wanting, 3);
    assert_true(shares.last < 2);
    uint64_t before[] = {ran[0], ran[1]};
    for (unsigned round = 0; round < 3000; round++) {
        (void)turn(3, SLICE);
    }
    assert_in_range(ran[0] - before[0], 990 * SLICE, 1010 * SLICE);
    shares_remove(&shares, 0);
    assert_int_equal(turn(1, SLICE), 0);
    shares_remove(&shares, 0);
    assert_int_equal(shares_choose(&shares, 0), -1);
    /* The highest member of all. */
    uint32_t many[SHARES_MAX];
    for (unsigned i = 0; i < SHARES_MAX; i++) {
        many[i] = 1 + i;
    }
    start(many, SHARES_MAX);
    (void)turn(~0ull, SLICE);
    shares_remove(&shares, SHARES_MAX - 1);
    assert_int_equal(shares.wanting, ~0ull >> 1);
}

/* Member 0 spins for what member 1 has to do: it has no second turn before it, whatever it is owed,
 * nor anything from it afterwards. */
static void test_who_spins_gives_way(void **state)
{
    const uint32_t weights[] = {100, 100, 1};

    (void)state;
    start(weights, ARRAY_SIZE(weights));
    assert_int_equal(turn(0x1, SLICE), 0);
    shares_give_way(&shares); /* to nobody */
    assert_int_equal(turn(0x1, SLICE), 0);
    for (unsigned i = 0; i < 5; i++) {
        while (turn(0x3, SLICE) != 0) {
        }
        shares_give_way(&shares);
        assert_int_equal(turn(0x3, 10 * SLICE), 1);
    }
    /* Who works gets what is his by his weight, and no more than that. */
    memset(ran, 0, sizeof(ran));
    for (unsigned i = 0; i < 1000; i++) {
        if (turn(0x3, SLICE) == 0) {
            shares_give_way(&shares);
        }
    }
    check_parts(weights, 2, 1000 * SLICE);
    /* One that is far ahead stays there. */
    start(weights, ARRAY_SIZE(weights));
    (void)turn(0x4, SLICE);
    shares_give_way(&shares);
    assert_int_equal(turn(0x5, SLICE), 0);
}

static void test_many(void **state)
{
    uint32_t weights[SHARES_MAX];

    (void)state;
    for (unsigned i = 0; i < SHARES_MAX; i++) {
        weights[i] = 1 + i * 15;
    }
    start(weights, SHARES_MAX);
    for (unsigned round = 0; round < 200000; round++) {
        (void)turn(~0ull, SLICE);
    }
    check_parts(weights, SHARES_MAX, 200000ull * SLICE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody),
        cmocka_unit_test(test_equal_weights_take_turns),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_short_turns),
        cmocka_unit_test(test_sleep_is_not_saved_up),
        cmocka_unit_test(test_long_stay_is_not_owed),
        cmocka_unit_test(test_comers_and_goers),
        cmocka_unit_test(test_one_leaves),
        cmocka_unit_test(test_who_spins_gives_way),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
