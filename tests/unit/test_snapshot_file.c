/* SPDX-License-Identifier: BSD-2-Clause */
/* A snapshot's file: what is written is read, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "abi/snapshot.h"
#include "lib/word_runs.h"
#include "tests/unit/random.h"
#include "tools/hvctl/snapshot_file.h"

#define MEMORY     0x8000u
#define DISK       0x2600u /* the second one's size; its last block is a short one */
#define SECOND     (POSTERN_SNAPSHOT_DISK + 1)
#define HEADER     16u
#define CHUNK_HEAD 40u

struct fixture {
    char path[64];
    uint8_t ram[MEMORY];
    uint8_t state[32];
    uint8_t *file; /* its bytes */
    size_t size;
};

static void put_ram(struct snapshot_file *out, const uint8_t *ram, size_t offset, size_t size)
{
    uint8_t tokens[900];
    struct word_runs_writer writer;

    while (size > 0) {
        word_runs_begin(&writer, tokens, sizeof(tokens));
        size_t done = word_runs_put(&writer, ram + offset, size / 8) * 8;
        snapshot_file_piece(out, POSTERN_SNAPSHOT_RAM, offset, done, tokens, writer.used);
        offset += done;
        size -= done;
    }
}

static struct snapshot_file_head head_of(uint64_t tracking)
{
    return (struct snapshot_file_head){
        .memory = MEMORY, .tracking = tracking, .was_running = true, .name = "one"};
}

static struct snapshot_file_head head_with_disks(void)
{
    struct snapshot_file_head head = head_of(7);

    head.disk_count = 2;
    head.disks[0] = (struct snapshot_file_disk){512, 1, 0};
    head.disks[1] = (struct snapshot_file_disk){DISK, 0x123456789abcdefull, 0};
    return head;
}

static void read_back(struct fixture *f)
{
    FILE *file = fopen(f->path, "rb");

    assert_non_null(file);
    free(f->file);
    f->file = malloc(1 << 20);
    f->size = fread(f->file, 1, 1 << 20, file);
    fclose(file);
}

static void write_file(const struct fixture *f, const uint8_t *bytes, size_t size)
{
    FILE *file = fopen(f->path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

/* A file of two rounds. */
static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct snapshot_file_head head = head_of(7);
    struct random random = {21};
    struct snapshot_file out;

    *state = f;
    snprintf(f->path, sizeof(f->path), "/tmp/postern-snapshot-%d", (int)getpid());
    for (unsigned i = 0; i < MEMORY / 2; i++) {
        f->ram[i] = (uint8_t)(random_next(&random) % 5);
    }
    memset(f->state, 9, sizeof(f->state));
    assert_true(snapshot_file_create(&out, f->path, &head));
    snapshot_file_round(&out, 0);
    put_ram(&out, f->ram, 0, MEMORY);
    memset(f->ram + 0x1000, 0x77, 0x1000);
    snapshot_file_round(&out, 1);
    put_ram(&out, f->ram, 0x1000, 0x1000);
    snapshot_file_state(&out, f->state, sizeof(f->state));
    assert_true(snapshot_file_close(&out, true));
    read_back(f);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    (void)unlink(f->path);
    free(f->file);
    free(f);
    return 0;
}

static void what_is_written_is_read(void **state)
{
    const struct fixture *f = *state;
    char error[SNAPSHOT_FILE_ERROR_SIZE] = "";
    struct snapshot_image_in image;

    assert_true(snapshot_file_load(&image, f->path, error));
    assert_int_equal(image.head.memory, MEMORY);
    assert_string_equal(image.head.name, "one");
    assert_memory_equal(image.ram, f->ram, MEMORY);
    assert_int_equal(image.state_size, sizeof(f->state));
    assert_memory_equal(image.state, f->state, sizeof(f->state));
    snapshot_file_free(&image);
}

static void expect_bad(const struct fixture *f, const char *why)
{
    char error[SNAPSHOT_FILE_ERROR_SIZE] = "";
    struct snapshot_image_in image;

    assert_false(snapshot_file_load(&image, f->path, error));
    assert_non_null(strstr(error, why));
}

static void no_byte_may_be_another(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < f->size; i += 1 + i / 100) {
        f->file[i] ^= 0x10;
        write_file(f, f->file, f->size);
        expect_bad(f, "");
        f->file[i] ^= 0x10;
    }
    f->file[0] = 'Q';
    write_file(f, f->file, f->size);
    expect_bad(f, "no snapshot");
    f->file[0] = 'P';
    for (uint8_t version = 0; version <= 4; version += 4) {
        f->file[8] = version;
        write_file(f, f->file, f->size);
        expect_bad(f, "another version");
    }
    /* Of a version with disks, and has none. */
    for (uint8_t version = 2; version <= 3; version++) {
        f->file[8] = version;
        write_file(f, f->file, f->size);
        expect_bad(f, "does not begin");
    }
    f->file[8] = 1;
    f->file[HEADER + 16] ^= 1;
    write_file(f, f->file, f->size);
    expect_bad(f, "checksum");
}

static void files_that_break_off_are_refused(void **state)
{
    struct fixture *f = *state;

    for (size_t size = 0; size < f->size; size += 1 + size / 50) {
        write_file(f, f->file, size);
        expect_bad(f, "");
    }
    (void)unlink(f->path);
    expect_bad(f, "No such file");
}

/* What broke off is gone on with behind its last whole chunk, and is the same in the end. */
static void a_part_is_gone_on_with(void **state)
{
    struct fixture *f = *state;
    char error[SNAPSHOT_FILE_ERROR_SIZE] = "";
    unsigned again = 0;

    for (size_t size = HEADER; size < f->size; size += 97) {
        struct snapshot_file_head head = {0};
        struct snapshot_file_place place;
        struct snapshot_image_in image;
        struct snapshot_file out;
        write_file(f, f->file, size);
        if (!snapshot_file_reopen(&out, f->path, &head, &place)) {
            assert_true(size < HEADER + CHUNK_HEAD + 56);
            continue;
        }
        assert_true(head.tracking == 7 && head.was_running && place.round <= 1);
        if (place.round == 0) {
            put_ram(&out, f->ram, place.offset, MEMORY - place.offset);
            snapshot_file_round(&out, 1);
        }
        put_ram(&out, f->ram, 0x1000, 0x1000);
        snapshot_file_state(&out, f->state, sizeof(f->state));
        assert_true(snapshot_file_close(&out, true));
        assert_true(snapshot_file_load(&image, f->path, error));
        assert_memory_equal(image.ram, f->ram, MEMORY);
        snapshot_file_free(&image);
        again++;
    }
    assert_true(again > 3);
}

/* Whose checksums are right all the same: what a malicious program may write. */
static void write_raw(const struct fixture *f, const struct snapshot_file_head *head,
                      uint8_t section, uint64_t offset, uint64_t covered, const uint32_t *tokens,
                      size_t size)
{
    struct snapshot_file out;

    assert_true(snapshot_file_create(&out, f->path, head));
    snapshot_file_piece(&out, section, offset, covered, (const uint8_t *)tokens, size);
    snapshot_file_state(&out, f->state, sizeof(f->state));
    assert_true(snapshot_file_close(&out, true));
}

static void files_that_lie_are_refused(void **state)
{
    struct fixture *f = *state;
    const uint32_t zeros[1] = {2u << 30 | 2}, most[1] = {2u << 30 | 0x3fffffff};
    struct snapshot_file_head head = head_of(0);

    write_raw(f, &head, POSTERN_SNAPSHOT_RAM, MEMORY - 16, 16, zeros, 4);
    struct snapshot_image_in image;
    char error[SNAPSHOT_FILE_ERROR_SIZE];
    assert_true(snapshot_file_load(&image, f->path, error));
    snapshot_file_free(&image);
    write_raw(f, &head, POSTERN_SNAPSHOT_RAM, MEMORY - 8, 16, zeros, 4);
    expect_bad(f, "tokens");
    write_raw(f, &head, POSTERN_SNAPSHOT_RAM, 0, 24, zeros, 4);
    expect_bad(f, "tokens");
    write_raw(f, &head, POSTERN_SNAPSHOT_RAM, MEMORY + 8, 16, zeros, 4);
    expect_bad(f, "outside");
    write_raw(f, &head, POSTERN_SNAPSHOT_RAM, UINT64_MAX - 7, 16, zeros, 4);
    expect_bad(f, "outside");
    write_raw(f, &head, POSTERN_SNAPSHOT_RAM, 4, 16, zeros, 4);
    expect_bad(f, "outside");
    write_raw(f, &head, POSTERN_SNAPSHOT_RAM, 0, MEMORY, most, 4);
    expect_bad(f, "tokens");
    head.memory = 0;
    write_raw(f, &head, POSTERN_SNAPSHOT_RAM, 0, 16, zeros, 4);
    expect_bad(f, "impossible size");
    head.memory = MEMORY + 1;
    write_raw(f, &head, POSTERN_SNAPSHOT_RAM, 0, 16, zeros, 4);
    expect_bad(f, "impossible size");
    head.memory = UINT64_MAX & ~0xfffull;
    write_raw(f, &head, POSTERN_SNAPSHOT_RAM, 0, 16, zeros, 4);
    expect_bad(f, "impossible size");
}

/* Blocks come in pieces, a skipped one among them; later ones count over earlier ones. */
static void write_disk(struct snapshot_file *out)
{
    const uint32_t sevens[3] = {1u << 30 | 512, 7, 0}, first[2] = {3u << 30 | 512, 2u << 30 | 64};
    const uint32_t rest[4] = {2u << 30 | 127, 1, 9, 0};

    snapshot_file_piece(out, SECOND, 0, 4096, (const uint8_t *)sevens, 12);
    snapshot_file_piece(out, SECOND, 0, 4096 + 512, (const uint8_t *)first, 8);
    snapshot_file_piece(out, SECOND, 4096 + 512, 1024, (const uint8_t *)rest, 16);
}

static void disks_are_read(void **state)
{
    struct fixture *f = *state;
    struct snapshot_file_head head = head_with_disks();
    char error[SNAPSHOT_FILE_ERROR_SIZE] = "";
    struct snapshot_image_in image;
    struct snapshot_file out;

    assert_true(snapshot_file_create(&out, f->path, &head));
    snapshot_file_round(&out, 0);
    put_ram(&out, f->ram, 0, MEMORY);
    write_disk(&out);
    snapshot_file_state(&out, f->state, sizeof(f->state));
    assert_true(snapshot_file_close(&out, true));
    assert_true(snapshot_file_load(&image, f->path, error));
    assert_memory_equal(image.ram, f->ram, MEMORY);
    assert_int_equal(image.head.disk_count, 2);
    assert_memory_equal(image.head.disks, head.disks, sizeof(head.disks));
    assert_int_equal(image.disks[0].told[0], 0);
    assert_memory_equal(image.disks[1].told, "\1\1\0", 3);
    const uint64_t *words = (const uint64_t *)(const void *)image.disks[1].bytes;
    assert_true(words[0] == 7 && words[511] == 7 && words[512] == 0 && words[512 + 191] == 9);
    snapshot_file_free(&image);
    /* Version 1 has none. */
    read_back(f);
    assert_int_equal(f->file[8], 2);
    f->file[8] = 1;
    write_file(f, f->file, f->size);
    expect_bad(f, "does not begin");
}

/* All of it must be there. */
static void images_that_are_written_to_are_read(void **state)
{
    struct fixture *f = *state;
    const uint32_t last[3] = {1u << 30 | 176, 5, 0};
    struct snapshot_file_head head = head_with_disks();
    char error[SNAPSHOT_FILE_ERROR_SIZE] = "";
    struct snapshot_image_in image;

    head.disks[1].sum = 0;
    head.disks[1].flags = SNAPSHOT_FILE_WRITTEN;
    for (unsigned i = 0; i < 2; i++) {
        struct snapshot_file out;
        assert_true(snapshot_file_create(&out, f->path, &head));
        put_ram(&out, f->ram, 0, MEMORY);
        write_disk(&out);
        if (i != 0) {
            snapshot_file_piece(&out, SECOND, 2 * 4096, 1408, (const uint8_t *)last, 12);
        }
        snapshot_file_state(&out, f->state, sizeof(f->state));
        assert_true(snapshot_file_close(&out, true));
        if (i == 0) {
            expect_bad(f, "only a part of a disk");
            continue;
        }
        assert_true(snapshot_file_load(&image, f->path, error));
        assert_memory_equal(image.head.disks, head.disks, sizeof(head.disks));
        snapshot_file_free(&image);
    }
    read_back(f);
    assert_int_equal(f->file[8], 3);
    head.disks[1].flags = 2;
    struct snapshot_file out;
    assert_true(snapshot_file_create(&out, f->path, &head));
    assert_true(snapshot_file_close(&out, true));
    expect_bad(f, "impossible size or kind");
}

/* In the middle of a disk, behind RAM and another disk. */
static void a_part_of_a_disk_is_gone_on_with(void **state)
{
    struct fixture *f = *state;
    struct snapshot_file_head head = head_with_disks(), again = {0};
    struct snapshot_file_place place;
    struct snapshot_file out;

    assert_true(snapshot_file_create(&out, f->path, &head));
    snapshot_file_round(&out, 0);
    put_ram(&out, f->ram, 0, MEMORY);
    snapshot_file_round(&out, 1);
    write_disk(&out);
    assert_true(snapshot_file_close(&out, false));
    assert_true(snapshot_file_reopen(&out, f->path, &again, &place));
    assert_memory_equal(&again, &head, sizeof(head));
    assert_true(place.round == 1 && place.section == SECOND && place.offset == 4096 + 1536);
    snapshot_file_round(&out, 2);
    assert_true(snapshot_file_close(&out, false));
    assert_true(snapshot_file_reopen(&out, f->path, &again, &place));
    assert_true(place.round == 2 && place.section == POSTERN_SNAPSHOT_RAM && place.offset == 0);
    assert_true(snapshot_file_close(&out, false));
}

static void disks_that_lie_are_refused(void **state)
{
    struct fixture *f = *state;
    const uint32_t zeros[1] = {2u << 30 | 2}, skip[1] = {3u << 30 | 0x3fffffff};
    struct snapshot_file_head head = head_with_disks();

    write_raw(f, &head, SECOND, DISK - 8, 16, zeros, 4);
    expect_bad(f, "tokens");
    write_raw(f, &head, SECOND, 0, DISK, skip, 4);
    expect_bad(f, "tokens");
    write_raw(f, &head, SECOND, DISK + 8, 16, zeros, 4);
    expect_bad(f, "outside");
    write_raw(f, &head, SECOND, 4, 16, zeros, 4);
    expect_bad(f, "outside");
    write_raw(f, &head, SECOND + 1, 0, 16, zeros, 4);
    expect_bad(f, "does not have");
    write_raw(f, &head, 255, 0, 16, zeros, 4);
    expect_bad(f, "does not have");
    for (unsigned i = 0; i < 3; i++) {
        const uint64_t sizes[3] = {0, DISK + 1, UINT64_MAX & ~511ull};
        head.disks[1].size = sizes[i];
        write_raw(f, &head, SECOND, 0, 16, zeros, 4);
        expect_bad(f, "impossible size");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_byte_may_be_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_that_break_off_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_part_is_gone_on_with, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_that_lie_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(disks_are_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(images_that_are_written_to_are_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_part_of_a_disk_is_gone_on_with, set_up, tear_down),
        cmocka_unit_test_setup_teardown(disks_that_lie_are_refused, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
