/* SPDX-License-Identifier: BSD-2-Clause */
/* Records of disks: what is taken, and what is said of what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "abi/snapshot.h"
#include "core/snapshot_disk.h"
#include "core/virtio.h"
#include "core/virtio_disk.h"
#include "lib/word_runs.h"

#define DISKS  2u
#define BLOCKS 3u
#define SIZE   ((BLOCKS - 1) * DISK_BLOCK + DISK_SECTOR)
#define SUM    0x1234u
#define ROOM   256u

/* A VM with an overlay and an image that it writes to, and a row of records of it. */
static struct {
    struct config_vm config;
    struct vm vm;
    struct disk disks[DISKS];
    uint8_t images[DISKS][SIZE], pool[BLOCKS * DISK_BLOCK];
    uint32_t maps[DISKS][BLOCKS];
    bool unknown; /* the overlay's sum */
    uint64_t words[ROOM / 8];
    size_t size;
    char error[SNAPSHOT_ERROR_SIZE];
} world;

struct disk *virtio_disk_of(const struct vm *vm, uint32_t index)
{
    return index < vm->config->disk_count ? &world.disks[index] : NULL;
}

const char *virtio_disk_name(const struct config_disk *config)
{
    return config->image;
}

bool virtio_disk_sum(const struct disk *disk, uint64_t *budget, uint64_t *sum)
{
    assert_true(disk->mode != DISK_READ_WRITE && *budget == 0);
    *sum = SUM;
    return !world.unknown;
}

/* Blocks from `block` on become zeros, by tokens. */
static status_t store_zeros(unsigned disk, uint64_t block, uint64_t blocks)
{
    uint64_t at = block * DISK_BLOCK, left = SIZE - at, size = blocks * DISK_BLOCK, covered;
    uint64_t words = (size < left ? size : left) / WORD_RUNS_WORD;
    const uint32_t token = (uint32_t)WORD_RUNS_ZEROS << 30 | (uint32_t)words;

    return snapshot_disk_take(snapshot_disk(&world.vm, POSTERN_SNAPSHOT_DISK + disk), at, left,
                              (const uint8_t *)&token, sizeof(token), &covered);
}

static struct snapshot_header *header(unsigned disk)
{
    return (struct snapshot_header *)(world.words + disk * (16 + sizeof(struct snapshot_disk)) / 8);
}

static struct snapshot_disk *record(unsigned disk)
{
    return (struct snapshot_disk *)(header(disk) + 1);
}

/* Saved, with one block in the overlay; all of it has come. */
static int set_up(void **state)
{
    struct snapshot_writer writer = {.bytes = (uint8_t *)world.words, .room = ROOM};

    (void)state;
    memset(&world, 0, sizeof(world));
    world.config.disk_count = DISKS;
    strcpy(world.config.name, "one");
    world.vm.config = &world.config;
    for (unsigned i = 0; i < DISKS; i++) {
        strcpy(world.config.disks[i].image, i == 0 ? "root.img" : "data.img");
        memset(world.images[i], 0x55, SIZE);
        world.disks[i] = (struct disk){.mode = i == 0 ? DISK_OVERLAY : DISK_READ_WRITE,
                                       .image = world.images[i],
                                       .size = SIZE,
                                       .overlay = {.map = world.maps[i]}};
    }
    world.disks[0].overlay.pool = world.pool;
    world.disks[0].overlay.blocks = BLOCKS;
    assert_int_equal(store_zeros(0, 1, 1), STATUS_OK);
    assert_int_equal(snapshot_disks_check(&world.vm, world.error), STATUS_OK);
    assert_int_equal(snapshot_disks_save(&world.vm, &writer), STATUS_OK);
    world.size = writer.used;
    assert_int_equal(store_zeros(1, 0, BLOCKS), STATUS_OK);
    return 0;
}

static bool fits(void)
{
    return snapshot_disks_fit(&world.vm, world.words, world.size, world.error);
}

static void expect_refusal(const char *why)
{
    assert_false(fits());
    assert_non_null(strstr(world.error, why));
}

static void what_was_saved_fits(void **state)
{
    (void)state;
    assert_true(fits());
    assert_true(header(0)->version == 1 && header(1)->version == 2);
    assert_true(record(0)->held == 1 && record(0)->sum == SUM && record(0)->mode == DISK_OVERLAY);
    assert_true(record(1)->held == BLOCKS && record(1)->sum == 0 &&
                record(1)->mode == DISK_READ_WRITE);
    assert_null(snapshot_disk(&world.vm, POSTERN_SNAPSHOT_STATE));
    assert_null(snapshot_disk(&world.vm, POSTERN_SNAPSHOT_DISK + DISKS));
}

/* The other's changes, and is 0 in the record. */
static void sums_are_of_images_that_stay(void **state)
{
    (void)state;
    record(0)->sum++;
    expect_refusal("disk 0 (root.img) is another one: its image's sum is 1234");
    record(0)->sum--;
    world.unknown = true;
    expect_refusal("the image of disk 0 (root.img) is not summed up");
    assert_int_equal(snapshot_disks_check(&world.vm, world.error), STATUS_BUSY);
    world.unknown = false;
    assert_true(fits());
    record(1)->sum++;
    expect_refusal("disk 1 (data.img) is another one: its image's sum is 0");
}

/* All of an image must have come, whatever the record says. */
static void a_part_of_an_image_is_refused(void **state)
{
    (void)state;
    disk_empty(&world.disks[1]);
    expect_refusal("disk 1 (data.img) held 3 blocks, and 0 came");
    assert_int_equal(store_zeros(1, 1, 2), STATUS_OK);
    expect_refusal("disk 1 (data.img) held 3 blocks, and 2 came");
    record(1)->held = 2;
    expect_refusal("disk 1 (data.img)");
    assert_int_equal(store_zeros(1, 0, 1), STATUS_OK);
    expect_refusal("disk 1 (data.img) held 2 blocks, and 3 came");
    record(1)->held = 3;
    assert_true(fits());
    assert_int_equal(store_zeros(0, 0, 1), STATUS_OK);
    expect_refusal("disk 0 (root.img) held 1 blocks, and 2 came");
}

static void records_that_lie_are_refused(void **state)
{
    (void)state;
    header(1)->version = 9;
    expect_refusal("disk record 1 is of version 9, and this hypervisor's is 2");
    header(1)->version = 2;
    record(1)->mode = DISK_OVERLAY;
    expect_refusal("disk 1 (data.img) is another one: its mode is 1, the snapshot's 2");
    record(1)->mode = DISK_READ_WRITE;
    record(0)->mode = DISK_READ_WRITE;
    expect_refusal("disk 0 (root.img) is another one: its mode is 2, the snapshot's 1");
    record(0)->mode = DISK_OVERLAY;
    record(1)->size += DISK_SECTOR;
    expect_refusal("disk 1 (data.img) is another one: its size is");
    record(1)->size -= DISK_SECTOR;
    header(1)->index = 7;
    expect_refusal("there is no disk record 1");
    world.size /= 2;
    expect_refusal("of a VM with 1 disks, and one has 2");
}

/* Nobody has saved a VM that writes to an image without it. */
static void a_state_without_disks_is_of_no_such_vm(void **state)
{
    (void)state;
    world.size = 0;
    expect_refusal("1 blocks came for disk 0 (root.img)");
    disk_empty(&world.disks[0]);
    expect_refusal("the state has no record of disk 1 (data.img), to whose image one writes");
    world.config.disk_count = 1;
    assert_true(fits());
}

/* As soon as anything is written, and not before. */
static void an_image_is_half_restored(void **state)
{
    const uint32_t skip = (uint32_t)WORD_RUNS_SKIP << 30 | 64;
    uint64_t covered;

    (void)state;
    assert_true(world.disks[1].half && !world.disks[0].half);
    disk_empty(&world.disks[1]);
    world.disks[1].half = false;
    assert_int_equal(
        snapshot_disk_take(&world.disks[1], 0, SIZE, (const uint8_t *)&skip, 4, &covered),
        STATUS_OK);
    assert_true(covered == 512 && !world.disks[1].half);
    /* Also by tokens that are refused behind that. */
    const uint32_t bad[2] = {(uint32_t)WORD_RUNS_ZEROS << 30 | 1, 0};
    assert_int_equal(
        snapshot_disk_take(&world.disks[1], 0, SIZE, (const uint8_t *)bad, 8, &covered),
        STATUS_INVALID);
    assert_true(world.disks[1].half);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_was_saved_fits, set_up),
        cmocka_unit_test_setup(sums_are_of_images_that_stay, set_up),
        cmocka_unit_test_setup(a_part_of_an_image_is_refused, set_up),
        cmocka_unit_test_setup(records_that_lie_are_refused, set_up),
        cmocka_unit_test_setup(a_state_without_disks_is_of_no_such_vm, set_up),
        cmocka_unit_test_setup(an_image_is_half_restored, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
