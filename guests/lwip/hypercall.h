/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_GUESTS_LWIP_HYPERCALL_H
#define POSTERN_GUESTS_LWIP_HYPERCALL_H

#include <stdint.h>

/* abi/hypercall.h has the numbers and results. A function, so that tests on the host can have
 * another in its place. */
int64_t hypercall(uint64_t number, uint64_t a, uint64_t b);

#endif
