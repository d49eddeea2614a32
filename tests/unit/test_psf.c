/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/psf.h"
#include "tests/unit/random.h"

#define PSF2_HEADER 32u
#define BLOB_MAX    65536u

/* A copy that ends where its allocation ends: a read beyond it is seen. */
static status_t open_exact(struct psf_font *font, const uint8_t *blob, size_t size)
{
    uint8_t *copy = malloc(size + (size == 0));

    memcpy(copy, blob, size);
    status_t status = psf_open(font, copy, size);
    if (status == STATUS_OK) {
        for (uint32_t line = 0; line < font->height; line++) {
            (void)psf_line(font, 0, line);
            (void)psf_line(font, font->count - 1, line);
        }
    }
    free(copy);
    return status;
}

static void put_le32(uint8_t *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

static size_t make_psf2(uint8_t *blob, uint32_t count, uint32_t width, uint32_t height)
{
    uint32_t glyph_bytes = height * ((width + 7) / 8);
    const uint32_t words[] = {0x864ab572, 0, PSF2_HEADER, 0, count, glyph_bytes, height, width};

    for (unsigned i = 0; i < 8; i++) {
        put_le32(blob + 4 * i, words[i]);
    }
    memset(blob + PSF2_HEADER, 0xff, (size_t)count * glyph_bytes);
    return PSF2_HEADER + (size_t)count * glyph_bytes;
}

static void test_psf1(void **state)
{
    static uint8_t blob[4 + 512 * 14 + 5] = {0x36, 0x04, 0x00, 14};
    struct psf_font font;

    (void)state;
    blob[4 + 65 * 14 + 3] = 0x81;
    assert_int_equal(psf_open(&font, blob, 4 + 256 * 14), STATUS_OK);
    assert_int_equal(font.count, 256);
    assert_int_equal(font.width, 8);
    assert_int_equal(font.height, 14);
    assert_int_equal(psf_line(&font, 65, 3), 0x81000000);
    assert_int_equal(psf_line(&font, 65, 4), 0);
    /* A table of Unicode numbers follows. */
    assert_int_equal(psf_open(&font, blob, 4 + 256 * 14 + 5), STATUS_OK);
    assert_int_equal(open_exact(&font, blob, 4 + 256 * 14 - 1), STATUS_INVALID);
    blob[2] = 0x03;
    assert_int_equal(open_exact(&font, blob, 4 + 512 * 14), STATUS_OK);
    assert_int_equal(font.count, 512);
    assert_int_equal(open_exact(&font, blob, 4 + 512 * 14 - 1), STATUS_INVALID);
    blob[3] = 0;
    assert_int_equal(open_exact(&font, blob, sizeof(blob)), STATUS_INVALID);
}

static void test_psf2(void **state)
{
    static uint8_t blob[BLOB_MAX];
    struct psf_font font;
    size_t size = make_psf2(blob, 128, 12, 24);

    (void)state;
    blob[PSF2_HEADER + 48 * 65] = 0x80;
    blob[PSF2_HEADER + 48 * 65 + 1] = 0x1f;
    assert_int_equal(psf_open(&font, blob, size), STATUS_OK);
    assert_int_equal(font.count, 128);
    assert_int_equal(font.width, 12);
    assert_int_equal(font.height, 24);
    /* Four bits of the second byte belong to the glyph. */
    assert_int_equal(psf_line(&font, 65, 0), 0x80100000);
    assert_int_equal(psf_line(&font, 65, 1), 0xfff00000);
    make_psf2(blob, 128, 32, 2);
    assert_int_equal(psf_open(&font, blob, size), STATUS_OK);
    assert_int_equal(psf_line(&font, 127, 1), 0xffffffff);
}

static void test_every_truncation_is_seen(void **state)
{
    static uint8_t blob[BLOB_MAX];
    struct psf_font font;
    size_t size = make_psf2(blob, 128, 9, 4);

    (void)state;
    assert_int_equal(open_exact(&font, blob, size), STATUS_OK);
    for (size_t shorter = 0; shorter < size; shorter++) {
        assert_int_equal(open_exact(&font, blob, shorter), STATUS_INVALID);
    }
}

static void test_bad_headers(void **state)
{
    /* A word of the header, what it is set to, what comes of it. */
    static const struct {
        unsigned word;
        uint32_t value;
        status_t status;
    } cases[] = {
        {0, 0x864ab573, STATUS_INVALID},
        {1, 1, STATUS_INVALID},
        {2, 31, STATUS_INVALID},
        {2, 0, STATUS_INVALID},
        {2, PSF2_HEADER + 1, STATUS_INVALID},
        {2, UINT32_MAX, STATUS_INVALID},
        {4, 127, STATUS_UNSUPPORTED},
        {4, 0, STATUS_UNSUPPORTED},
        {4, 129, STATUS_INVALID},
        {4, UINT32_MAX, STATUS_INVALID},
        {5, 15, STATUS_INVALID},
        {5, 17, STATUS_INVALID},
        {6, 0, STATUS_INVALID},
        {6, UINT32_MAX, STATUS_INVALID},
        {7, 0, STATUS_INVALID},
        {7, 9, STATUS_INVALID},
        {7, UINT32_MAX, STATUS_INVALID},
    };
    static uint8_t blob[BLOB_MAX];
    struct psf_font font;

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        size_t size = make_psf2(blob, 128, 8, 16);
        assert_int_equal(open_exact(&font, blob, size), STATUS_OK);
        put_le32(blob + 4 * cases[i].word, cases[i].value);
        assert_int_equal(open_exact(&font, blob, size), cases[i].status);
    }
    size_t size = make_psf2(blob, 128, PSF_MAX_WIDTH + 1, 8);
    assert_int_equal(open_exact(&font, blob, size), STATUS_UNSUPPORTED);
    size = make_psf2(blob, 128, 8, PSF_MAX_HEIGHT + 1);
    assert_int_equal(open_exact(&font, blob, size), STATUS_UNSUPPORTED);
    /* No bytes at all per glyph, and the words agree. */
    size = make_psf2(blob, 128, 8, 0);
    assert_int_equal(open_exact(&font, blob, size), STATUS_INVALID);
}

static void test_random_headers(void **state)
{
    static uint8_t blob[BLOB_MAX];
    struct random random = {7};
    struct psf_font font;
    unsigned opened = 0;

    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        uint32_t width = 1 + random_below(&random, 40), height = 1 + random_below(&random, 20);
        size_t size = make_psf2(blob, 100 + random_below(&random, 60), width, height);
        if (random_next(&random) & 1) {
            put_le32(blob + 4 * random_below(&random, 8),
                     random_next(&random) >> random_below(&random, 32));
        }
        if (random_next(&random) & 1) {
            size = random_below(&random, (uint32_t)size);
        }
        opened += open_exact(&font, blob, size) == STATUS_OK;
    }
    assert_in_range(opened, 1000, 19000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_psf1),
        cmocka_unit_test(test_psf2),
        cmocka_unit_test(test_every_truncation_is_seen),
        cmocka_unit_test(test_bad_headers),
        cmocka_unit_test(test_random_headers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
