/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables that are folded for narrow terminals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/random.h"
#include "tools/hvctl/fold.h"

static void expect(const char *text, size_t width, const char *want)
{
    size_t size = strlen(text), folded_size;
    char *copy = malloc(size + (size == 0)); /* of exactly that size, for ASan */

    memcpy(copy, text, size);
    char *folded = fold_tables(copy, size, width, &folded_size);
    assert_non_null(folded);
    assert_int_equal(folded_size, strlen(folded));
    assert_string_equal(folded, want);
    free(folded);
    free(copy);
}

static void what_fits_stays(void **state)
{
    const char *text = "two words\nname\tmode\tend\nnet0\topen\ta\n\nlast line";

    (void)state;
    expect(text, 15, text);
    expect("", 1, "");
    expect("no table, however long it may be\n", 5, "no table, however long it may be\n");
    expect("name\tvalue\nlonger\tthan it fits\n", 5, "name\tvalue\nlonger\tthan it fits\n");
}

static void what_does_not_is_in_parts(void **state)
{
    const char *text = "name\tmode\tend\nnet0\topen\ta\n";

    (void)state;
    expect(text, 14, "name\tmode\nnet0\topen\n\nname\tend\nnet0\ta\n");
    expect(text, 1, "name\tmode\nnet0\topen\n\nname\tend\nnet0\ta\n");
    /* What is around it stays, and the next table counts for itself. */
    expect("links\nname\tmode\tend\nnet0\topen\ta\n\na\tb\tc\n", 14,
           "links\nname\tmode\nnet0\topen\n\nname\tend\nnet0\ta\n\na\tb\tc\n");
    expect("a\tbbbb\tcc\tdd\teeee", 10, "a\tbbbb\n\na\tcc\tdd\n\na\teeee\n");
}

static void rows_may_be_short(void **state)
{
    (void)state;
    expect("name\tmode\tend\nnet0\topen\ta\nx\t\n\ty\n", 14,
           "name\tmode\nnet0\topen\nx\t\n\ty\n\nname\tend\nnet0\ta\nx\t\n\t\n");
}

static void rows_are_known_again(void **state)
{
    (void)state;
    expect("link\tvm\tin\tout\nnet0\ta\t1\t2\nnet0\tb\t3\t4\n", 14,
           "link\tvm\tin\nnet0\ta\t1\nnet0\tb\t3\n\nlink\tvm\tout\nnet0\ta\t2\nnet0\tb\t4\n");
    expect("link\tvm\tin\nnet0\ta\t1\nnet0\tb\t3\n", 5, "link\tvm\tin\nnet0\ta\t1\nnet0\tb\t3\n");
}

static void long_tables_stay(void **state)
{
    static char text[(FOLD_ROWS_MAX + 1) * 6 + 1];

    (void)state;
    for (unsigned i = 0; i < FOLD_ROWS_MAX + 1; i++) {
        memcpy(text + 6 * (size_t)i, "a\tb\tc\n", 6);
    }
    expect(text, 3, text);
}

static unsigned count(const char *text, char c)
{
    unsigned found = 0;

    for (; *text != '\0'; text++) {
        found += *text == c ? 1 : 0;
    }
    return found;
}

/* Of any text: nothing is lost, and no memory is read that is not its own. */
static void any_text_keeps_its_letters(void **state)
{
    static const char alphabet[] = "\t\t\n\nabcd";
    struct random random = {7};
    char text[200];

    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        size_t size = random_below(&random, sizeof(text)), folded_size;
        char *copy = malloc(size + 1);
        for (size_t i = 0; i < size; i++) {
            copy[i] = alphabet[random_below(&random, sizeof(alphabet) - 1)];
        }
        copy[size] = '\0';
        char *folded = fold_tables(copy, size, random_below(&random, 40), &folded_size);
        assert_non_null(folded);
        for (const char *c = "abcd"; *c != '\0'; c++) {
            assert_true(count(folded, *c) >= count(copy, *c));
        }
        free(folded);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_stays),   cmocka_unit_test(what_does_not_is_in_parts),
        cmocka_unit_test(rows_may_be_short), cmocka_unit_test(rows_are_known_again),
        cmocka_unit_test(long_tables_stay),  cmocka_unit_test(any_text_keeps_its_letters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
