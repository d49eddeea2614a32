/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory on its way over a line: words of 8 bytes as a row of tokens. A token is 4 bytes, its kind
 * in the upper two bits and a count of words below, and what the kind has behind it. Much of a
 * guest's memory is zeros or one word again and again; that takes a token. The rest goes as it is.
 *
 * All numbers are little-endian and unaligned. docs/snapshot.md has the format.
 */
#ifndef POSTERN_LIB_WORD_RUNS_H
#define POSTERN_LIB_WORD_RUNS_H

#include "lib/types.h"

#define WORD_RUNS_WORD      8u
#define WORD_RUNS_TOKEN     4u
#define WORD_RUNS_COUNT_MAX 0x3fffffffu

enum word_runs_kind {
    WORD_RUNS_LITERAL, /* so many words follow */
    WORD_RUNS_REPEAT,  /* one word follows, that stands so many times */
    WORD_RUNS_ZEROS,
    WORD_RUNS_SKIP /* words that are not told: who reads keeps what he has */
};

/* A writer of tokens into [bytes, bytes + room). */
struct word_runs_writer {
    uint8_t *bytes;
    size_t room, used;
    size_t last;    /* where the last token is, if `used` is not 0 */
    uint64_t words; /* that are told so far, skipped ones too */
};

void word_runs_begin(struct word_runs_writer *writer, void *bytes, size_t room);

/* Adds `count` words of the caller's own memory, at an address of any alignment, as far as there is
 * room. Returns how many were added. */
size_t word_runs_put(struct word_runs_writer *writer, const void *words, size_t count);

/* Adds words that are skipped, all or none. */
bool word_runs_skip(struct word_runs_writer *writer, uint32_t count);

/* What one call looks at and tells at most, bytes. */
struct word_runs_limits {
    uint64_t looked; /* in whole units; to skip one costs hardly anything */
    uint64_t told;   /* those that are skipped, too */
};

/* Memory that is told or skipped unit by unit, such as pages. */
struct word_runs_source {
    uint64_t size; /* bytes, a multiple of 8 */
    uint64_t unit; /* likewise; the last one may be short */
    /* The bytes from `at` to the end of its unit, until the next call; NULL: they are skipped. */
    const void *(*find)(const void *context, uint64_t at);
    const void *context;
};

/* Tells what is from byte `at` of the source on, as far as there is room and the limits go. `at` is
 * a multiple of 8, and not behind the end. */
void word_runs_tell(struct word_runs_writer *writer, const struct word_runs_source *source,
                    uint64_t at, const struct word_runs_limits *limits);

/* One token that was read. */
struct word_runs_token {
    enum word_runs_kind kind;
    uint32_t count;       /* words, not 0 */
    const uint8_t *words; /* literal: `count` of them; repeat: one; unaligned */
};

/* Takes the token at `*at`. False at the end, where `*at` is `size`; and where what is left is no
 * token: then `*at` is less. */
bool word_runs_next(const uint8_t *tokens, size_t size, size_t *at, struct word_runs_token *token);

/* Carries tokens out on [to, to + 8 * room). False, if they are malformed or say more than there is
 * room for; what came before that has been written then. `*told`: words. Skipped ones are not
 * touched. */
bool word_runs_read(const uint8_t *tokens, size_t size, void *to, size_t room, size_t *told);

#endif
