/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "guests/lwip/options.h"
#include "lib/types.h"

static void test_nothing_is_dhcp(void **state)
{
    struct options options;

    (void)state;
    assert_null(options_parse("", &options));
    assert_string_equal(options.hostname, "lwip");
    assert_true(options.dhcp);
    assert_int_equal(options.address, 0);
    assert_int_equal(options.gateway, 0);
}

static void test_all_words(void **state)
{
    struct options options;

    (void)state;
    assert_null(options_parse(" hostname=web  ip=10.0.0.2/16 gw=10.0.0.1 ", &options));
    assert_string_equal(options.hostname, "web");
    assert_int_equal(options.address, 0x0a000002);
    assert_int_equal(options.mask, 0xffff0000);
    assert_int_equal(options.gateway, 0x0a000001);
    assert_false(options.dhcp);
    assert_int_equal(options.idle, IDLE_HALT);
}

static void test_idle(void **state)
{
    static const char *const lines[IDLE_WAYS] = {"idle=halt", "idle=mwait dhcp", "idle=poll"};
    struct options options;

    (void)state;
    for (unsigned i = 0; i < IDLE_WAYS; i++) {
        assert_null(options_parse(lines[i], &options));
        assert_int_equal(options.idle, i);
        assert_int_equal(strncmp(lines[i] + 5, idle_name(options.idle), 4), 0);
    }
}

static void test_prefix(void **state)
{
    static const struct {
        const char *line;
        uint32_t mask;
    } cases[] = {
        {"ip=10.0.0.2", 0xffffff00},
        {"ip=10.0.0.2/0", 0},
        {"ip=10.0.0.2/1", 0x80000000},
        {"ip=10.0.0.2/32", 0xffffffff},
    };
    struct options options;

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_null(options_parse(cases[i].line, &options));
        assert_int_equal(options.mask, cases[i].mask);
    }
}

/* Words of Linux reach every guest by the option append=. */
static void test_other_words_are_others(void **state)
{
    struct options options;

    (void)state;
    assert_null(options_parse("quiet ipv6.disable=1 dhcpx=1 console=ttyS0 ip=1.2.3.4", &options));
    assert_int_equal(options.address, 0x01020304);
    assert_false(options.dhcp);
    assert_null(options_parse("ip=1.2.3.4 dhcp", &options));
    assert_true(options.dhcp);
}

static void test_mistakes_are_named(void **state)
{
    static const char *const words[] = {"ip=", "ip=10.0.0", "ip=10.0.0.256", "ip=10.0.0.2/33",
                                        "ip=10.0.0.2/", "ip=10.0.0.2x", "ip=10..0.2",
                                        "ip=99999999999.0.0.1", "gw=", "gw=10.0.0.1/24",
                                        "hostname=", "idle=", "idle=mwaits", "idle=nothing",
                                        /* 32 letters: one too many */
                                        "hostname=abcdefghijklmnopqrstuvwxyzabcdef"};
    char line[128];
    struct options options;

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        strcpy(line, "quiet ");
        strcat(line, words[i]);
        assert_ptr_equal(options_parse(line, &options), line + 6);
        strcat(line, " quiet");
        assert_ptr_equal(options_parse(line, &options), line + 6);
    }
}

static void test_longest_hostname(void **state)
{
    struct options options;

    (void)state;
    assert_null(options_parse("hostname=abcdefghijklmnopqrstuvwxyzabcde dhcp", &options));
    assert_string_equal(options.hostname, "abcdefghijklmnopqrstuvwxyzabcde");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_dhcp),
        cmocka_unit_test(test_all_words),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_other_words_are_others),
        cmocka_unit_test(test_mistakes_are_named),
        cmocka_unit_test(test_longest_hostname),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
