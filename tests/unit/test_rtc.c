/* SPDX-License-Identifier: BSD-2-Clause */
/* The real-time clock against the C library's calendar. */
#define _GNU_SOURCE /* timegm() */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "machine/rtc.h"
#include "tests/unit/random.h"

#define DAY     86400ull
#define CENTURY 0x32u
#define B_SET   0x80u
#define B_BIN   0x04u
#define B_24H   0x02u

struct fixture {
    struct rtc rtc;
    uint64_t now;
};

static uint64_t seconds_now(void *context)
{
    return ((struct fixture *)context)->now;
}

static void start(struct fixture *f, uint64_t now)
{
    memset(f, 0, sizeof(*f));
    f->now = now;
    rtc_init(&f->rtc, seconds_now, f);
}

static uint8_t rd(struct fixture *f, uint8_t index)
{
    rtc_write(&f->rtc, 0, index);
    return rtc_read(&f->rtc, 1);
}

static void wr(struct fixture *f, uint8_t index, uint8_t value)
{
    rtc_write(&f->rtc, 0, index);
    rtc_write(&f->rtc, 1, value);
}

static unsigned from_bcd(uint8_t value)
{
    assert_true(value >> 4 <= 9 && (value & 15) <= 9);
    return (value >> 4) * 10u + (value & 15u);
}

static uint8_t to_bcd(unsigned value)
{
    return (uint8_t)(value / 10 << 4 | value % 10);
}

/* The guest's time, read as an operating system does, in BCD and 24 hours. */
static uint64_t guest_time(struct fixture *f)
{
    struct tm tm = {
        .tm_sec = (int)from_bcd(rd(f, 0)),
        .tm_min = (int)from_bcd(rd(f, 2)),
        .tm_hour = (int)from_bcd(rd(f, 4)),
        .tm_mday = (int)from_bcd(rd(f, 7)),
        .tm_mon = (int)from_bcd(rd(f, 8)) - 1,
        .tm_year = (int)(from_bcd(rd(f, CENTURY)) * 100 + from_bcd(rd(f, 9))) - 1900,
    };
    struct tm check = tm;
    uint64_t seconds = (uint64_t)timegm(&check);

    assert_int_equal(check.tm_mday, tm.tm_mday); /* a day that exists */
    assert_int_equal(from_bcd(rd(f, 6)), check.tm_wday + 1);
    return seconds;
}

/* Sets the time as Linux does: SET on, the registers in its order, SET off. */
static void set_time(struct fixture *f, uint64_t seconds)
{
    time_t t = (time_t)seconds;
    struct tm tm;

    assert_non_null(gmtime_r(&t, &tm));
    uint8_t b = rd(f, 11);
    wr(f, 11, b | B_SET);
    wr(f, 9, to_bcd((unsigned)tm.tm_year % 100));
    wr(f, 8, to_bcd((unsigned)tm.tm_mon + 1));
    wr(f, 7, to_bcd((unsigned)tm.tm_mday));
    wr(f, 4, to_bcd((unsigned)tm.tm_hour));
    wr(f, 2, to_bcd((unsigned)tm.tm_min));
    wr(f, 0, to_bcd((unsigned)tm.tm_sec));
    wr(f, CENTURY, to_bcd((unsigned)(tm.tm_year + 1900) / 100));
    wr(f, 11, b);
}

static void test_tells_time(void **state)
{
    struct random random = {1970};
    struct fixture f;

    (void)state;
    start(&f, 0);
    assert_int_equal(guest_time(&f), 0);
    for (uint64_t day = 0; day < 150 * 366; day++) { /* each day to 2120 */
        f.now = day * DAY + random_below(&random, (uint32_t)DAY);
        assert_int_equal(guest_time(&f), f.now);
    }
}

static void test_status_registers(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, 1700000000);
    assert_int_equal(rd(&f, 10) & 0x80, 0); /* no update in progress */
    assert_int_equal(rd(&f, 11), B_24H);
    assert_int_equal(rd(&f, 12), 0);
    assert_int_equal(rd(&f, 13), 0x80); /* the battery is good */
    wr(&f, 10, 0xff);
    assert_int_equal(rd(&f, 10), 0x7f);
    wr(&f, 12, 0xff);
    wr(&f, 13, 0);
    assert_int_equal(rd(&f, 12), 0);
    assert_int_equal(rd(&f, 13), 0x80);
    /* CMOS RAM, by an index whose top bit is the NMI mask. */
    wr(&f, 0x80 | 0x5f, 0xa7);
    assert_int_equal(rd(&f, 0x5f), 0xa7);
    assert_int_equal(rtc_read(&f.rtc, 0), 0xff);
}

static void test_formats(void **state)
{
    static const struct {
        unsigned hour;
        uint8_t bcd12, binary12;
    } cases[] = {{0, 0x12, 12},         {1, 0x01, 1},         {11, 0x11, 11},
                 {12, 0x92, 0x80 | 12}, {13, 0x81, 0x80 | 1}, {23, 0x91, 0x80 | 11}};
    struct fixture f;

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        start(&f, 20000 * DAY + cases[i].hour * 3600 + 59 * 60 + 58);
        wr(&f, 11, 0);
        assert_int_equal(rd(&f, 4), cases[i].bcd12);
        assert_int_equal(rd(&f, 2), 0x59);
        wr(&f, 11, B_BIN);
        assert_int_equal(rd(&f, 4), cases[i].binary12);
        assert_int_equal(rd(&f, 2), 59);
        wr(&f, 11, B_BIN | B_24H);
        assert_int_equal(rd(&f, 4), cases[i].hour);
        /* And back: written in one format, read in another. */
        start(&f, 20000 * DAY);
        wr(&f, 11, 0);
        wr(&f, 4, cases[i].bcd12);
        wr(&f, 11, B_24H);
        assert_int_equal(guest_time(&f), 20000 * DAY + cases[i].hour * 3600);
    }
}

static void test_sets_time(void **state)
{
    struct random random = {2000};
    struct fixture f;

    (void)state;
    start(&f, 1700000000);
    for (unsigned i = 0; i < 3000; i++) {
        uint64_t wanted = (uint64_t)random_next(&random);
        set_time(&f, wanted);
        assert_int_equal(guest_time(&f), wanted);
        f.now += 12345; /* and it goes on from there */
        assert_int_equal(guest_time(&f), wanted + 12345);
    }
}

/* From the 31st to a shorter month: between the writes the date is one that does not exist. */
static void test_sets_over_short_month(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, 1706659200);        /* 2024-01-31 */
    set_time(&f, 1707955200 + 7); /* 2024-02-15 */
    assert_int_equal(guest_time(&f), 1707955200 + 7);
}

static void test_stands_while_set(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, 1700000000);
    wr(&f, 11, B_SET | B_24H);
    f.now += 5000;
    assert_int_equal(guest_time(&f), 1700000000);
    wr(&f, 11, B_24H);
    assert_int_equal(guest_time(&f), 1700000000);
}

/* Any bytes: every read ends, and what is read is a time, in BCD. */
static void test_random_accesses(void **state)
{
    struct random random = {146818};
    struct fixture f;

    (void)state;
    start(&f, 1700000000);
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t index = (uint8_t)(random_below(&random, 2) == 0 ? random_below(&random, 12)
                                                                : random_next(&random));
        if (random_below(&random, 10) == 0) {
            index = CENTURY;
        }
        wr(&f, index, (uint8_t)random_next(&random));
        f.now += random_below(&random, 1000);
        (void)rd(&f, (uint8_t)random_next(&random));
        if (random_below(&random, 20) == 0) {
            wr(&f, 11, B_24H);
            assert_true(from_bcd(rd(&f, 0)) < 60 && from_bcd(rd(&f, 2)) < 60);
            assert_true(from_bcd(rd(&f, 4)) < 24);
            assert_in_range(from_bcd(rd(&f, 7)), 1, 31);
            assert_in_range(from_bcd(rd(&f, 8)), 1, 12);
            assert_in_range(from_bcd(rd(&f, 6)), 1, 7);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tells_time),
        cmocka_unit_test(test_status_registers),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_sets_time),
        cmocka_unit_test(test_sets_over_short_month),
        cmocka_unit_test(test_stands_while_set),
        cmocka_unit_test(test_random_accesses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
