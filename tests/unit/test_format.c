/* SPDX-License-Identifier: BSD-2-Clause */
/* The formatter, beside the C library's where both know a conversion. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/format.h"
#include "tests/unit/random.h"

#define SIZE 300u

/* The same through both, cut to the same size. */
#define SAME_CUT(size, ...)                                            \
    do {                                                               \
        char *ours = malloc(size), *theirs = malloc(size);             \
        assert_true(ours != NULL && theirs != NULL);                   \
        size_t length = format_string(ours, size, __VA_ARGS__);        \
        assert_int_equal(length, snprintf(theirs, size, __VA_ARGS__)); \
        assert_string_equal(ours, theirs);                             \
        free(ours);                                                    \
        free(theirs);                                                  \
    } while (0)

#define SAME(...) SAME_CUT(SIZE, __VA_ARGS__)

static void test_integers(void **state)
{
    static const long long values[] = {0,   1,         -1,        9,          10,        255,
                                       256, INT32_MAX, INT32_MIN, UINT32_MAX, INT64_MAX, INT64_MIN};

    (void)state;
    for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        long long v = values[i];
        int n = (int)v;
        unsigned u = (unsigned)v;
        SAME("%d|%5d|%-5d|%05d|%i", n, n, n, n, n);
        SAME("%u|%12u|%-12u|%012u", u, u, u, u);
        SAME("%x|%9x|%-9x|%09x|%X", u, u, u, u, u);
        SAME("%lld|%25lld|%-25lld|%025lld", v, v, v, v);
        SAME("%llu|%llx|%016llx|%lx|%lu|%zu", (unsigned long long)v, (unsigned long long)v,
             (unsigned long long)v, (unsigned long)v, (unsigned long)v, (size_t)v);
        SAME("%hd|%hhd|%hu|%hhu|%hhx", (short)v, (signed char)v, (unsigned short)v,
             (unsigned char)v, (unsigned char)v);
        SAME("%*d|%-*d|%0*d", 8, n, 8, n, 12, n);
    }
    SAME("%p", (void *)0x1234abcd);
}

static void test_text(void **state)
{
    (void)state;
    SAME("plain");
    SAME("%s|%10s|%-10s|%.3s|%10.2s|%-10.2s", "abcdef", "abcdef", "abcdef", "abcdef", "abcdef",
         "abcdef");
    SAME("%.*s|%.0s|%s", 4, "abcdef", "abcdef", "");
    SAME("%c|%3c|%-3c|%%|100%%", 'x', 'y', 'z');
    /* With a precision the string needs no NUL. */
    static const char open[3] = {'a', 'b', 'c'};
    char text[16];
    assert_int_equal(format_string(text, sizeof(text), "%.3s", open), 3);
    assert_string_equal(text, "abc");
    const char *volatile null = NULL;
    assert_int_equal(format_string(text, sizeof(text), "%s", null), 6);
    assert_string_equal(text, "(null)");
}

static void test_cut(void **state)
{
    (void)state;
    for (size_t size = 1; size < 20; size++) {
        SAME_CUT(size, "abc%5ddef%s", 42, "ghi");
    }
    char text[4] = "xyz";
    assert_int_equal(format_string(text, 0, "%s", "abc"), 3);
    assert_string_equal(text, "xyz"); /* no room: not even for the end */
    assert_int_equal(format_string(text, 1, "%s", "abc"), 3);
    assert_string_equal(text, "");
}

/* Goes through a pointer, so that the compiler does not judge the format. */
static size_t (*volatile unchecked)(char *buffer, size_t size, const char *format,
                                    ...) = format_string;

static void test_unknown_conversions(void **state)
{
    char text[64];

    (void)state;
    unchecked(text, sizeof(text), "%q|%y|%5k");
    assert_string_equal(text, "%q|%y|%k");
    unchecked(text, sizeof(text), "ends in %");
    assert_string_equal(text, "ends in ");
    unchecked(text, sizeof(text), "%-08");
    assert_string_equal(text, "");
    unchecked(text, sizeof(text), "%*d|%.*s|", -5, 7, -1, "abc");
    assert_int_equal(text[strlen(text) - 1], '|');
    unchecked(text, sizeof(text), "%hhhhhhd|%llllld", 7, 8LL);
    assert_string_equal(text, "7|8");
}

static void test_wide(void **state)
{
    char text[200];

    (void)state;
    /* Zeros go up to 64 places; what is wider is filled with spaces. */
    assert_int_equal(format_string(text, sizeof(text), "%0100d", -5), 100);
    assert_memory_equal(text + 36, "-000", 4);
    assert_string_equal(text + 98, "05");
    assert_int_equal(format_string(text, sizeof(text), "%-100d|", 5), 101);
    assert_string_equal(text + 99, " |");
    assert_int_equal(format_string(text, sizeof(text), "%0*llx", 64, ~0ull), 64);
}

struct pieces {
    char text[SIZE];
    size_t size;
};

static void take(void *context, const char *bytes, size_t size)
{
    struct pieces *pieces = context;

    assert_true(pieces->size + size < SIZE);
    memcpy(pieces->text + pieces->size, bytes, size);
    pieces->size += size;
}

static void test_sink(void **state)
{
    struct pieces pieces = {.size = 0};

    (void)state;
    format_to(take, &pieces, "%s=%d, ", "a", 1);
    format_to(take, &pieces, "%s=%#x", "b", 2); /* '#' is not known: as it stands */
    assert_memory_equal(pieces.text, "a=1, b=", 7);
}

static void test_random_integers(void **state)
{
    static const char *const formats[] = {"%llx",    "%20llx",  "%-20llx", "%020llx", "%llu",
                                          "%30llu",  "%-30llu", "%030llu", "%lld",    "%30lld",
                                          "%-30lld", "%030lld", "%-030lld"};
    struct random random = {0x2525};

    (void)state;
    for (unsigned i = 0; i < 50000; i++) {
        char ours[64], theirs[64];
        uint64_t value = (uint64_t)random_next(&random) << 32 | random_next(&random);
        const char *format = formats[random_below(&random, sizeof(formats) / sizeof(formats[0]))];
        value >>= random_below(&random, 64);
        size_t length = unchecked(ours, sizeof(ours), format, value);
        if (strcmp(format, "%-030lld") == 0) {
            format = "%-30lld"; /* the C library ignores '0' then, and so do we */
        }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        assert_int_equal(length, snprintf(theirs, sizeof(theirs), format, value));
#pragma GCC diagnostic pop
        assert_string_equal(ours, theirs);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_unknown_conversions),
        cmocka_unit_test(test_wide),
        cmocka_unit_test(test_sink),
        cmocka_unit_test(test_random_integers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
