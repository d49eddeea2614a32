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

#include "lib/word_runs.h"
#include "tests/unit/random.h"
#include "tools/hvctl/snapshot_file.h"

#define MEMORY     0x8000u
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
        snapshot_file_ram(out, offset, done, tokens, writer.used);
        offset += done;
        size -= done;
    }
}

static struct snapshot_file_head head_of(uint64_t tracking)
{
    return (struct snapshot_file_head){
        .memory = MEMORY, .tracking = tracking, .was_running = true, .name = "one"};
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
    f->file[8] = 2;
    write_file(f, f->file, f->size);
    expect_bad(f, "another version");
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
                      uint64_t offset, uint64_t covered, const uint32_t *tokens, size_t size)
{
    struct snapshot_file out;

    assert_true(snapshot_file_create(&out, f->path, head));
    snapshot_file_ram(&out, offset, covered, (const uint8_t *)tokens, size);
    snapshot_file_state(&out, f->state, sizeof(f->state));
    assert_true(snapshot_file_close(&out, true));
}

static void files_that_lie_are_refused(void **state)
{
    struct fixture *f = *state;
    const uint32_t zeros[1] = {2u << 30 | 2}, most[1] = {2u << 30 | 0x3fffffff};
    struct snapshot_file_head head = head_of(0);

    write_raw(f, &head, MEMORY - 16, 16, zeros, 4);
    struct snapshot_image_in image;
    char error[SNAPSHOT_FILE_ERROR_SIZE];
    assert_true(snapshot_file_load(&image, f->path, error));
    snapshot_file_free(&image);
    write_raw(f, &head, MEMORY - 8, 16, zeros, 4);
    expect_bad(f, "tokens");
    write_raw(f, &head, 0, 24, zeros, 4);
    expect_bad(f, "tokens");
    write_raw(f, &head, MEMORY + 8, 16, zeros, 4);
    expect_bad(f, "outside");
    write_raw(f, &head, UINT64_MAX - 7, 16, zeros, 4);
    expect_bad(f, "outside");
    write_raw(f, &head, 4, 16, zeros, 4);
    expect_bad(f, "outside");
    write_raw(f, &head, 0, MEMORY, most, 4);
    expect_bad(f, "tokens");
    head.memory = 0;
    write_raw(f, &head, 0, 16, zeros, 4);
    expect_bad(f, "impossible size");
    head.memory = MEMORY + 1;
    write_raw(f, &head, 0, 16, zeros, 4);
    expect_bad(f, "impossible size");
    head.memory = UINT64_MAX & ~0xfffull;
    write_raw(f, &head, 0, 16, zeros, 4);
    expect_bad(f, "impossible size");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_byte_may_be_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_that_break_off_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_part_is_gone_on_with, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_that_lie_are_refused, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
