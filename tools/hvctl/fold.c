/* SPDX-License-Identifier: BSD-2-Clause */
#define _POSIX_C_SOURCE 200809L
#include "tools/hvctl/fold.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GAP 2u /* between columns, as lib/table.h puts it */

/* Consecutive lines with TABs. */
struct span_of_rows {
    const char *text;
    size_t size;
    unsigned rows, columns;
    unsigned keys; /* columns at the front by which rows are known again */
    size_t widths[FOLD_COLUMNS_MAX];
    const char *firsts[FOLD_ROWS_MAX]; /* the first cell of each row, and its size */
    size_t first_sizes[FOLD_ROWS_MAX];
};

static size_t line_size(const char *text, size_t size)
{
    const char *end = memchr(text, '\n', size);

    return end != NULL ? (size_t)(end - text) + 1 : size;
}

/* The cell at the front of the line; behind it, `*rest` bytes of the line are left. */
static size_t cell_size(const char *cell, size_t *rest)
{
    size_t size = 0;

    while (size < *rest && cell[size] != '\t' && cell[size] != '\n') {
        size++;
    }
    *rest -= size;
    return size;
}

/* Whether an earlier row's first cell is the same; keeps it. */
static bool is_known(struct span_of_rows *table, const char *cell, size_t size)
{
    if (table->rows >= FOLD_ROWS_MAX) {
        return false; /* it is not folded */
    }
    table->firsts[table->rows] = cell;
    table->first_sizes[table->rows] = size;
    for (unsigned i = 0; i < table->rows; i++) {
        if (table->first_sizes[i] == size && memcmp(table->firsts[i], cell, size) == 0) {
            return true;
        }
    }
    return false;
}

static void measure_row(struct span_of_rows *table, const char *row, size_t size)
{
    unsigned column = 0;

    for (size_t rest = size; rest > 0; column++) {
        const char *cell = row + (size - rest);
        size_t width = cell_size(cell, &rest);
        if (column == 0 && is_known(table, cell, width)) {
            table->keys = 2;
        }
        if (column < FOLD_COLUMNS_MAX && width > table->widths[column]) {
            table->widths[column] = width;
        }
        rest -= rest > 0 ? 1 : 0; /* its TAB, or the line's end */
    }
    table->rows++;
    table->columns = column > table->columns ? column : table->columns;
}

/* The table at the front of the text; of no rows if there is none. */
static void measure(struct span_of_rows *table, const char *text, size_t size)
{
    *table = (struct span_of_rows){.text = text, .keys = 1};
    while (table->size < size) {
        const char *row = text + table->size;
        size_t row_size = line_size(row, size - table->size);
        if (memchr(row, '\t', row_size) == NULL) {
            return;
        }
        measure_row(table, row, row_size);
        table->size += row_size;
    }
}

static bool is_to_be_folded(const struct span_of_rows *table, size_t width)
{
    size_t wanted = 0;

    if (table->rows > FOLD_ROWS_MAX || table->columns > FOLD_COLUMNS_MAX ||
        table->columns < table->keys + 2) {
        return false;
    }
    for (unsigned i = 0; i < table->columns; i++) {
        wanted += table->widths[i] + (i != 0 ? GAP : 0);
    }
    return wanted > width;
}

/* Behind the last column that fits beside the keys, if the part begins with `first`. */
static unsigned end_of_part(const struct span_of_rows *table, unsigned first, size_t width)
{
    size_t used = table->widths[first];
    unsigned end = first + 1;

    for (unsigned i = 0; i < table->keys; i++) {
        used += table->widths[i] + GAP;
    }
    while (end < table->columns && used + GAP + table->widths[end] <= width) {
        used += GAP + table->widths[end++];
    }
    return end;
}

/* The first `keys` cells of the row, and those from `first` up to `end`. */
static void put_row(FILE *out, const char *row, size_t size, unsigned keys, unsigned first,
                    unsigned end)
{
    unsigned column = 0;

    for (size_t rest = size; rest > 0; column++) {
        const char *cell = row + (size - rest);
        size_t width = cell_size(cell, &rest);
        if (column < keys || (column >= first && column < end)) {
            (void)fprintf(out, "%s%.*s", column == 0 ? "" : "\t", (int)width, cell);
        }
        rest -= rest > 0 ? 1 : 0;
    }
    (void)fprintf(out, "%s\n", column <= first ? "\t" : "");
}

static void put_folded(FILE *out, const struct span_of_rows *table, size_t width)
{
    for (unsigned first = table->keys, end; first < table->columns; first = end) {
        end = end_of_part(table, first, width);
        if (first > table->keys) {
            (void)fputc('\n', out);
        }
        for (size_t at = 0; at < table->size;) {
            size_t size = line_size(table->text + at, table->size - at);
            put_row(out, table->text + at, size, table->keys, first, end);
            at += size;
        }
    }
}

static void put_all(FILE *out, const char *text, size_t size, size_t width)
{
    struct span_of_rows table;

    while (size > 0) {
        measure(&table, text, size);
        if (table.rows == 0) {
            table.size = line_size(text, size);
        }
        if (table.rows != 0 && is_to_be_folded(&table, width)) {
            put_folded(out, &table, width);
        } else {
            (void)fwrite(text, 1, table.size, out);
        }
        text += table.size;
        size -= table.size;
    }
}

char *fold_tables(const char *text, size_t size, size_t width, size_t *folded_size)
{
    char *folded = NULL;
    FILE *out = open_memstream(&folded, folded_size);

    if (out == NULL) {
        return NULL;
    }
    put_all(out, text, size, width);
    if (fclose(out) != 0) {
        free(folded);
        return NULL;
    }
    return folded;
}
