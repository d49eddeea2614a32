/* SPDX-License-Identifier: BSD-2-Clause */
/* Where verbs come from that were not given on the command line: standard input. On a terminal a
 * line is edited, with the lines before it at hand, and completed by what the table of verbs and
 * the hypervisor know. */
#ifndef POSTERN_TOOLS_HVCTL_PROMPT_H
#define POSTERN_TOOLS_HVCTL_PROMPT_H

#include "tools/hvctl/client.h"

struct prompt;

/* `client` is asked for names, and must stay. NULL: no memory. */
struct prompt *prompt_open(struct client *client);
void prompt_close(struct prompt *prompt);

/* Whether a person is at it. */
bool prompt_is_terminal(const struct prompt *prompt);

/* The next line; it stays until the next call, and may be written to. NULL at the end, and if
 * hvctl is to stop; SIGINT at a terminal drops only what was typed. */
char *prompt_read(struct prompt *prompt);

#endif
