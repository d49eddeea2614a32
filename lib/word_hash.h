/* SPDX-License-Identifier: BSD-2-Clause */
/* A hash of much memory, fast where a CPU multiplies: of words of 8 bytes, one after the other. It
 * tells two images apart that nobody has made to have the same; it is none against malice. */
#ifndef POSTERN_LIB_WORD_HASH_H
#define POSTERN_LIB_WORD_HASH_H

#include "lib/types.h"

#define WORD_HASH_BEGIN 0xcbf29ce484222325ull

/* The hash of all before, WORD_HASH_BEGIN at first, and of `size` more bytes, a multiple of 8. */
uint64_t word_hash(uint64_t hash, const void *bytes, size_t size);

#endif
