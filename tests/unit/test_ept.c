/* SPDX-License-Identifier: BSD-2-Clause */
/* Extended page tables over a pool of pages whose "physical" addresses are not their virtual ones.
 * The flat model beside them says what each page translates to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ept/ept.h"
#include "tests/unit/random.h"

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

static void watch(struct pool *pool)
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

static void *pool_alloc(void *context)
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

static unsigned page_index(const struct pool *pool, uint64_t offset)
{
    assert_int_equal(offset % PAGE_SIZE, 0);
    assert_true(offset / PAGE_SIZE < POOL_PAGES);
    assert_true(pool->used[offset / PAGE_SIZE]);
    return (unsigned)(offset / PAGE_SIZE);
}

static void pool_free(void *context, void *page)
{
    struct pool *pool = context;

    pool->used[page_index(pool, (uint64_t)((uint8_t *)page - pool->pages))] = false;
    pool->in_use--;
}

static uint64_t pool_physical(void *context, void *page)
{
    struct pool *pool = context;

    watch(pool);
    return POOL_PHYSICAL + page_index(pool, (uint64_t)((uint8_t *)page - pool->pages)) * PAGE_SIZE;
}

static void *pool_virtual(void *context, uint64_t address)
{
    struct pool *pool = context;

    watch(pool);
    return pool->pages + page_index(pool, address - POOL_PHYSICAL) * PAGE_SIZE;
}

static void pool_changed(void *context)
{
    ((struct pool *)context)->changes++;
}

static const struct ept_ops ops = {
    .alloc_page = pool_alloc,
    .free_page = pool_free,
    .to_physical = pool_physical,
    .to_virtual = pool_virtual,
    .changed = pool_changed,
};

static struct pool *pool_new(void)
{
    struct pool *pool = calloc(1, sizeof(*pool));

    assert_non_null(pool);
    pool->pages = aligned_alloc(PAGE_SIZE, POOL_PAGES * PAGE_SIZE);
    assert_non_null(pool->pages);
    pool->left = POOL_PAGES;
    return pool;
}

/* Destroys the hierarchy and sees that each of its pages came back. */
static void pool_end(struct pool *pool, struct ept *ept)
{
    ept_destroy(ept);
    assert_int_equal(pool->in_use, 0);
    assert_int_equal(ept->pages, 0);
    free(pool->pages);
    free(pool);
}

/* Walks all tables with none of the code under test and checks the architecture's rules: no
 * misconfigured entry, each table linked once, #VE suppressed everywhere. Returns their count. */
static unsigned check_tables(struct pool *pool, uint64_t physical, unsigned level)
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

static void check_all(struct pool *pool, const struct ept *ept)
{
    unsigned count = check_tables(pool, ept_pointer(ept) & MASK(51, 12), 4);

    assert_int_equal(count, ept->pages);
    assert_int_equal(count, pool->in_use);
}

static void expect_walk(const struct ept *ept, uint64_t gpa, uint64_t address, uint64_t page,
                        uint64_t permissions, enum ept_memory_type type)
{
    struct ept_translation found;

    assert_int_equal(ept_walk(ept, gpa, &found), STATUS_OK);
    assert_int_equal(found.address, address);
    assert_int_equal(found.page_size, page);
    assert_int_equal(found.permissions, permissions);
    assert_int_equal(found.type, type);
}

static void expect_none(const struct ept *ept, uint64_t gpa)
{
    struct ept_translation found;

    assert_int_equal(ept_walk(ept, gpa, &found), STATUS_NOT_FOUND);
}

static void test_pointer(void **state)
{
    struct pool *pool = pool_new();
    struct ept ept;

    (void)state;
    assert_int_equal(ept_init(&ept, &ops, pool, true, false), STATUS_OK);
    assert_int_equal(ept_pointer(&ept), pool_physical(pool, ept.root) | 6 | 3 << 3);
    expect_none(&ept, 0);
    expect_none(&ept, BIT(48) - 1);
    expect_none(&ept, BIT(48));
    expect_none(&ept, UINT64_MAX);
    ept_destroy(&ept);
    assert_int_equal(ept_init(&ept, &ops, pool, true, true), STATUS_OK);
    assert_int_equal(ept_pointer(&ept), pool_physical(pool, ept.root) | 6 | 3 << 3 | BIT(6));
    ept_destroy(&ept);
    pool->left = 0;
    assert_int_equal(ept_init(&ept, &ops, pool, true, true), STATUS_NO_MEMORY);
    free(pool->pages);
    free(pool);
}

/* The largest pages that alignment and length allow, up to the largest that the CPU has. */
static void test_page_sizes(void **state)
{
    for (unsigned with_1g = 0; with_1g < 2; with_1g++) {
        struct pool *pool = pool_new();
        struct ept ept;
        uint64_t big = with_1g ? SIZE_1G : SIZE_2M;
        (void)state;
        assert_int_equal(ept_init(&ept, &ops, pool, with_1g, false), STATUS_OK);
        /* From 4 KiB below a gibibyte to 4 KiB beyond 2 MiB behind the next one. */
        uint64_t from = SIZE_1G - PAGE_SIZE;
        uint64_t size = SIZE_1G + SIZE_2M + 2 * PAGE_SIZE;
        assert_int_equal(ept_map(&ept, from, 7 * SIZE_1G + from, size, RW, EPT_WRITE_BACK),
                         STATUS_OK);
        expect_none(&ept, from - 1);
        expect_walk(&ept, from + 5, 7 * SIZE_1G + from + 5, PAGE_SIZE, RW, EPT_WRITE_BACK);
        expect_walk(&ept, SIZE_1G, 8 * SIZE_1G, big, RW, EPT_WRITE_BACK);
        expect_walk(&ept, 2 * SIZE_1G - 1, 9 * SIZE_1G - 1, big, RW, EPT_WRITE_BACK);
        expect_walk(&ept, 2 * SIZE_1G, 9 * SIZE_1G, SIZE_2M, RW, EPT_WRITE_BACK);
        expect_walk(&ept, 2 * SIZE_1G + SIZE_2M, 9 * SIZE_1G + SIZE_2M, PAGE_SIZE, RW,
                    EPT_WRITE_BACK);
        expect_none(&ept, from + size);
        /* Address and guest address out of step: only 4 KiB pages will do. */
        assert_int_equal(ept_map(&ept, 16 * SIZE_1G, PAGE_SIZE, 2 * SIZE_2M, RWX, EPT_UNCACHED),
                         STATUS_OK);
        expect_walk(&ept, 16 * SIZE_1G + SIZE_2M + 1, SIZE_2M + PAGE_SIZE + 1, PAGE_SIZE, RWX,
                    EPT_UNCACHED);
        check_all(pool, &ept);
        assert_int_equal(pool->changes, 0); /* nothing that was valid changed */
        pool_end(pool, &ept);
    }
}

static void test_split(void **state)
{
    struct pool *pool = pool_new();
    struct ept ept;

    (void)state;
    assert_int_equal(ept_init(&ept, &ops, pool, true, false), STATUS_OK);
    assert_int_equal(ept_map(&ept, 0, 4 * SIZE_1G, 2 * SIZE_1G, RW, EPT_WRITE_BACK), STATUS_OK);
    assert_int_equal(ept.pages, 2); /* the root and one table of 1 GiB pages */
    /* While the page is being split, its neighbours must stay there. */
    pool->ept = &ept;
    pool->watched = SIZE_1G - 1;
    pool->watched_to = 5 * SIZE_1G - 1;
    assert_int_equal(ept_protect(&ept, SIZE_2M, PAGE_SIZE, EPT_READ), STATUS_OK);
    assert_true(pool->watches > 2);
    pool->ept = NULL;
    assert_int_equal(ept.pages, 4);
    assert_int_equal(pool->changes, 1);
    expect_walk(&ept, 0, 4 * SIZE_1G, SIZE_2M, RW, EPT_WRITE_BACK);
    expect_walk(&ept, SIZE_2M, 4 * SIZE_1G + SIZE_2M, PAGE_SIZE, EPT_READ, EPT_WRITE_BACK);
    expect_walk(&ept, SIZE_2M + PAGE_SIZE, 4 * SIZE_1G + SIZE_2M + PAGE_SIZE, PAGE_SIZE, RW,
                EPT_WRITE_BACK);
    expect_walk(&ept, 2 * SIZE_2M, 4 * SIZE_1G + 2 * SIZE_2M, SIZE_2M, RW, EPT_WRITE_BACK);
    expect_walk(&ept, SIZE_1G, 5 * SIZE_1G, SIZE_1G, RW, EPT_WRITE_BACK);
    /* A hole in the middle of the other gibibyte. */
    assert_int_equal(ept_unmap(&ept, SIZE_1G + PAGE_SIZE, SIZE_2M), STATUS_OK);
    assert_int_equal(pool->changes, 2);
    expect_walk(&ept, SIZE_1G, 5 * SIZE_1G, PAGE_SIZE, RW, EPT_WRITE_BACK);
    expect_none(&ept, SIZE_1G + PAGE_SIZE);
    expect_none(&ept, SIZE_1G + SIZE_2M);
    expect_walk(&ept, SIZE_1G + SIZE_2M + PAGE_SIZE, 5 * SIZE_1G + SIZE_2M + PAGE_SIZE, PAGE_SIZE,
                RW, EPT_WRITE_BACK);
    check_all(pool, &ept);
    pool_end(pool, &ept);
}

/* Each INVEPT that the SDM requires, and none that it does not. */
static void test_changed_when_due(void **state)
{
    struct pool *pool = pool_new();
    struct ept ept;

    (void)state;
    assert_int_equal(ept_init(&ept, &ops, pool, true, false), STATUS_OK);
    assert_int_equal(ept_unmap(&ept, 0, SIZE_1G), STATUS_OK);
    assert_int_equal(ept_protect(&ept, 0, SIZE_1G, EPT_READ), STATUS_OK);
    assert_int_equal(ept_map(&ept, SIZE_2M, 0, SIZE_2M, EPT_READ, EPT_WRITE_BACK), STATUS_OK);
    assert_int_equal(ept_map(&ept, SIZE_2M, 0, SIZE_2M, RW, EPT_WRITE_BACK), STATUS_EXISTS);
    assert_int_equal(ept_protect(&ept, 0, SIZE_1G, EPT_READ), STATUS_OK); /* as it was */
    assert_int_equal(ept_protect(&ept, 0, SIZE_1G, RWX), STATUS_OK);      /* more */
    assert_int_equal(pool->changes, 0);
    assert_int_equal(ept_protect(&ept, 0, SIZE_1G, EPT_READ | EPT_EXECUTE), STATUS_OK);
    assert_int_equal(pool->changes, 1); /* less */
    assert_int_equal(ept_protect(&ept, 0, SIZE_1G, RW), STATUS_OK);
    assert_int_equal(pool->changes, 2); /* more of one, less of another */
    assert_int_equal(ept_unmap(&ept, 0, SIZE_2M), STATUS_OK);
    assert_int_equal(pool->changes, 2); /* beside it */
    assert_int_equal(ept_unmap(&ept, 0, SIZE_2M + PAGE_SIZE), STATUS_OK);
    assert_int_equal(pool->changes, 3);
    assert_int_equal(ept_unmap(&ept, 0, SIZE_1G), STATUS_OK);
    assert_int_equal(pool->changes, 4);
    assert_int_equal(ept_unmap(&ept, 0, SIZE_1G), STATUS_OK);
    assert_int_equal(pool->changes, 4);
    pool_end(pool, &ept);
}

static void test_refused(void **state)
{
    static const struct {
        uint64_t gpa, address, size, permissions;
    } bad[] = {
        {0, 0, 0, RW},
        {1, 0, PAGE_SIZE, RW},
        {0, 1, PAGE_SIZE, RW},
        {0, 0, PAGE_SIZE + 1, RW},
        {0, 0, 0x800, RW},
        {BIT(48), 0, PAGE_SIZE, RW},
        {BIT(48) - PAGE_SIZE, 0, 2 * PAGE_SIZE, RW},
        {UINT64_MAX - PAGE_SIZE + 1, 0, PAGE_SIZE, RW},
        {UINT64_MAX - PAGE_SIZE + 1, 0, 2 * PAGE_SIZE, RW},
        {PAGE_SIZE, 0, UINT64_MAX - PAGE_SIZE + 1, RW},
        {0, 0, BIT(48) + PAGE_SIZE, RW},
        {0, BIT(52), PAGE_SIZE, RW},
        {0, BIT(63), PAGE_SIZE, RW},
        {0, BIT(52) - PAGE_SIZE, 2 * PAGE_SIZE, RW},
        {0, UINT64_MAX - PAGE_SIZE + 1, 2 * PAGE_SIZE, RW},
        {0, 0, PAGE_SIZE, 0},
        {0, 0, PAGE_SIZE, EPT_WRITE},
        {0, 0, PAGE_SIZE, EPT_WRITE | EPT_EXECUTE},
        {0, 0, PAGE_SIZE, 8 | EPT_READ},
        {0, 0, PAGE_SIZE, BIT(63) | EPT_READ},
    };
    struct pool *pool = pool_new();
    struct ept ept;

    (void)state;
    assert_int_equal(ept_init(&ept, &ops, pool, true, false), STATUS_OK);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(ept_map(&ept, bad[i].gpa, bad[i].address, bad[i].size, bad[i].permissions,
                                 EPT_WRITE_BACK),
                         STATUS_INVALID);
        if (bad[i].address == 0) {
            assert_int_equal(ept_protect(&ept, bad[i].gpa, bad[i].size, bad[i].permissions),
                             STATUS_INVALID);
        }
        if (bad[i].address == 0 && bad[i].permissions == RW) {
            assert_int_equal(ept_unmap(&ept, bad[i].gpa, bad[i].size), STATUS_INVALID);
        }
    }
    assert_int_equal(ept.pages, 1);
    /* The very last pages of either space are right. */
    assert_int_equal(ept_map(&ept, BIT(48) - PAGE_SIZE, BIT(52) - PAGE_SIZE, PAGE_SIZE, EPT_EXECUTE,
                             EPT_UNCACHED),
                     STATUS_OK);
    expect_walk(&ept, BIT(48) - 1, BIT(52) - 1, PAGE_SIZE, EPT_EXECUTE, EPT_UNCACHED);
    /* One page in the way of a large mapping, at its far end: nothing of it may come. */
    assert_int_equal(ept_map(&ept, BIT(48) - SIZE_1G, 0, SIZE_1G, RW, EPT_WRITE_BACK),
                     STATUS_EXISTS);
    expect_none(&ept, BIT(48) - SIZE_1G);
    expect_none(&ept, BIT(48) - PAGE_SIZE - 1);
    check_all(pool, &ept);
    pool_end(pool, &ept);
}

/* A mapping for which tables run out anywhere leaves nothing of itself. */
static void test_map_out_of_tables(void **state)
{
    uint64_t from = 512 * SIZE_1G - SIZE_1G - PAGE_SIZE; /* across two tables of each level */
    uint64_t size = SIZE_1G + SIZE_2M + 2 * PAGE_SIZE;
    uint64_t address = 16 * SIZE_1G - PAGE_SIZE;
    unsigned tables = 0;

    (void)state;
    for (status_t status = STATUS_NO_MEMORY; status != STATUS_OK; tables++) {
        struct pool *pool = pool_new();
        struct ept ept;
        assert_true(tables < 32);
        assert_int_equal(ept_init(&ept, &ops, pool, true, false), STATUS_OK);
        pool->left = tables;
        status = ept_map(&ept, from, address, size, RW, EPT_WRITE_BACK);
        pool->left = POOL_PAGES;
        check_all(pool, &ept);
        if (status == STATUS_OK) {
            assert_int_equal(pool->changes, 0);
            pool_end(pool, &ept);
            break;
        }
        assert_int_equal(status, STATUS_NO_MEMORY);
        for (uint64_t at = from; at < from + size; at += 63 * PAGE_SIZE) {
            expect_none(&ept, at);
        }
        expect_none(&ept, from + size - 1);
        /* What was there for a moment may be in a TLB. Before the second table of 4 KiB pages none
         * was. */
        assert_int_equal(pool->changes, tables < 3 ? 0 : 1);
        assert_int_equal(ept_map(&ept, from, address, size, RW, EPT_WRITE_BACK), STATUS_OK);
        pool_end(pool, &ept);
    }
    assert_int_equal(tables, 6);
}

/* Without a table for the split, the edge stays as it was and what was done before it is told. */
static void test_change_out_of_tables(void **state)
{
    struct pool *pool = pool_new();
    struct ept ept;

    (void)state;
    assert_int_equal(ept_init(&ept, &ops, pool, true, false), STATUS_OK);
    assert_int_equal(ept_map(&ept, 0, 0, 2 * SIZE_1G, RW, EPT_WRITE_BACK), STATUS_OK);
    pool->left = 0;
    assert_int_equal(ept_unmap(&ept, PAGE_SIZE, PAGE_SIZE), STATUS_NO_MEMORY);
    assert_int_equal(ept_protect(&ept, PAGE_SIZE, PAGE_SIZE, EPT_READ), STATUS_NO_MEMORY);
    assert_int_equal(pool->changes, 0);
    expect_walk(&ept, PAGE_SIZE, PAGE_SIZE, SIZE_1G, RW, EPT_WRITE_BACK);
    assert_int_equal(ept_unmap(&ept, 0, SIZE_1G + PAGE_SIZE), STATUS_NO_MEMORY);
    assert_int_equal(pool->changes, 1);
    expect_none(&ept, 0);
    expect_walk(&ept, SIZE_1G, SIZE_1G, SIZE_1G, RW, EPT_WRITE_BACK);
    pool->left = 1; /* of the two that it needs: split once, nothing taken out */
    assert_int_equal(ept_unmap(&ept, SIZE_1G, PAGE_SIZE), STATUS_NO_MEMORY);
    assert_int_equal(pool->changes, 1);
    expect_walk(&ept, SIZE_1G, SIZE_1G, SIZE_2M, RW, EPT_WRITE_BACK);
    check_all(pool, &ept);
    pool_end(pool, &ept);
}

/* The flat model: 3 GiB, an entry per 4 KiB page: address, permissions and type as in a leaf. */
#define MODEL_BASE  (511 * SIZE_1G) /* crosses a boundary of the top level */
#define MODEL_PAGES (3 * SIZE_1G / PAGE_SIZE)

struct range {
    uint64_t first, count; /* pages of the model */
};

static struct range random_range(struct random *random)
{
    static const uint64_t units[] = {1, 1, 512, 512, 512 * 512};
    uint64_t unit = units[random_below(random, ARRAY_SIZE(units))];
    uint64_t first = random_below(random, (uint32_t)(MODEL_PAGES / unit)) * unit;
    uint64_t count = unit == 512 * 512 ? unit : (1 + random_below(random, 90)) * unit;

    if (random_below(random, 4) == 0 && first + unit < MODEL_PAGES) {
        first += random_below(random, 3);
    }
    if (random_below(random, 4) == 0) {
        count += random_below(random, 3);
    }
    if (count > MODEL_PAGES - first) {
        count = MODEL_PAGES - first;
    }
    return (struct range){first, count};
}

static bool model_any(const uint64_t *model, struct range r)
{
    for (uint64_t i = 0; i < r.count; i++) {
        if (model[r.first + i] != 0) {
            return true;
        }
    }
    return false;
}

/* Applies a change and says whether an INVEPT is due. */
static bool model_change(uint64_t *model, struct range r, uint64_t permissions)
{
    bool due = false;

    for (uint64_t i = 0; i < r.count; i++) {
        uint64_t *page = &model[r.first + i];
        due |= (*page & 7 & ~permissions) != 0;
        if (*page != 0) {
            *page = permissions == 0 ? 0 : (*page & ~7ull) | permissions;
        }
    }
    return due;
}

static void model_check(const struct ept *ept, const uint64_t *model, uint64_t page)
{
    struct ept_translation found;
    status_t status = ept_walk(ept, MODEL_BASE + page * PAGE_SIZE + 0x123, &found);

    if (model[page] == 0) {
        assert_int_equal(status, STATUS_NOT_FOUND);
        return;
    }
    assert_int_equal(status, STATUS_OK);
    assert_int_equal(found.address, (model[page] & MASK(51, 12)) + 0x123);
    assert_int_equal(found.permissions, model[page] & 7);
    assert_int_equal(found.type, model[page] >> 3 & 7);
}

static void model_check_range(const struct ept *ept, const uint64_t *model, struct range r)
{
    uint64_t step = r.count / 50 + 1;

    for (uint64_t i = 0; i < r.count; i += step) {
        model_check(ept, model, r.first + i);
    }
    model_check(ept, model, r.first + r.count - 1);
    if (r.first > 0) {
        model_check(ept, model, r.first - 1);
    }
    if (r.first + r.count < MODEL_PAGES) {
        model_check(ept, model, r.first + r.count);
    }
}

static void random_map(struct ept *ept, uint64_t *model, struct range r, struct random *random)
{
    static const uint64_t permissions[] = {1, 3, 4, 5, 7};
    uint64_t address = (uint64_t)random_below(random, 1u << 20) * SIZE_2M;
    uint64_t leaf = permissions[random_below(random, 5)];
    enum ept_memory_type type = random_below(random, 2) == 0 ? EPT_UNCACHED : EPT_WRITE_BACK;

    if (random_below(random, 2) == 0) {
        /* In step with the guest address, so that large pages can be. */
        address = align_down(address, SIZE_1G) + r.first * PAGE_SIZE;
    }
    status_t expected = model_any(model, r) ? STATUS_EXISTS : STATUS_OK;
    assert_int_equal(
        ept_map(ept, MODEL_BASE + r.first * PAGE_SIZE, address, r.count * PAGE_SIZE, leaf, type),
        expected);
    for (uint64_t i = 0; expected == STATUS_OK && i < r.count; i++) {
        model[r.first + i] = (address + i * PAGE_SIZE) | leaf | (uint64_t)type << 3;
    }
}

static void random_step(struct ept *ept, uint64_t *model, struct random *random)
{
    static const uint64_t permissions[] = {1, 3, 4, 5, 7};
    struct pool *pool = ept->context;
    struct range r = random_range(random);
    uint64_t gpa = MODEL_BASE + r.first * PAGE_SIZE, size = r.count * PAGE_SIZE;
    bool due = false;

    pool->changes = 0;
    switch (random_below(random, 4)) {
    case 0:
        assert_int_equal(ept_unmap(ept, gpa, size), STATUS_OK);
        due = model_change(model, r, 0);
        break;
    case 1: {
        uint64_t p = permissions[random_below(random, 5)];
        assert_int_equal(ept_protect(ept, gpa, size, p), STATUS_OK);
        due = model_change(model, r, p);
        break;
    }
    default:
        random_map(ept, model, r, random);
        break;
    }
    assert_int_equal(pool->changes, due ? 1 : 0);
    model_check_range(ept, model, r);
}

static void test_random_against_model(void **state)
{
    struct random random = {2024};

    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        struct pool *pool = pool_new();
        uint64_t *model = calloc(MODEL_PAGES, sizeof(*model));
        struct ept ept;
        assert_non_null(model);
        assert_int_equal(ept_init(&ept, &ops, pool, round % 2 == 0, false), STATUS_OK);
        for (unsigned i = 0; i < 1200; i++) {
            random_step(&ept, model, &random);
        }
        for (uint64_t page = 0; page < MODEL_PAGES; page++) {
            model_check(&ept, model, page);
        }
        check_all(pool, &ept);
        free(model);
        pool_end(pool, &ept);
    }
}

/* Any numbers at all: nothing that is not a range of pages is taken, and the rules stay kept. */
static void test_random_hostile(void **state)
{
    static const uint64_t edges[] = {
        0,       1,         0xfff,          PAGE_SIZE, SIZE_2M,     SIZE_1G,
        BIT(39), BIT(47),   BIT(48),        BIT(51),   BIT(52),     BIT(63),
        ~0ull,   ~0xfffull, ~(BIT(48) - 1), BIT(30),   BIT(12) * 3, BIT(48) - PAGE_SIZE};
    struct random random = {77};
    struct pool *pool = pool_new();
    struct ept ept;

    (void)state;
    assert_int_equal(ept_init(&ept, &ops, pool, true, false), STATUS_OK);
    for (unsigned i = 0; i < 6000; i++) {
        uint64_t gpa = edges[random_below(&random, ARRAY_SIZE(edges))];
        uint64_t address = edges[random_below(&random, ARRAY_SIZE(edges))];
        uint64_t size = edges[random_below(&random, ARRAY_SIZE(edges))];
        gpa += random_below(&random, 3) * PAGE_SIZE;
        size += random_below(&random, 3) * PAGE_SIZE;
        /* Whole terabytes take too long to take out; what is refused may have any size. */
        bool refused =
            size == 0 || (gpa | size) % PAGE_SIZE != 0 || gpa >= BIT(48) || size > BIT(48) - gpa;
        if (!refused && size > SIZE_1G + 2 * PAGE_SIZE) {
            continue;
        }
        status_t status =
            random_below(&random, 3) == 0
                ? ept_unmap(&ept, gpa, size)
                : ept_map(&ept, gpa, address, size, random_below(&random, 8), EPT_WRITE_BACK);
        assert_true(!refused || status == STATUS_INVALID);
        assert_int_not_equal(status, STATUS_BUSY);
    }
    check_all(pool, &ept);
    pool_end(pool, &ept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pointer),
        cmocka_unit_test(test_page_sizes),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_changed_when_due),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_map_out_of_tables),
        cmocka_unit_test(test_change_out_of_tables),
        cmocka_unit_test(test_random_against_model),
        cmocka_unit_test(test_random_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
