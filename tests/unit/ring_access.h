/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Puts a test's own functions in the place of abi/ring_ops.h's accesses to shared memory. To be
 * included instead of it by a test that defines the three functions.
 */
#ifndef POSTERN_TESTS_UNIT_RING_ACCESS_H
#define POSTERN_TESTS_UNIT_RING_ACCESS_H

#include <stddef.h>
#include <stdint.h>

static uint64_t access_load(const void *address, size_t size);
static void access_store(void *address, uint64_t value, size_t size);
static void access_barrier(void);

/* The type without its qualifiers; nothing is evaluated. */
#define ACCESS_TYPE(p)                  __typeof__(__atomic_load_n(p, __ATOMIC_RELAXED))
#define POSTERN_LOAD(p)                 ((ACCESS_TYPE(p))access_load(p, sizeof(*(p))))
#define POSTERN_LOAD_ACQUIRE(p)         POSTERN_LOAD(p)
#define POSTERN_STORE(p, value)         access_store(p, (uint64_t)(value), sizeof(*(p)))
#define POSTERN_STORE_RELEASE(p, value) POSTERN_STORE(p, value)
#define POSTERN_FULL_BARRIER()          access_barrier()
#define POSTERN_READ_BARRIER()          access_barrier()
#define POSTERN_WRITE_BARRIER()         access_barrier()

#include "abi/ring_ops.h"

#endif
