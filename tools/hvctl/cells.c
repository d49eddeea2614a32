/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/hvctl/cells.h"

#include <string.h>

struct span span_of(const char *text, size_t size)
{
    return (struct span){size > 0 ? text : NULL, size};
}

bool span_same(struct span one, struct span other)
{
    return one.size == other.size && (one.size == 0 || memcmp(one.text, other.text, one.size) == 0);
}

bool span_equals(struct span span, const char *text)
{
    return span_same(span, span_of(text, strlen(text)));
}

bool span_take(struct span *rest, char separator, struct span *piece)
{
    if (rest->text == NULL) {
        return false;
    }
    const char *end = rest->size > 0 ? memchr(rest->text, separator, rest->size) : NULL;
    *piece = (struct span){rest->text, end != NULL ? (size_t)(end - rest->text) : rest->size};
    *rest = end != NULL ? (struct span){end + 1, rest->size - piece->size - 1} : (struct span){0};
    return true;
}

bool span_is_row(struct span line)
{
    return line.size > 0 && memchr(line.text, '\t', line.size) != NULL;
}

struct cells cells_find(struct span output, const char *first_column)
{
    struct cells cells = {.rest = output};
    bool inside = false;
    struct span line;

    while (span_take(&cells.rest, '\n', &line)) {
        struct span words = line, first;
        if (!inside && span_is_row(line) && span_take(&words, '\t', &first) &&
            span_equals(first, first_column)) {
            cells.header = line;
            return cells;
        }
        inside = span_is_row(line);
    }
    return (struct cells){0};
}

bool cells_next(struct cells *cells)
{
    if (!span_take(&cells->rest, '\n', &cells->row) || !span_is_row(cells->row)) {
        *cells = (struct cells){.header = cells->header};
        return false;
    }
    return true;
}

struct span cells_get(const struct cells *cells, const char *column)
{
    struct span header = cells->header, row = cells->row, name, cell;

    while (span_take(&header, '\t', &name) && span_take(&row, '\t', &cell)) {
        if (span_equals(name, column)) {
            return cell;
        }
    }
    return (struct span){"", 0};
}

unsigned long long cells_number(const struct cells *cells, const char *column)
{
    struct span cell = cells_get(cells, column);
    unsigned long long value = 0;

    for (size_t i = 0; i < cell.size && cell.text[i] >= '0' && cell.text[i] <= '9'; i++) {
        value = value * 10 + (unsigned long long)(cell.text[i] - '0');
    }
    return value;
}

bool cells_seek(struct cells *cells, struct span name)
{
    while (cells_next(cells)) {
        struct span row = cells->row, first;
        if (span_take(&row, '\t', &first) && span_same(first, name)) {
            return true;
        }
    }
    return false;
}

unsigned long long cells_value(struct span output, const char *what)
{
    struct cells table = cells_find(output, "what");

    return cells_seek(&table, span_of(what, strlen(what))) ? cells_number(&table, "value") : 0;
}

unsigned long long cells_pair_number(struct span output, const char *const columns[2],
                                     const struct span values[2], const char *column)
{
    struct cells table = cells_find(output, columns[0]);

    while (cells_next(&table)) {
        if (span_same(cells_get(&table, columns[0]), values[0]) &&
            span_same(cells_get(&table, columns[1]), values[1])) {
            return cells_number(&table, column);
        }
    }
    return 0;
}
