/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/table.h"
#include "tests/unit/random.h"

/* Aligns a copy of `size` bytes of `text`; the result is the caller's to free. */
static char *align(const char *text, size_t size, size_t limit)
{
    char *copy = malloc(size + (size == 0)), *out = malloc(limit + 1);
    struct table table;
    size_t length = 0;
    int c;

    assert_true(copy != NULL && out != NULL);
    memcpy(copy, text, size);
    table_init(&table, copy, size);
    while ((c = table_next(&table)) >= 0) {
        assert_true(length < limit);
        out[length++] = (char)c;
    }
    assert_int_equal(table_next(&table), -1); /* and again */
    out[length] = '\0';
    free(copy);
    return out;
}

static void expect(const char *text, const char *want)
{
    char *out = align(text, strlen(text), 4096);

    assert_string_equal(out, want);
    free(out);
}

static void test_plain_text(void **state)
{
    (void)state;
    expect("", "");
    expect("one line", "one line");
    expect("one\n\ntwo\n", "one\n\ntwo\n");
    expect("\n", "\n");
}

static void test_columns(void **state)
{
    (void)state;
    expect("name\tstate\nalpha\trunning\nb\toff\n", "name   state\nalpha  running\nb      off\n");
    /* Numbers to the right, under a header that is none. */
    expect("exit\tcount\nhlt\t5\ncpuid\t12345\n", "exit   count\nhlt        5\ncpuid  12345\n");
    expect("a\tb\n1\tx\n22\ty\n", " a  b\n 1  x\n22  y\n");
    expect("share\n50%\n", "share\n50%\n"); /* one column is no table */
    expect("a\tn\nx\t-1.5\ny\t10%\nz\t-\n", "a     n\nx  -1.5\ny   10%\nz     -\n");
    expect("a\tn\nx\t1\ny\t\n", "a  n\nx  1\ny  \n"); /* an empty cell is no number */
}

static void test_tables_are_apart(void **state)
{
    (void)state;
    expect("a\tb\nlong one\tc\nbetween\nd\te\n", "a         b\nlong one  c\nbetween\nd  e\n");
    expect("between\na\tb", "between\na  b");
}

static void test_ragged(void **state)
{
    (void)state;
    expect("a\tb\tc\nlonger\td\n", "a       b  c\nlonger  d\n");
    expect("\t\n", "  \n");
    expect("\t", "  ");
    expect("a\t", "a  ");
    expect("x\ta\nyy\t", "x   a\nyy  ");
}

static void test_many_columns(void **state)
{
    char text[200] = "", want[400] = "";

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        strcat(text, i < 19 ? "x\t" : "x\n");
    }
    for (unsigned i = 0; i < 20; i++) {
        strcat(text, i < 19 ? "yy\t" : "yy");
    }
    /* The first sixteen are aligned, the others only set apart. */
    for (unsigned i = 0; i < 20; i++) {
        strcat(want, i == 19 ? "x\n" : i < TABLE_COLUMNS ? "x   " : "x  ");
    }
    for (unsigned i = 0; i < 20; i++) {
        strcat(want, i == 19 ? "yy" : "yy  ");
    }
    expect(text, want);
}

/* Every byte that is not a TAB comes out, in order; a TAB becomes two spaces at least; and the
 * cells of a column begin (or end) at one place. */
static void test_random_text(void **state)
{
    static const char alphabet[] = "ab 1234567.%-\t\t\t\t\n\n\n\xff";
    struct random random = {0x7ab1e};

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        char text[120];
        size_t size = random_below(&random, sizeof(text));
        for (size_t n = 0; n < size; n++) {
            text[n] = alphabet[random_below(&random, sizeof(alphabet) - 1)];
        }
        char *out = align(text, size, 65536);
        const char *at = out;
        for (size_t n = 0; n < size; n++) {
            if (text[n] == '\t') {
                assert_true(at[0] == ' ' && at[1] == ' ');
                at += 2;
                continue;
            }
            while (*at == ' ' && text[n] != ' ') {
                at++;
            }
            assert_int_equal(*at, text[n]);
            at++;
        }
        while (*at == ' ') {
            at++;
        }
        assert_int_equal(*at, '\0');
        free(out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_text),       cmocka_unit_test(test_columns),
        cmocka_unit_test(test_tables_are_apart), cmocka_unit_test(test_ragged),
        cmocka_unit_test(test_many_columns),     cmocka_unit_test(test_random_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
