/* SPDX-License-Identifier: BSD-2-Clause */
/* The runtime's own string functions; those with the C library's names are compiled under others
 * here and compared with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/string.h"
#include "tests/unit/random.h"

void *base_memcpy(void *restrict destination, const void *restrict source, size_t size);
void *base_memmove(void *destination, const void *source, size_t size);
void *base_memset(void *destination, int byte, size_t size);
int base_memcmp(const void *a, const void *b, size_t size);
size_t base_strlen(const char *string);
size_t base_strnlen(const char *string, size_t limit);
int base_strcmp(const char *a, const char *b);
int base_strncmp(const char *a, const char *b, size_t limit);
char *base_strchr(const char *string, int character);

#define memcpy  base_memcpy
#define memmove base_memmove
#define memset  base_memset
#define memcmp  base_memcmp
#define strlen  base_strlen
#define strnlen base_strnlen
#define strcmp  base_strcmp
#define strncmp base_strncmp
#define strchr  base_strchr
#include "lib/string_base.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr

static int sign(int value)
{
    return (value > 0) - (value < 0);
}

static void test_copy_and_fill(void **state)
{
    struct random random = {1};

    (void)state;
    for (unsigned i = 0; i < 3000; i++) {
        size_t size = random_below(&random, 200);
        size_t from = random_below(&random, 100), to = random_below(&random, 100);
        uint8_t ours[320], theirs[320];
        for (unsigned n = 0; n < sizeof(ours); n++) {
            ours[n] = theirs[n] = (uint8_t)random_next(&random);
        }
        assert_ptr_equal(base_memmove(ours + to, ours + from, size), ours + to); /* may overlap */
        memmove(theirs + to, theirs + from, size);
        assert_memory_equal(ours, theirs, sizeof(ours));
        int byte = (int)random_next(&random);
        assert_ptr_equal(base_memset(ours + to, byte, size), ours + to);
        memset(theirs + to, byte, size);
        assert_memory_equal(ours, theirs, sizeof(ours));
        uint8_t copy[200];
        assert_ptr_equal(base_memcpy(copy, ours + from, size), copy);
        assert_memory_equal(copy, theirs + from, size);
    }
}

static void test_compare(void **state)
{
    struct random random = {2};

    (void)state;
    for (unsigned i = 0; i < 50000; i++) {
        char a[8] = "", b[8] = "";
        size_t limit = random_below(&random, 9);
        for (unsigned n = 0; n < 7; n++) {
            a[n] = (char)(random_below(&random, 3) == 0 ? 0 : 0x7f + random_below(&random, 2));
            b[n] = (char)(random_below(&random, 8) == 0 ? 'a' : a[n]);
        }
        assert_int_equal(sign(base_memcmp(a, b, 8)), sign(memcmp(a, b, 8)));
        assert_int_equal(sign(base_strcmp(a, b)), sign(strcmp(a, b)));
        assert_int_equal(sign(base_strncmp(a, b, limit)), sign(strncmp(a, b, limit)));
        assert_int_equal(base_strlen(a), strlen(a));
        assert_int_equal(base_strnlen(a, limit), strnlen(a, limit));
        assert_ptr_equal(base_strchr(a, 0x80), strchr(a, 0x80));
        assert_ptr_equal(base_strchr(a, 0), strchr(a, 0));
    }
    assert_int_equal(base_memcmp("", "", 0), 0);
}

static void test_string_copy(void **state)
{
    char *small = malloc(4);

    (void)state;
    assert_non_null(small);
    assert_true(string_copy(small, 4, ""));
    assert_string_equal(small, "");
    assert_true(string_copy(small, 4, "abc"));
    assert_string_equal(small, "abc");
    assert_false(string_copy(small, 4, "abcd"));
    assert_string_equal(small, "abc");
    assert_false(string_copy(small, 1, "abcd"));
    assert_string_equal(small, "");
    assert_true(string_copy(small, 1, ""));
    free(small);
}

static void test_to_number(void **state)
{
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {
        {"0", 0},
        {"007", 7},
        {"18446744073709551615", UINT64_MAX},
        {"0x0", 0},
        {"0XabCDef", 0xabcdef},
        {"0xffffffffffffffff", UINT64_MAX},
        {"00000000000000000000000000000000000001", 1},
        {"0x0000000000000000000000001", 1},
    };
    static const char *const bad[] = {
        "",
        "0x",
        "x1",
        "-1",
        "+1",
        " 1",
        "1 ",
        "12a",
        "0xg",
        "1.5",
        "0x-1",
        "a",
        "0x0x1",
        "18446744073709551616",
        "18446744073709551620",
        "99999999999999999999",
        "0x10000000000000000",
        "\xff",
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
        uint64_t value = 1234;
        assert_true(string_to_u64(good[i].text, &value));
        assert_int_equal(value, good[i].value);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        uint64_t value = 1234;
        assert_false(string_to_u64(bad[i], &value));
        assert_int_equal(value, 1234);
    }
}

static void test_random_numbers(void **state)
{
    struct random random = {3};

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t value = (uint64_t)random_next(&random) << 32 | random_next(&random), read = 0;
        char text[32];
        value >>= random_below(&random, 64);
        snprintf(text, sizeof(text), i % 2 == 0 ? "%llu" : "0x%llx", (unsigned long long)value);
        assert_true(string_to_u64(text, &read));
        assert_int_equal(read, value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy_and_fill),  cmocka_unit_test(test_compare),
        cmocka_unit_test(test_string_copy),    cmocka_unit_test(test_to_number),
        cmocka_unit_test(test_random_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
