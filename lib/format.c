/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/format.h"

#include "lib/string.h"

struct conversion {
    bool left;
    bool zero;
    bool upper; /* hexadecimal digits in capitals */
    size_t width;
    size_t precision; /* SIZE_MAX when none was given */
    unsigned longs;   /* how many bytes the argument has, of the integer conversions */
};

static void pad(format_sink_t sink, void *context, char c, size_t count)
{
    while (count-- > 0) {
        sink(context, &c, 1);
    }
}

static void put_field(format_sink_t sink, void *context, const struct conversion *conversion,
                      const char *text, size_t length)
{
    size_t fill = conversion->width > length ? conversion->width - length : 0;

    if (!conversion->left) {
        pad(sink, context, ' ', fill);
    }
    sink(context, text, length);
    if (conversion->left) {
        pad(sink, context, ' ', fill);
    }
}

static void put_number(format_sink_t sink, void *context, const struct conversion *conversion,
                       uint64_t value, unsigned base, const char *prefix)
{
    const char *digits = conversion->upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char text[72];
    size_t at = sizeof(text);
    size_t prefix_length = strlen(prefix);

    do {
        text[--at] = digits[value % base];
        value /= base;
    } while (value != 0);
    if (conversion->zero && !conversion->left) {
        size_t room = conversion->width < 64 ? conversion->width : 64;
        while (sizeof(text) - at + prefix_length < room) {
            text[--at] = '0';
        }
    }
    at -= prefix_length;
    memcpy(&text[at], prefix, prefix_length);
    put_field(sink, context, conversion, &text[at], sizeof(text) - at);
}

static int64_t next_signed(va_list *arguments, unsigned size)
{
    if (size == 8) {
        return va_arg(*arguments, int64_t);
    }
    int value = va_arg(*arguments, int);
    return size == 1 ? (int64_t)(signed char)value : size == 2 ? (int64_t)(short)value : value;
}

static uint64_t next_unsigned(va_list *arguments, unsigned size)
{
    if (size == 8) {
        return va_arg(*arguments, uint64_t);
    }
    unsigned value = va_arg(*arguments, unsigned);
    return size == 1 ? (unsigned char)value : size == 2 ? (unsigned short)value : value;
}

static void put_conversion(format_sink_t sink, void *context, const struct conversion *conversion,
                           char kind, va_list *arguments)
{
    switch (kind) {
    case 'd':
    case 'i': {
        int64_t value = next_signed(arguments, conversion->longs);
        uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
        put_number(sink, context, conversion, magnitude, 10, value < 0 ? "-" : "");
        break;
    }
    case 'u':
        put_number(sink, context, conversion, next_unsigned(arguments, conversion->longs), 10, "");
        break;
    case 'x':
    case 'X':
        put_number(sink, context, conversion, next_unsigned(arguments, conversion->longs), 16, "");
        break;
    case 'p':
        put_number(sink, context, conversion, (uintptr_t)va_arg(*arguments, void *), 16, "0x");
        break;
    case 'c': {
        char c = (char)va_arg(*arguments, int);
        put_field(sink, context, conversion, &c, 1);
        break;
    }
    case 's': {
        const char *text = va_arg(*arguments, const char *);
        text = text == NULL ? "(null)" : text;
        put_field(sink, context, conversion, text, strnlen(text, conversion->precision));
        break;
    }
    default: {
        char unknown[2] = {'%', kind};
        sink(context, unknown, kind == '%' ? 1 : 2);
        break;
    }
    }
}

static size_t parse_count(const char **format, va_list *arguments)
{
    size_t count = 0;

    if (**format == '*') {
        int value = va_arg(*arguments, int);
        (*format)++;
        return value < 0 ? 0 : (size_t)value;
    }
    while (**format >= '0' && **format <= '9') {
        count = count * 10 + (size_t)(**format - '0');
        (*format)++;
    }
    return count;
}

/* Reads what stands between the '%' and the conversion's letter. */
static struct conversion parse_conversion(const char **format, va_list *arguments)
{
    struct conversion conversion = {.precision = SIZE_MAX, .longs = 4};

    for (; **format == '-' || **format == '0'; (*format)++) {
        conversion.left |= **format == '-';
        conversion.zero |= **format == '0';
    }
    conversion.width = parse_count(format, arguments);
    if (**format == '.') {
        (*format)++;
        conversion.precision = parse_count(format, arguments);
    }
    for (;; (*format)++) {
        if (**format == 'l' || **format == 'z') {
            conversion.longs = 8;
        } else if (**format == 'h') {
            conversion.longs /= 2;
        } else {
            return conversion;
        }
    }
}

void format_to_v(format_sink_t sink, void *context, const char *format, va_list arguments)
{
    va_list copy;

    va_copy(copy, arguments);
    while (*format != '\0') {
        size_t plain = 0;
        while (format[plain] != '\0' && format[plain] != '%') {
            plain++;
        }
        if (plain > 0) {
            sink(context, format, plain);
            format += plain;
            continue;
        }
        format++;
        struct conversion conversion = parse_conversion(&format, &copy);
        if (*format == '\0') {
            break;
        }
        conversion.upper = *format == 'X';
        put_conversion(sink, context, &conversion, *format++, &copy);
    }
    va_end(copy);
}

void format_to(format_sink_t sink, void *context, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    format_to_v(sink, context, format, arguments);
    va_end(arguments);
}

struct string_sink {
    char *buffer;
    size_t size;
    size_t length;
};

static void to_string(void *context, const char *bytes, size_t size)
{
    struct string_sink *sink = context;
    size_t room = sink->size > sink->length ? sink->size - sink->length - 1 : 0;

    if (sink->size > sink->length) {
        memcpy(sink->buffer + sink->length, bytes, size < room ? size : room);
    }
    sink->length += size;
}

size_t format_string_v(char *buffer, size_t size, const char *format, va_list arguments)
{
    struct string_sink sink = {buffer, size, 0};

    format_to_v(to_string, &sink, format, arguments);
    if (size > 0) {
        buffer[sink.length < size ? sink.length : size - 1] = '\0';
    }
    return sink.length;
}

size_t format_string(char *buffer, size_t size, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    size_t length = format_string_v(buffer, size, format, arguments);
    va_end(arguments);
    return length;
}
