/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/word_hash.h"
#include "tests/unit/random.h"

#define WORDS 64u

/* Files and other hypervisors have sums: this one stays as it is. */
static void the_sum_is_as_ever(void **state)
{
    const uint64_t words[3] = {0, 1, 0x123456789abcdef0ull};

    (void)state;
    assert_true(word_hash(WORD_HASH_BEGIN, words, 0) == WORD_HASH_BEGIN);
    assert_true(word_hash(WORD_HASH_BEGIN, words, sizeof(words)) == 0x298d2fac0944ac48ull);
}

static void it_may_be_made_in_parts(void **state)
{
    struct random random = {3};
    uint64_t words[WORDS];

    (void)state;
    for (unsigned i = 0; i < WORDS; i++) {
        words[i] = random_next(&random);
    }
    uint64_t whole = word_hash(WORD_HASH_BEGIN, words, sizeof(words));
    for (unsigned i = 0; i <= WORDS; i++) {
        uint64_t part = word_hash(WORD_HASH_BEGIN, words, 8 * i);
        assert_true(word_hash(part, words + i, sizeof(words) - 8 * i) == whole);
    }
}

static void each_bit_shows(void **state)
{
    uint64_t words[WORDS] = {0};

    (void)state;
    uint64_t sum = word_hash(WORD_HASH_BEGIN, words, sizeof(words));
    for (unsigned i = 0; i < WORDS * 64; i++) {
        words[i / 64] ^= 1ull << i % 64;
        assert_true(word_hash(WORD_HASH_BEGIN, words, sizeof(words)) != sum);
        words[i / 64] = 0;
    }
    words[0] = 1;
    uint64_t first = word_hash(WORD_HASH_BEGIN, words, sizeof(words));
    words[0] = 0;
    words[1] = 1;
    assert_true(word_hash(WORD_HASH_BEGIN, words, sizeof(words)) != first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sum_is_as_ever),
        cmocka_unit_test(it_may_be_made_in_parts),
        cmocka_unit_test(each_bit_shows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
