/* SPDX-License-Identifier: BSD-2-Clause */
#include "machine/page_walk.h"

#include "arch/x86/defs/msr.h"
#include "arch/x86/defs/registers.h"
#include "lib/bits.h"

#define ENTRY_PRESENT BIT(0)
#define ENTRY_LARGE   BIT(7)

/* The paging mode: how many levels, how wide an entry. */
struct mode {
    unsigned levels;
    unsigned entry_size;
    unsigned index_bits;
    bool large_at_2; /* whether level 2 may hold large pages */
};

static struct mode paging_mode(const struct page_walk *walk)
{
    if ((walk->efer & EFER_LMA) != 0) {
        return (struct mode){4, 8, 9, true};
    }
    if ((walk->cr4 & CR4_PAE) != 0) {
        return (struct mode){3, 8, 9, true};
    }
    return (struct mode){2, 4, 10, (walk->cr4 & CR4_PSE) != 0};
}

static uint64_t large_page(uint64_t entry, uint64_t linear, const struct mode *mode, unsigned shift)
{
    uint64_t mask = BIT(shift) - 1;

    if (mode->entry_size == 4) {
        /* PSE-36: bits 20 to 13 are the address's bits 39 to 32. */
        return (entry & MASK(31, 22)) | (entry >> 13 & 0xff) << 32 | (linear & mask);
    }
    return (entry & MASK(51, 12) & ~mask) | (linear & mask);
}

status_t page_walk(const struct page_walk *walk, uint64_t linear, uint64_t *gpa)
{
    if ((walk->cr0 & CR0_PG) == 0) {
        *gpa = linear;
        return STATUS_OK;
    }
    struct mode mode = paging_mode(walk);
    if (mode.levels == 4 && (uint64_t)((int64_t)(linear << 16) >> 16) != linear) {
        return STATUS_INVALID;
    }
    uint64_t table = mode.levels == 3 ? walk->cr3 & MASK(31, 5) : walk->cr3 & MASK(51, 12);
    if (mode.entry_size == 4) {
        table &= MASK(31, 12);
    }
    for (unsigned level = mode.levels; level > 0; level--) {
        unsigned shift = 12 + (level - 1) * mode.index_bits;
        uint64_t index = linear >> shift & (BIT(mode.index_bits) - 1);
        uint64_t entry = 0;
        if (mode.levels == 3 && level == 3) {
            index &= 3;
        }
        if (!walk->read(walk->context, table + index * mode.entry_size, &entry, mode.entry_size) ||
            (entry & ENTRY_PRESENT) == 0) {
            return STATUS_NOT_FOUND;
        }
        bool may_be_large = (level == 2 && mode.large_at_2) || (level == 3 && mode.levels == 4);
        if (level > 1 && may_be_large && (entry & ENTRY_LARGE) != 0) {
            *gpa = large_page(entry, linear, &mode, shift);
            return STATUS_OK;
        }
        table = entry & MASK(51, 12);
    }
    *gpa = table | (linear & (PAGE_SIZE - 1));
    return STATUS_OK;
}
