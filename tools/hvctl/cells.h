/* SPDX-License-Identifier: BSD-2-Clause */
/* A command's output taken apart: lines, and cells with a TAB between them (lib/table.h). */
#ifndef POSTERN_TOOLS_HVCTL_CELLS_H
#define POSTERN_TOOLS_HVCTL_CELLS_H

#include <stdbool.h>
#include <stddef.h>

/* A piece of a text that somebody else holds; `text` is NULL where there is none. */
struct span {
    const char *text;
    size_t size;
};

struct span span_of(const char *text, size_t size);

bool span_same(struct span one, struct span other);
bool span_equals(struct span span, const char *text);

/* Takes what is before the next `separator` out of `rest`; false at the end. */
bool span_take(struct span *rest, char separator, struct span *piece);

/* Whether a line is one of a table. */
bool span_is_row(struct span line);

/* A table in an output: the names of its columns, and its lines one by one. */
struct cells {
    struct span rest; /* of the output, behind the present line */
    struct span header, row;
};

/* The first table whose first column has that name; empty, if there is none. */
struct cells cells_find(struct span output, const char *first_column);

/* Goes to the table's next line; false at its end. */
bool cells_next(struct cells *cells);

/* The present line's cell in that column, empty if there is none; as a number, 0 then. */
struct span cells_get(const struct cells *cells, const char *column);
unsigned long long cells_number(const struct cells *cells, const char *column);

/* Finds the line whose first cell is `name`. */
bool cells_seek(struct cells *cells, struct span name);

/* The number in `column` of the row whose cells in two columns are these; 0 if there is none. The
 * table is the one whose first column is the first of the two. */
unsigned long long cells_pair_number(struct span output, const char *const columns[2],
                                     const struct span values[2], const char *column);

/* The number beside `what` in an output's table of "what" and "value"; 0 if there is none. */
unsigned long long cells_value(struct span output, const char *what);

#endif
