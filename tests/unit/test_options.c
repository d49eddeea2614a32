/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/uefi/options.h"
#include "tests/unit/random.h"

struct result {
    struct uefi_options options;
    char unknown[24];
    status_t status;
};

/* Parses a copy of its exact size. */
static struct result parse(const char *text)
{
    struct result r = {.unknown = "untouched"};
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);

    assert_non_null(copy);
    memcpy(copy, text, size);
    r.status = options_parse(copy, &r.options, r.unknown, sizeof(r.unknown));
    free(copy);
    return r;
}

static void test_defaults(void **state)
{
    static const char *const empty[] = {"", " ", "      "};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(empty); i++) {
        struct result r = parse(empty[i]);
        assert_int_equal(r.status, STATUS_OK);
        assert_string_equal(r.options.config, "two");
        assert_false(r.options.no_apicv);
        assert_int_equal(r.options.uart_port, UINT32_MAX);
        assert_string_equal(r.unknown, "untouched");
    }
}

static void test_words(void **state)
{
    struct result r =
        parse("config=bench-1_A apicv=off uart=0x2f8 max_stay=20 append=pti=off append=a");

    (void)state;
    assert_int_equal(r.status, STATUS_OK);
    assert_string_equal(r.options.config, "bench-1_A");
    assert_true(r.options.no_apicv);
    assert_false(r.options.fallback);
    assert_false(r.options.tests);
    assert_true(parse("test=on").options.tests);
    assert_false(parse("test=on test=off").options.tests);
    assert_true(parse("fallback=on").options.fallback);
    assert_false(parse("fallback=on fallback=off").options.fallback);
    assert_int_equal(r.options.max_stay_ms, 20);
    assert_string_equal(r.options.append, " pti=off a");
    assert_int_equal(r.options.uart_port, 0x2f8);
    r = parse("  uart=none   apicv=on ");
    assert_int_equal(r.status, STATUS_OK);
    assert_int_equal(r.options.uart_port, 0);
    assert_false(r.options.no_apicv);
    r = parse("apicv=off uart=760 config=a apicv=on uart=65528 config=b"); /* the last wins */
    assert_int_equal(r.status, STATUS_OK);
    assert_false(r.options.no_apicv);
    assert_int_equal(r.options.uart_port, 65528);
    assert_string_equal(r.options.config, "b");
}

static void test_refused(void **state)
{
    static const char *const words[] = {
        "config=",     "config=../a",   "config=a/b", "config=a.conf", "config=a\\b", "config",
        "Config=a",    "apicv=maybe",   "fallback",   "fallback=onn",  "test=",       "max_stay=x",
        "append=",     "max_stay=1001", "apicv",      "apicv=offf",    "uart=",       "uart=com1",
        "uart=0xfff9", "uart=65536",    "uart=-1",    "uart=0x",       "quiet",       "=",
        "config=\xe4", "uart=1\t",
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        char line[100];
        strcpy(line, "apicv=off ");
        strcat(line, words[i]);
        strcat(line, " uart=none");
        struct result r = parse(line);
        assert_int_equal(r.status, STATUS_INVALID);
        assert_string_equal(r.unknown, words[i]);
    }
}

static void test_long_words(void **state)
{
    char line[400] = "config=";
    struct result r;

    (void)state;
    memset(line + 7, 'c', 63);
    line[70] = '\0';
    r = parse(line);
    assert_int_equal(r.status, STATUS_OK);
    assert_int_equal(strlen(r.options.config), 63);
    memset(line + 7, 'c', 64);
    line[71] = '\0';
    r = parse(line);
    assert_int_equal(r.status, STATUS_INVALID);
    memset(line, 'x', 399);
    r = parse(line);
    assert_int_equal(r.status, STATUS_INVALID);
    assert_int_equal(strlen(r.unknown), sizeof(r.unknown) - 1); /* cut */
}

static void test_random_text(void **state)
{
    static const char *const pieces[] = {"config=", "apicv=", "uart=", "on",  "off", "none", " ",
                                         " ",       "0x",     "3f8",   "two", "=",   "/",    "~"};
    struct random random = {0xef1};
    unsigned accepted = 0;

    (void)state;
    for (unsigned i = 0; i < 50000; i++) {
        char line[200] = "";
        for (unsigned n = random_below(&random, 20); n > 0; n--) {
            strcat(line, pieces[random_below(&random, ARRAY_SIZE(pieces))]);
        }
        struct result r = parse(line);
        assert_true(r.status == STATUS_OK || r.status == STATUS_INVALID);
        accepted += r.status == STATUS_OK;
        assert_null(strchr(r.options.config, '/'));
        assert_true(r.options.uart_port <= 0xfff8 || r.options.uart_port == UINT32_MAX);
    }
    assert_true(accepted > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),    cmocka_unit_test(test_words),
        cmocka_unit_test(test_refused),     cmocka_unit_test(test_long_words),
        cmocka_unit_test(test_random_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
