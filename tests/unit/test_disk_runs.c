/* SPDX-License-Identifier: BSD-2-Clause */
/* What a disk's overlay holds, or all of an image that is written to, told and taken, while the
 * disk is written to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/random.h"
#include "virtio/disk_runs.h"

#define BLOCKS 12u
#define SIZE   ((BLOCKS - 1) * DISK_BLOCK + 3 * DISK_SECTOR) /* the last block is a short one */
#define ROOM   200u                                          /* for tokens */
#define POOL   7u

static const struct word_runs_limits limits = {.looked = 1 << 18, .told = 1 << 28};

struct fixture {
    struct disk source, target;
    uint8_t image[SIZE];
    uint8_t expected[SIZE];
    struct random random;
};

static void make_disk(struct disk *disk, uint8_t *image, uint32_t pool)
{
    *disk = (struct disk){.mode = DISK_OVERLAY, .image = image, .size = SIZE};
    disk->overlay = (struct disk_overlay){.map = calloc(BLOCKS, sizeof(uint32_t)),
                                          .pool = malloc((size_t)pool * DISK_BLOCK),
                                          .blocks = pool};
    memset(disk->overlay.pool, 0xee, (size_t)pool * DISK_BLOCK);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->random.state = 77;
    for (unsigned i = 0; i < SIZE; i++) {
        f->image[i] = (uint8_t)(i / 5 + i / DISK_BLOCK + 1);
    }
    memcpy(f->expected, f->image, SIZE);
    make_disk(&f->source, f->image, POOL);
    make_disk(&f->target, f->image, POOL);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    free(f->source.overlay.map);
    free(f->source.overlay.pool);
    free(f->target.overlay.map);
    free(f->target.overlay.pool);
    free(f);
    return 0;
}

static void write_source(struct fixture *f, uint64_t at, uint64_t size, int byte)
{
    uint8_t bytes[2 * DISK_BLOCK];

    memset(bytes, byte, size);
    assert_int_equal(disk_write(&f->source, at, bytes, size), STATUS_OK);
    memset(f->expected + at, byte, size);
}

static void zero_source(struct fixture *f, uint64_t at, uint64_t size)
{
    assert_int_equal(disk_zero(&f->source, at, size), STATUS_OK);
    memset(f->expected + at, 0, size);
}

static void write_at_random(struct fixture *f)
{
    uint32_t sector = random_below(&f->random, SIZE / DISK_SECTOR);
    uint32_t left = SIZE / DISK_SECTOR - sector;
    uint32_t size = (1 + random_below(&f->random, left < 12 ? left : 12)) * DISK_SECTOR;
    uint8_t bytes[12 * DISK_SECTOR];

    for (unsigned i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(random_next(&f->random) % 3);
    }
    bool zero = random_below(&f->random, 4) == 0;
    if (zero) {
        memset(bytes, 0, size);
    }
    uint64_t at = (uint64_t)sector * DISK_SECTOR;
    status_t status =
        zero ? disk_zero(&f->source, at, size) : disk_write(&f->source, at, bytes, size);
    if (status == STATUS_OK) {
        memcpy(f->expected + at, bytes, size);
    } else {
        disk_read(&f->source, 0, f->expected, SIZE); /* a part of it may have been done */
    }
}

/* Carries one piece over, twice; how many bytes it told. */
static uint64_t carry(struct fixture *f, uint64_t at, bool harvested, size_t room)
{
    uint8_t *tokens = malloc(room);
    struct word_runs_writer writer;
    uint64_t covered;

    word_runs_begin(&writer, tokens, room);
    disk_runs_tell(&f->source, at, harvested, &limits, &writer);
    assert_true(writer.used <= room);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(disk_runs_take(&f->target, at, SIZE - at, tokens, writer.used, &covered),
                         STATUS_OK);
        assert_int_equal(covered, 8 * writer.words);
    }
    free(tokens);
    return covered;
}

/* A round; while it goes on a bit is written to, if `more`. */
static void carry_all(struct fixture *f, bool harvested, bool more)
{
    for (uint64_t at = 0, covered; at < SIZE; at += covered) {
        covered = carry(f, at, harvested, 16 + random_below(&f->random, ROOM));
        assert_true(covered > 0);
        if (more && random_below(&f->random, 4) == 0) {
            write_at_random(f);
        }
    }
}

static void assert_carried(struct fixture *f)
{
    uint8_t bytes[SIZE];

    disk_read(&f->source, 0, bytes, SIZE);
    assert_memory_equal(bytes, f->expected, SIZE);
    disk_read(&f->target, 0, bytes, SIZE);
    assert_memory_equal(bytes, f->expected, SIZE);
    assert_int_equal(f->target.overlay.held, f->source.overlay.held);
    assert_true(f->target.overlay.used <= f->source.overlay.used);
}

static void what_is_held_is_told(void **state)
{
    struct fixture *f = *state;
    struct word_runs_writer writer;
    uint8_t tokens[ROOM];

    /* Nothing: one token. */
    word_runs_begin(&writer, tokens, sizeof(tokens));
    disk_runs_tell(&f->source, 0, false, &limits, &writer);
    assert_true(writer.used == WORD_RUNS_TOKEN && writer.words == SIZE / 8);
    write_source(f, 3 * DISK_BLOCK + 512, 512, 7);
    write_source(f, 5 * DISK_BLOCK, DISK_BLOCK, 0);
    zero_source(f, 7 * DISK_BLOCK, 2 * DISK_BLOCK);
    write_source(f, SIZE - 512, 512, 9);
    assert_int_equal(f->source.overlay.held, 5);
    carry_all(f, false, false);
    assert_carried(f);
    /* A block of zeros takes none of the pool, whatever it took before. */
    assert_true(f->source.overlay.used == 3 && f->target.overlay.used == 2);
    assert_memory_equal(f->target.image, f->image, SIZE);
}

/* Also where it begins within a block: who takes it has no room for more. */
static void no_more_is_told_than_is_asked_for(void **state)
{
    static const struct word_runs_limits few = {.looked = 2 * DISK_BLOCK, .told = 4 * DISK_BLOCK};
    struct fixture *f = *state;

    write_source(f, 6 * DISK_BLOCK, 2 * DISK_BLOCK, 0);
    write_source(f, 8 * DISK_BLOCK, DISK_BLOCK, 0);
    for (uint64_t at = 0; at < SIZE; at += 8) {
        struct word_runs_writer writer;
        uint8_t tokens[ROOM];
        word_runs_begin(&writer, tokens, sizeof(tokens));
        disk_runs_tell(&f->source, at, false, &few, &writer);
        assert_true(writer.words > 0 && 8 * writer.words <= few.told);
    }
}

/* A block that is given back reads as zeros, not as the image, also where it was told already. */
static void what_is_discarded_is_told(void **state)
{
    struct fixture *f = *state;

    write_source(f, 0, 2 * DISK_BLOCK, 3);
    carry_all(f, false, false);
    disk_track(&f->source, 0, UINT64_MAX);
    assert_int_equal(disk_harvest(&f->source, 0, UINT64_MAX), 0);
    zero_source(f, DISK_BLOCK, DISK_BLOCK);
    zero_source(f, 4 * DISK_BLOCK, DISK_BLOCK);
    assert_int_equal(disk_harvest(&f->source, 0, UINT64_MAX), 2);
    carry_all(f, true, false);
    assert_carried(f);
    assert_int_equal(f->target.overlay.used, 1);
}

/* Only those of the last harvest; and what is written behind it is in the next one. */
static void harvests_are_exact(void **state)
{
    struct fixture *f = *state;
    const uint8_t *bytes;

    write_source(f, 0, 2 * DISK_BLOCK, 1);
    assert_int_equal(disk_harvest(&f->source, 0, UINT64_MAX), 2);
    write_source(f, DISK_BLOCK, 512, 2);
    write_source(f, 2 * DISK_BLOCK, 512, 2);
    assert_true(disk_holds(&f->source, 0, true, &bytes) && bytes[0] == 1);
    assert_true(disk_holds(&f->source, DISK_BLOCK, true, &bytes) && bytes[0] == 2);
    assert_false(disk_holds(&f->source, 2 * DISK_BLOCK, true, &bytes));
    assert_true(disk_holds(&f->source, 2 * DISK_BLOCK, false, &bytes));
    assert_int_equal(disk_harvest(&f->source, 0, UINT64_MAX), 2);
    assert_false(disk_holds(&f->source, 0, true, &bytes));
    assert_int_equal(disk_harvest(&f->source, 0, UINT64_MAX), 0);
    /* Reads and refused writes change nothing. */
    disk_read(&f->source, 0, f->expected, SIZE);
    assert_int_equal(disk_harvest(&f->source, 0, UINT64_MAX), 0);
}

static void disks_in_use_are_carried(void **state)
{
    struct fixture *f = *state;

    /* Room for what comes while something else has not gone yet. */
    free(f->target.overlay.pool);
    free(f->target.overlay.map);
    make_disk(&f->target, f->image, BLOCKS);
    for (unsigned round = 0; round < 200; round++) {
        if (round % 10 == 0) {
            disk_empty(&f->source);
            disk_empty(&f->target);
            memcpy(f->expected, f->image, SIZE);
        }
        write_at_random(f);
        disk_track(&f->source, 0, UINT64_MAX);
        carry_all(f, false, true);
        for (unsigned i = random_below(&f->random, 3); i > 0; i--) {
            (void)disk_harvest(&f->source, 0, UINT64_MAX);
            carry_all(f, true, true);
        }
        (void)disk_harvest(&f->source, 0, UINT64_MAX);
        carry_all(f, true, false);
        assert_carried(f);
    }
}

static void an_empty_disk_is_its_image(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[SIZE];

    for (unsigned i = 0; i < 3; i++) {
        memset(bytes, 5, SIZE);
        assert_int_equal(disk_write(&f->source, 0, bytes, (uint64_t)POOL * DISK_BLOCK), STATUS_OK);
        assert_int_equal(disk_write(&f->source, POOL * DISK_BLOCK, bytes, 512), STATUS_NO_MEMORY);
        assert_int_equal(disk_zero(&f->source, 0, DISK_BLOCK), STATUS_OK);
        disk_empty(&f->source);
        assert_true(f->source.overlay.used == 0 && f->source.overlay.held == 0);
        disk_read(&f->source, 0, bytes, SIZE);
        assert_memory_equal(bytes, f->image, SIZE);
        assert_int_equal(disk_harvest(&f->source, 0, UINT64_MAX), 0);
    }
    /* One whose memory is gone. */
    struct disk gone = {.mode = DISK_OVERLAY, .image = f->image, .size = SIZE};
    disk_empty(&gone);
    disk_track(&gone, 0, UINT64_MAX);
    assert_int_equal(disk_harvest(&gone, 0, UINT64_MAX), 0);
}

/* The source writes to its image, the target to another one. */
static void write_to_images(struct fixture *f, uint8_t *target)
{
    f->source.mode = f->target.mode = DISK_READ_WRITE;
    memset(target, 0xcc, SIZE);
    f->target.image = target;
}

/* All of it, once; then what has changed. */
static void all_of_an_image_is_told(void **state)
{
    struct fixture *f = *state;
    uint8_t other[SIZE], tokens[ROOM];
    struct word_runs_writer writer;

    write_to_images(f, other);
    assert_true(disk_held(&f->source) == BLOCKS && disk_held(&f->target) == BLOCKS);
    carry_all(f, false, false);
    assert_memory_equal(other, f->image, SIZE);
    /* All has come, each block once. */
    assert_true(f->target.overlay.held == BLOCKS && f->source.overlay.held == 0);
    disk_track(&f->source, 0, UINT64_MAX);
    write_source(f, 2 * DISK_BLOCK + 512, 512, 3);
    zero_source(f, 5 * DISK_BLOCK, 2 * DISK_BLOCK);
    assert_int_equal(disk_harvest(&f->source, 0, UINT64_MAX), 3);
    word_runs_begin(&writer, tokens, sizeof(tokens));
    disk_runs_tell(&f->source, 5 * DISK_BLOCK, true, &limits, &writer);
    assert_true(writer.used == 2 * WORD_RUNS_TOKEN && writer.words == (SIZE - 5 * DISK_BLOCK) / 8);
    carry_all(f, true, false);
    assert_memory_equal(other, f->expected, SIZE);
    assert_true(f->source.image == f->image && f->source.overlay.used == 0);
    /* It is left as it is, and what has come begins anew. */
    disk_empty(&f->target);
    assert_int_equal(f->target.overlay.held, 0);
    assert_memory_equal(other, f->expected, SIZE);
}

static void images_in_use_are_carried(void **state)
{
    struct fixture *f = *state;
    uint8_t other[SIZE];

    write_to_images(f, other);
    for (unsigned round = 0; round < 200; round++) {
        write_at_random(f);
        disk_track(&f->source, 0, UINT64_MAX);
        carry_all(f, false, true);
        for (unsigned i = random_below(&f->random, 3); i > 0; i--) {
            (void)disk_harvest(&f->source, 0, UINT64_MAX);
            carry_all(f, true, true);
        }
        (void)disk_harvest(&f->source, 0, UINT64_MAX);
        carry_all(f, true, false);
        assert_memory_equal(f->image, f->expected, SIZE);
        assert_memory_equal(other, f->expected, SIZE);
        memset(other, (int)round, SIZE);
    }
}

/* With writes between the parts; also one that knows nothing of changes. */
static void harvests_come_in_parts(void **state)
{
    struct fixture *f = *state;
    struct disk plain = {.mode = DISK_READ_WRITE, .image = f->image, .size = SIZE};
    const uint8_t *bytes;

    disk_track(&f->source, BLOCKS, 5);
    write_source(f, DISK_BLOCK, DISK_BLOCK, 1);
    write_source(f, 6 * DISK_BLOCK, DISK_BLOCK, 1);
    assert_int_equal(disk_harvest(&f->source, 0, 4), 1);
    write_source(f, 2 * DISK_BLOCK, DISK_BLOCK, 2);
    write_source(f, 7 * DISK_BLOCK, DISK_BLOCK, 2);
    assert_int_equal(disk_harvest(&f->source, 4, 4), 2);
    assert_int_equal(disk_harvest(&f->source, 8, UINT64_MAX), 0);
    assert_int_equal(disk_harvest(&f->source, 4 * BLOCKS, UINT64_MAX), 0);
    assert_true(disk_holds(&f->source, 7 * DISK_BLOCK, true, &bytes));
    assert_false(disk_holds(&f->source, 2 * DISK_BLOCK, true, &bytes));
    assert_int_equal(disk_harvest(&f->source, 0, 4), 1);
    assert_int_equal(disk_write(&plain, 0, f->expected, 512), STATUS_OK);
    assert_int_equal(disk_harvest(&plain, 0, UINT64_MAX), 0);
    assert_true(disk_holds(&plain, 0, false, &bytes) && !disk_holds(&plain, 0, true, &bytes));
}

/* What comes before the discards finds no room: all else is taken, and behind it that, too. */
static void what_has_no_room_is_told_again(void **state)
{
    struct fixture *f = *state;
    uint8_t tokens[4 * POOL * DISK_BLOCK], bytes[SIZE];
    struct word_runs_writer writer;
    uint64_t covered;

    for (unsigned i = 0; i < POOL; i++) {
        write_source(f, (5 + i) * DISK_BLOCK, 1024, 1 + (int)i);
    }
    carry_all(f, false, false);
    assert_true(f->source.overlay.used == POOL && f->target.overlay.used == POOL);
    /* Two that come before and end in zeros, and two that are given back. */
    zero_source(f, 9 * DISK_BLOCK, 2 * DISK_BLOCK);
    write_source(f, 0, 512, 9);
    memset(bytes, 0, DISK_BLOCK);
    bytes[8] = 1;
    assert_int_equal(disk_write(&f->source, 8 * DISK_BLOCK, bytes, DISK_BLOCK), STATUS_OK);
    memcpy(f->expected + 8 * DISK_BLOCK, bytes, DISK_BLOCK);
    write_source(f, 4 * DISK_BLOCK, DISK_BLOCK, 8);
    for (unsigned i = 0; i < 2; i++) {
        word_runs_begin(&writer, tokens, sizeof(tokens));
        disk_runs_tell(&f->source, 0, false, &limits, &writer);
        assert_int_equal(8 * writer.words, SIZE);
        assert_int_equal(disk_runs_take(&f->target, 0, SIZE, tokens, writer.used, &covered),
                         i == 0 ? STATUS_NO_MEMORY : STATUS_OK);
        assert_int_equal(covered, SIZE);
    }
    assert_carried(f);
}

static status_t take(struct disk *disk, uint64_t at, const uint32_t *tokens, size_t size,
                     uint64_t *covered)
{
    return disk_runs_take(disk, at, disk->size - at, (const uint8_t *)tokens, size, covered);
}

static void what_lies_is_refused(void **state)
{
    struct fixture *f = *state;
    const uint32_t most[] = {(uint32_t)WORD_RUNS_ZEROS << 30 | WORD_RUNS_COUNT_MAX};
    const uint32_t skip[] = {(uint32_t)WORD_RUNS_SKIP << 30 | WORD_RUNS_COUNT_MAX};
    const uint32_t two[] = {(uint32_t)WORD_RUNS_ZEROS << 30 | 2};
    const uint32_t behind[] = {(uint32_t)WORD_RUNS_SKIP << 30 | SIZE / 8, two[0]};
    const uint32_t none[] = {(uint32_t)WORD_RUNS_ZEROS << 30};
    const uint32_t repeat[] = {(uint32_t)WORD_RUNS_REPEAT << 30 | SIZE / 8, 1, 2};
    const uint32_t literal[] = {1, 1, 2};
    uint64_t covered;

    assert_int_equal(take(&f->target, 0, most, 4, &covered), STATUS_INVALID);
    assert_int_equal(take(&f->target, 0, skip, 4, &covered), STATUS_INVALID);
    assert_int_equal(take(&f->target, SIZE - 8, two, 4, &covered), STATUS_INVALID);
    assert_int_equal(take(&f->target, SIZE, two, 4, &covered), STATUS_INVALID);
    assert_int_equal(take(&f->target, 0, none, 4, &covered), STATUS_INVALID);
    assert_int_equal(take(&f->target, 8, repeat, 12, &covered), STATUS_INVALID);
    assert_int_equal(take(&f->target, 0, literal, 8, &covered), STATUS_INVALID);
    assert_int_equal(take(&f->target, 0, literal, 3, &covered), STATUS_INVALID);
    assert_true(f->target.overlay.held == 0 && covered == 0);
    assert_int_equal(take(&f->target, 0, behind, 8, &covered), STATUS_INVALID);
    assert_true(f->target.overlay.held == 0 && covered == SIZE);
    /* More than the pool has; what was taken is given back by disk_empty(). */
    assert_int_equal(take(&f->target, 0, repeat, 12, &covered), STATUS_NO_MEMORY);
    assert_int_equal(f->target.overlay.used, POOL);
    struct disk plain = {.mode = DISK_READ_ONLY, .image = f->image, .size = SIZE};
    assert_int_equal(take(&plain, 0, two, 4, &covered), STATUS_DENIED);
    assert_int_equal(take(&plain, 0, literal, 12, &covered), STATUS_DENIED);
    assert_memory_equal(f->image, f->expected, SIZE);
    /* Nor is an image that may be written to by what is too long. */
    plain.mode = DISK_READ_WRITE;
    assert_int_equal(take(&plain, 0, most, 4, &covered), STATUS_INVALID);
    assert_int_equal(take(&plain, 8, repeat, 12, &covered), STATUS_INVALID);
    assert_int_equal(take(&plain, SIZE - 8, two, 4, &covered), STATUS_INVALID);
    assert_memory_equal(f->image, f->expected, SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_held_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_more_is_told_than_is_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_discarded_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(harvests_are_exact, set_up, tear_down),
        cmocka_unit_test_setup_teardown(disks_in_use_are_carried, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_empty_disk_is_its_image, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_of_an_image_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(images_in_use_are_carried, set_up, tear_down),
        cmocka_unit_test_setup_teardown(harvests_come_in_parts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_has_no_room_is_told_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_lies_is_refused, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
