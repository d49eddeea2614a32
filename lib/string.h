/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory and string functions of the freestanding runtime. The mem* and str* names are the C
 * library's, with its meaning; on the host the C library provides them.
 */
#ifndef POSTERN_LIB_STRING_H
#define POSTERN_LIB_STRING_H

#include "lib/types.h"

void *memcpy(void *restrict destination, const void *restrict source, size_t size);
void *memmove(void *destination, const void *source, size_t size);
void *memset(void *destination, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *string);
size_t strnlen(const char *string, size_t limit);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t limit);
char *strchr(const char *string, int character);

/* Copies `source` with its NUL into `destination` of `size` bytes; false, and a truncated but
 * terminated copy, if it does not fit. `size` must not be 0. */
bool string_copy(char *destination, size_t size, const char *source);

/* Reads an unsigned number, decimal or with 0x hexadecimal, from the whole of `text`; false if any
 * character does not belong to it, if it is empty or if it overflows. */
bool string_to_u64(const char *text, uint64_t *value);

#endif
