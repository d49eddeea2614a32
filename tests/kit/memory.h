/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's memory. Linear addresses below 4 GiB are guest-physical ones. Others are mapped on
 * demand, with pages of any size, and are gone when the claim ends; so is what ram_alloc() gave.
 */
#ifndef POSTERN_TESTS_KIT_MEMORY_H
#define POSTERN_TESTS_KIT_MEMORY_H

#include "tests/kit/claim.h"

#define PTE_PRESENT  1ull
#define PTE_WRITE    2ull
#define PTE_USER     4ull
#define PTE_UNCACHED 0x18ull
#define PTE_ACCESSED 0x20ull
#define PTE_DIRTY    0x40ull
#define PTE_LARGE    0x80ull
#define PTE_NX       (1ull << 63)

#define SIZE_4K      0x1000ull
#define SIZE_2M      0x200000ull
#define SIZE_1G      0x40000000ull

/* Maps guest-physical `gpa` at `linear`, in one page of `size`, with the flags PTE_WRITE and so on.
 * Linear addresses from CLAIM_BASE on are free. */
#define CLAIM_BASE 0x10000000000ull
void page_map(uint64_t linear, uint64_t gpa, uint64_t size, uint64_t flags);
void page_unmap(uint64_t linear);
/* The entry that maps `linear`, NULL for none. */
uint64_t *page_entry(uint64_t linear);

/* Maps [gpa, gpa + size) in 4 KiB pages, writable, somewhere; gpa need not be aligned. */
void *map_physical(uint64_t gpa, uint64_t size);

/* Cleared RAM of this guest, in the identity map. */
void *ram_alloc(uint64_t size, uint64_t alignment);

/* Where RAM ends. */
uint64_t ram_size(void);

/* The multiboot information is at `info`. */
void memory_init(uint32_t info);
/* Forgets mappings and allocations. */
void memory_reset(void);
void flush_tlb(void);

static inline void invalidate_page(uint64_t linear)
{
    __asm__ volatile("invlpg (%0)" : : "r"(linear) : "memory");
}

#endif
