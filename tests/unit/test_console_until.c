/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/hvctl/console_until.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct console_until until;

static void begin(const char *pattern)
{
    char why[64];

    assert_true(console_until_open(&until, pattern, why, sizeof(why)));
}

/* What is printed comes byte by byte, and in two parts of each kind. */
static void expect(const char *pattern, const char *text, bool found)
{
    size_t size = strlen(text);

    for (size_t cut = 0; cut <= size; cut++) {
        begin(pattern);
        console_until_add(&until, text, cut);
        console_until_add(&until, text + cut, size - cut);
        assert_int_equal(until.found, found);
        console_until_close(&until);
    }
    begin(pattern);
    for (size_t i = 0; i < size; i++) {
        console_until_add(&until, text + i, 1);
    }
    assert_int_equal(until.found, found);
    console_until_close(&until);
}

static void test_text(void **state)
{
    (void)state;
    expect("login: ", "\r\nDebian 12\r\nalpha login: ", true);
    expect("^login: ", "alpha login: ", false);
    expect("wrong: [0-9]+ of 150", "wrong: 0 of 15", false);
    expect("wrong: [0-9]+ of 150", "wrong: 0 of 150", true);
    expect("one.*two", "one\ntwo\n", false);
    expect("(a|b){3}$", "xaba\r\n", true);
}

static void test_end_is_of_whole_lines(void **state)
{
    (void)state;
    expect("[0-9]+ ticks$", "12 ticks", false);
    expect("[0-9]+ ticks$", "12 ticks more\n", false);
    expect("[0-9]+ ticks$", "12 ticks\r\n", true);
    expect("^$", "x\n\n", true);
    expect("^$", "x\n", false);
}

static void test_any_bytes(void **state)
{
    static const char bytes[] = "a\0b\r\xff\xc3 end\n";

    (void)state;
    begin("^ab.* end$");
    console_until_add(&until, bytes, sizeof(bytes) - 1);
    assert_true(until.found);
    console_until_close(&until);
}

/* A line without end: what is looked for is found wherever it lies, and what was its beginning is
 * so no more. */
static void test_long_lines(void **state)
{
    enum { SIZE = 5 * CONSOLE_UNTIL_LINE_MAX };
    char *line = malloc(SIZE);

    (void)state;
    assert_non_null(line);
    for (size_t at = 0; at + 5 <= SIZE; at += 997) {
        for (size_t chunk = 1; chunk <= SIZE; chunk *= 13) {
            memset(line, 'x', SIZE);
            memcpy(line + at, "found", 5);
            begin("found");
            for (size_t i = 0; i < SIZE; i += chunk) {
                console_until_add(&until, line + i, chunk < SIZE - i ? chunk : SIZE - i);
            }
            assert_true(until.found);
            console_until_close(&until);
        }
    }
    memset(line, 'x', SIZE);
    memcpy(line, "y", 1);
    begin("^x");
    console_until_add(&until, line, SIZE);
    assert_false(until.found);
    console_until_close(&until);
    free(line);
}

static void test_bad_patterns(void **state)
{
    static const char *const patterns[] = {"(", "[a", "a{2,1}", "*a\\", "[[:none:]]"};
    char why[64];

    (void)state;
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        why[0] = '\0';
        assert_false(console_until_open(&until, patterns[i], why, sizeof(why)));
        assert_true(why[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),         cmocka_unit_test(test_end_is_of_whole_lines),
        cmocka_unit_test(test_any_bytes),    cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_bad_patterns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
