/* SPDX-License-Identifier: BSD-2-Clause */
#include "guests/lwip/hypercall.h"

int64_t hypercall(uint64_t number, uint64_t a, uint64_t b)
{
    int64_t result;

    __asm__ volatile("vmcall" : "=a"(result) : "a"(number), "D"(a), "S"(b) : "memory");
    return result;
}
