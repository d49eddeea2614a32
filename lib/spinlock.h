/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A test-and-set lock for short critical sections. The hypervisor runs with interrupts off, so a
 * holder is delayed by NMIs at most. Not recursive.
 */
#ifndef POSTERN_LIB_SPINLOCK_H
#define POSTERN_LIB_SPINLOCK_H

#include "lib/types.h"

struct spinlock {
    atomic_bool held;
};

static inline void spin_lock(struct spinlock *lock)
{
    /* Acquire: pairs with the release in spin_unlock(). */
    while (atomic_exchange_explicit(&lock->held, true, memory_order_acquire)) {
        __builtin_ia32_pause();
    }
}

static inline bool spin_trylock(struct spinlock *lock)
{
    /* Acquire: pairs with the release in spin_unlock(). */
    return !atomic_exchange_explicit(&lock->held, true, memory_order_acquire);
}

static inline void spin_unlock(struct spinlock *lock)
{
    /* Release: pairs with the acquire in spin_lock() and spin_trylock(). */
    atomic_store_explicit(&lock->held, false, memory_order_release);
}

#endif
