/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/table.h"

#define GAP 2u /* spaces between columns */

void table_init(struct table *table, const char *text, size_t size)
{
    *table = (struct table){.text = text, .size = size};
}

/* The length of the cell that begins at `at`. */
static size_t cell_size(const struct table *table, size_t at)
{
    size_t size = 0;

    while (at + size < table->size && table->text[at + size] != '\t' &&
           table->text[at + size] != '\n') {
        size++;
    }
    return size;
}

/* A number: digits, with a sign, a point or a percent sign. */
static bool is_number(const char *cell, size_t size)
{
    bool digit = false;

    for (size_t i = 0; i < size; i++) {
        if (cell[i] >= '0' && cell[i] <= '9') {
            digit = true;
        } else if (cell[i] != '.' && cell[i] != '-' && cell[i] != '%') {
            return false;
        }
    }
    return digit || (size == 1 && cell[0] == '-');
}

/* Measures the line at `at` and returns where the next begins; `at` itself if it has no TAB. A
 * column counts as numbers if all cells under its header are. */
static size_t measure_line(struct table *table, size_t at, bool header)
{
    size_t start = at;
    unsigned column = 0;

    for (;;) {
        size_t size = cell_size(table, at);
        bool last = at + size >= table->size || table->text[at + size] == '\n';
        if (last && column == 0) {
            return start;
        }
        if (column < TABLE_COLUMNS) {
            if (size > table->widths[column]) {
                table->widths[column] = size;
            }
            if (!header && !is_number(&table->text[at], size)) {
                table->numbers[column] = false;
            }
        }
        at += size;
        if (last) {
            return at < table->size ? at + 1 : at;
        }
        at++;
        column++;
    }
}

/* At the start of a line behind the last table: a table begins here, or a line without one. */
static void measure(struct table *table)
{
    size_t at = table->at, next;
    unsigned lines = 0;

    for (unsigned i = 0; i < TABLE_COLUMNS; i++) {
        table->widths[i] = 0;
        table->numbers[i] = true;
    }
    while (at < table->size && (next = measure_line(table, at, lines == 0)) != at) {
        at = next;
        lines++;
    }
    if (lines == 0) {
        at += cell_size(table, at);
        at += at < table->size;
    }
    table->end = at;
}

static void begin_cell(struct table *table)
{
    size_t size = cell_size(table, table->at);
    size_t width = table->column < TABLE_COLUMNS ? table->widths[table->column] : size;
    bool last = table->at + size >= table->size || table->text[table->at + size] == '\n';
    size_t fill = width > size ? width - size : 0;

    table->cell_begun = true;
    if (table->column < TABLE_COLUMNS && table->numbers[table->column]) {
        table->fill += fill;
        fill = 0;
    }
    table->fill_end = last ? 0 : fill + GAP;
}

int table_next(struct table *table)
{
    if (table->at >= table->end && table->at < table->size) {
        measure(table);
    }
    if (!table->cell_begun && table->at < table->size) {
        begin_cell(table);
    }
    if (table->fill > 0) {
        table->fill--;
        return ' ';
    }
    if (table->at >= table->size) {
        return -1;
    }
    char c = table->text[table->at++];
    if (c == '\t') {
        table->column++;
        table->cell_begun = false;
        table->fill = table->fill_end - 1;
        return ' ';
    }
    if (c == '\n') {
        table->column = 0;
        table->cell_begun = false;
    }
    return (unsigned char)c;
}
