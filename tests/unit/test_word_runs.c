/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/word_runs.h"
#include "tests/unit/random.h"

#define WORDS  512u
#define TOKENS 64u
#define FILL   0xa5a5a5a5a5a5a5a5ull

static uint32_t token(enum word_runs_kind kind, uint32_t count)
{
    return (uint32_t)kind << 30 | count;
}

/* Encodes all of `words` in pieces of so much room and decodes them; how many bytes that took. */
static size_t there_and_back(const uint64_t *words, size_t count, size_t room)
{
    uint64_t back[WORDS];
    size_t done = 0, all = 0, told;

    memset(back, 0xee, sizeof(back));
    while (done < count) {
        uint8_t *tokens = malloc(room);
        struct word_runs_writer writer;
        word_runs_begin(&writer, tokens, room);
        size_t put = word_runs_put(&writer, words + done, count - done);
        assert_true(put > 0 && writer.used <= room && writer.words == put);
        assert_true(word_runs_read(tokens, writer.used, back + done, count - done, &told));
        assert_int_equal(told, put);
        done += put;
        all += writer.used;
        free(tokens);
    }
    assert_memory_equal(back, words, count * sizeof(*words));
    return all;
}

static void runs_are_short(void **state)
{
    uint64_t words[WORDS] = {0};

    (void)state;
    assert_int_equal(there_and_back(words, WORDS, TOKENS), 4);
    for (unsigned i = 0; i < WORDS; i++) {
        words[i] = FILL;
    }
    assert_int_equal(there_and_back(words, WORDS, TOKENS), 12);
    for (unsigned i = 0; i < WORDS; i++) {
        words[i] = i + 1;
    }
    assert_int_equal(there_and_back(words, WORDS, 8 * WORDS + 4), 8 * WORDS + 4);
}

static void random_words_come_back(void **state)
{
    struct random random = {11};
    uint64_t words[WORDS];

    (void)state;
    for (unsigned round = 0; round < 2000; round++) {
        size_t count = 1 + random_below(&random, WORDS);
        for (size_t i = 0; i < count; i++) {
            uint32_t kind = random_below(&random, 8);
            words[i] = kind < 3 ? 0 : kind < 6 && i > 0 ? words[i - 1] : random_next(&random);
        }
        size_t all = there_and_back(words, count, 12 + random_below(&random, 200));
        assert_true(all <= 12 * count);
    }
}

/* Words may lie anywhere. */
static void alignment_does_not_matter(void **state)
{
    uint8_t bytes[8 * 4 + 1], tokens[64], back[8 * 4 + 3];
    struct word_runs_writer writer;
    size_t told;

    (void)state;
    for (unsigned i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)i;
    }
    word_runs_begin(&writer, tokens + 1, sizeof(tokens) - 1);
    assert_int_equal(word_runs_put(&writer, bytes + 1, 4), 4);
    assert_true(word_runs_read(tokens + 1, writer.used, back + 3, 4, &told));
    assert_memory_equal(back + 3, bytes + 1, 32);
}

static void skipped_words_stay(void **state)
{
    uint64_t words[8] = {1, 2, 3, 4, 5, 6, 7, 8}, zeros[2] = {0};
    struct word_runs_writer writer;
    uint8_t tokens[16];
    size_t told;

    (void)state;
    word_runs_begin(&writer, tokens, sizeof(tokens));
    assert_true(word_runs_skip(&writer, 2));
    assert_true(word_runs_skip(&writer, 1));
    assert_int_equal(writer.used, 4);
    assert_int_equal(word_runs_put(&writer, zeros, 2), 2);
    assert_true(word_runs_skip(&writer, 3));
    assert_int_equal(writer.words, 8);
    assert_true(word_runs_read(tokens, writer.used, words, 8, &told));
    assert_int_equal(told, 8);
    const uint64_t wanted[8] = {1, 2, 3, 0, 0, 6, 7, 8};
    assert_memory_equal(words, wanted, sizeof(words));
}

static void no_room_is_no_harm(void **state)
{
    uint64_t words[3] = {1, 2, 3};
    struct word_runs_writer writer;
    uint8_t tokens[20];

    (void)state;
    for (size_t room = 0; room < 12; room++) {
        word_runs_begin(&writer, tokens, room);
        assert_int_equal(word_runs_put(&writer, words, 3), 0);
        assert_int_equal(writer.used, 0);
        assert_int_equal(word_runs_skip(&writer, 1), room >= 4);
    }
    word_runs_begin(&writer, tokens, sizeof(tokens));
    assert_int_equal(word_runs_put(&writer, words, 3), 2);
    assert_false(word_runs_skip(&writer, 1));
    word_runs_begin(&writer, tokens, sizeof(tokens));
    assert_false(word_runs_skip(&writer, WORD_RUNS_COUNT_MAX + 1));
}

static bool reads(const uint32_t *tokens, size_t size, size_t room, size_t *told)
{
    uint64_t words[4];

    assert_true(room <= 4);
    return word_runs_read((const uint8_t *)tokens, size, words, room, told);
}

static void malformed_tokens_are_refused(void **state)
{
    const uint32_t zeros = token(WORD_RUNS_ZEROS, 2), none = token(WORD_RUNS_ZEROS, 0);
    const uint32_t literal[3] = {token(WORD_RUNS_LITERAL, 1), 1, 2};
    const uint32_t repeat[3] = {token(WORD_RUNS_REPEAT, 4), 1, 2};
    const uint32_t most[1] = {token(WORD_RUNS_ZEROS, WORD_RUNS_COUNT_MAX)};
    const uint32_t long_literal[1] = {token(WORD_RUNS_LITERAL, WORD_RUNS_COUNT_MAX)};
    const uint32_t two[2] = {zeros, token(WORD_RUNS_SKIP, 3)};
    size_t told;

    (void)state;
    assert_true(reads(&zeros, 0, 4, &told) && told == 0);
    assert_true(reads(&zeros, 4, 2, &told) && told == 2);
    assert_false(reads(&zeros, 4, 1, &told));
    assert_false(reads(&zeros, 3, 4, &told));
    assert_false(reads(&none, 4, 4, &told));
    assert_true(reads(literal, 12, 1, &told) && told == 1);
    assert_false(reads(literal, 11, 1, &told));
    assert_false(reads(literal, 4, 1, &told));
    assert_true(reads(repeat, 12, 4, &told) && told == 4);
    assert_false(reads(repeat, 12, 3, &told));
    assert_false(reads(repeat, 8, 4, &told));
    assert_false(reads(most, 4, 4, &told));
    assert_false(reads(long_literal, 4, 4, &told));
    assert_false(reads(two, 8, 4, &told));
    assert_int_equal(told, 2);
}

static void random_tokens_do_no_harm(void **state)
{
    struct random random = {12};
    uint64_t words[16];
    uint8_t tokens[64];
    size_t told;

    (void)state;
    for (unsigned round = 0; round < 100000; round++) {
        size_t size = random_below(&random, sizeof(tokens)), room = random_below(&random, 17);
        for (size_t i = 0; i < size; i++) {
            tokens[i] = (uint8_t)(random_below(&random, 3) == 0 ? random_next(&random) : 0);
        }
        if (size >= 4) {
            uint32_t first =
                token((enum word_runs_kind)random_below(&random, 4), random_below(&random, 18));
            memcpy(tokens, &first, sizeof(first));
        }
        (void)word_runs_read(tokens, size, words + (16 - room), room, &told);
        assert_true(told <= room);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_are_short),
        cmocka_unit_test(random_words_come_back),
        cmocka_unit_test(alignment_does_not_matter),
        cmocka_unit_test(skipped_words_stay),
        cmocka_unit_test(no_room_is_no_harm),
        cmocka_unit_test(malformed_tokens_are_refused),
        cmocka_unit_test(random_tokens_do_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
