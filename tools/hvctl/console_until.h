/* SPDX-License-Identifier: BSD-2-Clause */
/* The text that `hvctl console --until` waits for: a regular expression, in one line of what a
 * console prints. */
#ifndef TOOLS_HVCTL_CONSOLE_UNTIL_H
#define TOOLS_HVCTL_CONSOLE_UNTIL_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

#define CONSOLE_UNTIL_LINE_MAX 4096u

struct console_until {
    regex_t pattern;
    bool found; /* once it was; stays so */
    bool cut;   /* the line's beginning is not in `line` any more */
    size_t length;
    char line[CONSOLE_UNTIL_LINE_MAX + 1];
};

/* `pattern`: a POSIX extended regular expression. False if it is none; then `why`, of `why_size`
 * bytes, says so. console_until_close() frees it. */
bool console_until_open(struct console_until *until, const char *pattern, char *why,
                        size_t why_size);

/* What the console has printed next, any bytes. Carriage returns and NULs are left out. A line that
 * is not complete is looked at, too, with no end that `$` would match; of one that is too long the
 * second half of what there is counts. */
void console_until_add(struct console_until *until, const char *bytes, size_t size);

void console_until_close(struct console_until *until);

#endif
