/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/snapshot_image.h"
#include "tests/unit/random.h"

#define ROOM 256u

static const struct snapshot_wanted vm = {SNAPSHOT_VM, 1, 0, 13};
static const struct snapshot_wanted vcpu1 = {SNAPSHOT_VCPU, 2, 1, 8};

struct fixture {
    uint64_t words[ROOM / 8];
    size_t size;
    char error[SNAPSHOT_ERROR_SIZE];
};

/* Two records. */
static void start(struct fixture *f)
{
    struct snapshot_writer writer = {.bytes = (uint8_t *)f->words, .room = ROOM};

    memset(f, 0xff, sizeof(*f));
    memset(snapshot_add(&writer, &vm), 1, 13);
    memset(snapshot_add(&writer, &vcpu1), 2, 8);
    f->size = writer.used;
    f->error[0] = '\0';
}

static struct snapshot_header *header(struct fixture *f, size_t at)
{
    return (struct snapshot_header *)(void *)((uint8_t *)f->words + at);
}

static void records_are_found(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    assert_int_equal(f.size, 16 + 16 + 16 + 8);
    assert_true(snapshot_is_valid(f.words, f.size, f.error));
    assert_int_equal(snapshot_count(f.words, f.size, SNAPSHOT_VCPU), 1);
    assert_int_equal(snapshot_count(f.words, f.size, SNAPSHOT_PCI), 0);
    const uint8_t *found = snapshot_find(f.words, f.size, &vm, f.error);
    assert_non_null(found);
    /* The rest up to the next record is zeros. */
    assert_true(found[0] == 1 && found[12] == 1 && found[13] == 0 && found[15] == 0);
    found = snapshot_find(f.words, f.size, &vcpu1, f.error);
    assert_true(found != NULL && found[7] == 2);
}

static void expect_missing(struct fixture *f, struct snapshot_wanted wanted, const char *why)
{
    assert_null(snapshot_find(f->words, f->size, &wanted, f->error));
    assert_non_null(strstr(f->error, why));
}

static void other_records_are_named(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    expect_missing(&f, (struct snapshot_wanted){SNAPSHOT_RTC, 1, 0, 8}, "no RTC record 0");
    expect_missing(&f, (struct snapshot_wanted){SNAPSHOT_VCPU, 2, 0, 8}, "no vCPU record 0");
    expect_missing(&f, (struct snapshot_wanted){SNAPSHOT_VCPU, 3, 1, 8},
                   "vCPU record 1 is of version 2, and this hypervisor's is 3");
    expect_missing(&f, (struct snapshot_wanted){SNAPSHOT_VCPU, 2, 1, 9},
                   "vCPU record 1 has 8 bytes, and this hypervisor's 9");
}

static void expect_invalid(struct fixture *f, const char *why)
{
    assert_false(snapshot_is_valid(f->words, f->size, f->error));
    assert_non_null(strstr(f->error, why));
}

static void rows_that_are_none_are_refused(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    for (size_t size = 1; size < f.size; size++) {
        assert_int_equal(snapshot_is_valid(f.words, size, f.error), size == 32);
    }
    assert_true(snapshot_is_valid(f.words, 0, f.error));
    header(&f, 32)->size = UINT32_MAX;
    expect_invalid(&f, "byte 32 is longer");
    start(&f);
    header(&f, 32)->size = 9;
    expect_invalid(&f, "longer");
    start(&f);
    header(&f, 32)->type = SNAPSHOT_TYPES;
    expect_invalid(&f, "no known type");
    start(&f);
    header(&f, 0)->type = 0;
    expect_invalid(&f, "no known type");
    start(&f);
    header(&f, 0)->zero = 1;
    expect_invalid(&f, "no known type");
    start(&f);
    header(&f, 32)->type = SNAPSHOT_VM;
    header(&f, 32)->index = 0;
    expect_invalid(&f, "more than one VM record 0");
}

/* Who restores has the hypervisor look for each among all: it may not give it tens of thousands. */
static void too_many_records_are_refused(void **state)
{
    static uint64_t words[2 * (SNAPSHOT_RECORDS_MAX + 1)];
    struct snapshot_writer writer = {.bytes = (uint8_t *)words, .room = sizeof(words)};
    char error[SNAPSHOT_ERROR_SIZE];

    (void)state;
    for (uint32_t i = 0; i <= SNAPSHOT_RECORDS_MAX; i++) {
        struct snapshot_wanted empty = {SNAPSHOT_VCPU, 1, i, 0};
        assert_non_null(snapshot_add(&writer, &empty));
    }
    assert_true(snapshot_is_valid(words, writer.used - 16, error));
    assert_false(snapshot_is_valid(words, writer.used, error));
    assert_string_equal(error, "the state has more than 256 records");
}

static void no_room_is_told(void **state)
{
    uint64_t words[6];

    (void)state;
    for (size_t room = 0; room < sizeof(words); room += 8) {
        struct snapshot_writer writer = {.bytes = (uint8_t *)words, .room = room};
        assert_int_equal(snapshot_add(&writer, &vm) != NULL, room >= 32);
        assert_int_equal(writer.used, room >= 32 ? 32 : 0);
    }
}

static void random_bytes_do_no_harm(void **state)
{
    struct random random = {13};
    struct fixture f;

    (void)state;
    for (unsigned round = 0; round < 100000; round++) {
        start(&f);
        for (unsigned i = random_below(&random, 4); i > 0; i--) {
            ((uint8_t *)f.words)[random_below(&random, (uint32_t)f.size)] =
                (uint8_t)random_next(&random);
        }
        size_t size = random_below(&random, ROOM + 1);
        uint8_t *copy = malloc(size + 1); /* of exactly that size, for ASan */
        memcpy(copy, f.words, size);
        if (snapshot_is_valid(copy, size, f.error)) {
            const uint8_t *found = snapshot_find(copy, size, &vcpu1, f.error);
            assert_true(found == NULL || found + 8 <= copy + size);
        }
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_found),
        cmocka_unit_test(other_records_are_named),
        cmocka_unit_test(rows_that_are_none_are_refused),
        cmocka_unit_test(too_many_records_are_refused),
        cmocka_unit_test(no_room_is_told),
        cmocka_unit_test(random_bytes_do_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
