/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/hvctl/console_until.h"

#include <string.h>

bool console_until_open(struct console_until *until, const char *pattern, char *why,
                        size_t why_size)
{
    int error = regcomp(&until->pattern, pattern, REG_EXTENDED | REG_NOSUB);

    until->found = until->cut = false;
    until->length = 0;
    if (error != 0) {
        (void)regerror(error, &until->pattern, why, why_size);
    }
    return error == 0;
}

static void look(struct console_until *until, bool complete)
{
    int flags = (until->cut ? REG_NOTBOL : 0) | (complete ? 0 : REG_NOTEOL);

    until->line[until->length] = '\0';
    until->found |= regexec(&until->pattern, until->line, 0, NULL, flags) == 0;
}

static void add(struct console_until *until, char c)
{
    if (until->length == CONSOLE_UNTIL_LINE_MAX) {
        /* What matched in it was found in a part that was looked at, or is in the half that stays.
         */
        look(until, false);
        until->length /= 2;
        memmove(until->line, until->line + until->length, until->length);
        until->cut = true;
    }
    until->line[until->length++] = c;
}

void console_until_add(struct console_until *until, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size && !until->found; i++) {
        if (bytes[i] == '\n') {
            look(until, true);
            until->length = 0;
            until->cut = false;
        } else if (bytes[i] != '\r' && bytes[i] != '\0') {
            add(until, bytes[i]);
        }
    }
    if (until->length > 0 && !until->found) {
        look(until, false);
    }
}

void console_until_close(struct console_until *until)
{
    regfree(&until->pattern);
}
