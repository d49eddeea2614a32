/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/ept_pool.h"

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
    assert_int_equal(ept_init(&ept, &pool_ops, pool, true, false), STATUS_OK);
    assert_int_equal(ept_pointer(&ept), pool_physical(pool, ept.root) | 6 | 3 << 3);
    expect_none(&ept, 0);
    expect_none(&ept, BIT(48) - 1);
    expect_none(&ept, BIT(48));
    expect_none(&ept, UINT64_MAX);
    ept_destroy(&ept);
    assert_int_equal(ept_init(&ept, &pool_ops, pool, true, true), STATUS_OK);
    assert_int_equal(ept_pointer(&ept), pool_physical(pool, ept.root) | 6 | 3 << 3 | BIT(6));
    ept_destroy(&ept);
    pool->left = 0;
    assert_int_equal(ept_init(&ept, &pool_ops, pool, true, true), STATUS_NO_MEMORY);
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
        assert_int_equal(ept_init(&ept, &pool_ops, pool, with_1g, false), STATUS_OK);
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
    assert_int_equal(ept_init(&ept, &pool_ops, pool, true, false), STATUS_OK);
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
    assert_int_equal(ept_init(&ept, &pool_ops, pool, true, false), STATUS_OK);
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
    assert_int_equal(ept_init(&ept, &pool_ops, pool, true, false), STATUS_OK);
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
        assert_int_equal(ept_init(&ept, &pool_ops, pool, true, false), STATUS_OK);
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
    assert_int_equal(ept_init(&ept, &pool_ops, pool, true, false), STATUS_OK);
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

/* From one mapped page to the next, whatever its size, over holes of any size. */
static void test_next(void **state)
{
    static const struct {
        uint64_t gpa, size;
    } mapped[] = {{0, SIZE_2M},
                  {SIZE_2M, PAGE_SIZE},
                  {3 * SIZE_1G, SIZE_1G},
                  {BIT(47) + 5 * PAGE_SIZE, PAGE_SIZE},
                  {BIT(48) - PAGE_SIZE, PAGE_SIZE}};
    struct pool *pool = pool_new();
    struct ept_translation found;
    uint64_t gpa = 0;
    struct ept ept;

    (void)state;
    assert_int_equal(ept_init(&ept, &pool_ops, pool, true, false), STATUS_OK);
    assert_int_equal(ept_next(&ept, &gpa, &found), STATUS_NOT_FOUND);
    for (unsigned i = 0; i < ARRAY_SIZE(mapped); i++) {
        assert_int_equal(
            ept_map(&ept, mapped[i].gpa, i * SIZE_1G, mapped[i].size, RW, EPT_WRITE_BACK),
            STATUS_OK);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(mapped); i++) {
        assert_int_equal(ept_next(&ept, &gpa, &found), STATUS_OK);
        assert_int_equal(gpa, mapped[i].gpa);
        assert_int_equal(found.page_size, mapped[i].size);
        assert_int_equal(found.address, i * SIZE_1G);
        gpa += found.page_size;
    }
    assert_int_equal(ept_next(&ept, &gpa, &found), STATUS_NOT_FOUND);
    /* In the middle of a page, and beyond all. */
    gpa = 3 * SIZE_1G + 0x1234567;
    assert_int_equal(ept_next(&ept, &gpa, &found), STATUS_OK);
    assert_int_equal(gpa, 3 * SIZE_1G + 0x1234567);
    assert_int_equal(found.address, 2 * SIZE_1G + 0x1234567);
    gpa = UINT64_MAX;
    assert_int_equal(ept_next(&ept, &gpa, &found), STATUS_NOT_FOUND);
    pool_end(pool, &ept);
}

/* A window that was moved about leaves empty tables; what is mapped keeps its own. */
static void test_reclaim(void **state)
{
    struct pool *pool = pool_new();
    struct ept ept;

    (void)state;
    assert_int_equal(ept_init(&ept, &pool_ops, pool, false, false), STATUS_OK);
    assert_int_equal(ept_map(&ept, 0, 4 * SIZE_2M, 2 * SIZE_2M, RWX, EPT_WRITE_BACK), STATUS_OK);
    unsigned kept = ept.pages;
    for (uint64_t i = 1; i < 20; i++) {
        uint64_t gpa = i * 3 * SIZE_1G + PAGE_SIZE;
        assert_int_equal(ept_map(&ept, gpa, SIZE_2M, PAGE_SIZE, RW, EPT_WRITE_BACK), STATUS_OK);
        assert_int_equal(ept_unmap(&ept, gpa, PAGE_SIZE), STATUS_OK);
    }
    assert_true(ept.pages > kept);
    ept_reclaim(&ept);
    assert_int_equal(ept.pages, kept);
    struct ept_translation found;
    assert_int_equal(ept_walk(&ept, SIZE_2M, &found), STATUS_OK);
    assert_int_equal(found.address, 5 * SIZE_2M);
    check_all(pool, &ept);
    pool_end(pool, &ept);
}

/* Tables out of some of the pool's pages, with what they map and who may be told of accesses. */
static void test_move_tables(void **state)
{
    struct pool *pool = pool_new();
    struct ept ept;

    (void)state;
    pool->next = 64;
    assert_int_equal(ept_init(&ept, &pool_ops, pool, false, false), STATUS_OK);
    pool->next = 0;
    assert_int_equal(ept_map(&ept, SIZE_1G, SIZE_1G, SIZE_2M + 3 * PAGE_SIZE, RW, EPT_WRITE_BACK),
                     STATUS_OK);
    assert_int_equal(ept_map(&ept, 700 * SIZE_1G, SIZE_2M, PAGE_SIZE, RWX, EPT_UNCACHED),
                     STATUS_OK);
    unsigned tables = ept.pages;
    assert_true(pool->used[0] && pool->used[tables - 2] && !pool->used[tables - 1]);
    /* Those that are free are not to be given out meanwhile. */
    pool->next = 64;
    assert_int_equal(ept_move_tables(&ept, pool->pages, 64 * PAGE_SIZE), STATUS_OK);
    for (unsigned i = 0; i < 64; i++) {
        assert_false(pool->used[i]);
    }
    assert_int_equal(ept.pages, tables);
    expect_walk(&ept, SIZE_1G, SIZE_1G, SIZE_2M, RW, EPT_WRITE_BACK);
    expect_walk(&ept, SIZE_1G + SIZE_2M, SIZE_1G + SIZE_2M, PAGE_SIZE, RW, EPT_WRITE_BACK);
    expect_walk(&ept, 700 * SIZE_1G, SIZE_2M, PAGE_SIZE, RWX, EPT_UNCACHED);
    expect_none(&ept, SIZE_1G + SIZE_2M + 3 * PAGE_SIZE);
    check_all(pool, &ept);
    /* Nothing to do; nowhere to go; and into the same pages. */
    assert_int_equal(ept_move_tables(&ept, pool->pages, 64 * PAGE_SIZE), STATUS_OK);
    unsigned left = pool->left;
    pool->left = 0;
    assert_int_equal(ept_move_tables(&ept, pool->pages + 64 * PAGE_SIZE, 64 * PAGE_SIZE),
                     STATUS_NO_MEMORY);
    pool->left = left;
    assert_int_equal(ept_move_tables(&ept, pool->pages, POOL_PAGES * PAGE_SIZE), STATUS_NO_MEMORY);
    expect_walk(&ept, 700 * SIZE_1G, SIZE_2M, PAGE_SIZE, RWX, EPT_UNCACHED);
    check_all(pool, &ept);
    pool_end(pool, &ept);
}

/* The entry that the CPU's walk for `gpa` ends at. */
static uint64_t last_entry(struct pool *pool, const struct ept *ept, uint64_t gpa)
{
    uint64_t entry = ept_pointer(ept);

    for (unsigned level = 4; level > 0; level--) {
        const uint64_t *table = pool_virtual(pool, entry & MASK(51, 12));
        entry = table[gpa >> (3 + 9 * level) & 511];
        if ((entry & 7) == 0 || (level < 4 && (entry & BIT(7)) != 0)) {
            break;
        }
    }
    return entry;
}

static bool is_convertible(struct pool *pool, const struct ept *ept, uint64_t gpa)
{
    return (last_entry(pool, ept, gpa) & BIT(63)) == 0;
}

/* Exactly the range that was asked for, of pages and of holes, and back. */
static void test_convertible(void **state)
{
    static const struct {
        uint64_t gpa, size;
    } ranges[] = {
        {5 * SIZE_1G, PAGE_SIZE},       {5 * SIZE_1G, SIZE_2M},
        {5 * SIZE_1G, SIZE_1G},         {SIZE_1G + PAGE_SIZE, PAGE_SIZE},
        {SIZE_1G, 3 * PAGE_SIZE},       {SIZE_1G, SIZE_2M},
        {SIZE_1G - PAGE_SIZE, SIZE_2M}, {2 * SIZE_1G - SIZE_2M, 2 * SIZE_2M},
    };
    struct pool *pool = pool_new();
    struct ept ept;

    (void)state;
    assert_int_equal(ept_init(&ept, &pool_ops, pool, true, true), STATUS_OK);
    assert_int_equal(ept_map(&ept, SIZE_1G, 0, SIZE_1G, RW, EPT_WRITE_BACK), STATUS_OK);
    for (unsigned i = 0; i < ARRAY_SIZE(ranges); i++) {
        uint64_t first = ranges[i].gpa;
        uint64_t end = first + ranges[i].size;
        unsigned changes = pool->changes;
        assert_int_equal(ept_set_convertible(&ept, first, ranges[i].size, true), STATUS_OK);
        assert_true(pool->changes > changes);
        assert_true(is_convertible(pool, &ept, first));
        assert_true(is_convertible(pool, &ept, end - 1));
        assert_false(is_convertible(pool, &ept, first - 1));
        assert_false(is_convertible(pool, &ept, end));
        assert_int_equal(last_entry(pool, &ept, SIZE_1G + PAGE_SIZE) & 7, RW);
        assert_int_equal(ept_set_convertible(&ept, first, ranges[i].size, false), STATUS_OK);
        check_all(pool, &ept); /* no entry is left convertible */
    }
    assert_int_equal(ept_set_convertible(&ept, 1, PAGE_SIZE, true), STATUS_INVALID);
    assert_int_equal(ept_set_convertible(&ept, 0, 0, true), STATUS_INVALID);
    /* A table that is made later in a convertible hole is convertible but for the page in it. */
    assert_int_equal(ept_set_convertible(&ept, 6 * SIZE_1G, SIZE_2M, true), STATUS_OK);
    assert_int_equal(ept_map(&ept, 6 * SIZE_1G, 0, PAGE_SIZE, RW, EPT_WRITE_BACK), STATUS_OK);
    assert_false(is_convertible(pool, &ept, 6 * SIZE_1G));
    assert_true(is_convertible(pool, &ept, 6 * SIZE_1G + PAGE_SIZE));
    pool_end(pool, &ept);
}

static void test_replace(void **state)
{
    struct pool *pool = pool_new();
    struct ept ept;

    (void)state;
    assert_int_equal(ept_init(&ept, &pool_ops, pool, true, true), STATUS_OK);
    assert_int_equal(ept_map(&ept, 0, SIZE_1G, SIZE_1G, RWX, EPT_WRITE_BACK), STATUS_OK);
    unsigned changes = pool->changes;
    assert_int_equal(ept_replace(&ept, SIZE_2M, 9 * SIZE_1G, EPT_READ), STATUS_OK);
    assert_int_equal(pool->changes, changes + 1);
    expect_walk(&ept, SIZE_2M, 9 * SIZE_1G, PAGE_SIZE, EPT_READ, EPT_WRITE_BACK);
    expect_walk(&ept, SIZE_2M - 1, SIZE_1G + SIZE_2M - 1, SIZE_2M, RWX, EPT_WRITE_BACK);
    expect_walk(&ept, SIZE_2M + PAGE_SIZE, SIZE_1G + SIZE_2M + PAGE_SIZE, PAGE_SIZE, RWX,
                EPT_WRITE_BACK);
    assert_int_equal(ept_replace(&ept, SIZE_1G, 0, RW), STATUS_NOT_FOUND);
    assert_int_equal(ept_replace(&ept, 1, 0, RW), STATUS_INVALID);
    assert_int_equal(ept_replace(&ept, 0, 1, RW), STATUS_INVALID);
    assert_int_equal(ept_replace(&ept, 0, 0, EPT_WRITE), STATUS_INVALID);
    assert_int_equal(ept_replace(&ept, BIT(48), 0, RW), STATUS_INVALID);
    pool->left = 0;
    assert_int_equal(ept_replace(&ept, 2 * SIZE_2M, 0, RW), STATUS_NO_MEMORY);
    expect_walk(&ept, 2 * SIZE_2M, SIZE_1G + 2 * SIZE_2M, SIZE_2M, RWX, EPT_WRITE_BACK);
    pool_end(pool, &ept);
}

/* Pages from anywhere, side by side; holes and pages of others stay what they are. */
static void test_map_pages(void **state)
{
    struct pool *pool = pool_new();
    struct ept ept;
    static const uint64_t pages[] = {SIZE_1G | RW, 0, PAGE_SIZE | EPT_READ, SIZE_1G | RWX};
    static const uint64_t bad[] = {EPT_WRITE,
                                   SIZE_1G,
                                   SIZE_1G | RW | BIT(3),
                                   SIZE_1G | RW | BIT(7),
                                   SIZE_1G | RW | BIT(52),
                                   SIZE_1G | RW | BIT(63)};
    uint64_t at = SIZE_2M - 2 * PAGE_SIZE; /* the last two lie in the next table */

    (void)state;
    assert_int_equal(ept_init(&ept, &pool_ops, pool, true, false), STATUS_OK);
    assert_int_equal(ept_map_pages(&ept, at, pages, 4), STATUS_OK);
    expect_walk(&ept, at, SIZE_1G, PAGE_SIZE, RW, EPT_WRITE_BACK);
    expect_none(&ept, at + PAGE_SIZE);
    expect_walk(&ept, at + 2 * PAGE_SIZE, PAGE_SIZE, PAGE_SIZE, EPT_READ, EPT_WRITE_BACK);
    expect_walk(&ept, at + 3 * PAGE_SIZE, SIZE_1G, PAGE_SIZE, RWX, EPT_WRITE_BACK);
    /* Of what cannot be mapped as a whole nothing is, and the page in the way stays. */
    assert_int_equal(ept_map_pages(&ept, at - 2 * PAGE_SIZE, pages, 4), STATUS_EXISTS);
    assert_int_equal(ept_map_pages(&ept, at + PAGE_SIZE, pages, 2), STATUS_EXISTS);
    expect_none(&ept, at - 2 * PAGE_SIZE);
    expect_none(&ept, at + PAGE_SIZE);
    expect_walk(&ept, at + 2 * PAGE_SIZE, PAGE_SIZE, PAGE_SIZE, EPT_READ, EPT_WRITE_BACK);
    assert_int_equal(pool->changes, 1); /* the page that was mapped for a moment */
    assert_int_equal(ept_map_pages(&ept, at + PAGE_SIZE, pages, 1), STATUS_OK);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(ept_map_pages(&ept, SIZE_1G, &bad[i], 1), STATUS_INVALID);
        expect_none(&ept, SIZE_1G);
    }
    assert_int_equal(ept_map_pages(&ept, 1, pages, 1), STATUS_INVALID);
    assert_int_equal(ept_map_pages(&ept, 0, pages, 0), STATUS_INVALID);
    assert_int_equal(ept_map_pages(&ept, BIT(48) - PAGE_SIZE, pages, 2), STATUS_INVALID);
    assert_int_equal(ept_map_pages(&ept, 0, pages, BIT(52)), STATUS_INVALID);
    assert_int_equal(ept_map_pages(&ept, 0, pages, ~0ull), STATUS_INVALID);
    /* A large page in the way is not split. */
    assert_int_equal(ept_map(&ept, 3 * SIZE_1G, 0, SIZE_2M, RW, EPT_WRITE_BACK), STATUS_OK);
    assert_int_equal(ept_map_pages(&ept, 3 * SIZE_1G, pages, 2), STATUS_EXISTS);
    expect_walk(&ept, 3 * SIZE_1G, 0, SIZE_2M, RW, EPT_WRITE_BACK);
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
        cmocka_unit_test(test_next),
        cmocka_unit_test(test_reclaim),
        cmocka_unit_test(test_move_tables),
        cmocka_unit_test(test_convertible),
        cmocka_unit_test(test_replace),
        cmocka_unit_test(test_map_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
