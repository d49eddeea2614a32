/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_GUESTS_LWIP_HYPERCALL_H
#define POSTERN_GUESTS_LWIP_HYPERCALL_H

#include <stdint.h>

/* Numbers and results are abi/hypercall.h's. */
int64_t hypercall(uint64_t number, uint64_t a, uint64_t b);

#endif
