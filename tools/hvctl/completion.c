/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "tools/hvctl/completion.h"

#include <editline/readline.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/hvctl/cells.h"
#include "tools/hvctl/hvctl.h"

#define NAMES_TIMEOUT_MS 1000u  /* who presses a key does not wait for long */
#define NAMES_COLUMN     "name" /* the first one of each such table */
#define BLANKS           " \t"

/* What is typed so far. */
struct typed {
    const char *word;
    size_t length;
};

static void add(struct completion *completion, const struct typed *typed, const char *word,
                size_t length)
{
    if (length < typed->length || strncmp(word, typed->word, typed->length) != 0 ||
        completion->count == COMPLETION_MAX) {
        return;
    }
    char *copy = strndup(word, length);
    if (copy != NULL) {
        completion->words[completion->count++] = copy;
    }
}

static void add_word(struct completion *completion, const struct typed *typed, const char *word)
{
    add(completion, typed, word, strlen(word));
}

static void add_options(struct completion *completion, const struct typed *typed,
                        const struct verb *verb)
{
    size_t length = 0;

    for (const char *at = verb->arguments; (at = next_option(at, &length)) != NULL; at += length) {
        add(completion, typed, at, length);
    }
    add_word(completion, typed, "--help");
}

/* Who answers may say anything; it is not to reach the terminal. */
static bool is_name(struct span word)
{
    for (size_t i = 0; i < word.size; i++) {
        if (word.text[i] <= ' ' || word.text[i] > '~') {
            return false;
        }
    }
    return word.size > 0;
}

/* The first column of what a command prints, without its heading. */
static void add_names(struct completion *completion, const struct typed *typed,
                      struct client *client, const char *command)
{
    unsigned patience = client->timeout_ms;
    struct client_output output;

    client->timeout_ms = NAMES_TIMEOUT_MS;
    enum client_result result = client_execute(client, command, &output);
    client->timeout_ms = patience;
    if (result != CLIENT_OK) {
        return;
    }
    struct cells cells = cells_find(span_of(output.text, output.size), NAMES_COLUMN);
    while (!output.failed && cells_next(&cells)) {
        struct span name = cells_get(&cells, NAMES_COLUMN);
        if (is_name(name)) {
            add(completion, typed, name.text, name.size);
        }
    }
    free(output.text);
}

static void add_files(struct completion *completion, const struct typed *typed)
{
    char *begun = strndup(typed->word, typed->length), *name;

    for (int i = 0; begun != NULL && (name = rl_filename_completion_function(begun, i)) != NULL;
         i = 1) {
        struct stat status;
        bool folder = stat(name, &status) == 0 && S_ISDIR(status.st_mode);
        char *whole;
        if (asprintf(&whole, "%s%s", name, folder ? "/" : "") >= 0) {
            add_word(completion, typed, whole);
            free(whole);
        }
        free(name);
    }
    free(begun);
}

static void add_arguments(struct completion *completion, const struct typed *typed,
                          struct client *client, const struct verb *verb)
{
    add_options(completion, typed, verb);
    for (const char *const *word = verb->words; word != NULL && *word != NULL; word++) {
        add_word(completion, typed, *word);
    }
    for (const struct verb_names *names = verb_names; names->placeholder != NULL; names++) {
        if (strstr(verb->arguments, names->placeholder) != NULL) {
            add_names(completion, typed, client, names->command);
        }
    }
    if (strstr(verb->arguments, "FILE") != NULL) {
        add_files(completion, typed);
    }
}

static void add_verbs(struct completion *completion, const struct typed *typed, bool first)
{
    for (unsigned i = 0; i < verb_count; i++) {
        add_word(completion, typed, verbs[i].name);
    }
    if (first) {
        add_word(completion, typed, "help");
        add_word(completion, typed, "quit");
    }
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorts them, has each once, and finds what all begin with. */
static void settle(struct completion *completion)
{
    unsigned kept = 0;

    qsort(completion->words, completion->count, sizeof(completion->words[0]), compare);
    for (unsigned i = 0; i < completion->count; i++) {
        if (kept > 0 && strcmp(completion->words[kept - 1], completion->words[i]) == 0) {
            free(completion->words[i]);
        } else {
            completion->words[kept++] = completion->words[i];
        }
    }
    completion->count = kept;
    if (kept > 0) {
        const char *first = completion->words[0], *last = completion->words[kept - 1];
        while (first[completion->common] != '\0' &&
               first[completion->common] == last[completion->common]) {
            completion->common++;
        }
    }
}

void completion_find(struct completion *completion, struct client *client, const char *before,
                     const char *word, size_t length)
{
    const struct typed typed = {word, length};
    char verb[32];

    *completion = (struct completion){.count = 0};
    before += strspn(before, BLANKS);
    size_t verb_length = strcspn(before, BLANKS);
    if (verb_length == 0) {
        add_verbs(completion, &typed, true);
    } else if (verb_length < sizeof(verb)) {
        memcpy(verb, before, verb_length);
        verb[verb_length] = '\0';
        const struct verb *found = find_verb(verb);
        if (found != NULL) {
            add_arguments(completion, &typed, client, found);
        } else if (strcmp(verb, "help") == 0) {
            add_verbs(completion, &typed, false);
        }
    }
    settle(completion);
}

void completion_free(struct completion *completion)
{
    for (unsigned i = 0; i < completion->count; i++) {
        free(completion->words[i]);
    }
}
