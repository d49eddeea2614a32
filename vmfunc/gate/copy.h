/* SPDX-License-Identifier: BSD-2-Clause */
/* How the gate copies: it has no library. */
#ifndef POSTERN_VMFUNC_GATE_COPY_H
#define POSTERN_VMFUNC_GATE_COPY_H

#include <stdint.h>

#ifdef POSTERN_HOST
/* What the sanitizers see. */
static inline void copy_string(uint8_t *to, const uint8_t *from, uint64_t size)
{
    if (size != 0) {
        (void)__builtin_memcpy(to, from, size);
    }
}
#else
static inline void copy_string(uint8_t *to, const uint8_t *from, uint64_t size)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}
#endif

#endif
