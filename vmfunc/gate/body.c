/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gate's functions. They run in the guest, with its rights and on its stack, so they need not
 * distrust their arguments: a caller that gives wrong ones harms itself.
 *
 * This file becomes one page: no data, no other function than its own, and of the registers only
 * those that a call may change (vmfunc/build.mk).
 */
#include "vmfunc/gate/body.h"

#include <stdint.h>

#include "abi/hypercall.h"

/* Above so many bytes a CPU copies faster by itself than a loop does. */
#define COPY_STRING 256u

#ifdef POSTERN_HOST
/* What the sanitizers see. */
static void copy_string(uint8_t *to, const uint8_t *from, uint64_t size)
{
    (void)__builtin_memcpy(to, from, size);
}
#else
static inline void copy_string(uint8_t *to, const uint8_t *from, uint64_t size)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}
#endif

static inline void copy_word(uint8_t *to, const uint8_t *from)
{
    uint64_t word;

    (void)__builtin_memcpy(&word, from, sizeof(word));
    (void)__builtin_memcpy(to, &word, sizeof(word));
}

/* Small packets by words, the last of which may copy some bytes a second time: a string instruction
 * takes tens of cycles to begin. */
static __attribute__((noinline)) void copy(void *target, const void *source, uint64_t size)
{
    uint8_t *to = target;
    const uint8_t *from = source;

    if (size < sizeof(uint64_t) || size > COPY_STRING) {
        if (size != 0) {
            copy_string(to, from, size);
        }
        return;
    }
    for (; size >= 32; size -= 32, to += 32, from += 32) {
        copy_word(to, from);
        copy_word(to + 8, from + 8);
        copy_word(to + 16, from + 16);
        copy_word(to + 24, from + 24);
    }
    for (; size >= 8; size -= 8, to += 8, from += 8) {
        copy_word(to, from);
    }
    if (size != 0) {
        copy_word(to + size - 8, from + size - 8);
    }
}
#define POSTERN_COPY(to, from, size) copy((to), (from), (size))

#include "abi/gate_ring_ops.h"

static int64_t do_copy(const struct postern_gate_copy *arguments)
{
    /* Linear addresses of the caller. */
    copy((void *)(uintptr_t)arguments->to, (const void *)(uintptr_t)arguments->from,
         arguments->size);
    return 0;
}

static int64_t do_load(struct postern_gate_access *access)
{
    const uint64_t *word = (const uint64_t *)(uintptr_t)access->window;

    if (access->window % sizeof(*word) != 0) {
        return POSTERN_ERR_ARGUMENT;
    }
    access->value = POSTERN_LOAD_ACQUIRE(word);
    return 0;
}

static int64_t do_store(const struct postern_gate_access *access)
{
    uint64_t *word = (uint64_t *)(uintptr_t)access->window;

    if (access->window % sizeof(*word) != 0) {
        return POSTERN_ERR_ARGUMENT;
    }
    POSTERN_STORE_RELEASE(word, access->value);
    return 0;
}

int64_t gate_function(uint32_t function, void *arguments)
{
    switch (function) {
    case POSTERN_GATE_NOTHING:
        return 0;
    case POSTERN_GATE_COPY:
        return do_copy(arguments);
    case POSTERN_GATE_LOAD:
        return do_load(arguments);
    case POSTERN_GATE_STORE:
        return do_store(arguments);
    default:
        return postern_gate_ring_function(function, arguments);
    }
}
