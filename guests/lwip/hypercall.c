/* SPDX-License-Identifier: BSD-2-Clause */
#include "guests/lwip/hypercall.h"

#include "abi/guest.h"

int64_t hypercall(uint64_t number, uint64_t a, uint64_t b)
{
    return postern_hypercall(number, a, b);
}
