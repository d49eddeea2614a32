/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The C library's memory and string functions, for the hypervisor, which has no C library. Not
 * linked into host tests. memcpy and memset use the string instructions: they need no registers
 * but the general ones, and every CPU with VMX runs them fast.
 */
#include "lib/string.h"

/* Eight bytes at a time, as in memset(): where it is emulated REP MOVSB takes an instruction's time
 * per byte. */
void *memcpy(void *restrict destination, const void *restrict source, size_t size)
{
    void *to = destination;
    size_t words = size / sizeof(uint64_t), rest = size % sizeof(uint64_t);

    __asm__ volatile("rep movsq" : "+D"(to), "+S"(source), "+c"(words) : : "memory");
    if (rest != 0) {
        __asm__ volatile("rep movsb" : "+D"(to), "+S"(source), "+c"(rest) : : "memory");
    }
    return destination;
}

void *memset(void *destination, int byte, size_t size)
{
    void *to = destination;
    uint64_t word = (uint8_t)byte * 0x0101010101010101ull;
    size_t words = size / sizeof(word), rest = size % sizeof(word);

    __asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(word) : "memory");
    if (rest != 0) {
        __asm__ volatile("rep stosb" : "+D"(to), "+c"(rest) : "a"(word) : "memory");
    }
    return destination;
}

void *memmove(void *destination, const void *source, size_t size)
{
    char *to = destination;
    const char *from = source;

    if (to <= from || to >= from + size) {
        return memcpy(destination, source, size);
    }
    while (size-- > 0) {
        to[size] = from[size];
    }
    return destination;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const unsigned char *x = a;
    const unsigned char *y = b;

    for (size_t i = 0; i < size; i++) {
        if (x[i] != y[i]) {
            return x[i] < y[i] ? -1 : 1;
        }
    }
    return 0;
}

size_t strlen(const char *string)
{
    size_t length = 0;

    while (string[length] != '\0') {
        length++;
    }
    return length;
}

size_t strnlen(const char *string, size_t limit)
{
    size_t length = 0;

    while (length < limit && string[length] != '\0') {
        length++;
    }
    return length;
}

int strncmp(const char *a, const char *b, size_t limit)
{
    for (size_t i = 0; i < limit; i++) {
        unsigned char x = (unsigned char)a[i];
        unsigned char y = (unsigned char)b[i];
        if (x != y) {
            return x < y ? -1 : 1;
        }
        if (x == '\0') {
            return 0;
        }
    }
    return 0;
}

int strcmp(const char *a, const char *b)
{
    return strncmp(a, b, SIZE_MAX);
}

char *strchr(const char *string, int character)
{
    for (;; string++) {
        if (*string == (char)character) {
            return (char *)(uintptr_t)string;
        }
        if (*string == '\0') {
            return NULL;
        }
    }
}
