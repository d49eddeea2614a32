/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The types and attributes that every file may use. All of them come from the compiler's
 * freestanding headers, so the same file compiles for the hypervisor and for the host's tests.
 */
#ifndef POSTERN_LIB_TYPES_H
#define POSTERN_LIB_TYPES_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* The struct of type `type` that `pointer`, the address of its `member`, is part of. */
#define CONTAINER_OF(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

#define MUST_CHECK                          __attribute__((warn_unused_result))
#define NOINLINE                            __attribute__((noinline))
#define NORETURN                            __attribute__((noreturn))
#define PRINTF(f, a)                        __attribute__((format(printf, f, a)))
#define PACKED                              __attribute__((packed))
#define SECTION(name)                       __attribute__((section(name)))
#define LIKELY(x)                           __builtin_expect(!!(x), 1)
#define UNLIKELY(x)                         __builtin_expect(!!(x), 0)

#define KIB(n)                              ((uint64_t)(n) << 10)
#define MIB(n)                              ((uint64_t)(n) << 20)
#define GIB(n)                              ((uint64_t)(n) << 30)

#define PAGE_SHIFT                          12
#define PAGE_SIZE                           4096ull
#define PAGE_MASK                           (~(PAGE_SIZE - 1))

#endif
