/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page allocator: hands out physically contiguous runs of pages from the free regions that the
 * firmware's memory map left. What the machine has it allocates before the first guest starts; what
 * a VM has, when it is created, and gives it back when it is destroyed. No exit of a guest
 * allocates. Memory is identity-mapped, so an address is both physical and virtual.
 *
 * Any CPU may call these functions.
 */
#ifndef POSTERN_LIB_PAGES_H
#define POSTERN_LIB_PAGES_H

#include "lib/status.h"

/* What an allocation counts as, for the memory figures of `hvctl info`. */
enum page_use {
    PAGES_HYPERVISOR, /* the hypervisor's own state: tables, stacks, VMCSs */
    PAGES_GUEST,      /* guests' RAM */
    PAGES_WINDOW,     /* links' shared windows */
    PAGES_DISK,       /* what guests write over disks' images */
    PAGES_USES
};

/* Adds the whole pages in [base, base + size) to what may be handed out, but for the page at
 * address 0. STATUS_NO_MEMORY if there are too many of them,
 * STATUS_INVALID for one that wraps. */
status_t pages_add(uint64_t base, uint64_t size) MUST_CHECK;

/* `count` contiguous zeroed pages, aligned to `alignment` bytes (a power of two, at least 4096);
 * NULL when no region has room. Lowest addresses first. */
void *pages_alloc(uint64_t count, uint64_t alignment, enum page_use use);

/* As above, one page of the hypervisor's own. */
void *page_alloc(void);

/* As above, as many as `size` bytes take. */
void *pages_alloc_bytes(uint64_t size);

/* Gives a run back as it was allocated, or a part of one. Nobody uses it any more. */
void pages_free(void *pages, uint64_t count, enum page_use use);

/* Bytes handed out for `use`, and bytes that may be handed out. */
uint64_t pages_used(enum page_use use);
uint64_t pages_unused(void);

/* All that one owner has allocated, to be given back together. Zeroed: nothing. One CPU at a time
 * uses one of these. */
#define PAGE_RUNS_MAX 64u

struct page_runs {
    uint32_t count;
    struct page_run {
        void *pages;
        uint64_t count;
        enum page_use use;
    } runs[PAGE_RUNS_MAX];
};

/* As pages_alloc(); NULL also when the owner has PAGE_RUNS_MAX runs. */
void *page_runs_alloc(struct page_runs *runs, uint64_t count, uint64_t alignment,
                      enum page_use use);

/* The same for as many pages of the hypervisor's own as `size` bytes take. */
void *page_runs_alloc_bytes(struct page_runs *runs, uint64_t size);

/* Gives the run back that begins at `first`, one of the owner's. */
void page_runs_free_one(struct page_runs *runs, void *first);

/* Gives all of them back. */
void page_runs_free(struct page_runs *runs);

#endif
