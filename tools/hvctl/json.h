/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A command's output as JSON, for programs:
 *     {"tables": [[{"name": "alpha", "vcpus": 1}, ...], ...], "text": ["a line", ...]}
 * Tables are as lib/table.h has them, with the names of the columns in the first line; an object is
 * a line of one. What reads as a JSON number is one, a lone '-' is null, all else a string. Lines
 * without a TAB that are not empty are text.
 */
#ifndef POSTERN_TOOLS_HVCTL_JSON_H
#define POSTERN_TOOLS_HVCTL_JSON_H

#include <stddef.h>
#include <stdio.h>

/* With a newline behind it. */
void json_print_output(FILE *out, const char *text, size_t size);

/* {"error": "..."}, without the text's last newline. */
void json_print_error(FILE *out, const char *text, size_t size);

#endif
