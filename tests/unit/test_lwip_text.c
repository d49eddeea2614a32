/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "guests/lwip/text.h"

static void test_conversions(void **state)
{
    char bytes[256];
    struct text text;

    (void)state;
    text_init(&text, bytes, sizeof(bytes));
    text_add(&text, "%s %c %d %u %x %% ", "word", 'c', -7, 42u, 0xbeefu);
    text_add(&text, "%lu %ld %lx %zu", ~0ul, (long)INT64_MIN, 0xfffffffffful, (size_t)0);
    assert_string_equal(bytes, "word c -7 42 beef % 18446744073709551615 -9223372036854775808 "
                               "ffffffffff 0");
    assert_int_equal(text.length, strlen(bytes));
}

static void test_widths(void **state)
{
    char bytes[64];
    struct text text;

    (void)state;
    text_init(&text, bytes, sizeof(bytes));
    text_add(&text, "%4u|%04x|%4d|%04d|%2u", 7u, 0xau, -7, -7, 12345u);
    assert_string_equal(bytes, "   7|000a|  -7|-007|12345");
}

static void test_what_does_not_fit_is_cut_off(void **state)
{
    char bytes[8] = "xxxxxxx";
    struct text text;

    (void)state;
    text_init(&text, bytes, 5);
    assert_string_equal(bytes, "");
    text_add(&text, "%s%u", "abc", 123u);
    text_add(&text, "more");
    assert_string_equal(bytes, "abc1");
    assert_int_equal(text.length, 4);
    assert_string_equal(bytes + 5, "xx");
}

static void test_an_end_in_mid_conversion(void **state)
{
    char bytes[16];
    char format[] = "ab%04";
    struct text text;

    (void)state;
    text_init(&text, bytes, sizeof(bytes));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-security"
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    text_add(&text, format);
#pragma GCC diagnostic pop
    assert_string_equal(bytes, "ab");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversions),
        cmocka_unit_test(test_widths),
        cmocka_unit_test(test_what_does_not_fit_is_cut_off),
        cmocka_unit_test(test_an_end_in_mid_conversion),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
