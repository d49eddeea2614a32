/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * printf-like formatting into a sink, with no allocation and no floating point. Conversions:
 * %d %i %u %x %X %c %s %p %%, the flags '-' and '0', a width, a precision for %s, '*' for either,
 * and the lengths hh h l ll z. An unknown conversion is printed as it stands.
 */
#ifndef POSTERN_LIB_FORMAT_H
#define POSTERN_LIB_FORMAT_H

#include <stdarg.h>

#include "lib/types.h"

/* Takes the next `size` bytes of output; `bytes` is not terminated and is not kept. */
typedef void (*format_sink_t)(void *context, const char *bytes, size_t size);

void format_to(format_sink_t sink, void *context, const char *format, ...) PRINTF(3, 4);
void format_to_v(format_sink_t sink, void *context, const char *format, va_list arguments)
    PRINTF(3, 0);

/* Formats into `buffer` of `size` bytes, always terminated when `size` is not 0. Returns the length
 * that the whole text has: at least `size` means that it was cut. */
size_t format_string(char *buffer, size_t size, const char *format, ...) PRINTF(3, 4);
size_t format_string_v(char *buffer, size_t size, const char *format, va_list arguments)
    PRINTF(3, 0);

#endif
