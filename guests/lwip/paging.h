/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_GUESTS_LWIP_PAGING_H
#define POSTERN_GUESTS_LWIP_PAGING_H

#include <stddef.h>
#include <stdint.h>

/* Maps a window, aligned to its size, which is a power of two up to 1 GiB: one to one, write-back,
 * not executable. There can be one. NULL if it lies too high. */
void *map_window(uint64_t address, size_t size);

#endif
