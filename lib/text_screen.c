/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/text_screen.h"

#define TAB_WIDTH 8u
/* Each further so many pixels of a screen's width make the glyphs larger by one: 80 columns of the
 * usual 8 pixels, twice. */
#define WIDTH_PER_SCALE 1280u

struct rgb {
    uint8_t red, green, blue;
};

static const struct rgb palette[TEXT_COLOURS] = {
    [TEXT_NORMAL] = {0xc8, 0xc8, 0xc8},
    [TEXT_WARNING] = {0xff, 0xd0, 0x40},
    [TEXT_ERROR] = {0xff, 0x60, 0x50},
};

static uint16_t cell_of(char character, enum text_colour colour)
{
    return (uint16_t)((unsigned)colour << 8 | (unsigned char)character);
}

static uint16_t *wanted_row(struct text_screen *screen, uint32_t row)
{
    return &screen->wanted[(screen->top + row) % screen->rows * screen->columns];
}

static void clear_row(struct text_screen *screen, uint32_t row)
{
    uint16_t *cells = wanted_row(screen, row);

    for (uint32_t column = 0; column < screen->columns; column++) {
        cells[column] = cell_of(' ', TEXT_NORMAL);
    }
}

static void clear_pixels(const struct text_screen_mode *mode)
{
    for (uint32_t y = 0; y < mode->height; y++) {
        volatile uint32_t *line = mode->pixels + (size_t)y * mode->stride;
        for (uint32_t x = 0; x < mode->width; x++) {
            line[x] = 0;
        }
    }
}

status_t text_screen_init(struct text_screen *screen, const struct text_screen_mode *mode,
                          const struct psf_font *font)
{
    screen->mode = *mode;
    screen->font = *font;
    screen->scale = mode->width < WIDTH_PER_SCALE ? 1 : mode->width / WIDTH_PER_SCALE;
    screen->columns = mode->width / (font->width * screen->scale);
    screen->rows = mode->height / (font->height * screen->scale);
    if (mode->pixels == NULL || mode->width > mode->stride || screen->columns == 0 ||
        screen->rows == 0) {
        return STATUS_INVALID;
    }
    /* By the scale there are at most 2 * WIDTH_PER_SCALE columns. */
    if (screen->rows > TEXT_SCREEN_CELLS / screen->columns) {
        screen->rows = TEXT_SCREEN_CELLS / screen->columns;
    }
    for (unsigned i = 0; i < TEXT_COLOURS; i++) {
        const struct rgb *c = &palette[i];
        unsigned low = mode->bgr ? c->blue : c->red;
        unsigned high = mode->bgr ? c->red : c->blue;
        screen->colours[i] = high << 16 | (unsigned)c->green << 8 | low;
    }
    screen->row = screen->column = screen->top = 0;
    screen->line_starts = true;
    screen->scrolled = false;
    screen->colour = TEXT_NORMAL;
    for (uint32_t row = 0; row < screen->rows; row++) {
        clear_row(screen, row);
    }
    for (uint32_t i = 0; i < screen->rows * screen->columns; i++) {
        screen->drawn[i] = cell_of(' ', TEXT_NORMAL);
    }
    clear_pixels(mode);
    return STATUS_OK;
}

static void next_row(struct text_screen *screen)
{
    screen->column = 0;
    screen->row++;
}

static void put_visible(struct text_screen *screen, char character)
{
    if (screen->column >= screen->columns) {
        next_row(screen);
    }
    /* Scrolling waits for a character, so that the last row is not an empty one. */
    if (screen->row >= screen->rows) {
        clear_row(screen, 0);
        screen->top = (screen->top + 1) % screen->rows;
        screen->row = screen->rows - 1;
        screen->scrolled = true;
    }
    wanted_row(screen, screen->row)[screen->column++] = cell_of(character, screen->colour);
}

static enum text_colour colour_of_level(char letter)
{
    return letter == 'E' ? TEXT_ERROR : letter == 'W' ? TEXT_WARNING : TEXT_NORMAL;
}

static void put(struct text_screen *screen, char character)
{
    if (character == '\n') {
        /* An empty line takes its row, scrolled in where it must be. */
        if (screen->line_starts) {
            put_visible(screen, ' ');
        }
        next_row(screen);
        screen->line_starts = true;
        return;
    }
    if (screen->line_starts) {
        screen->colour = colour_of_level(character);
        screen->line_starts = false;
    }
    if (character == '\t') {
        do {
            put_visible(screen, ' ');
        } while (screen->column % TAB_WIDTH != 0 && screen->column < screen->columns);
    } else {
        put_visible(screen, character >= ' ' && character <= '~' ? character : '?');
    }
}

/* A pixel of a glyph, at (x, y) in the screen's pixels divided by the scale. */
static void write_pixel(const struct text_screen *screen, uint32_t x, uint32_t y, uint32_t value)
{
    const struct text_screen_mode *mode = &screen->mode;
    uint32_t scale = screen->scale;

    for (uint32_t dy = 0; dy < scale; dy++) {
        volatile uint32_t *at =
            mode->pixels + ((size_t)y * scale + dy) * mode->stride + (size_t)x * scale;
        for (uint32_t dx = 0; dx < scale; dx++) {
            at[dx] = value;
        }
    }
}

/* Writes the pixels in which the cell `new` differs from `old`. */
static void draw(const struct text_screen *screen, uint32_t row, uint32_t column, uint16_t old,
                 uint16_t new)
{
    const struct psf_font *font = &screen->font;
    uint32_t colour = screen->colours[new >> 8];

    for (uint32_t line = 0; line < font->height; line++) {
        uint32_t before = psf_line(font, old & 0xffu, line);
        uint32_t after = psf_line(font, new & 0xffu, line);
        uint32_t changed = old >> 8 == new >> 8 ? before ^ after : before | after;
        while (changed != 0) {
            uint32_t x = (uint32_t)__builtin_clz(changed);
            uint32_t bit = 0x80000000u >> x;
            write_pixel(screen, column * font->width + x, row * font->height + line,
                        (after & bit) != 0 ? colour : 0);
            changed &= ~bit;
        }
    }
}

static void show(struct text_screen *screen, uint32_t first_row)
{
    for (uint32_t row = first_row; row < screen->rows; row++) {
        const uint16_t *wanted = wanted_row(screen, row);
        uint16_t *drawn = &screen->drawn[row * screen->columns];
        for (uint32_t column = 0; column < screen->columns; column++) {
            if (wanted[column] != drawn[column]) {
                draw(screen, row, column, drawn[column], wanted[column]);
                drawn[column] = wanted[column];
            }
        }
    }
}

void text_screen_write(struct text_screen *screen, const char *text, size_t size)
{
    uint32_t first_row = screen->row;

    for (size_t i = 0; i < size; i++) {
        put(screen, text[i]);
    }
    show(screen, screen->scrolled ? 0 : first_row);
    screen->scrolled = false;
}
