/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "tools/hvctl/prompt.h"

#include <errno.h>
#include <histedit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "tools/hvctl/completion.h"
#include "tools/hvctl/hvctl.h"

#define PROMPT        "hvctl> "
#define HISTORY_LINES 1000
#define KEY_TAB       "^I"

struct prompt {
    struct client *client;
    bool terminal;
    EditLine *editor; /* NULL: lines are not edited */
    History *history;
    char *line; /* getline()'s, or a copy of the editor's */
    size_t room;
};

static char *prompt_text(EditLine *editor)
{
    static char text[] = PROMPT;

    (void)editor;
    return text;
}

/* As the library's own, which begins anew when a signal comes: here SIGINT ends the line. */
static int get_character(EditLine *editor, wchar_t *character)
{
    mbstate_t state = {0};
    char byte;

    (void)editor;
    for (;;) {
        ssize_t count = stop_requested != 0 ? -1 : read(STDIN_FILENO, &byte, 1);
        if (count <= 0) {
            return (int)count;
        }
        size_t used = mbrtowc(character, &byte, 1, &state);
        if (used <= 1) {
            return 1;
        }
        if (used == (size_t)-1) {
            memset(&state, 0, sizeof(state)); /* it is no character: passed over */
        }
    }
}

static void show(const struct completion *completion)
{
    putchar('\n');
    for (unsigned i = 0; i < completion->count; i++) {
        printf("%s%s", completion->words[i], i + 1 < completion->count ? "  " : "\n");
    }
    fflush(stdout);
}

/* Puts in what all words go on with; shows them if that is nothing. */
static unsigned char complete(EditLine *editor, int key)
{
    const LineInfo *line = el_line(editor);
    const char *word = line->cursor;
    struct prompt *prompt;
    struct completion completion;
    unsigned char result = CC_REFRESH;

    (void)key;
    while (word > line->buffer && word[-1] != ' ' && word[-1] != '\t') {
        word--;
    }
    size_t length = (size_t)(line->cursor - word);
    char *before = strndup(line->buffer, (size_t)(word - line->buffer));
    if (before == NULL || el_get(editor, EL_CLIENTDATA, &prompt) != 0) {
        free(before);
        return CC_ERROR;
    }
    completion_find(&completion, prompt->client, before, word, length);
    if (completion.count == 0) {
        result = CC_ERROR;
    } else if (completion.count == 1) {
        const char *only = completion.words[0];
        (void)el_insertstr(editor, only + length);
        /* Into a folder one goes on. */
        (void)el_insertstr(editor, only[completion.common - 1] == '/' ? "" : " ");
    } else if (completion.common > length) {
        completion.words[0][completion.common] = '\0';
        (void)el_insertstr(editor, completion.words[0] + length);
    } else {
        show(&completion);
        result = CC_REDISPLAY;
    }
    completion_free(&completion);
    free(before);
    return result;
}

static bool edit(struct prompt *prompt)
{
    HistEvent event;

    prompt->history = history_init();
    prompt->editor = el_init("hvctl", stdin, stdout, stderr);
    if (prompt->history == NULL || prompt->editor == NULL) {
        return false;
    }
    (void)history(prompt->history, &event, H_SETSIZE, HISTORY_LINES);
    (void)history(prompt->history, &event, H_SETUNIQUE, 1);
    (void)el_set(prompt->editor, EL_CLIENTDATA, prompt);
    (void)el_set(prompt->editor, EL_PROMPT, prompt_text);
    (void)el_set(prompt->editor, EL_EDITOR, "emacs");
    (void)el_set(prompt->editor, EL_HIST, history, prompt->history);
    (void)el_set(prompt->editor, EL_GETCFN, get_character);
    (void)el_set(prompt->editor, EL_ADDFN, "hvctl-complete", "Completes a word", complete);
    (void)el_set(prompt->editor, EL_BIND, KEY_TAB, "hvctl-complete", NULL);
    (void)el_source(prompt->editor, NULL);
    return true;
}

/* What an editor needs; one that knows nothing of the terminal complains. */
static bool can_edit(void)
{
    const char *type = getenv("TERM");

    return isatty(STDOUT_FILENO) && type != NULL && type[0] != '\0' && strcmp(type, "dumb") != 0 &&
           strcmp(type, "unknown") != 0;
}

struct prompt *prompt_open(struct client *client)
{
    struct prompt *prompt = calloc(1, sizeof(*prompt));

    if (prompt == NULL) {
        return NULL;
    }
    prompt->client = client;
    prompt->terminal = isatty(STDIN_FILENO);
    if (prompt->terminal && can_edit() && !edit(prompt)) {
        prompt_close(prompt);
        return NULL;
    }
    return prompt;
}

void prompt_close(struct prompt *prompt)
{
    if (prompt->editor != NULL) {
        el_end(prompt->editor);
    }
    if (prompt->history != NULL) {
        history_end(prompt->history);
    }
    free(prompt->line);
    free(prompt);
}

bool prompt_is_terminal(const struct prompt *prompt)
{
    return prompt->terminal;
}

/* NULL: the end, or a signal. */
static char *read_edited(struct prompt *prompt)
{
    HistEvent event;
    int count;

    el_resize(prompt->editor);
    const char *line = el_gets(prompt->editor, &count);
    if (line == NULL || count <= 0) {
        return NULL;
    }
    free(prompt->line);
    prompt->line = strdup(line);
    if (line[strspn(line, " \t\n")] != '\0') {
        (void)history(prompt->history, &event, H_ENTER, line);
    }
    return prompt->line;
}

static char *read_plain(struct prompt *prompt)
{
    if (prompt->terminal) {
        printf(PROMPT);
        fflush(stdout);
    }
    return getline(&prompt->line, &prompt->room, stdin) >= 0 ? prompt->line : NULL;
}

char *prompt_read(struct prompt *prompt)
{
    for (;;) {
        stop_requested = 0;
        char *line = prompt->editor != NULL ? read_edited(prompt) : read_plain(prompt);
        if (line != NULL) {
            return line;
        }
        if (prompt->terminal) {
            putchar('\n');
        }
        if (!prompt->terminal || stop_requested != SIGINT) {
            return NULL;
        }
        clearerr(stdin);
    }
}
