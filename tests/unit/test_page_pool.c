/* SPDX-License-Identifier: BSD-2-Clause */
/* Pools of given pages: what a view shows of them, that it takes no table to give, that nobody is
 * told to invalidate by it, and that whatever takes pages away tells. */
#include "tests/unit/ept_pool.h"
#include "tests/unit/random.h"

#include "vmfunc/page_pool.h"

#define SLOTS 1024u /* 4 MiB: two tables of small pages */
#define PAGE  (5 * SIZE_1G)
#define AT    (64 * SIZE_1G)
#define OTHER (65 * SIZE_1G + SIZE_2M)

struct world {
    struct pool *tables;
    struct ept ept;
    struct page_pool pool;
    uint64_t slots[SLOTS];
};

static struct world *world_new(void)
{
    struct world *world = calloc(1, sizeof(*world));

    assert_non_null(world);
    world->tables = pool_new();
    world->pool = (struct page_pool){.slots = world->slots, .count = SLOTS};
    assert_int_equal(ept_init(&world->ept, &pool_ops, world->tables, true, false), STATUS_OK);
    return world;
}

static struct world *world_shown(void)
{
    struct world *world = world_new();

    assert_int_equal(page_pool_show(&world->pool, &world->ept, AT), STATUS_OK);
    return world;
}

static void world_end(struct world *world)
{
    check_all(world->tables, &world->ept);
    pool_end(world->tables, &world->ept);
    free(world);
}

/* What is at a slot's place from `at` on must be what the pool says, and no more than that. */
static void expect_slot(const struct world *world, uint64_t at, uint64_t slot)
{
    struct ept_translation found;
    uint64_t page = world->slots[slot];
    status_t status = ept_walk(&world->ept, at + slot * PAGE_SIZE + 7, &found);

    assert_int_equal(page_pool_has(&world->pool, slot), page != 0);
    if (page == 0) {
        assert_int_equal(status, STATUS_NOT_FOUND);
        return;
    }
    assert_int_equal(status, STATUS_OK);
    assert_int_equal(found.address, (page & ~0xfffull) + 7);
    assert_int_equal(found.permissions, page & 0xfff);
    assert_int_equal(found.page_size, PAGE_SIZE);
    assert_int_equal(found.type, EPT_WRITE_BACK);
}

static void expect_all(const struct world *world, uint64_t at)
{
    uint32_t given = 0;

    for (uint64_t slot = 0; slot < SLOTS; slot++) {
        expect_slot(world, at, slot);
        given += world->slots[slot] != 0 ? 1 : 0;
    }
    assert_int_equal(world->pool.given, given);
}

static void expect_nothing(const struct world *world, uint64_t at)
{
    struct ept_translation found;

    for (uint64_t slot = 0; slot < SLOTS; slot++) {
        assert_int_equal(ept_walk(&world->ept, at + slot * PAGE_SIZE, &found), STATUS_NOT_FOUND);
    }
}

static void test_give(void **state)
{
    struct world *world = world_shown();

    (void)state;
    expect_all(world, AT);
    /* From here on no table is to be had. */
    world->tables->left = 0;
    for (uint64_t slot = 0; slot < SLOTS; slot++) {
        uint64_t rights = slot % 3 == 0 ? RW : EPT_READ;
        assert_int_equal(page_pool_give(&world->pool, slot, PAGE + 2 * slot * PAGE_SIZE, rights),
                         STATUS_OK);
    }
    assert_int_equal(world->pool.given, SLOTS);
    expect_all(world, AT);
    assert_int_equal(world->tables->changes, 0);
    world_end(world);
}

static void test_give_again(void **state)
{
    struct world *world = world_shown();
    struct page_pool *pool = &world->pool;

    (void)state;
    assert_int_equal(page_pool_give(pool, 3, PAGE, EPT_READ), STATUS_OK);
    assert_int_equal(page_pool_give(pool, 3, PAGE, EPT_READ), STATUS_OK);
    assert_int_equal(page_pool_give(pool, 3, PAGE, RW), STATUS_EXISTS);
    assert_int_equal(page_pool_give(pool, 3, PAGE + PAGE_SIZE, EPT_READ), STATUS_EXISTS);
    assert_int_equal(world->slots[3], PAGE | EPT_READ);
    assert_int_equal(page_pool_give(pool, 4, PAGE, RW), STATUS_OK); /* a page may be there twice */
    assert_int_equal(pool->given, 2);
    expect_all(world, AT);
    page_pool_take(pool, 3);
    assert_int_equal(page_pool_give(pool, 3, PAGE + PAGE_SIZE, RW), STATUS_OK);
    expect_all(world, AT);
    world_end(world);
}

static void test_refused(void **state)
{
    struct world *world = world_shown();
    struct page_pool *pool = &world->pool;
    static const uint64_t slots[] = {SLOTS, SLOTS + 1, BIT(32), BIT(32) + 1, BIT(52), ~0ull};
    static const uint64_t rights[] = {
        0, EPT_WRITE, EPT_EXECUTE, RWX, EPT_READ | EPT_EXECUTE, EPT_READ | BIT(7)};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(slots); i++) {
        assert_int_equal(page_pool_give(pool, slots[i], PAGE, RW), STATUS_INVALID);
        assert_false(page_pool_has(pool, slots[i]));
        page_pool_take(pool, slots[i]);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(rights); i++) {
        assert_int_equal(page_pool_give(pool, 0, PAGE, rights[i]), STATUS_INVALID);
    }
    for (uint64_t odd = 1; odd < PAGE_SIZE; odd <<= 1) {
        assert_int_equal(page_pool_give(pool, 0, PAGE + odd, EPT_READ), STATUS_INVALID);
    }
    assert_int_equal(pool->given, 0);
    expect_all(world, AT);
    world_end(world);
}

static void test_take_tells(void **state)
{
    struct world *world = world_shown();
    struct page_pool *pool = &world->pool;

    (void)state;
    page_pool_take(pool, 0);
    page_pool_take_all(pool);
    assert_int_equal(world->tables->changes, 0);
    for (uint64_t slot = 0; slot < SLOTS; slot += 5) {
        assert_int_equal(page_pool_give(pool, slot, PAGE + slot * PAGE_SIZE, RW), STATUS_OK);
    }
    page_pool_take(pool, 515);
    assert_int_equal(world->tables->changes, 1);
    expect_all(world, AT);
    page_pool_take(pool, 515);
    page_pool_take(pool, 516);
    assert_int_equal(world->tables->changes, 1);
    page_pool_take_all(pool);
    assert_int_equal(world->tables->changes, 2);
    assert_int_equal(pool->given, 0);
    expect_all(world, AT);
    world_end(world);
}

/* What is given stays given while no view shows it, and is there when one does. */
static void test_hidden_and_shown(void **state)
{
    struct world *world = world_new();
    struct page_pool *pool = &world->pool;

    (void)state;
    assert_int_equal(page_pool_give(pool, 1, PAGE, EPT_READ), STATUS_OK);
    assert_int_equal(page_pool_give(pool, 700, PAGE + PAGE_SIZE, RW), STATUS_OK);
    page_pool_hide(pool);
    expect_nothing(world, AT);
    assert_int_equal(page_pool_show(pool, &world->ept, AT), STATUS_OK);
    expect_all(world, AT);
    assert_int_equal(world->tables->changes, 0);
    page_pool_hide(pool);
    assert_int_equal(world->tables->changes, 1);
    expect_nothing(world, AT);
    page_pool_take(pool, 1);
    assert_int_equal(page_pool_give(pool, 2, PAGE, RW), STATUS_OK);
    assert_int_equal(world->tables->changes, 1);
    /* Elsewhere, across the end of a table. */
    uint64_t at = OTHER + 512 * PAGE_SIZE - 3 * PAGE_SIZE;
    assert_int_equal(page_pool_show(pool, &world->ept, at), STATUS_OK);
    expect_all(world, at);
    expect_nothing(world, AT);
    world_end(world);
}

/* The view goes with its tables: nothing of it is touched any more. */
static void test_view_is_gone(void **state)
{
    struct world *world = world_shown();

    (void)state;
    assert_int_equal(page_pool_give(&world->pool, 9, PAGE, RW), STATUS_OK);
    ept_destroy(&world->ept);
    page_pool_hidden(&world->pool);
    assert_int_equal(page_pool_give(&world->pool, 10, PAGE, RW), STATUS_OK);
    page_pool_take(&world->pool, 9);
    page_pool_hide(&world->pool);
    assert_int_equal(ept_init(&world->ept, &pool_ops, world->tables, true, false), STATUS_OK);
    assert_int_equal(page_pool_show(&world->pool, &world->ept, AT), STATUS_OK);
    expect_all(world, AT);
    world_end(world);
}

/* Where something else is, or without tables, it stays hidden, and what is given is kept. */
static void test_cannot_be_shown(void **state)
{
    static const uint64_t sizes[] = {PAGE_SIZE, SIZE_2M};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        for (uint64_t where = 0; where < SLOTS * PAGE_SIZE; where += SIZE_2M) {
            struct world *world = world_new();
            struct ept_translation found;
            assert_int_equal(page_pool_give(&world->pool, 0, PAGE, RW), STATUS_OK);
            assert_int_equal(
                ept_map(&world->ept, AT + where, SIZE_1G, sizes[i], RW, EPT_WRITE_BACK), STATUS_OK);
            assert_int_equal(page_pool_show(&world->pool, &world->ept, AT), STATUS_EXISTS);
            assert_int_equal(ept_walk(&world->ept, AT + where, &found), STATUS_OK);
            assert_int_equal(found.address, SIZE_1G);
            assert_int_equal(found.page_size, sizes[i]);
            assert_int_equal(ept_unmap(&world->ept, AT + where, sizes[i]), STATUS_OK);
            expect_nothing(world, AT);
            assert_int_equal(page_pool_give(&world->pool, 1, PAGE, RW), STATUS_OK);
            expect_nothing(world, AT);
            assert_int_equal(page_pool_show(&world->pool, &world->ept, AT), STATUS_OK);
            expect_all(world, AT);
            world_end(world);
        }
    }
    for (unsigned left = 0; left < 4; left++) {
        struct world *world = world_new();
        assert_int_equal(page_pool_give(&world->pool, 0, PAGE, RW), STATUS_OK);
        world->tables->left = left;
        assert_int_equal(page_pool_show(&world->pool, &world->ept, AT), STATUS_NO_MEMORY);
        expect_nothing(world, AT);
        world->tables->left = 4 - left;
        assert_int_equal(page_pool_show(&world->pool, &world->ept, AT), STATUS_OK);
        expect_all(world, AT);
        world_end(world);
    }
    struct world *world = world_new();
    assert_int_equal(page_pool_show(&world->pool, &world->ept, AT + 1), STATUS_INVALID);
    assert_int_equal(page_pool_show(&world->pool, &world->ept, BIT(48) - SIZE_2M), STATUS_INVALID);
    assert_int_equal(page_pool_show(&world->pool, &world->ept, ~0xfffull), STATUS_INVALID);
    assert_null(world->pool.ept);
    world_end(world);
}

static void random_step(struct world *world, struct random *random)
{
    struct page_pool *pool = &world->pool;
    uint64_t slot = random_below(random, SLOTS + 8);
    unsigned changes = world->tables->changes;
    bool had = page_pool_has(pool, slot), shown = pool->ept != NULL;

    switch (random_below(random, 32)) {
    case 0:
        page_pool_take_all(pool);
        break;
    case 1:
        page_pool_hide(pool);
        break;
    case 2:
    case 3:
        if (!shown) {
            assert_int_equal(page_pool_show(pool, &world->ept, AT), STATUS_OK);
            assert_int_equal(world->tables->changes, changes);
        }
        break;
    case 4:
    case 5:
    case 6:
        page_pool_take(pool, slot);
        assert_int_equal(world->tables->changes - changes, had && shown ? 1 : 0);
        break;
    default:
        (void)!page_pool_give(pool, slot, PAGE + random_below(random, 4) * PAGE_SIZE,
                              random_below(random, 2) == 0 ? RW : EPT_READ);
        assert_int_equal(world->tables->changes, changes);
        break;
    }
}

static void test_random(void **state)
{
    struct world *world = world_new();
    struct random random = {4711};

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        random_step(world, &random);
        if (i % 100 == 0) {
            if (world->pool.ept != NULL) {
                expect_all(world, AT);
            } else {
                expect_nothing(world, AT);
            }
        }
    }
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_give),
        cmocka_unit_test(test_give_again),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_take_tells),
        cmocka_unit_test(test_hidden_and_shown),
        cmocka_unit_test(test_view_is_gone),
        cmocka_unit_test(test_cannot_be_shown),
        cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
