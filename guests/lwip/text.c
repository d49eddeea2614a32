/* SPDX-License-Identifier: BSD-2-Clause */
#include "guests/lwip/text.h"

#include <stdbool.h>
#include <stdint.h>

#define DIGITS_MAX 20u /* of a 64-bit number */

/* What stands between % and the conversion. */
struct conversion {
    char filler;
    unsigned width;
    unsigned longs; /* the length, as a count of l */
};

void text_init(struct text *text, char *bytes, size_t size)
{
    *text = (struct text){bytes, size, 0};
    bytes[0] = '\0';
}

static void add_byte(struct text *text, char byte)
{
    if (text->length + 1 < text->size) {
        text->bytes[text->length++] = byte;
        text->bytes[text->length] = '\0';
    }
}

static void add_number(struct text *text, uint64_t value, unsigned base, bool negative,
                       const struct conversion *c)
{
    char digits[DIGITS_MAX];
    unsigned count = 0;

    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    if (negative && c->filler == '0') {
        add_byte(text, '-');
    }
    for (unsigned i = count + negative; i < c->width; i++) {
        add_byte(text, c->filler);
    }
    if (negative && c->filler != '0') {
        add_byte(text, '-');
    }
    while (count > 0) {
        add_byte(text, digits[--count]);
    }
}

static void add_string(struct text *text, const char *string)
{
    while (*string != '\0') {
        add_byte(text, *string++);
    }
}

/* Takes flags, width and length; returns where the conversion's letter is. */
static const char *read_conversion(const char *format, struct conversion *c)
{
    *c = (struct conversion){.filler = ' '};
    if (*format == '0') {
        c->filler = *format++;
    }
    while (*format >= '0' && *format <= '9') {
        c->width = c->width * 10 + (unsigned)(*format++ - '0');
    }
    while (*format == 'l' || *format == 'z') {
        c->longs++;
        format++;
    }
    return format;
}

void text_add_v(struct text *text, const char *format, va_list arguments)
{
    struct conversion c;

    for (; *format != '\0'; format++) {
        if (*format != '%') {
            add_byte(text, *format);
            continue;
        }
        format = read_conversion(format + 1, &c);
        if (*format == 's') {
            add_string(text, va_arg(arguments, const char *));
        } else if (*format == 'c') {
            add_byte(text, (char)va_arg(arguments, int));
        } else if (*format == 'd') {
            int64_t value = c.longs > 0 ? va_arg(arguments, long) : va_arg(arguments, int);
            add_number(text, value < 0 ? -(uint64_t)value : (uint64_t)value, 10, value < 0, &c);
        } else if (*format == 'u' || *format == 'x') {
            uint64_t value =
                c.longs > 0 ? va_arg(arguments, unsigned long) : va_arg(arguments, unsigned);
            add_number(text, value, *format == 'u' ? 10 : 16, false, &c);
        } else if (*format == '\0') {
            return;
        } else {
            add_byte(text, *format);
        }
    }
}

void text_add(struct text *text, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    text_add_v(text, format, arguments);
    va_end(arguments);
}
