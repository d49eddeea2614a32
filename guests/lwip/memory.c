/* SPDX-License-Identifier: BSD-2-Clause */
/* The functions of <string.h> that lwIP and the compiler call. */
#include <stdint.h>
#include <string.h>

/* By eight bytes: an emulator counts each step of a string instruction, a CPU none of them. */
void *memcpy(void *restrict destination, const void *restrict source, size_t size)
{
    void *to = destination;
    size_t words = size / 8, rest = size % 8;

    __asm__ volatile("rep movsq" : "+D"(to), "+S"(source), "+c"(words) : : "memory");
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(source), "+c"(rest) : : "memory");
    return destination;
}

void *memset(void *destination, int byte, size_t size)
{
    void *to = destination;
    size_t words = size / 8, rest = size % 8;
    uint64_t word = (uint8_t)byte * 0x0101010101010101ull;

    __asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(word) : "memory");
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(rest) : "a"(word) : "memory");
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
    const uint8_t *x = a, *y = b;

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

int strncmp(const char *a, const char *b, size_t limit)
{
    for (size_t i = 0; i < limit; i++) {
        uint8_t x = (uint8_t)a[i], y = (uint8_t)b[i];
        if (x != y) {
            return x < y ? -1 : 1;
        }
        if (x == '\0') {
            return 0;
        }
    }
    return 0;
}
