/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/lapic_fixture.h"

static void test_one_shot(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    wr(&f, LVT_TIMER, ONE_SHOT | 0x30);
    wr(&f, DIVIDE, BY_2);
    wr(&f, INITIAL, 100);
    uint64_t due = f.now + 100 * 2 * TSC_PER_TICK;
    assert_true(lapic_timer_deadline(&f.lapic) == due);
    assert_int_equal(rd(&f, CURRENT), 100);
    f.now += 50 * 2 * TSC_PER_TICK;
    assert_int_equal(rd(&f, CURRENT), 50);
    assert_false(lapic_timer_expire(&f.lapic, due - 1));
    assert_true(lapic_timer_expire(&f.lapic, due));
    lapic_sync_posted(&f.lapic);
    assert_int_equal(lapic_pending(&f.lapic), 0x30);
    assert_false(has(&f, TMR, 0x30));
    lapic_accept(&f.lapic, 0x30);
    f.now = due;
    assert_int_equal(rd(&f, CURRENT), 0);
    assert_false(lapic_timer_expire(&f.lapic, due + 1000000)); /* once */
    /* A count of 0 stops it. */
    wr(&f, INITIAL, 7);
    wr(&f, INITIAL, 0);
    assert_true(lapic_timer_deadline(&f.lapic) == UINT64_MAX);
    assert_int_equal(rd(&f, CURRENT), 0);
    stop(&f);
}

static void test_dividers(void **state)
{
    static const struct {
        uint32_t value;
        unsigned divisor;
    } cases[] = {{0, 2}, {1, 4}, {2, 8}, {3, 16}, {8, 32}, {9, 64}, {10, 128}, {11, 1}};
    struct fixture f;

    (void)state;
    start(&f);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        wr(&f, DIVIDE, cases[i].value);
        wr(&f, INITIAL, 0xffffffff);
        assert_true(lapic_timer_deadline(&f.lapic) ==
                    f.now + 0xffffffffull * cases[i].divisor * TSC_PER_TICK);
        assert_int_equal(rd(&f, CURRENT), 0xffffffff);
    }
    stop(&f);
}

static void test_periodic(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    wr(&f, LVT_TIMER, PERIODIC | 0x31);
    wr(&f, DIVIDE, BY_1);
    wr(&f, INITIAL, 1000);
    uint64_t period = 1000 * TSC_PER_TICK, due = f.now + period;
    for (unsigned i = 0; i < 3; i++) {
        assert_true(lapic_timer_deadline(&f.lapic) == due);
        assert_true(lapic_timer_expire(&f.lapic, due + 5)); /* lateness does not add up */
        due += period;
    }
    /* Kept away for ten periods: one interrupt, and the next at its proper time. */
    assert_true(lapic_timer_expire(&f.lapic, due + 10 * period + 1));
    assert_true(lapic_timer_deadline(&f.lapic) == due + 11 * period);
    /* Masked, it goes on and interrupts nobody. */
    lapic_sync_posted(&f.lapic);
    lapic_accept(&f.lapic, 0x31);
    wr(&f, LVT_TIMER, PERIODIC | MASKED | 0x31);
    assert_true(lapic_timer_expire(&f.lapic, due + 11 * period));
    lapic_sync_posted(&f.lapic);
    assert_int_equal(lapic_rvi(&f.lapic), 0);
    assert_true(lapic_timer_deadline(&f.lapic) == due + 12 * period);
    stop(&f);
}

static void test_tsc_deadline(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    lapic_write_tsc_deadline(&f.lapic, 5000); /* in another mode: ignored */
    assert_int_equal(lapic_read_tsc_deadline(&f.lapic), 0);
    assert_true(lapic_timer_deadline(&f.lapic) == UINT64_MAX);
    assert_false(lapic_timer_is_deadline(&f.lapic));
    wr(&f, LVT_TIMER, TSC_DEADLINE | 0x32);
    assert_true(lapic_timer_is_deadline(&f.lapic));
    lapic_write_tsc_deadline(&f.lapic, 2000000);
    assert_int_equal(lapic_read_tsc_deadline(&f.lapic), 2000000);
    assert_int_equal(rd(&f, CURRENT), 0);
    wr(&f, INITIAL, 50); /* of the other modes */
    assert_true(lapic_timer_deadline(&f.lapic) == 2000000);
    assert_false(lapic_timer_expire(&f.lapic, 1999999));
    assert_true(lapic_timer_expire(&f.lapic, 2000000));
    assert_int_equal(lapic_read_tsc_deadline(&f.lapic), 0); /* disarmed */
    lapic_sync_posted(&f.lapic);
    assert_int_equal(lapic_pending(&f.lapic), 0x32);
    lapic_write_tsc_deadline(&f.lapic, 1); /* in the past: at once */
    assert_true(lapic_timer_expire(&f.lapic, f.now));
    lapic_write_tsc_deadline(&f.lapic, 9000000);
    lapic_write_tsc_deadline(&f.lapic, 0);
    assert_true(lapic_timer_deadline(&f.lapic) == UINT64_MAX);
    /* A change of mode disarms, in both directions. */
    lapic_write_tsc_deadline(&f.lapic, 9000000);
    wr(&f, LVT_TIMER, ONE_SHOT | 0x32);
    assert_true(lapic_timer_deadline(&f.lapic) == UINT64_MAX);
    wr(&f, INITIAL, 50);
    wr(&f, LVT_TIMER, TSC_DEADLINE | 0x32);
    assert_true(lapic_timer_deadline(&f.lapic) == UINT64_MAX);
    assert_int_equal(lapic_read_tsc_deadline(&f.lapic), 0);
    stop(&f);
}

/* A timer whose vector is not one interrupts nobody. */
static void test_timer_illegal_vector(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    wr(&f, LVT_TIMER, TSC_DEADLINE | 0x0f);
    lapic_write_tsc_deadline(&f.lapic, 1);
    assert_true(lapic_timer_expire(&f.lapic, f.now));
    lapic_sync_posted(&f.lapic);
    assert_int_equal(lapic_rvi(&f.lapic), 0);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_shot),
        cmocka_unit_test(test_dividers),
        cmocka_unit_test(test_periodic),
        cmocka_unit_test(test_tsc_deadline),
        cmocka_unit_test(test_timer_illegal_vector),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
