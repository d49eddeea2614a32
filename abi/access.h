/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accesses to memory that is shared with others: each is one access, of the object's size, that the
 * compiler neither splits nor repeats. For Linux, bare metal and hosts.
 */
#ifndef POSTERN_ABI_ACCESS_H
#define POSTERN_ABI_ACCESS_H

#if defined(POSTERN_LOAD)
/* A test has put its own accesses here, to watch them. */
#include <stdbool.h>
#include <stddef.h>
#elif defined(__KERNEL__)
#include <linux/compiler.h>
#include <asm/barrier.h>
/* The virt_ forms: a kernel for one CPU also talks to a peer on another CPU. */
#define POSTERN_LOAD(p)             READ_ONCE(*(p))
#define POSTERN_STORE(p, value)     WRITE_ONCE(*(p), value)
#define POSTERN_LOAD_ACQUIRE(p)     virt_load_acquire(p)
#define POSTERN_STORE_RELEASE(p, v) virt_store_release(p, v)
#define POSTERN_FULL_BARRIER()      virt_mb()
#define POSTERN_READ_BARRIER()      virt_rmb()
#define POSTERN_WRITE_BARRIER()     virt_wmb()
#else
#include <stdbool.h>
#include <stddef.h>
#define POSTERN_LOAD(p)             __atomic_load_n(p, __ATOMIC_RELAXED)
#define POSTERN_STORE(p, value)     __atomic_store_n(p, value, __ATOMIC_RELAXED)
#define POSTERN_LOAD_ACQUIRE(p)     __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define POSTERN_STORE_RELEASE(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define POSTERN_FULL_BARRIER()      __atomic_thread_fence(__ATOMIC_SEQ_CST)
/* Loads before it, then loads after it; the same of stores. */
#define POSTERN_READ_BARRIER()      __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define POSTERN_WRITE_BARRIER()     __atomic_thread_fence(__ATOMIC_RELEASE)
#endif

#endif
