/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/hvctl/json.h"

#include "tools/hvctl/cells.h"

static size_t digits(struct span text, size_t at)
{
    size_t count = 0;

    while (at + count < text.size && text.text[at + count] >= '0' && text.text[at + count] <= '9') {
        count++;
    }
    return count;
}

/* RFC 8259, "Numbers", without an exponent. */
static bool is_number(struct span cell)
{
    size_t at = cell.size > 0 && cell.text[0] == '-';
    size_t whole = digits(cell, at);

    if (whole == 0 || (whole > 1 && cell.text[at] == '0')) {
        return false;
    }
    at += whole;
    if (at < cell.size && cell.text[at] == '.') {
        size_t fraction = digits(cell, at + 1);
        at += fraction > 0 ? 1 + fraction : 0;
    }
    return at == cell.size;
}

/* Output is ASCII; other bytes are shown as the characters of those numbers. */
static void print_string(FILE *out, struct span text)
{
    fputc('"', out);
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.text[i];
        if (c == '"' || c == '\\') {
            fprintf(out, "\\%c", c);
        } else if (c < 0x20 || c >= 0x7f) {
            fprintf(out, "\\u%04x", c);
        } else {
            fputc(c, out);
        }
    }
    fputc('"', out);
}

static void print_value(FILE *out, struct span cell)
{
    if (cell.size == 1 && cell.text[0] == '-') {
        fputs("null", out);
    } else if (is_number(cell)) {
        fwrite(cell.text, 1, cell.size, out);
    } else {
        print_string(out, cell);
    }
}

/* A cell without a column is left out. */
static void print_row(FILE *out, struct span header, struct span row)
{
    struct span name, cell;
    const char *separator = "{";

    while (span_take(&header, '\t', &name) && span_take(&row, '\t', &cell)) {
        fputs(separator, out);
        print_string(out, name);
        fputs(": ", out);
        print_value(out, cell);
        separator = ", ";
    }
    fputc('}', out);
}

static void print_tables(FILE *out, struct span text)
{
    struct span header = {0}, line;
    unsigned tables = 0, rows = 0;

    while (span_take(&text, '\n', &line)) {
        if (span_is_row(line) && header.text == NULL) {
            header = line;
            rows = 0;
            fputs(tables++ > 0 ? ", [" : "[", out);
        } else if (span_is_row(line)) {
            fputs(rows++ > 0 ? ", " : "", out);
            print_row(out, header, line);
        } else if (header.text != NULL) {
            header = (struct span){0};
            fputc(']', out);
        }
    }
    if (header.text != NULL) {
        fputc(']', out);
    }
}

static void print_text(FILE *out, struct span text)
{
    struct span line;
    unsigned lines = 0;

    while (span_take(&text, '\n', &line)) {
        if (line.size > 0 && !span_is_row(line)) {
            fputs(lines++ > 0 ? ", " : "", out);
            print_string(out, line);
        }
    }
}

void json_print_output(FILE *out, const char *text, size_t size)
{
    const struct span all = span_of(text, size);

    fputs("{\"tables\": [", out);
    print_tables(out, all);
    fputs("], \"text\": [", out);
    print_text(out, all);
    fputs("]}\n", out);
}

void json_print_error(FILE *out, const char *text, size_t size)
{
    if (size > 0 && text[size - 1] == '\n') {
        size--;
    }
    fputs("{\"error\": ", out);
    print_string(out, (struct span){text, size});
    fputs("}\n", out);
}
