/* SPDX-License-Identifier: BSD-2-Clause */
/* What programs without a C library say, compare, and end by. */
#ifndef POSTERN_GUESTS_INITRAMFS_PROGRAM_H
#define POSTERN_GUESTS_INITRAMFS_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

#include "system_call.h"

static inline void print(const char *text)
{
    long length = 0;

    while (text[length] != '\0') {
        length++;
    }
    (void)system_call(SYS_WRITE, 1, text, length);
}

static inline void print_number(unsigned long long value)
{
    char text[24];

    text[sizeof(text) - 1] = '\0';
    print(decimal(text + sizeof(text) - 1, value));
}

static inline bool equal(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

__attribute__((noreturn)) static inline void leave(int code)
{
    (void)system_call(SYS_EXIT, code, NULL, 0);
    __builtin_unreachable();
}

#endif
