/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/pages.h"

#include "lib/bits.h"
#include "lib/spinlock.h"
#include "lib/string.h"

#define MAX_RANGES 512u

struct range {
    uint64_t base, end;
};

/* The free ranges, in the order of their addresses; no two touch. */
static struct {
    struct spinlock lock;
    struct range ranges[MAX_RANGES];
    unsigned count;
    uint64_t used[PAGES_USES];
    uint64_t unused;
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

/* Cuts [base, end) out of the range at `index`. The piece in front is given up in the rare case
 * that the table is full: it is lost, never handed out twice. */
static void take(unsigned index, uint64_t base, uint64_t end)
{
    struct range old = pages.ranges[index];

    pages.unused -= end - base;
    if (end < old.end) {
        pages.ranges[index].base = end;
        if (base > old.base && !insert_range(index, old.base, base)) {
            pages.unused -= base - old.base;
        }
    } else if (base > old.base) {
        pages.ranges[index].end = base;
    } else {
        remove_range(index);
    }
}

/* Puts [base, end) among the free ranges, joined with its neighbours; false if the table is full.
 */
static bool put(uint64_t base, uint64_t end)
{
    unsigned index = 0;

    while (index < pages.count && pages.ranges[index].base < base) {
        index++;
    }
    bool joins_left = index > 0 && pages.ranges[index - 1].end == base;
    bool joins_right = index < pages.count && pages.ranges[index].base == end;
    if (joins_left) {
        pages.ranges[index - 1].end = joins_right ? pages.ranges[index].end : end;
        if (joins_right) {
            remove_range(index);
        }
    } else if (joins_right) {
        pages.ranges[index].base = base;
    } else if (!insert_range(index, base, end)) {
        return false;
    }
    pages.unused += end - base;
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
    spin_lock(&pages.lock);
    bool added = put(first, end);
    spin_unlock(&pages.lock);
    return added ? STATUS_OK : STATUS_NO_MEMORY;
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

/* The address of a free run that is none any more; 0: there is none. */
static uint64_t find_and_take(uint64_t count, uint64_t alignment)
{
    for (unsigned i = 0; i < pages.count; i++) {
        uint64_t base = align_up(pages.ranges[i].base, alignment);
        if (base >= pages.ranges[i].base && base < pages.ranges[i].end &&
            count <= (pages.ranges[i].end - base) / PAGE_SIZE) {
            take(i, base, base + count * PAGE_SIZE);
            return base;
        }
    }
    return 0;
}

void *pages_alloc(uint64_t count, uint64_t alignment, enum page_use use)
{
    spin_lock(&pages.lock);
    uint64_t base = find_and_take(count, alignment);
    if (base != 0) {
        pages.used[use] += count * PAGE_SIZE;
    }
    spin_unlock(&pages.lock);
    if (base != 0) {
        clear_pages(base, count * PAGE_SIZE);
    }
    return (void *)base;
}

void pages_free(void *run, uint64_t count, enum page_use use)
{
    uint64_t base = (uint64_t)run;

    spin_lock(&pages.lock);
    pages.used[use] -= count * PAGE_SIZE;
    /* With a full table it is lost, as above. */
    (void)put(base, base + count * PAGE_SIZE);
    spin_unlock(&pages.lock);
}

void *page_alloc(void)
{
    return pages_alloc(1, PAGE_SIZE, PAGES_HYPERVISOR);
}

void *pages_alloc_bytes(uint64_t size)
{
    return pages_alloc(align_up(size, PAGE_SIZE) / PAGE_SIZE, PAGE_SIZE, PAGES_HYPERVISOR);
}

uint64_t pages_used(enum page_use use)
{
    return pages.used[use];
}

uint64_t pages_unused(void)
{
    return pages.unused;
}

void *page_runs_alloc(struct page_runs *runs, uint64_t count, uint64_t alignment, enum page_use use)
{
    if (runs->count == PAGE_RUNS_MAX) {
        return NULL;
    }
    void *run = pages_alloc(count, alignment, use);
    if (run != NULL) {
        runs->runs[runs->count++] = (struct page_run){run, count, use};
    }
    return run;
}

void *page_runs_alloc_bytes(struct page_runs *runs, uint64_t size)
{
    return page_runs_alloc(runs, align_up(size, PAGE_SIZE) / PAGE_SIZE, PAGE_SIZE,
                           PAGES_HYPERVISOR);
}

void page_runs_free_one(struct page_runs *runs, void *first)
{
    for (uint32_t i = 0; i < runs->count; i++) {
        const struct page_run run = runs->runs[i];
        if (run.pages == first) {
            runs->runs[i] = runs->runs[--runs->count];
            pages_free(run.pages, run.count, run.use);
            return;
        }
    }
}

void page_runs_free(struct page_runs *runs)
{
    while (runs->count > 0) {
        const struct page_run *run = &runs->runs[--runs->count];
        pages_free(run->pages, run->count, run->use);
    }
}
