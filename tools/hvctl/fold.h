/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables (lib/table.h) for terminals that are narrower than they are. */
#ifndef POSTERN_TOOLS_HVCTL_FOLD_H
#define POSTERN_TOOLS_HVCTL_FOLD_H

#include <stddef.h>

#define FOLD_COLUMNS_MAX 32u
#define FOLD_ROWS_MAX    64u

/* The text with each table that aligned would be wider than `width` characters in parts, one below
 * the other, with an empty line between. Each part begins with the first column, by which rows are
 * known again, or the first two, if rows have that in common. Tables of more rows or columns than
 * above stay as they are: whoever looks through so much wants each row in one piece. To be freed;
 * NULL without memory. */
char *fold_tables(const char *text, size_t size, size_t width, size_t *folded_size);

#endif
