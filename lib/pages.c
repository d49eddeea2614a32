/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/pages.h"

#include "lib/bits.h"
#include "lib/string.h"

#define MAX_RANGES 512u

struct range {
    uint64_t base, end;
};

static struct {
    struct range ranges[MAX_RANGES];
    unsigned count;
    uint64_t used[PAGES_USES];
} pages;

static void remove_range(unsigned index)
{
    pages.count--;
    for (unsigned i = index; i < pages.count; i++) {
        pages.ranges[i] = pages.ranges[i + 1];
    }
}

static bool insert_range(unsigned index, uint64_t base, uint64_t end)
{
    if (pages.count == MAX_RANGES) {
        return false;
    }
    for (unsigned i = pages.count; i > index; i--) {
        pages.ranges[i] = pages.ranges[i - 1];
    }
    pages.ranges[index] = (struct range){base, end};
    pages.count++;
    return true;
}

status_t pages_add(uint64_t base, uint64_t size)
{
    uint64_t end = 0;

    if (__builtin_add_overflow(base, size, &end)) {
        return STATUS_INVALID;
    }
    /* The page at address 0 stays unused: its pointer is NULL. */
    uint64_t first = base == 0 ? PAGE_SIZE : align_up(base, PAGE_SIZE);
    end = align_down(end, PAGE_SIZE);
    if (first < base || first >= end) {
        return STATUS_OK;
    }
    return insert_range(pages.count, first, end) ? STATUS_OK : STATUS_NO_MEMORY;
}

/* Cuts [base, end) out of the range at `index`. The piece in front is given up in the rare case
 * that the table is full: it is lost, never handed out twice. */
static void take(unsigned index, uint64_t base, uint64_t end)
{
    struct range old = pages.ranges[index];

    if (end < old.end) {
        pages.ranges[index].base = end;
        if (base > old.base) {
            (void)insert_range(index, old.base, base);
        }
    } else if (base > old.base) {
        pages.ranges[index].end = base;
    } else {
        remove_range(index);
    }
}

/* Eight bytes at a time: guests' RAM is cleared here, and REP STOSB takes an instruction's time per
 * byte where it is emulated. */
static void clear_pages(uint64_t base, uint64_t size)
{
    uint64_t *at = (uint64_t *)base;

#ifdef POSTERN_HOST
    memset(at, 0, size);
#else
    uint64_t words = size / sizeof(*at);
    __asm__ volatile("rep stosq" : "+D"(at), "+c"(words) : "a"(0ull) : "memory");
#endif
}

void *pages_alloc(uint64_t count, uint64_t alignment, enum page_use use)
{
    for (unsigned i = 0; i < pages.count; i++) {
        uint64_t base = align_up(pages.ranges[i].base, alignment);
        if (base < pages.ranges[i].base || base >= pages.ranges[i].end ||
            count > (pages.ranges[i].end - base) / PAGE_SIZE) {
            continue;
        }
        take(i, base, base + count * PAGE_SIZE);
        pages.used[use] += count * PAGE_SIZE;
        clear_pages(base, count * PAGE_SIZE);
        return (void *)base;
    }
    return NULL;
}

void *page_alloc(void)
{
    return pages_alloc(1, PAGE_SIZE, PAGES_HYPERVISOR);
}

uint64_t pages_used(enum page_use use)
{
    return pages.used[use];
}
