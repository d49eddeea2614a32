/* SPDX-License-Identifier: BSD-2-Clause */
/* Text that is put together in a buffer of its caller's. */
#ifndef POSTERN_GUESTS_LWIP_TEXT_H
#define POSTERN_GUESTS_LWIP_TEXT_H

#include <stdarg.h>
#include <stddef.h>

struct text {
    char *bytes; /* always terminated */
    size_t size;
    size_t length;
};

void text_init(struct text *text, char *bytes, size_t size);

/* Appends; what does not fit is cut off. Conversions: %s %c %d %u %x %%, with the lengths l, ll and
 * z, a width, and the flag 0. */
void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_add_v(struct text *text, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

#endif
