/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/word_hash.h"

#include "lib/string.h"

#define PRIME 0x100000001b3ull

/* FNV-1a with words for bytes. The upper half goes into the lower one, which a product would never
 * have it do; each step can be undone, so that one word that differs always shows. */
uint64_t word_hash(uint64_t hash, const void *bytes, size_t size)
{
    const uint8_t *from = bytes;

    for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, from + at, sizeof(word));
        hash = (hash ^ word) * PRIME;
        hash ^= hash >> 32;
    }
    return hash;
}
