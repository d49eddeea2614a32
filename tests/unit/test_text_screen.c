/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/text_screen.h"
#include "tests/unit/random.h"

#define GLYPHS    128u
#define UNTOUCHED 0xdeadbeefu
#define ROWS_MAX  1000u
#define COLS_MAX  400u
#define GREY      0xc8c8c8u
#define YELLOW    0xffd040u
#define RED       0xff6050u

/* A screen whose pixels end where their allocation ends: a write beyond them is seen. */
struct fake {
    struct text_screen_mode mode;
    struct psf_font font;
    uint8_t glyphs[GLYPHS * 16 * 4];
    struct text_screen screen;
};

static struct fake fake;

/* Each glyph tells its number in its first line; the last line of all but the space is full, to its
 * last pixel. At least 7 pixels wide. */
static void make_font(struct psf_font *font, uint32_t width, uint32_t height)
{
    uint32_t bytes = (width + 7) / 8;

    memset(fake.glyphs, 0, sizeof(fake.glyphs));
    for (uint32_t glyph = 0; glyph < GLYPHS; glyph++) {
        uint8_t *at = &fake.glyphs[glyph * height * bytes];
        if (glyph != ' ') {
            at[0] = (uint8_t)(glyph << 1);
            memset(at + (height - 1) * bytes, 0xff, bytes);
        }
    }
    *font = (struct psf_font){fake.glyphs, GLYPHS, width, height};
}

static status_t open_screen(uint32_t width, uint32_t height, uint32_t stride, bool bgr)
{
    size_t count = (size_t)stride * height;
    uint32_t *pixels = malloc(count * sizeof(*pixels));

    for (size_t i = 0; i < count; i++) {
        pixels[i] = UNTOUCHED;
    }
    free((void *)fake.mode.pixels);
    fake.mode = (struct text_screen_mode){pixels, width, height, stride, bgr};
    return text_screen_init(&fake.screen, &fake.mode, &fake.font);
}

/* A font of 8 by 3, so many characters and some pixels over at each edge. */
static void open_characters(uint32_t columns, uint32_t rows)
{
    make_font(&fake.font, 8, 3);
    assert_int_equal(open_screen(columns * 8 + 5, rows * 3 + 2, columns * 8 + 11, true), STATUS_OK);
    assert_int_equal(fake.screen.columns, columns);
    assert_int_equal(fake.screen.rows, rows);
}

static void write_text(const char *text)
{
    text_screen_write(&fake.screen, text, strlen(text));
}

static uint32_t pixel(uint32_t x, uint32_t y)
{
    return fake.mode.pixels[(size_t)y * fake.mode.stride + x];
}

/* The pixels of a cell are exactly those of `character` in `colour`. */
static void assert_cell(uint32_t row, uint32_t column, char character, uint32_t colour)
{
    const struct psf_font *font = &fake.font;
    uint32_t scale = fake.screen.scale;

    for (uint32_t y = 0; y < font->height * scale; y++) {
        uint32_t line = psf_line(font, (uint8_t)character, y / scale);
        for (uint32_t x = 0; x < font->width * scale; x++) {
            bool set = (line >> (31 - x / scale) & 1) != 0;
            assert_int_equal(
                pixel(column * font->width * scale + x, row * font->height * scale + y),
                set ? colour : 0);
        }
    }
}

static void assert_row(uint32_t row, const char *text, uint32_t colour)
{
    size_t length = strlen(text);

    for (uint32_t column = 0; column < fake.screen.columns; column++) {
        assert_cell(row, column, column < length ? text[column] : ' ', colour);
    }
}

/* Right of and below the characters it is black, and beyond the width nothing was written. */
static void assert_edges(void)
{
    uint32_t used_x = fake.screen.columns * fake.font.width * fake.screen.scale;
    uint32_t used_y = fake.screen.rows * fake.font.height * fake.screen.scale;

    for (uint32_t y = 0; y < fake.mode.height; y++) {
        for (uint32_t x = y < used_y ? used_x : 0; x < fake.mode.stride; x++) {
            assert_int_equal(pixel(x, y), x < fake.mode.width ? 0 : UNTOUCHED);
        }
    }
}

static void fill_pixels(void)
{
    for (size_t i = 0; i < (size_t)fake.mode.stride * fake.mode.height; i++) {
        fake.mode.pixels[i] = UNTOUCHED;
    }
}

static unsigned written_pixels(void)
{
    unsigned count = 0;

    for (size_t i = 0; i < (size_t)fake.mode.stride * fake.mode.height; i++) {
        count += fake.mode.pixels[i] != UNTOUCHED;
    }
    return count;
}

static void test_clears_and_draws(void **state)
{
    (void)state;
    open_characters(20, 4);
    for (uint32_t row = 0; row < 4; row++) {
        assert_row(row, "", GREY);
    }
    write_text("Postern\nis a PC");
    assert_row(0, "Postern", GREY);
    assert_row(1, "is a PC", GREY);
    assert_row(2, "", GREY);
    assert_edges();
}

static void test_wraps_at_the_edge(void **state)
{
    (void)state;
    open_characters(10, 6);
    /* A line that just fits takes one row. */
    write_text("0123456789\nabcdefghijkl\n");
    write_text("next");
    assert_row(0, "0123456789", GREY);
    assert_row(1, "abcdefghij", GREY);
    assert_row(2, "kl", GREY);
    assert_row(3, "next", GREY);
    assert_edges();
}

static void test_tabs_and_odd_bytes(void **state)
{
    (void)state;
    open_characters(20, 5);
    write_text("a\tb\t\tc\n");
    write_text("12345678\t9\n");
    write_text("~ \x7f\x80\xff\x01\r\n");
    text_screen_write(&fake.screen, "i\0j", 3);
    assert_row(0, "a       b           ", GREY);
    assert_row(1, "c", GREY);
    assert_row(2, "12345678        9", GREY);
    assert_row(3, "~ ?????", GREY);
    assert_row(4, "i?j", GREY);
}

static void test_scrolls(void **state)
{
    char line[8] = "line a\n";

    (void)state;
    open_characters(12, 4);
    for (unsigned i = 0; i < 26; i++) {
        line[5] = (char)('a' + i);
        write_text(line);
    }
    /* The last row is not spent on the newline. */
    assert_row(0, "line w", GREY);
    assert_row(3, "line z", GREY);
    write_text("\n");
    assert_row(2, "line z", GREY);
    assert_row(3, "", GREY);
    write_text("\n\nend");
    assert_row(0, "", GREY);
    assert_row(3, "end", GREY);
    write_text(" of a line that wraps\n");
    assert_row(2, "end of a lin", GREY);
    assert_row(3, "e that wraps", GREY);
    assert_edges();
}

static void test_more_than_a_screen_at_once(void **state)
{
    (void)state;
    open_characters(10, 3);
    write_text("a\nb\nc\nd\ne\nf\ng\nh\ni\n");
    assert_row(0, "g", GREY);
    assert_row(1, "h", GREY);
    assert_row(2, "i", GREY);
}

static void test_levels_have_colours(void **state)
{
    (void)state;
    open_characters(10, 8);
    write_text("E an error that wraps\nW warns\nI Errs\n");
    write_text("E");
    write_text("rror\n");
    assert_row(0, "E an error", RED);
    assert_row(1, " that wrap", RED);
    assert_row(2, "s", RED);
    assert_row(3, "W warns", YELLOW);
    assert_row(4, "I Errs", GREY);
    assert_row(5, "Error", RED);
    /* The same text in another colour is drawn anew. */
    open_characters(5, 1);
    write_text("Exx\n");
    write_text("I\tx\n");
    write_text("Ixx\n");
    assert_row(0, "Ixx", GREY);
}

static void test_order_of_colours(void **state)
{
    (void)state;
    make_font(&fake.font, 8, 3);
    assert_int_equal(open_screen(80, 30, 80, false), STATUS_OK);
    write_text("E\nW\n");
    assert_cell(0, 0, 'E', 0x5060ff);
    assert_cell(1, 0, 'W', 0x40d0ff);
    assert_int_equal(open_screen(80, 30, 80, true), STATUS_OK);
    write_text("E\nW\n");
    assert_cell(0, 0, 'E', 0xff6050);
    assert_cell(1, 0, 'W', 0xffd040);
}

static void test_writes_only_what_changes(void **state)
{
    (void)state;
    open_characters(20, 3);
    write_text("one\none\none\n");
    fill_pixels();
    /* All of it moves up by one, and none of it looks different. */
    write_text("one\n");
    assert_int_equal(written_pixels(), 0);
    /* 'o' is 1101111, 'm' is 1101101: one pixel of one cell. */
    write_text("mne\n");
    assert_int_equal(written_pixels(), 1);
    assert_int_equal(pixel(5, 2 * 3), 0);
}

static void test_many_pixels_enlarge(void **state)
{
    (void)state;
    make_font(&fake.font, 8, 4);
    assert_int_equal(open_screen(2559, 40, 2559, true), STATUS_OK);
    assert_int_equal(fake.screen.scale, 1);
    assert_int_equal(open_screen(2560, 41, 2561, true), STATUS_OK);
    assert_int_equal(fake.screen.columns, 160);
    assert_int_equal(fake.screen.rows, 5);
    write_text("I a\nE b\n");
    assert_row(0, "I a", GREY);
    assert_row(1, "E b", RED);
    assert_edges();
    assert_int_equal(open_screen(3840, 25, 3841, true), STATUS_OK);
    assert_int_equal(fake.screen.rows, 2);
    write_text("1\n2\n3");
    assert_row(0, "2", GREY);
    assert_row(1, "3", GREY);
    assert_edges();
}

static void test_wide_glyphs(void **state)
{
    (void)state;
    make_font(&fake.font, 19, 3);
    assert_int_equal(open_screen(100, 10, 100, true), STATUS_OK);
    write_text("abcdefg");
    assert_row(0, "abcde", GREY);
    assert_row(1, "fg", GREY);
    assert_edges();
}

static void test_unusable_modes(void **state)
{
    struct text_screen_mode mode;

    (void)state;
    make_font(&fake.font, 8, 16);
    assert_int_equal(open_screen(8, 16, 8, true), STATUS_OK);
    assert_int_equal(open_screen(7, 16, 8, true), STATUS_INVALID);
    assert_int_equal(open_screen(8, 15, 8, true), STATUS_INVALID);
    assert_int_equal(open_screen(9, 16, 8, true), STATUS_INVALID);
    mode = fake.mode;
    mode = (struct text_screen_mode){mode.pixels, 0, 0, 0, true};
    assert_int_equal(text_screen_init(&fake.screen, &mode, &fake.font), STATUS_INVALID);
    mode = (struct text_screen_mode){NULL, 8, 16, 8, true};
    assert_int_equal(text_screen_init(&fake.screen, &mode, &fake.font), STATUS_INVALID);
    assert_int_equal(written_pixels(), 0);
}

static void test_too_many_characters(void **state)
{
    char line[5] = "I a\n";

    (void)state;
    make_font(&fake.font, 7, 2);
    /* 182 columns; 180 rows are as many as fit. */
    assert_int_equal(open_screen(1279, 500, 1280, true), STATUS_OK);
    assert_int_equal(fake.screen.columns, 182);
    assert_int_equal(fake.screen.rows, TEXT_SCREEN_CELLS / 182);
    for (unsigned i = 0; i < 183; i++) {
        line[2] = (char)('a' + i % 26);
        write_text(line);
    }
    assert_row(0, "I d", GREY);
    assert_row(179, "I a", GREY);
    assert_edges();
}

/* What rows a text makes, said in another way than the code does. */
struct model {
    unsigned rows;
    char text[ROWS_MAX][COLS_MAX + 1];
    uint32_t colours[ROWS_MAX];
};

static void model_line(struct model *model, const char *line, size_t size, uint32_t columns)
{
    char wide[COLS_MAX * 8];
    size_t length = 0;

    for (size_t i = 0; i < size; i++) {
        if (line[i] != '\t') {
            wide[length++] = line[i];
            continue;
        }
        size_t start = length % columns;
        size_t stop = (start / 8 + 1) * 8;
        for (size_t at = start; at < (stop < columns ? stop : columns); at++) {
            wide[length++] = ' ';
        }
    }
    for (size_t at = 0; at == 0 || at < length; at += columns) {
        size_t part = length - at < columns ? length - at : columns;
        memcpy(model->text[model->rows], wide + at, part);
        model->text[model->rows][part] = '\0';
        model->colours[model->rows++] = line[0] == 'E' ? RED : line[0] == 'W' ? YELLOW : GREY;
    }
}

static void test_random_text(void **state)
{
    static const char letters[] = "EWIab c\t\n";
    static struct model model;
    struct random random = {42};

    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        char text[1000];
        size_t size = 1 + random_below(&random, sizeof(text)), start = 0;
        open_characters(1 + random_below(&random, 40), 1 + random_below(&random, 20));
        model.rows = 0;
        for (size_t i = 0; i < size; i++) {
            text[i] = i % 37 == 36 ? '\n' : letters[random_below(&random, sizeof(letters) - 1)];
        }
        text[size - 1] = '\n';
        for (size_t i = 0; i < size; i++) {
            if (text[i] == '\n') {
                model_line(&model, text + start, i - start, fake.screen.columns);
                start = i + 1;
            }
        }
        for (size_t at = 0; at < size;) {
            size_t part = 1 + random_below(&random, 60);
            part = part < size - at ? part : size - at;
            text_screen_write(&fake.screen, text + at, part);
            at += part;
        }
        unsigned shown = model.rows < fake.screen.rows ? model.rows : fake.screen.rows;
        for (unsigned row = 0; row < fake.screen.rows; row++) {
            unsigned from = model.rows - shown + row;
            assert_row(row, row < shown ? model.text[from] : "",
                       row < shown ? model.colours[from] : GREY);
        }
        assert_edges();
    }
}

static int free_pixels(void **state)
{
    (void)state;
    free((void *)fake.mode.pixels);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clears_and_draws),
        cmocka_unit_test(test_wraps_at_the_edge),
        cmocka_unit_test(test_tabs_and_odd_bytes),
        cmocka_unit_test(test_scrolls),
        cmocka_unit_test(test_more_than_a_screen_at_once),
        cmocka_unit_test(test_levels_have_colours),
        cmocka_unit_test(test_order_of_colours),
        cmocka_unit_test(test_writes_only_what_changes),
        cmocka_unit_test(test_many_pixels_enlarge),
        cmocka_unit_test(test_wide_glyphs),
        cmocka_unit_test(test_unusable_modes),
        cmocka_unit_test(test_too_many_characters),
        cmocka_unit_test(test_random_text),
    };

    return cmocka_run_group_tests(tests, NULL, free_pixels);
}
