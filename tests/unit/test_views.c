/* SPDX-License-Identifier: BSD-2-Clause */
/* Views over made-up memory: what each opens, what they share, what they cost, and that whatever
 * takes a translation away asks for an invalidation. */
#include "tests/unit/ept_pool.h"

#include "vmfunc/ve.h"
#include "vmfunc/views.h"

#define RAM_SIZE   (SIZE_1G + 4 * SIZE_2M)
#define RAM        (16 * SIZE_1G)
#define GATE       (40 * SIZE_1G)
#define GATE_GPA   0xfed00000ull
#define GATE_PAGES 2u
#define WINDOW_GPA (64 * SIZE_1G)
#define WINDOW     (48 * SIZE_1G)
#define RX         (EPT_READ | EPT_EXECUTE)

struct world {
    struct pool *pool;
    struct ept own;
    struct ept table[VIEWS_MAX];
    struct views views;
};

static struct world *world_new(void)
{
    struct world *world = calloc(1, sizeof(*world));

    assert_non_null(world);
    world->pool = pool_new();
    assert_int_equal(ept_init(&world->own, &pool_ops, world->pool, true, true), STATUS_OK);
    assert_int_equal(ept_map(&world->own, 0, RAM, RAM_SIZE, RWX, EPT_WRITE_BACK), STATUS_OK);
    world->views = (struct views){
        .own = &world->own,
        .views = world->table,
        .ram = RAM,
        .ram_size = RAM_SIZE,
        .gate_gpa = GATE_GPA,
        .gate = GATE,
        .gate_pages = GATE_PAGES,
    };
    assert_int_equal(views_init(&world->views), STATUS_OK);
    return world;
}

static void world_end(struct world *world)
{
    views_destroy(&world->views);
    pool_end(world->pool, &world->own);
    free(world);
}

static void expect(const struct world *world, uint32_t view, uint64_t gpa, uint64_t address,
                   uint64_t rights)
{
    struct ept_translation found;

    assert_int_equal(ept_walk(views_ept(&world->views, view), gpa, &found), STATUS_OK);
    assert_int_equal(found.address, address);
    assert_int_equal(found.permissions, rights);
    assert_int_equal(found.type, EPT_WRITE_BACK);
}

static void expect_none(const struct world *world, uint32_t view, uint64_t gpa)
{
    struct ept_translation found;

    assert_int_equal(ept_walk(views_ept(&world->views, view), gpa, &found), STATUS_NOT_FOUND);
}

static uint32_t create(struct world *world)
{
    uint32_t view = 0;

    assert_int_equal(views_create(&world->views, &view), STATUS_OK);
    return view;
}

static void map_window(struct world *world, uint32_t view, uint64_t size)
{
    struct ept *ept = views_ept(&world->views, view);

    assert_int_equal(ept_map(ept, WINDOW_GPA, WINDOW, size, RW, EPT_WRITE_BACK), STATUS_OK);
}

static void test_what_views_open(void **state)
{
    struct world *world = world_new();
    uint32_t view = create(world);

    (void)state;
    assert_int_equal(view, 1);
    map_window(world, view, SIZE_2M);
    expect(world, 0, 0, RAM, RWX);
    expect(world, 0, RAM_SIZE - 1, RAM + RAM_SIZE - 1, RWX);
    expect(world, 0, GATE_GPA, GATE, RX);
    expect(world, 0, GATE_GPA + PAGE_SIZE, GATE + PAGE_SIZE, EPT_READ);
    expect_none(world, 0, GATE_GPA + GATE_PAGES * PAGE_SIZE);
    expect_none(world, 0, WINDOW_GPA);
    /* Memory as before, and not one byte of it executable. */
    for (uint64_t gpa = 0; gpa < RAM_SIZE; gpa += SIZE_2M / 2) {
        expect(world, view, gpa, RAM + gpa, RW);
    }
    expect_none(world, view, RAM_SIZE);
    expect(world, view, GATE_GPA, GATE, RX);
    expect(world, view, GATE_GPA + PAGE_SIZE, GATE + PAGE_SIZE, RX);
    expect_none(world, view, GATE_GPA - 1);
    expect_none(world, view, GATE_GPA + GATE_PAGES * PAGE_SIZE);
    expect(world, view, WINDOW_GPA + 5, WINDOW + 5, RW);
    world_end(world);
}

static void test_windows_are_apart(void **state)
{
    struct world *world = world_new();
    uint32_t one = create(world);
    uint32_t two = create(world);

    (void)state;
    assert_int_not_equal(ept_pointer(views_ept(&world->views, one)),
                         ept_pointer(views_ept(&world->views, two)));
    map_window(world, one, PAGE_SIZE);
    expect_none(world, two, WINDOW_GPA);
    assert_int_equal(ept_map(views_ept(&world->views, two), WINDOW_GPA + SIZE_2M, WINDOW, PAGE_SIZE,
                             EPT_READ, EPT_WRITE_BACK),
                     STATUS_OK);
    expect_none(world, one, WINDOW_GPA + SIZE_2M);
    world_end(world);
}

/* What views share is not a view's to change, nor to give back. */
static void test_shared_tables_are_safe(void **state)
{
    struct world *world = world_new();
    uint32_t view = create(world);
    struct ept *ept = views_ept(&world->views, view);

    (void)state;
    assert_int_equal(ept_map(ept, 0, WINDOW, PAGE_SIZE, RW, EPT_WRITE_BACK), STATUS_EXISTS);
    assert_int_equal(ept_map(ept, GATE_GPA - PAGE_SIZE, WINDOW, PAGE_SIZE, RW, EPT_WRITE_BACK),
                     STATUS_DENIED);
    assert_int_equal(ept_unmap(ept, 0, PAGE_SIZE), STATUS_DENIED);
    assert_int_equal(ept_unmap(ept, WINDOW_GPA - SIZE_1G, SIZE_1G), STATUS_OK);
    assert_int_equal(ept_protect(ept, GATE_GPA, PAGE_SIZE, RWX), STATUS_DENIED);
    assert_int_equal(ept_replace(ept, GATE_GPA, WINDOW, RWX), STATUS_DENIED);
    assert_int_equal(ept_set_convertible(ept, 0, PAGE_SIZE, true), STATUS_DENIED);
    assert_int_equal(ept_borrow(ept, &world->views.base, 0), STATUS_EXISTS);
    ept_reclaim(ept);
    expect(world, view, 0, RAM, RW);
    views_remove(&world->views, view);
    view = create(world);
    expect(world, view, 0, RAM, RW);
    expect(world, view, GATE_GPA, GATE, RX);
    world_end(world);
}

static void test_cost_of_a_view(void **state)
{
    struct world *world = world_new();
    unsigned before = world->pool->in_use;
    uint32_t view = create(world);

    (void)state;
    assert_int_equal(world->pool->in_use - before, 2);
    assert_int_equal(views_pages(&world->views, view), 2);
    map_window(world, view, SIZE_2M);
    assert_int_equal(world->pool->in_use - before, 3);
    views_remove(&world->views, view);
    assert_int_equal(world->pool->in_use, before);
    world_end(world);
}

/* A gate in RAM is in views that exist and in those that come, and RAM is back afterwards. */
static void test_placement(void **state)
{
    struct world *world = world_new();
    uint64_t gpa = SIZE_1G - 7 * PAGE_SIZE; /* in a page of 1 GiB of the default view */
    uint32_t early = create(world);

    (void)state;
    unsigned changes = world->pool->changes;
    assert_int_equal(views_place_gate(&world->views, gpa, 0), STATUS_OK);
    assert_true(world->pool->changes > changes);
    assert_int_equal(views_place_gate(&world->views, gpa + PAGE_SIZE, 1), STATUS_OK);
    uint32_t late = create(world);
    expect(world, 0, gpa, GATE, RX);
    expect(world, 0, gpa + PAGE_SIZE, GATE + PAGE_SIZE, EPT_READ);
    expect(world, early, gpa, GATE, RX);
    expect(world, late, gpa + PAGE_SIZE, GATE + PAGE_SIZE, RX);
    expect(world, 0, gpa - 1, RAM + gpa - 1, RWX);
    expect(world, late, gpa + 2 * PAGE_SIZE, RAM + gpa + 2 * PAGE_SIZE, RW);
    assert_int_equal(views_gate_page(&world->views, gpa + 5), 0);
    assert_int_equal(views_gate_page(&world->views, gpa + PAGE_SIZE), 1);
    assert_int_equal(views_gate_page(&world->views, gpa + 2 * PAGE_SIZE), -1);
    assert_int_equal(views_gate_page(&world->views, GATE_GPA + PAGE_SIZE), 1);
    assert_int_equal(views_gate_page(&world->views, GATE_GPA + 2 * PAGE_SIZE), -1);
    assert_int_equal(views_gate_page(&world->views, UINT64_MAX), -1);
    changes = world->pool->changes;
    assert_int_equal(views_unplace_gate(&world->views, gpa), STATUS_OK);
    assert_true(world->pool->changes > changes);
    expect(world, 0, gpa, RAM + gpa, RWX);
    expect(world, early, gpa, RAM + gpa, RW);
    changes = world->pool->changes;
    assert_int_equal(views_unplace_gate(&world->views, gpa),
                     STATUS_OK); /* nothing there: no work */
    assert_int_equal(world->pool->changes, changes);
    views_unplace_all(&world->views);
    expect(world, late, gpa + PAGE_SIZE, RAM + gpa + PAGE_SIZE, RW);
    world_end(world);
}

static void test_hostile_placements(void **state)
{
    static const uint64_t bad[] = {1,        RAM_SIZE,   RAM_SIZE - 1, UINT64_MAX, ~0xfffull,
                                   GATE_GPA, WINDOW_GPA, 0xfff,        BIT(48),    BIT(63)};
    struct world *world = world_new();

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(views_place_gate(&world->views, bad[i], 0), STATUS_INVALID);
        assert_int_equal(views_unplace_gate(&world->views, bad[i]), STATUS_INVALID);
    }
    assert_int_equal(views_place_gate(&world->views, 0, GATE_PAGES), STATUS_INVALID);
    assert_int_equal(views_place_gate(&world->views, 0, UINT32_MAX), STATUS_INVALID);
    for (uint64_t i = 0; i < VIEW_PLACEMENT_MAX; i++) {
        assert_int_equal(views_place_gate(&world->views, i * PAGE_SIZE, 0), STATUS_OK);
    }
    assert_int_equal(views_place_gate(&world->views, SIZE_2M, 0), STATUS_NO_MEMORY);
    /* One that is there may still change its page. */
    assert_int_equal(views_place_gate(&world->views, 0, 1), STATUS_OK);
    expect(world, 0, 0, GATE + PAGE_SIZE, EPT_READ);
    world_end(world);
}

/* Tables that run out at any point leave every view as it was, and lose none. */
static void test_out_of_tables(void **state)
{
    struct world *world = world_new();
    uint32_t view = create(world);

    (void)state;
    for (unsigned left = 0; left < 4; left++) {
        uint64_t gpa = SIZE_1G / 2 + left * SIZE_2M;
        world->pool->left = left;
        status_t status = views_place_gate(&world->views, gpa, 0);
        world->pool->left = POOL_PAGES;
        if (status == STATUS_OK) {
            assert_int_equal(views_unplace_gate(&world->views, gpa), STATUS_OK);
        } else {
            assert_int_equal(status, STATUS_NO_MEMORY);
        }
        expect(world, 0, gpa, RAM + gpa, RWX);
        expect(world, view, gpa, RAM + gpa, RW);
        assert_int_equal(views_gate_page(&world->views, gpa), -1);
    }
    unsigned before = world->pool->in_use;
    for (unsigned left = 0; left < 2; left++) {
        world->pool->left = left;
        assert_int_equal(views_create(&world->views, &view), STATUS_NO_MEMORY);
        assert_int_equal(world->pool->in_use, before);
    }
    world->pool->left = POOL_PAGES;
    world_end(world);
}

static void test_all_indices(void **state)
{
    struct world *world = world_new();
    uint32_t view;

    (void)state;
    for (uint32_t i = 1; i < VIEWS_MAX; i++) {
        assert_int_equal(create(world), i);
    }
    assert_int_equal(views_create(&world->views, &view), STATUS_NO_MEMORY);
    views_remove(&world->views, 77);
    assert_null(views_ept(&world->views, 77));
    assert_null(views_ept(&world->views, VIEWS_MAX));
    assert_null(views_ept(&world->views, UINT32_MAX));
    assert_int_equal(create(world), 77);
    world_end(world);
}

/* Revoking a window is an unmapping: the translation is gone and an INVEPT is asked for. */
/* A view that is made by its number is what one is that gets it; the free ones stay as they are. */
static void test_index_by_choice(void **state)
{
    struct world *world = world_new();

    (void)state;
    assert_int_equal(views_create_as(&world->views, 0), STATUS_INVALID);
    assert_int_equal(views_create_as(&world->views, VIEWS_MAX), STATUS_INVALID);
    assert_int_equal(views_create_as(&world->views, UINT32_MAX), STATUS_INVALID);
    assert_int_equal(views_create_as(&world->views, 2), STATUS_OK);
    assert_int_equal(views_create_as(&world->views, 2), STATUS_EXISTS);
    assert_null(views_ept(&world->views, 1));
    expect(world, 2, 0, RAM, RW);
    expect(world, 2, GATE_GPA, GATE, RX);
    expect_none(world, 2, WINDOW_GPA);
    assert_int_equal(create(world), 1);
    assert_int_equal(create(world), 3);
    assert_int_equal(views_create_as(&world->views, VIEWS_MAX - 1), STATUS_OK);
    expect(world, VIEWS_MAX - 1, RAM_SIZE - 1, RAM + RAM_SIZE - 1, RW);
    views_remove_all(&world->views);
    assert_int_equal(views_create_as(&world->views, 2), STATUS_OK);
    world_end(world);
}

static void test_revoke_asks_for_invalidation(void **state)
{
    struct world *world = world_new();
    uint32_t view = create(world);

    (void)state;
    unsigned changes = world->pool->changes;
    map_window(world, view, SIZE_2M); /* was not valid before: none needed */
    assert_int_equal(world->pool->changes, changes);
    assert_int_equal(ept_unmap(views_ept(&world->views, view), WINDOW_GPA, SIZE_2M), STATUS_OK);
    assert_int_equal(world->pool->changes, changes + 1);
    expect_none(world, view, WINDOW_GPA);
    world_end(world);
}

static void test_eptp_list(void **state)
{
    uint64_t list[EPTP_LIST_SLOTS];

    (void)state;
    memset(list, 0xee, sizeof(list));
    eptp_list_clear(list, 0x1234);
    assert_int_equal(eptp_list_get(list, 0), 0x1234);
    for (uint32_t i = 1; i < EPTP_LIST_SLOTS; i++) {
        assert_int_equal(eptp_list_get(list, i), 0);
    }
    eptp_list_set(list, 511, 7);
    assert_int_equal(eptp_list_get(list, 511), 7);
    assert_int_equal(eptp_list_get(list, 512), 0);
    assert_int_equal(eptp_list_get(list, UINT64_MAX), 0);
    assert_int_equal(eptp_list_get(list, BIT(32)), 0); /* all of RCX counts */
}

static void test_ve_area(void **state)
{
    struct ve_information area = {.reason = 9};

    (void)state;
    assert_true(ve_fill(&area, 0x182, 0xffff800000001000ull, 0x5000, 3));
    assert_int_equal(area.reason, 48);
    assert_int_equal(area.busy, 0xffffffffu);
    assert_int_equal(area.qualification, 0x182);
    assert_int_equal(area.linear, 0xffff800000001000ull);
    assert_int_equal(area.gpa, 0x5000);
    assert_int_equal(area.view, 3);
    /* One delivery at a time, whatever the guest wrote there. */
    assert_false(ve_fill(&area, 1, 2, 3, 4));
    assert_int_equal(area.gpa, 0x5000);
    area.busy = 1;
    assert_false(ve_fill(&area, 1, 2, 3, 4));
    area.busy = 0;
    assert_true(ve_fill(&area, 1, 2, 3, 4));
    assert_int_equal(area.gpa, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_views_open),
        cmocka_unit_test(test_windows_are_apart),
        cmocka_unit_test(test_shared_tables_are_safe),
        cmocka_unit_test(test_cost_of_a_view),
        cmocka_unit_test(test_placement),
        cmocka_unit_test(test_hostile_placements),
        cmocka_unit_test(test_out_of_tables),
        cmocka_unit_test(test_all_indices),
        cmocka_unit_test(test_index_by_choice),
        cmocka_unit_test(test_revoke_asks_for_invalidation),
        cmocka_unit_test(test_eptp_list),
        cmocka_unit_test(test_ve_area),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
