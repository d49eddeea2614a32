/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/kit/memory.h"

#include "arch/x86/cpu.h"
#include "lib/bits.h"
#include "lib/string.h"

#define TABLES       64u
#define ENTRIES      512u
#define ADDRESS_MASK 0x000ffffffffff000ull
#define FIRST_CLAIM  (CLAIM_BASE >> 39)
/* map_physical() hands out addresses from here, far from what claims choose. */
#define SOMEWHERE 0x400000000000ull

extern uint64_t kit_pml4[ENTRIES];
extern const uint8_t kit_end[];

static alignas(4096) uint64_t tables[TABLES][ENTRIES];
static unsigned tables_used;
static uint64_t next_linear;
static uint64_t next_ram, end_of_ram;

uint64_t ram_size(void)
{
    return end_of_ram;
}

void flush_tlb(void)
{
    write_cr3(read_cr3());
}

void memory_init(uint32_t info)
{
    uint32_t high = 0;

    memcpy(&high, (const char *)(uint64_t)info + 8, sizeof(high));
    end_of_ram = MIB(1) + KIB(high);
    memory_reset();
}

void memory_reset(void)
{
    for (uint64_t i = FIRST_CLAIM; i < ENTRIES; i++) {
        kit_pml4[i] = 0;
    }
    tables_used = 0;
    next_linear = SOMEWHERE;
    next_ram = align_up((uint64_t)kit_end, SIZE_2M);
    flush_tlb();
}

void *ram_alloc(uint64_t size, uint64_t alignment)
{
    uint64_t base = align_up(next_ram, alignment);

    if (base + size > end_of_ram) {
        error("no RAM left for 0x%llx bytes", (unsigned long long)size);
    }
    next_ram = base + size;
    memset((void *)base, 0, size);
    return (void *)base;
}

static unsigned shift_of(uint64_t size)
{
    return size == SIZE_1G ? 30 : size == SIZE_2M ? 21 : 12;
}

/* The entry for `linear` in the table of the level that maps pages of 1 << `stop` bytes; tables in
 * between are made if `make` says so. */
static uint64_t *walk(uint64_t linear, unsigned stop, bool make)
{
    uint64_t *table = kit_pml4;

    for (unsigned shift = 39;; shift -= 9) {
        uint64_t *entry = &table[linear >> shift & (ENTRIES - 1)];
        if (shift == stop || (*entry & (PTE_PRESENT | PTE_LARGE)) == (PTE_PRESENT | PTE_LARGE)) {
            return entry;
        }
        if ((*entry & PTE_PRESENT) == 0) {
            if (!make) {
                return NULL;
            }
            if (tables_used == TABLES) {
                error("no page table left");
            }
            memset(tables[tables_used], 0, sizeof(tables[0]));
            *entry = (uint64_t)tables[tables_used++] | PTE_PRESENT | PTE_WRITE | PTE_USER;
        }
        table = (uint64_t *)(*entry & ADDRESS_MASK);
    }
}

void page_map(uint64_t linear, uint64_t gpa, uint64_t size, uint64_t flags)
{
    uint64_t *entry = walk(linear, shift_of(size), true);

    *entry = gpa | flags | PTE_PRESENT | (size == SIZE_4K ? 0 : PTE_LARGE);
    invalidate_page(linear);
}

uint64_t *page_entry(uint64_t linear)
{
    return walk(linear, 12, false);
}

void page_unmap(uint64_t linear)
{
    uint64_t *entry = page_entry(linear);

    if (entry != NULL) {
        *entry = 0;
        invalidate_page(linear);
    }
}

void *map_physical(uint64_t gpa, uint64_t size)
{
    uint64_t linear = next_linear;
    uint64_t first = align_down(gpa, SIZE_4K), end = align_up(gpa + size, SIZE_4K);

    for (uint64_t at = first; at < end; at += SIZE_4K) {
        page_map(linear + (at - first), at, SIZE_4K, PTE_WRITE);
    }
    next_linear += end - first + SIZE_4K;
    return (void *)(linear + (gpa - first));
}
