/* SPDX-License-Identifier: BSD-2-Clause */
/* Which pages were written to: by dirty flags and by violations, against a CPU that walks the
 * tables as the SDM says, keeps what it found until it is told to invalidate, and writes meanwhile.
 */
#include "tests/unit/ept_pool.h"

#include "ept/dirty.h"
#include "tests/unit/random.h"

#define RAM     (4 * SIZE_2M + 3 * PAGE_SIZE) /* ends in small pages */
#define PAGES   (RAM / PAGE_SIZE)
#define WORDS   ((PAGES + 63) / 64)
#define AT      (16 * SIZE_1G) /* physical */
#define DIRTY   BIT(9)
#define GUARDED BIT(53)

struct machine {
    struct pool *pool;
    struct ept ept;
    bool cached[PAGES];  /* the CPU writes to it without a look at the tables */
    bool written[PAGES]; /* since the last harvest */
    uint64_t harvest[WORDS];
};

static void start(struct machine *m, bool flags, uint64_t size)
{
    memset(m, 0, sizeof(*m));
    m->pool = pool_new();
    assert_int_equal(ept_init(&m->ept, &pool_ops, m->pool, true, flags), STATUS_OK);
    assert_int_equal(ept_map(&m->ept, 0, AT, size, RWX, EPT_WRITE_BACK), STATUS_OK);
}

/* The entry that maps `gpa`, found with none of the code under test; NULL for none. */
static uint64_t *leaf_of(const struct machine *m, uint64_t gpa)
{
    uint64_t *table = m->ept.root;

    for (unsigned level = 4;; level--) {
        uint64_t *entry = &table[(gpa >> (12 + 9 * (level - 1))) % 512];
        if ((*entry & 7) == 0) {
            return NULL;
        }
        if (level == 1 || (*entry & BIT(7)) != 0) {
            return entry;
        }
        table = pool_virtual(m->pool, *entry & MASK(51, 12));
    }
}

/* The CPU writes to a page. Returns whether there was a violation. */
static bool write_page(struct machine *m, uint64_t page)
{
    uint64_t *leaf = leaf_of(m, page * PAGE_SIZE);
    bool violation = false;

    m->written[page] = true;
    if (m->cached[page]) {
        return false;
    }
    if ((*leaf & EPT_WRITE) == 0) {
        assert_true(ept_dirty_write(&m->ept, page * PAGE_SIZE + 8));
        violation = true;
    }
    assert_true((*leaf & EPT_WRITE) != 0);
    *leaf |= m->ept.accessed_dirty ? DIRTY | BIT(8) : 0;
    m->cached[page] = true;
    return violation;
}

static void invalidate(struct machine *m)
{
    memset(m->cached, 0, sizeof(m->cached));
}

/* Harvests, and sees that it is what was written. */
static void check_harvest(struct machine *m)
{
    unsigned changes = m->pool->changes;
    uint64_t expected = 0;

    memset(m->harvest, 0, sizeof(m->harvest));
    uint64_t count = ept_dirty_harvest(&m->ept, 0, RAM, m->harvest);
    for (uint64_t page = 0; page < PAGES; page++) {
        assert_int_equal(m->harvest[page / 64] >> page % 64 & 1, m->written[page]);
        expected += m->written[page];
    }
    assert_int_equal(count, expected);
    /* What CPUs have cached would hide the next writes. */
    assert_int_equal(m->pool->changes - changes, expected != 0);
    memset(m->written, 0, sizeof(m->written));
    invalidate(m);
}

static void begin(struct machine *m)
{
    assert_int_equal(ept_dirty_split(&m->ept, 0, RAM), STATUS_OK);
    (void)ept_dirty_harvest(&m->ept, 0, RAM, m->harvest);
    invalidate(m);
}

static void end(struct machine *m)
{
    void *tables[16];
    uint32_t count = ept_dirty_end(&m->ept, 0, RAM, tables, 16);

    ept_dirty_free(&m->ept, tables, count);
}

static void random_writes(bool flags)
{
    struct machine *m = malloc(sizeof(*m));
    struct random random = {31};

    start(m, flags, RAM);
    begin(m);
    check_harvest(m);
    for (unsigned round = 0; round < 200; round++) {
        for (unsigned writes = random_below(&random, 50); writes > 0; writes--) {
            uint64_t page = random_below(&random, PAGES);
            bool first = !m->written[page];
            assert_int_equal(write_page(m, page), !flags && first);
        }
        check_harvest(m);
    }
    check_harvest(m); /* nothing since */
    end(m);
    for (uint64_t page = 0; page < PAGES; page++) {
        *leaf_of(m, page * PAGE_SIZE) &= ~(BIT(8) | DIRTY); /* the CPU's own */
    }
    check_all(m->pool, &m->ept);
    pool_end(m->pool, &m->ept);
    free(m);
}

static void test_random_writes(void **state)
{
    (void)state;
    random_writes(true);
    random_writes(false);
}

/* The tables in between cost no translation; in the end it is all as it was before. */
static void large_pages_come_back(bool flags)
{
    struct machine *m = malloc(sizeof(*m));
    struct ept_sizes before, sizes;

    start(m, flags, RAM);
    ept_count_sizes(&m->ept, 0, RAM, &before);
    assert_true(before.pages_2m == 4 && before.pages_4k == 3 && before.pages_1g == 0);
    unsigned tables = m->ept.pages;
    m->pool->ept = &m->ept;
    m->pool->watched = SIZE_2M + 5 * PAGE_SIZE + 7;
    m->pool->watched_to = AT + m->pool->watched;
    for (unsigned round = 0; round < 3; round++) {
        begin(m);
        ept_count_sizes(&m->ept, 0, RAM, &sizes);
        assert_true(sizes.pages_2m == 0 && sizes.pages_4k == PAGES);
        (void)write_page(m, 3);
        (void)write_page(m, PAGES - 1);
        unsigned changes = m->pool->changes;
        end(m);
        assert_int_equal(m->pool->changes, changes + 1);
        ept_count_sizes(&m->ept, 0, RAM, &sizes);
        assert_memory_equal(&sizes, &before, sizeof(sizes));
        assert_int_equal(m->ept.pages, tables);
        invalidate(m);
    }
    assert_int_not_equal(m->pool->watches, 0);
    m->pool->ept = NULL;
    for (uint64_t page = 0; page < PAGES; page++) {
        assert_int_equal(*leaf_of(m, page * PAGE_SIZE) & (7 | GUARDED), RWX);
    }
    pool_end(m->pool, &m->ept);
    free(m);
}

static void test_large_pages_come_back(void **state)
{
    (void)state;
    large_pages_come_back(true);
    large_pages_come_back(false);
}

static void test_gibibyte(void **state)
{
    struct machine *m = malloc(sizeof(*m));
    struct ept_sizes sizes;
    void *tables[600];

    (void)state;
    start(m, false, 2 * SIZE_1G);
    ept_count_sizes(&m->ept, 0, 2 * SIZE_1G, &sizes);
    assert_true(sizes.pages_1g == 2 && sizes.pages_2m == 0 && sizes.pages_4k == 0);
    unsigned before = m->ept.pages;
    assert_int_equal(ept_dirty_split(&m->ept, 0, SIZE_1G), STATUS_OK);
    assert_int_equal(m->ept.pages, before + 513);
    ept_count_sizes(&m->ept, 0, 2 * SIZE_1G, &sizes);
    assert_true(sizes.pages_1g == 1 && sizes.pages_4k == SIZE_1G / PAGE_SIZE);
    uint32_t count = ept_dirty_end(&m->ept, 0, SIZE_1G, tables, 600);
    assert_int_equal(count, 513);
    /* CPUs may still walk through them. */
    assert_int_equal(m->ept.pages, before + 513);
    ept_dirty_free(&m->ept, tables, count);
    ept_count_sizes(&m->ept, 0, 2 * SIZE_1G, &sizes);
    assert_true(sizes.pages_1g == 2 && sizes.pages_2m == 0 && sizes.pages_4k == 0);
    check_all(m->pool, &m->ept);
    pool_end(m->pool, &m->ept);
    free(m);
}

/* Without room for all tables it is still right. */
static void test_no_room(void **state)
{
    struct machine *m = malloc(sizeof(*m));
    void *tables[2];

    (void)state;
    start(m, false, RAM);
    m->pool->left = 2;
    assert_int_equal(ept_dirty_split(&m->ept, 0, RAM), STATUS_NO_MEMORY);
    for (uint64_t page = 0; page < PAGES; page++) {
        struct ept_translation found;
        assert_int_equal(ept_walk(&m->ept, page * PAGE_SIZE, &found), STATUS_OK);
        assert_int_equal(found.address, AT + page * PAGE_SIZE);
    }
    m->pool->left = POOL_PAGES;
    begin(m);
    (void)write_page(m, 7);
    check_harvest(m);
    assert_int_equal(ept_dirty_end(&m->ept, 0, RAM, tables, 2), 2);
    ept_dirty_free(&m->ept, tables, 2);
    /* Guarded no more, in large pages or small ones. */
    for (uint64_t page = 0; page < PAGES; page++) {
        assert_int_equal(*leaf_of(m, page * PAGE_SIZE) & (7 | GUARDED), RWX);
    }
    end(m);
    check_all(m->pool, &m->ept);
    pool_end(m->pool, &m->ept);
    free(m);
}

/* Who may not write does not become a writer by it: other rights, other pages, holes. */
static void test_rights_are_kept(void **state)
{
    struct machine *m = malloc(sizeof(*m));
    const uint64_t read_only = 5 * PAGE_SIZE, hole = 6 * PAGE_SIZE, other = 7 * PAGE_SIZE;

    (void)state;
    start(m, false, RAM);
    assert_int_equal(ept_protect(&m->ept, read_only, PAGE_SIZE, EPT_READ | EPT_EXECUTE), STATUS_OK);
    assert_int_equal(ept_unmap(&m->ept, hole, PAGE_SIZE), STATUS_OK);
    begin(m);
    assert_false(ept_dirty_write(&m->ept, read_only));
    assert_false(ept_dirty_write(&m->ept, hole));
    assert_false(ept_dirty_write(&m->ept, RAM));
    assert_false(ept_dirty_write(&m->ept, BIT(48)));
    assert_false(ept_dirty_write(&m->ept, UINT64_MAX));
    /* A page that takes the place of a guarded one is not guarded: it has the rights that it is
     * given. */
    assert_true((*leaf_of(m, other) & GUARDED) != 0);
    assert_int_equal(ept_replace(&m->ept, other, 64 * SIZE_1G, EPT_READ | EPT_EXECUTE), STATUS_OK);
    assert_false(ept_dirty_write(&m->ept, other));
    assert_int_equal(ept_protect(&m->ept, other + PAGE_SIZE, PAGE_SIZE, EPT_READ), STATUS_OK);
    assert_false(ept_dirty_write(&m->ept, other + PAGE_SIZE));
    end(m);
    struct ept_translation found;
    assert_int_equal(ept_walk(&m->ept, read_only, &found), STATUS_OK);
    assert_int_equal(found.permissions, EPT_READ | EPT_EXECUTE);
    assert_int_equal(ept_walk(&m->ept, other, &found), STATUS_OK);
    assert_true(found.permissions == (EPT_READ | EPT_EXECUTE) && found.address == 64 * SIZE_1G);
    assert_int_equal(ept_walk(&m->ept, other + PAGE_SIZE, &found), STATUS_OK);
    assert_int_equal(found.permissions, EPT_READ);
    assert_int_equal(ept_walk(&m->ept, hole, &found), STATUS_NOT_FOUND);
    check_all(m->pool, &m->ept);
    pool_end(m->pool, &m->ept);
    free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_writes),   cmocka_unit_test(test_large_pages_come_back),
        cmocka_unit_test(test_gibibyte),        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_rights_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
