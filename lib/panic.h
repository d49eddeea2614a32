/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of the hypervisor: for its own broken invariants only. Nothing that a guest does may
 * lead here. Provided by arch/x86/ for the hypervisor and by a test's support on the host.
 */
#ifndef POSTERN_LIB_PANIC_H
#define POSTERN_LIB_PANIC_H

#include "lib/types.h"

/* Prints the message on every output, stops all CPUs. */
NORETURN void panic(const char *format, ...) PRINTF(1, 2);

/* Panics with the condition's text unless it holds. */
#define ASSERT(condition)                                                         \
    do {                                                                          \
        if (UNLIKELY(!(condition))) {                                             \
            panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #condition); \
        }                                                                         \
    } while (0)

#endif
