/* SPDX-License-Identifier: BSD-2-Clause */
/* Walks of a guest's page tables that the test lays out in a small guest memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/defs/msr.h"
#include "arch/x86/defs/registers.h"
#include "lib/bits.h"
#include "machine/page_walk.h"
#include "tests/unit/random.h"

#define MEMORY_SIZE 0x10000u
#define P           1ull /* present */
#define LARGE       0x80ull
#define NX          BIT(63)

struct fixture {
    uint8_t *memory;
    unsigned reads;
    struct page_walk walk;
};

static bool read_memory(void *context, uint64_t gpa, void *buffer, size_t size)
{
    struct fixture *f = context;

    f->reads++;
    assert_true(size == 4 || size == 8);
    assert_int_equal(gpa % size, 0);
    assert_int_equal(gpa >> 52, 0);
    if (!range_within(gpa, size, 0, MEMORY_SIZE)) {
        return false;
    }
    memcpy(buffer, f->memory + gpa, size);
    return true;
}

static void start(struct fixture *f, uint64_t cr0, uint64_t cr4, uint64_t efer)
{
    f->memory = calloc(1, MEMORY_SIZE);
    assert_non_null(f->memory);
    f->reads = 0;
    f->walk = (struct page_walk){
        .cr0 = cr0, .cr3 = 0x1000, .cr4 = cr4, .efer = efer, .read = read_memory, .context = f};
}

static void start_64(struct fixture *f)
{
    start(f, CR0_PE | CR0_PG, CR4_PAE, EFER_LMA | EFER_LME | EFER_NXE);
}

static void set64(struct fixture *f, uint64_t table, uint64_t index, uint64_t entry)
{
    memcpy(f->memory + table + 8 * index, &entry, 8);
}

static void set32(struct fixture *f, uint64_t table, uint64_t index, uint32_t entry)
{
    memcpy(f->memory + table + 4 * index, &entry, 4);
}

static void expect(struct fixture *f, uint64_t linear, uint64_t want)
{
    uint64_t gpa = 0;

    assert_int_equal(page_walk(&f->walk, linear, &gpa), STATUS_OK);
    assert_int_equal(gpa, want);
}

static void expect_status(struct fixture *f, uint64_t linear, status_t status)
{
    uint64_t gpa = 0;

    assert_int_equal(page_walk(&f->walk, linear, &gpa), status);
}

static void test_no_paging(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, CR0_PE, 0, 0);
    expect(&f, 0, 0);
    expect(&f, 0xfffffff0, 0xfffffff0);
    assert_int_equal(f.reads, 0);
    free(f.memory);
}

static void test_4_level(void **state)
{
    struct fixture f;
    uint64_t linear = 0xffff888012345678ull;

    (void)state;
    start_64(&f);
    /* CR3's low bits and upper ones (PCID, no-flush) are not the address's. */
    f.walk.cr3 = 0x1fff | BIT(63);
    set64(&f, 0x1000, linear >> 39 & 511, 0x2000 | P | NX | 0xff8);
    set64(&f, 0x2000, linear >> 30 & 511, 0x3000 | P | BIT(52));
    set64(&f, 0x3000, linear >> 21 & 511, 0x4000 | P);
    set64(&f, 0x4000, linear >> 12 & 511, 0x000abcdef0123000ull | P | NX | LARGE /* PAT */);
    expect(&f, linear, 0x000abcdef0123678ull);
    assert_int_equal(f.reads, 4); /* each entry is read once */
    /* Each level's entry not present, in turn; and others beside it. */
    for (unsigned level = 0; level < 4; level++) {
        uint64_t table = 0x1000 * (1 + level), index = linear >> (39 - 9 * level) & 511;
        uint64_t old;
        memcpy(&old, f.memory + table + 8 * index, 8);
        set64(&f, table, index, old & ~P);
        expect_status(&f, linear, STATUS_NOT_FOUND);
        set64(&f, table, index, old);
        expect_status(&f, linear ^ BIT(39 - 9 * level), STATUS_NOT_FOUND);
    }
    expect(&f, linear, 0x000abcdef0123678ull);
    free(f.memory);
}

static void test_canonical(void **state)
{
    struct fixture f;

    (void)state;
    start_64(&f);
    expect_status(&f, BIT(47), STATUS_INVALID);
    expect_status(&f, ~0ull & ~BIT(47), STATUS_INVALID);
    expect_status(&f, BIT(63), STATUS_INVALID);
    expect_status(&f, 0xffff7fffffffffffull, STATUS_INVALID);
    assert_int_equal(f.reads, 0);
    expect_status(&f, BIT(47) - 1, STATUS_NOT_FOUND);
    expect_status(&f, 0xffff800000000000ull, STATUS_NOT_FOUND);
    free(f.memory);
}

static void test_large_pages(void **state)
{
    struct fixture f;

    (void)state;
    start_64(&f);
    set64(&f, 0x1000, 0, 0x2000 | P);
    set64(&f, 0x2000, 0, 0x3000 | P);
    set64(&f, 0x2000, 1, 0x00012345c0000000ull | P | LARGE | 0x1000 /* PAT */ | NX);
    set64(&f, 0x3000, 2, 0x00054321abc00000ull | P | LARGE | 0x1000);
    expect(&f, BIT(30) + 0x3456789, 0x00012345c3456789ull);
    expect(&f, 2 * BIT(21) + 0x12345, 0x00054321abc12345ull);
    /* The top level has no large pages: the bit is reserved there, and not followed as one. */
    set64(&f, 0x1000, 1, 0x2000 | P | LARGE);
    expect(&f, BIT(39) + BIT(30) + 5, 0x00012345c0000005ull);
    free(f.memory);
}

static void test_pae(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, CR0_PE | CR0_PG, CR4_PAE, EFER_NXE);
    f.walk.cr3 = 0xabcd00001fe0ull | 0x1f; /* 32 bytes aligned; only 32 bits of it count */
    for (uint64_t i = 0; i < 4; i++) {
        set64(&f, 0x1fe0, i, (0x3000 + 0x1000 * i) | P);
        set64(&f, 0x3000 + 0x1000 * i, 511, (i << 32) | 0x1e00000 | P | LARGE);
        set64(&f, 0x3000 + 0x1000 * i, 5, 0x8000 | P);
    }
    set64(&f, 0x8000, 7, 0x9876543000ull | P | NX);
    for (uint64_t i = 0; i < 4; i++) {
        expect(&f, i << 30 | 511 << 21 | 0x1234, i << 32 | 0x1e01234);
        expect(&f, i << 30 | 5 << 21 | 7 << 12 | 0xfff, 0x9876543fff);
    }
    /* Bit 7 of a PDPTE means nothing. */
    set64(&f, 0x1fe0, 0, 0x3000 | P | LARGE);
    expect(&f, 5 << 21 | 7 << 12, 0x9876543000);
    /* A linear address has 32 bits here: no index goes beyond the four. */
    f.reads = 0;
    expect(&f, 0xffffffff00000000ull | 5 << 21 | 7 << 12, 0x9876543000);
    free(f.memory);
}

static void test_32_bit(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, CR0_PE | CR0_PG, CR4_PSE, 0);
    set32(&f, 0x1000, 0x3ff, 0x2000 | P);
    set32(&f, 0x2000, 0x3fe, 0xfedcb000 | P | LARGE /* PAT */);
    set32(&f, 0x1000, 1, 0x12400000 | P | LARGE);
    set32(&f, 0x1000, 2, 0x12400000 | P | LARGE | 0xa5u << 13); /* PSE-36 */
    expect(&f, 0xffffe123, 0xfedcb123);
    expect(&f, 0x00400000 | 0x3fedcb, 0x12400000 | 0x3fedcb);
    expect(&f, 0x00800000 | 0x3fedcb, 0xa512400000ull | 0x3fedcb);
    /* Without PSE the bit means nothing: a table, which is beyond this memory. */
    f.walk.cr4 = 0;
    expect_status(&f, 0x00400000, STATUS_NOT_FOUND);
    set32(&f, 0x1000, 1, 0x2000 | P | LARGE);
    expect(&f, 0x00400000 | 0x3fe << 12 | 5, 0xfedcb005);
    f.walk.cr3 = 0xffffffff00001000ull; /* what a 64-bit CR3 had above is not of this mode */
    expect(&f, 0xffffe123, 0xfedcb123);
    free(f.memory);
}

/* Tables where there is no memory, and tables that lead to themselves. */
static void test_hostile_tables(void **state)
{
    struct fixture f;

    (void)state;
    start_64(&f);
    f.walk.cr3 = ~0ull;
    expect_status(&f, 0, STATUS_NOT_FOUND);
    f.walk.cr3 = MEMORY_SIZE;
    expect_status(&f, 0, STATUS_NOT_FOUND);
    f.walk.cr3 = 0x1000;
    set64(&f, 0x1000, 0, ~0ull & ~LARGE); /* the highest address there is */
    expect_status(&f, 0, STATUS_NOT_FOUND);
    set64(&f, 0x1000, 0, 0x1000 | P); /* itself, all the way down */
    f.reads = 0;
    expect(&f, 0x321, 0x1321);
    assert_int_equal(f.reads, 4);
    set64(&f, 0x1000, 0, ~0ull);
    set64(&f, 0x1000, 511, ~0ull);
    expect_status(&f, ~0ull, STATUS_NOT_FOUND);
    free(f.memory);
}

/* Random tables of every mode: the walk ends after as many reads as there are levels, and its
 * result is an address of at most 52 bits with the linear one's offset in the page. */
static void test_random_tables(void **state)
{
    static const struct {
        uint64_t cr0, cr4, efer;
        unsigned levels;
    } modes[] = {{CR0_PG, CR4_PAE, EFER_LMA, 4},
                 {CR0_PG, CR4_PAE, 0, 3},
                 {CR0_PG, CR4_PSE, 0, 2},
                 {CR0_PG, 0, 0, 2},
                 {CR0_PG, ~0ull & ~CR4_LA57, ~0ull, 4}};
    struct random random = {0x5eed};
    unsigned found = 0;

    (void)state;
    for (unsigned i = 0; i < 50000; i++) {
        unsigned mode = random_below(&random, ARRAY_SIZE(modes));
        struct fixture f;
        start(&f, modes[mode].cr0, modes[mode].cr4, modes[mode].efer);
        for (unsigned n = 0; n < MEMORY_SIZE / 8 && (i % 10 == 0 || n < 64); n++) {
            uint64_t entry = (uint64_t)random_next(&random) << 32 | random_next(&random);
            /* Most lead somewhere into the small memory. */
            set64(&f, 0, n,
                  random_below(&random, 4) != 0 ? (entry & 0xf0fff) % MEMORY_SIZE | P : entry);
        }
        f.walk.cr3 = random_below(&random, 8) == 0 ? random_next(&random) : 0;
        uint64_t linear = random_below(&random, 2) == 0 ? random_next(&random) : random.state;
        linear = random_below(&random, 2) == 0 ? linear & 0x0000000f0000ffffull : linear;
        uint64_t gpa = 0;
        status_t status = page_walk(&f.walk, linear, &gpa);
        assert_true(status == STATUS_OK || status == STATUS_NOT_FOUND || status == STATUS_INVALID);
        assert_true(f.reads <= modes[mode].levels);
        if (status == STATUS_OK) {
            assert_int_equal(gpa >> 52, 0);
            assert_int_equal(gpa & 0xfff, linear & 0xfff);
            found++;
        }
        free(f.memory);
    }
    assert_true(found > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_paging),
        cmocka_unit_test(test_4_level),
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_large_pages),
        cmocka_unit_test(test_pae),
        cmocka_unit_test(test_32_bit),
        cmocka_unit_test(test_hostile_tables),
        cmocka_unit_test(test_random_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
