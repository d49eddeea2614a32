/* SPDX-License-Identifier: BSD-2-Clause */
/* Random changes of extended page tables, beside a flat model that says what each page translates
 * to and when an INVEPT is due. */
#include "tests/unit/ept_pool.h"
#include "tests/unit/random.h"

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
        assert_int_equal(ept_init(&ept, &pool_ops, pool, round % 2 == 0, false), STATUS_OK);
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
    assert_int_equal(ept_init(&ept, &pool_ops, pool, true, false), STATUS_OK);
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
        cmocka_unit_test(test_random_against_model),
        cmocka_unit_test(test_random_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
