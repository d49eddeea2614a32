/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands print tables as lines of fields with a TAB between them, which programs split easily.
 * This aligns them for people: consecutive lines that have TABs are one table, its columns as wide
 * as need be, those of numbers aligned to the right. Other lines stay as they are.
 */
#ifndef POSTERN_LIB_TABLE_H
#define POSTERN_LIB_TABLE_H

#include "lib/types.h"

#define TABLE_COLUMNS 16u /* columns after these are set apart by two spaces, not aligned */

/* Aligns text byte by byte, so that a slow output needs no second buffer. */
struct table {
    const char *text;
    size_t size;
    size_t at;       /* the next byte of `text` */
    size_t end;      /* where the present table ends; before it, `widths` apply */
    unsigned column; /* of the byte at `at` */
    size_t fill;     /* spaces to put out first */
    size_t fill_end; /* spaces to put out after the present cell */
    bool cell_begun;
    size_t widths[TABLE_COLUMNS];
    bool numbers[TABLE_COLUMNS];
};

/* `text` need not be terminated and must stay while the table is read. */
void table_init(struct table *table, const char *text, size_t size);

/* The next byte of the aligned text, or -1 at its end. */
int table_next(struct table *table);

#endif
