/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page allocator: hands out physically contiguous runs of pages from the free regions that the
 * firmware's memory map left. Everything is allocated before the first guest starts; there is no
 * freeing. Memory is identity-mapped, so an address is both physical and virtual.
 *
 * Callers hold no lock: only the CPU that booted allocates.
 */
#ifndef POSTERN_LIB_PAGES_H
#define POSTERN_LIB_PAGES_H

#include "lib/status.h"

/* What an allocation counts as, for the memory figures of `hvctl info`. */
enum page_use {
    PAGES_HYPERVISOR, /* the hypervisor's own state: tables, stacks, VMCSs */
    PAGES_GUEST,      /* guests' RAM */
    PAGES_WINDOW,     /* links' shared windows */
    PAGES_USES
};

/* Adds the whole pages in [base, base + size) to what may be handed out, but for the page at
 * address 0. Regions come in ascending order. STATUS_NO_MEMORY if there are too many of them,
 * STATUS_INVALID for one that wraps. */
status_t pages_add(uint64_t base, uint64_t size) MUST_CHECK;

/* `count` contiguous zeroed pages, aligned to `alignment` bytes (a power of two, at least 4096);
 * NULL when no region has room. Lowest addresses first. */
void *pages_alloc(uint64_t count, uint64_t alignment, enum page_use use);

/* As above, one page of the hypervisor's own. */
void *page_alloc(void);

/* Bytes handed out for `use`. */
uint64_t pages_used(enum page_use use);

#endif
