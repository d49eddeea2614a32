/* SPDX-License-Identifier: BSD-2-Clause */
/* The page allocator over memory of the test's own. It is one per program, so the tests run in
 * their order, each with what the ones before left. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "lib/bits.h"
#include "lib/pages.h"
#include "tests/unit/random.h"

#define ARENA_SIZE MIB(64)

static uint64_t arena; /* 2 MiB aligned */
static uint8_t *taken; /* a byte per page of the arena */
static uint64_t used[PAGES_USES];

static int map_arena(void **state)
{
    (void)state;
    void *memory =
        mmap(NULL, ARENA_SIZE + MIB(2), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return -1;
    }
    memset(memory, 0xdd, ARENA_SIZE + MIB(2));
    arena = align_up((uint64_t)memory, MIB(2));
    taken = calloc(ARENA_SIZE / PAGE_SIZE, 1);
    return taken == NULL ? -1 : 0;
}

static int free_taken(void **state)
{
    (void)state;
    free(taken);
    return 0;
}

/* Allocates and checks: aligned, in the arena, handed out once, all zero. */
static uint8_t *take(uint64_t count, uint64_t alignment, enum page_use use)
{
    uint8_t *memory = pages_alloc(count, alignment, use);

    if (memory == NULL) {
        return NULL;
    }
    assert_true(is_aligned((uint64_t)memory, alignment));
    assert_true(range_within((uint64_t)memory, count * PAGE_SIZE, arena, ARENA_SIZE));
    for (uint64_t i = 0; i < count; i++) {
        uint8_t *page = &taken[((uint64_t)memory - arena) / PAGE_SIZE + i];
        assert_int_equal(*page, 0);
        *page = 1;
    }
    for (uint64_t i = 0; i < count * PAGE_SIZE; i += 61) {
        assert_int_equal(memory[i], 0);
    }
    assert_int_equal(memory[count * PAGE_SIZE - 1], 0);
    memset(memory, 0xee, count * PAGE_SIZE);
    used[use] += count * PAGE_SIZE;
    assert_int_equal(pages_used(use), used[use]);
    return memory;
}

static void test_empty(void **state)
{
    (void)state;
    assert_null(page_alloc());
    assert_null(pages_alloc(1, MIB(2), PAGES_GUEST));
    assert_int_equal(pages_used(PAGES_HYPERVISOR), 0);
    /* Regions with no whole page in them hold nothing. */
    assert_int_equal(pages_add(arena, 0), STATUS_OK);
    assert_int_equal(pages_add(arena + 1, PAGE_SIZE), STATUS_OK);
    assert_int_equal(pages_add(arena + 1, 2 * PAGE_SIZE - 2), STATUS_OK);
    assert_int_equal(pages_add(0, 2 * PAGE_SIZE - 1), STATUS_OK); /* page 0 would be NULL */
    assert_int_equal(pages_add(UINT64_MAX - 100, 100), STATUS_OK);
    assert_int_equal(pages_add(UINT64_MAX - 100, 102), STATUS_INVALID);
    assert_int_equal(pages_add(PAGE_SIZE, UINT64_MAX), STATUS_INVALID);
    assert_null(page_alloc());
}

static void test_lowest_first(void **state)
{
    (void)state;
    /* The edges of a region that are no whole pages stay out: three pages at 1 MiB. */
    assert_int_equal(pages_add(arena + MIB(1) - 5, 3 * PAGE_SIZE + 10), STATUS_OK);
    assert_int_equal(pages_add(arena + MIB(8), MIB(8)), STATUS_OK);
    assert_true((uint64_t)take(1, PAGE_SIZE, PAGES_HYPERVISOR) == arena + MIB(1));
    assert_null(pages_alloc(MIB(8) / PAGE_SIZE + 1, PAGE_SIZE, PAGES_GUEST));
    assert_null(pages_alloc(UINT64_MAX, PAGE_SIZE, PAGES_GUEST));
    assert_null(pages_alloc(UINT64_MAX / PAGE_SIZE + 1, PAGE_SIZE, PAGES_GUEST));
    assert_null(pages_alloc(1, BIT(63), PAGES_GUEST));
    /* What does not fit in the first goes to the next; what does goes back to the first. */
    assert_true((uint64_t)take(3, PAGE_SIZE, PAGES_GUEST) == arena + MIB(8));
    assert_true((uint64_t)take(2, PAGE_SIZE, PAGES_WINDOW) == arena + MIB(1) + PAGE_SIZE);
}

/* Memory in front of an aligned run is not lost. */
static void test_alignment(void **state)
{
    (void)state;
    assert_true((uint64_t)take(512, MIB(2), PAGES_GUEST) == arena + MIB(10));
    assert_true((uint64_t)take(1, PAGE_SIZE, PAGES_GUEST) == arena + MIB(8) + 3 * PAGE_SIZE);
    assert_true((uint64_t)take(1, MIB(1), PAGES_GUEST) == arena + MIB(9));
}

static void test_random_until_full(void **state)
{
    struct random random = {4096};
    uint64_t total = 0;

    (void)state;
    assert_int_equal(pages_add(arena + MIB(32), MIB(32)), STATUS_OK);
    for (unsigned failures = 0; failures < 200;) {
        uint64_t alignment = PAGE_SIZE << random_below(&random, 9);
        uint64_t count = 1 + random_below(&random, random_below(&random, 4) == 0 ? 300 : 20);
        failures += take(count, alignment, random_below(&random, PAGES_USES)) == NULL;
    }
    while (take(1, PAGE_SIZE, PAGES_GUEST) != NULL) {
    }
    assert_null(page_alloc());
    /* Not a page was lost. */
    for (unsigned use = 0; use < PAGES_USES; use++) {
        total += pages_used(use);
    }
    assert_int_equal(total, 3 * PAGE_SIZE + MIB(8) + MIB(32));
}

static void give(uint8_t *memory, uint64_t count, enum page_use use)
{
    uint64_t unused = pages_unused();

    for (uint64_t i = 0; i < count; i++) {
        uint8_t *page = &taken[((uint64_t)memory - arena) / PAGE_SIZE + i];
        assert_int_equal(*page, 1);
        *page = 0;
    }
    pages_free(memory, count, use);
    used[use] -= count * PAGE_SIZE;
    assert_int_equal(pages_used(use), used[use]);
    assert_int_equal(pages_unused(), unused + count * PAGE_SIZE);
}

/* All memory is handed out. Two runs that lie together are one again when both are free, in
 * whatever order; and so is the whole. */
static void test_free_joins(void **state)
{
    static const unsigned orders[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {0, 2, 1, 3}, {1, 3, 0, 2}};
    uint8_t *whole = (uint8_t *)(arena + MIB(32));

    (void)state;
    assert_int_equal(pages_unused(), 0);
    for (uint64_t i = 0; i < MIB(4) / PAGE_SIZE; i++) {
        taken[MIB(32) / PAGE_SIZE + i] = 1;
    }
    used[PAGES_GUEST] = pages_used(PAGES_GUEST);
    for (unsigned order = 0; order < ARRAY_SIZE(orders); order++) {
        for (unsigned i = 0; i < 4; i++) {
            give(whole + orders[order][i] * MIB(1), MIB(1) / PAGE_SIZE, PAGES_GUEST);
        }
        assert_null(pages_alloc(MIB(4) / PAGE_SIZE + 1, PAGE_SIZE, PAGES_GUEST));
        assert_ptr_equal(take(MIB(4) / PAGE_SIZE, PAGE_SIZE, PAGES_GUEST), whole);
    }
    /* A part of a run. */
    give(whole + MIB(1), MIB(2) / PAGE_SIZE, PAGES_GUEST);
    assert_null(pages_alloc(MIB(2) / PAGE_SIZE + 1, PAGE_SIZE, PAGES_GUEST));
    assert_ptr_equal(take(MIB(2) / PAGE_SIZE, MIB(1), PAGES_GUEST), whole + MIB(1));
    give(whole, MIB(4) / PAGE_SIZE, PAGES_GUEST);
}

/* What VMs do: several runs of each, of many sizes, created and destroyed in any order a thousand
 * times. In the end all that was free is, in one piece. */
static void test_thousand_owners(void **state)
{
    static struct page_runs owners[8];
    struct random random = {77};
    uint64_t before = pages_unused();
    uint64_t used_before[PAGES_USES];

    (void)state;
    for (unsigned use = 0; use < PAGES_USES; use++) {
        used_before[use] = pages_used(use);
    }
    assert_int_equal(before, MIB(4));
    for (unsigned round = 0; round < 1000 * ARRAY_SIZE(owners); round++) {
        struct page_runs *owner = &owners[random_below(&random, ARRAY_SIZE(owners))];
        page_runs_free(owner);
        assert_int_equal(owner->count, 0);
        for (unsigned left = random_below(&random, 12); left > 0; left--) {
            uint8_t *run = page_runs_alloc(owner, 1 + random_below(&random, 20),
                                           PAGE_SIZE << random_below(&random, 3),
                                           random_below(&random, PAGES_USES));
            assert_true(run == NULL || *run == 0);
            if (run != NULL) {
                *run = 1;
            }
        }
    }
    for (unsigned i = 0; i < ARRAY_SIZE(owners); i++) {
        page_runs_free(&owners[i]);
    }
    for (unsigned use = 0; use < PAGES_USES; use++) {
        assert_int_equal(pages_used(use), used_before[use]);
    }
    assert_int_equal(pages_unused(), before);
    assert_non_null(pages_alloc(MIB(4) / PAGE_SIZE, PAGE_SIZE, PAGES_GUEST));
    pages_free((void *)(arena + MIB(32)), MIB(4) / PAGE_SIZE, PAGES_GUEST);
}

/* One run of several, and what is none of them. */
static void test_owner_gives_one_back(void **state)
{
    static struct page_runs owner;
    uint64_t before = pages_unused();
    void *runs[4];

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(runs); i++) {
        runs[i] = page_runs_alloc(&owner, i + 1, PAGE_SIZE, PAGES_WINDOW);
        assert_non_null(runs[i]);
    }
    page_runs_free_one(&owner, runs[1]);
    assert_int_equal(owner.count, 3);
    assert_int_equal(pages_unused(), before - 8 * PAGE_SIZE);
    page_runs_free_one(&owner, runs[1]);
    page_runs_free_one(&owner, NULL);
    assert_int_equal(owner.count, 3);
    page_runs_free_one(&owner, runs[3]);
    page_runs_free_one(&owner, runs[0]);
    assert_int_equal(pages_unused(), before - 3 * PAGE_SIZE);
    assert_true(owner.count == 1 && owner.runs[0].pages == runs[2]);
    page_runs_free(&owner);
    assert_int_equal(pages_unused(), before);
}

static void test_owner_of_too_many(void **state)
{
    static struct page_runs owner;
    uint64_t before = pages_unused();

    (void)state;
    for (unsigned i = 0; i < PAGE_RUNS_MAX; i++) {
        assert_non_null(page_runs_alloc_bytes(&owner, 1));
    }
    assert_null(page_runs_alloc_bytes(&owner, 1));
    assert_int_equal(pages_unused(), before - PAGE_RUNS_MAX * PAGE_SIZE);
    page_runs_free(&owner);
    assert_int_equal(pages_unused(), before);
}

static void test_too_many_regions(void **state)
{
    status_t status = STATUS_OK;
    unsigned count = 0;

    (void)state;
    while (status == STATUS_OK && count < 100000) {
        status = pages_add(arena + MIB(16) + 2 * count * PAGE_SIZE, PAGE_SIZE);
        count += status == STATUS_OK;
    }
    assert_int_equal(status, STATUS_NO_MEMORY);
    assert_in_range(count, 200, 2000);
    assert_non_null(take(1, PAGE_SIZE, PAGES_HYPERVISOR));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_lowest_first),
        cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_random_until_full),
        cmocka_unit_test(test_free_joins),
        cmocka_unit_test(test_thousand_owners),
        cmocka_unit_test(test_owner_gives_one_back),
        cmocka_unit_test(test_owner_of_too_many),
        cmocka_unit_test(test_too_many_regions),
    };
    return cmocka_run_group_tests(tests, map_arena, free_taken);
}
