/* SPDX-License-Identifier: BSD-2-Clause */
/* What the fuzzers share: a check that ends the run, and an input that is read piece by piece. */
#ifndef POSTERN_TESTS_FUZZ_FUZZ_H
#define POSTERN_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libFuzzer calls it with each input. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition)                                                       \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                \
        }                                                                           \
    } while (0)

struct fuzz_input {
    const uint8_t *at;
    size_t left;
};

/* Numbers beyond the input's end are 0. */
static inline uint64_t fuzz_number(struct fuzz_input *input, size_t bytes)
{
    uint64_t value = 0;

    for (size_t i = 0; i < bytes && input->left > 0; i++) {
        value |= (uint64_t)*input->at++ << 8 * i;
        input->left--;
    }
    return value;
}

static inline uint8_t fuzz_byte(struct fuzz_input *input)
{
    return (uint8_t)fuzz_number(input, 1);
}

/* Up to `size` bytes of the input; `*size` becomes how many there are. */
static inline const uint8_t *fuzz_bytes(struct fuzz_input *input, size_t *size)
{
    const uint8_t *bytes = input->at;

    *size = *size < input->left ? *size : input->left;
    input->at += *size;
    input->left -= *size;
    return bytes;
}

/* In a heap block of its exact size, so that the sanitizer sees each byte beyond. */
static inline uint8_t *fuzz_copy(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size);

    FUZZ_CHECK(copy != NULL || size == 0);
    if (size > 0) {
        memcpy(copy, bytes, size);
    }
    return copy;
}

#endif
