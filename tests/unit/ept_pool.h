/* SPDX-License-Identifier: BSD-2-Clause */
/* A pool of pages for the tests of extended page tables, whose "physical" addresses are not their
 * virtual ones, and a check of what the tables in it must be by the architecture. */
#ifndef POSTERN_TESTS_UNIT_EPT_POOL_H
#define POSTERN_TESTS_UNIT_EPT_POOL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ept/ept.h"

#define POOL_PAGES    4096u
#define POOL_PHYSICAL 0x40000000ull
#define RW            (EPT_READ | EPT_WRITE)
#define RWX           (EPT_READ | EPT_WRITE | EPT_EXECUTE)
#define SIZE_2M       (2ull << 20)
#define SIZE_1G       (1ull << 30)

struct pool {
    uint8_t *pages;
    bool used[POOL_PAGES];
    unsigned in_use;
    unsigned next; /* where to look for a free page */
    unsigned left; /* pages that may still be handed out */
    unsigned changes;
    /* While set, this address must translate to `watched_to` whenever the pool is called. */
    struct ept *ept;
    uint64_t watched, watched_to;
    unsigned watches;
    bool inside;
};

static inline void watch(struct pool *pool)
{
    struct ept_translation found;

    if (pool->ept == NULL || pool->inside) {
        return;
    }
    pool->inside = true;
    assert_int_equal(ept_walk(pool->ept, pool->watched, &found), STATUS_OK);
    assert_int_equal(found.address, pool->watched_to);
    pool->watches++;
    pool->inside = false;
}

static inline void *pool_alloc(void *context)
{
    struct pool *pool = context;

    watch(pool);
    if (pool->left == 0) {
        return NULL;
    }
    for (unsigned tries = 0; tries < POOL_PAGES; tries++) {
        unsigned i = pool->next++ % POOL_PAGES;
        if (!pool->used[i]) {
            pool->left--;
            pool->used[i] = true;
            pool->in_use++;
            return memset(pool->pages + i * PAGE_SIZE, 0, PAGE_SIZE);
        }
    }
    return NULL;
}

static inline unsigned page_index(const struct pool *pool, uint64_t offset)
{
    assert_int_equal(offset % PAGE_SIZE, 0);
    assert_true(offset / PAGE_SIZE < POOL_PAGES);
    assert_true(pool->used[offset / PAGE_SIZE]);
    return (unsigned)(offset / PAGE_SIZE);
}

static inline void pool_free(void *context, void *page)
{
    struct pool *pool = context;

    pool->used[page_index(pool, (uint64_t)((uint8_t *)page - pool->pages))] = false;
    pool->in_use--;
}

static inline uint64_t pool_physical(void *context, void *page)
{
    struct pool *pool = context;

    watch(pool);
    return POOL_PHYSICAL + page_index(pool, (uint64_t)((uint8_t *)page - pool->pages)) * PAGE_SIZE;
}

static inline void *pool_virtual(void *context, uint64_t address)
{
    struct pool *pool = context;

    watch(pool);
    return pool->pages + page_index(pool, address - POOL_PHYSICAL) * PAGE_SIZE;
}

static inline void pool_changed(void *context)
{
    ((struct pool *)context)->changes++;
}

static const struct ept_ops pool_ops = {
    .alloc_page = pool_alloc,
    .free_page = pool_free,
    .to_physical = pool_physical,
    .to_virtual = pool_virtual,
    .changed = pool_changed,
};

static inline struct pool *pool_new(void)
{
    struct pool *pool = calloc(1, sizeof(*pool));

    assert_non_null(pool);
    pool->pages = aligned_alloc(PAGE_SIZE, POOL_PAGES * PAGE_SIZE);
    assert_non_null(pool->pages);
    pool->left = POOL_PAGES;
    return pool;
}

/* Destroys the hierarchy and sees that each of its pages came back. */
static inline void pool_end(struct pool *pool, struct ept *ept)
{
    ept_destroy(ept);
    assert_int_equal(pool->in_use, 0);
    assert_int_equal(ept->pages, 0);
    free(pool->pages);
    free(pool);
}

/* Walks all tables with none of the code under test and checks the architecture's rules: no
 * misconfigured entry, each table linked once, #VE suppressed everywhere. Returns their count. */
static inline unsigned check_tables(struct pool *pool, uint64_t physical, unsigned level)
{
    const uint64_t *table =
        (const uint64_t *)(const void *)(pool->pages +
                                         page_index(pool, physical - POOL_PHYSICAL) * PAGE_SIZE);
    unsigned count = 1;

    for (unsigned i = 0; i < 512; i++) {
        uint64_t entry = table[i];
        assert_true((entry & BIT(63)) != 0);
        if ((entry & 7) == 0) {
            assert_int_equal(entry, BIT(63));
            continue;
        }
        assert_int_not_equal(entry & 3, 2);
        if (level > 1 && (entry & BIT(7)) == 0) {
            assert_int_equal(entry & 0xfff, 7); /* rights are the leaves' */
            count += check_tables(pool, entry & MASK(51, 12), level - 1);
            continue;
        }
        assert_true(level <= 3);
        assert_true(level > 1 || (entry & BIT(7)) == 0);
        assert_int_equal(entry & MASK(51, 12) & ((PAGE_SIZE << 9 * (level - 1)) - 1), 0);
        assert_true((entry >> 3 & 7) == EPT_WRITE_BACK || (entry >> 3 & 7) == EPT_UNCACHED);
        assert_int_equal(entry & (BIT(6) | MASK(11, 8) | MASK(62, 52)), 0);
    }
    return count;
}

static inline void check_all(struct pool *pool, const struct ept *ept)
{
    unsigned count = check_tables(pool, ept_pointer(ept) & MASK(51, 12), 4);

    assert_int_equal(count, ept->pages);
    assert_int_equal(count, pool->in_use);
}

#endif
