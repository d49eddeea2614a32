/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/word_runs.h"

#include "lib/string.h"

#define KIND_SHIFT 30u
/* A run of words that are equal pays from here on: a token and the word take less than they do, and
 * than the token of the literal that would have to be begun behind them. */
#define REPEAT_MIN 3u
#define ZEROS_MIN  2u

static uint32_t get32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static void put32(uint8_t *bytes, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(value >> 8 * i);
    }
}

static uint64_t word_at(const uint8_t *words, size_t index)
{
    uint64_t word;

    memcpy(&word, words + index * WORD_RUNS_WORD, sizeof(word));
    return word;
}

void word_runs_begin(struct word_runs_writer *writer, void *bytes, size_t room)
{
    *writer = (struct word_runs_writer){.bytes = bytes, .room = room};
}

/* Whether `count` more words fit the last token, which is of that kind. */
static bool extends(const struct word_runs_writer *writer, enum word_runs_kind kind, size_t count)
{
    if (writer->used == 0) {
        return false;
    }
    uint32_t token = get32(writer->bytes + writer->last);
    return token >> KIND_SHIFT == (uint32_t)kind &&
           count <= WORD_RUNS_COUNT_MAX - (token & WORD_RUNS_COUNT_MAX);
}

/* Begins a token with `extra` bytes behind it, which are the caller's to write; NULL: no room. */
static uint8_t *begin_token(struct word_runs_writer *writer, enum word_runs_kind kind,
                            uint32_t count, size_t extra)
{
    if (writer->room - writer->used < WORD_RUNS_TOKEN + extra) {
        return NULL;
    }
    uint8_t *token = writer->bytes + writer->used;
    put32(token, (uint32_t)kind << KIND_SHIFT | count);
    writer->last = writer->used;
    writer->used += WORD_RUNS_TOKEN + extra;
    writer->words += count;
    return token + WORD_RUNS_TOKEN;
}

static void extend(struct word_runs_writer *writer, uint32_t count)
{
    uint8_t *token = writer->bytes + writer->last;

    put32(token, get32(token) + count);
    writer->words += count;
}

/* A run without words of its own. */
static bool put_run(struct word_runs_writer *writer, enum word_runs_kind kind, uint32_t count)
{
    if (extends(writer, kind, count)) {
        extend(writer, count);
        return true;
    }
    return begin_token(writer, kind, count, 0) != NULL;
}

static bool put_repeat(struct word_runs_writer *writer, uint64_t word, uint32_t count)
{
    uint8_t *at = begin_token(writer, WORD_RUNS_REPEAT, count, WORD_RUNS_WORD);

    if (at != NULL) {
        memcpy(at, &word, sizeof(word));
    }
    return at != NULL;
}

/* As many of the words as there is room for. */
static size_t put_literals(struct word_runs_writer *writer, const uint8_t *words, size_t count)
{
    bool extended = extends(writer, WORD_RUNS_LITERAL, count);
    size_t head = extended ? 0 : WORD_RUNS_TOKEN, left = writer->room - writer->used;
    size_t room = left < head ? 0 : (left - head) / WORD_RUNS_WORD;
    uint8_t *at = writer->bytes + writer->used;

    if (count > room) {
        count = room;
    }
    if (count == 0) {
        return 0;
    }
    if (extended) {
        writer->used += count * WORD_RUNS_WORD;
        extend(writer, (uint32_t)count);
    } else {
        at = begin_token(writer, WORD_RUNS_LITERAL, (uint32_t)count, count * WORD_RUNS_WORD);
    }
    memcpy(at, words, count * WORD_RUNS_WORD);
    return count;
}

/* How many words from `first` on are the same, of a token's size at most. */
static uint32_t run_length(const uint8_t *words, size_t first, size_t count)
{
    uint64_t word = word_at(words, first);
    uint32_t length = 1;

    while (first + length < count && length < WORD_RUNS_COUNT_MAX &&
           word_at(words, first + length) == word) {
        length++;
    }
    return length;
}

/* How many words from `first` on, which is no run's, come before the next one that begins a run. */
static size_t literal_length(const uint8_t *words, size_t first, size_t count)
{
    size_t at = first + 1;
    uint64_t word = at < count ? word_at(words, at) : 0;

    for (; at < count && at - first < WORD_RUNS_COUNT_MAX; at++) {
        uint64_t next = at + 1 < count ? word_at(words, at + 1) : ~word;
        if (next == word && run_length(words, at, count) >= (word == 0 ? ZEROS_MIN : REPEAT_MIN)) {
            break;
        }
        word = next;
    }
    return at - first;
}

size_t word_runs_put(struct word_runs_writer *writer, const void *words, size_t count)
{
    size_t done = 0;

    while (done < count) {
        uint64_t word = word_at(words, done);
        size_t length = run_length(words, done, count), put;
        if (word == 0 && (length >= ZEROS_MIN || extends(writer, WORD_RUNS_ZEROS, length))) {
            put = put_run(writer, WORD_RUNS_ZEROS, (uint32_t)length) ? length : 0;
        } else if (length >= REPEAT_MIN) {
            put = put_repeat(writer, word, (uint32_t)length) ? length : 0;
        } else {
            length = literal_length(words, done, count);
            put = put_literals(writer, (const uint8_t *)words + done * WORD_RUNS_WORD, length);
        }
        done += put;
        if (put < length) {
            break;
        }
    }
    return done;
}

bool word_runs_skip(struct word_runs_writer *writer, uint32_t count)
{
    return count <= WORD_RUNS_COUNT_MAX && put_run(writer, WORD_RUNS_SKIP, count);
}

void word_runs_tell(struct word_runs_writer *writer, const struct word_runs_source *source,
                    uint64_t at, const struct word_runs_limits *limits)
{
    uint64_t first = at, looked = 0;

    while (at < source->size && looked < limits->looked) {
        uint64_t part = source->unit - at % source->unit, left = source->size - at;
        size_t wanted = (size_t)(part < left ? part : left) / WORD_RUNS_WORD, put;
        if (at - first + wanted * WORD_RUNS_WORD > limits->told) {
            break;
        }
        const void *bytes = source->find(source->context, at);
        if (bytes != NULL) {
            put = word_runs_put(writer, bytes, wanted);
            looked += source->unit;
        } else {
            put = word_runs_skip(writer, (uint32_t)wanted) ? wanted : 0;
        }
        if (put < wanted) {
            break;
        }
        at += wanted * WORD_RUNS_WORD;
    }
}

static void fill(uint8_t *to, const uint8_t *word, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        memcpy(to + (size_t)i * WORD_RUNS_WORD, word, WORD_RUNS_WORD);
    }
}

/* Bytes behind a token. */
static size_t extra_of(enum word_runs_kind kind, uint32_t count)
{
    switch (kind) {
    case WORD_RUNS_LITERAL:
        return (size_t)count * WORD_RUNS_WORD;
    case WORD_RUNS_REPEAT:
        return WORD_RUNS_WORD;
    default:
        return 0;
    }
}

bool word_runs_next(const uint8_t *tokens, size_t size, size_t *at, struct word_runs_token *token)
{
    if (size - *at < WORD_RUNS_TOKEN) {
        return false;
    }
    uint32_t value = get32(tokens + *at);
    *token = (struct word_runs_token){.kind = (enum word_runs_kind)(value >> KIND_SHIFT),
                                      .count = value & WORD_RUNS_COUNT_MAX,
                                      .words = tokens + *at + WORD_RUNS_TOKEN};
    size_t extra = extra_of(token->kind, token->count);
    if (token->count == 0 || extra > size - *at - WORD_RUNS_TOKEN) {
        return false;
    }
    *at += WORD_RUNS_TOKEN + extra;
    return true;
}

bool word_runs_read(const uint8_t *tokens, size_t size, void *to, size_t room, size_t *told)
{
    struct word_runs_token token;
    size_t at = 0;

    *told = 0;
    while (word_runs_next(tokens, size, &at, &token)) {
        uint8_t *place = (uint8_t *)to + *told * WORD_RUNS_WORD;
        if (token.count > room - *told) {
            return false;
        }
        if (token.kind == WORD_RUNS_LITERAL) {
            memcpy(place, token.words, (size_t)token.count * WORD_RUNS_WORD);
        } else if (token.kind == WORD_RUNS_REPEAT) {
            fill(place, token.words, token.count);
        } else if (token.kind == WORD_RUNS_ZEROS) {
            memset(place, 0, (size_t)token.count * WORD_RUNS_WORD);
        }
        *told += token.count;
    }
    return at == size;
}
