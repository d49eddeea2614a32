/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_GUESTS_LWIP_PAGING_H
#define POSTERN_GUESTS_LWIP_PAGING_H

#include <stddef.h>
#include <stdint.h>

/* Maps memory of a device, aligned to its size, which is a power of two up to 1 GiB: one to one,
 * write-back, not executable. All that is mapped lies in two gibibytes at most. NULL if it does
 * not, or lies too high. */
void *map_memory(uint64_t address, size_t size);

#endif
