/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of string.h that the host's C library lacks; string_base.c holds the rest. */
#include "lib/string.h"

bool string_copy(char *destination, size_t size, const char *source)
{
    size_t length = strnlen(source, size);
    bool fits = length < size;

    if (!fits) {
        length = size - 1;
    }
    memcpy(destination, source, length);
    destination[length] = '\0';
    return fits;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return 99;
}

bool string_to_u64(const char *text, uint64_t *value)
{
    uint64_t base = 10;
    uint64_t result = 0;

    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        text += 2;
    }
    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        uint64_t digit = (uint64_t)digit_value(*text);
        if (digit >= base || __builtin_mul_overflow(result, base, &result) ||
            __builtin_add_overflow(result, digit, &result)) {
            return false;
        }
    }
    *value = result;
    return true;
}
