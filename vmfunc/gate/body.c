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

#ifdef POSTERN_HOST
#define POSTERN_MONITOR(address) gate_test_monitor(address)
#define POSTERN_MWAIT()          gate_test_mwait()
#endif
#include "abi/hypercall.h"
#include "vmfunc/gate/copy.h"

/* Bytes that are copied by words: a string instruction takes tens of cycles to begin, and copies
 * more than that faster. */
#define COPY_MIN 16u
#define COPY_MAX 256u

static inline void copy_16(uint8_t *to, const uint8_t *from)
{
    uint64_t first, second;

    (void)__builtin_memcpy(&first, from, sizeof(first));
    (void)__builtin_memcpy(&second, from + sizeof(first), sizeof(second));
    (void)__builtin_memcpy(to, &first, sizeof(first));
    (void)__builtin_memcpy(to + sizeof(first), &second, sizeof(second));
}

/* The last words first; they may be copied in part a second time. */
static inline void copy(void *target, const void *source, uint64_t size)
{
    uint8_t *to = target;
    const uint8_t *from = source;
    uint64_t last = size - COPY_MIN;

    if (__builtin_expect(last > COPY_MAX - COPY_MIN, 0)) {
        copy_string(to, from, size);
        return;
    }
    copy_16(to + last, from + last);
    for (uint64_t i = 0; i < last; i += COPY_MIN) {
        copy_16(to + i, from + i);
    }
}
#define POSTERN_COPY(to, from, size) copy((to), (from), (size))

#include "abi/gate_burst.h"
#include "abi/gate_ring_ops.h"

static int64_t do_copy(const struct postern_gate_copy *arguments)
{
    /* Linear addresses of the caller. In order, byte by byte: where it faults, all before is done.
     */
    if (arguments->size != 0) {
        copy_string((uint8_t *)(uintptr_t)arguments->to,
                    (const uint8_t *)(uintptr_t)arguments->from, arguments->size);
    }
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

static inline bool is_kernel(void)
{
#ifdef POSTERN_HOST
    return gate_test_is_kernel();
#else
    uint32_t cs;

    __asm__("mov %%cs, %0" : "=r"(cs));
    return (cs & 3) == 0;
#endif
}

/* A wait in a view is ended by what ends any stay in the guest: interrupts, and the hypervisor's
 * timer. */
static int64_t do_wait(const struct postern_gate_ring *arguments)
{
    if (!is_kernel()) {
        return POSTERN_ERR_PERMISSION;
    }
    return postern_ring_wait(arguments->ring) ? POSTERN_GATE_WAIT : 0;
}

int64_t gate_function(uint32_t function, void *arguments)
{
    if (function >= POSTERN_GATE_BURST_SEND) {
        return gate_burst_function(function, arguments);
    }
    switch (function) {
    case POSTERN_GATE_NOTHING:
        return 0;
    case POSTERN_GATE_COPY:
        return do_copy(arguments);
    case POSTERN_GATE_LOAD:
        return do_load(arguments);
    case POSTERN_GATE_STORE:
        return do_store(arguments);
    case POSTERN_GATE_RING_WAIT:
        return do_wait(arguments);
    default:
        return postern_gate_ring_function(function, arguments);
    }
}
