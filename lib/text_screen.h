/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text on a framebuffer of 32-bit pixels: the log's lines, wrapped at the right edge and scrolled
 * at the bottom. Reading a framebuffer is very slow on real machines and writing it is slow, so
 * what the screen shows is kept in memory too: the framebuffer is never read, and only pixels that
 * change are written.
 */
#ifndef POSTERN_LIB_TEXT_SCREEN_H
#define POSTERN_LIB_TEXT_SCREEN_H

#include "lib/psf.h"

/* More characters than this are not used of a screen: its lower part stays black then. */
#define TEXT_SCREEN_CELLS 32768u

struct text_screen_mode {
    volatile uint32_t *pixels;
    uint32_t width, height; /* pixels */
    uint32_t stride;        /* pixels from one line to the next */
    bool bgr;               /* blue is in a pixel's lowest byte; else red */
};

/* The colour of a line of the log is that of its level. */
enum text_colour { TEXT_NORMAL, TEXT_WARNING, TEXT_ERROR, TEXT_COLOURS };

struct text_screen {
    struct text_screen_mode mode;
    struct psf_font font;
    uint32_t scale;         /* of the glyphs, for screens with very many pixels */
    uint32_t columns, rows; /* characters */
    uint32_t colours[TEXT_COLOURS];
    uint32_t row, column; /* the next character's; past the end until that character comes */
    uint32_t top;         /* the row of `wanted` that is the screen's first: they turn round */
    bool line_starts;     /* the next character is the first of a line */
    bool scrolled;        /* since the pixels were written */
    enum text_colour colour;
    /* A cell is a character with its colour in the upper byte. */
    uint16_t wanted[TEXT_SCREEN_CELLS];
    uint16_t drawn[TEXT_SCREEN_CELLS];
};

/* Clears the framebuffer and begins at its first line. `font`'s glyphs and the pixels stay in use.
 * STATUS_INVALID: lines longer than the stride, or no room for a single character. */
status_t text_screen_init(struct text_screen *screen, const struct text_screen_mode *mode,
                          const struct psf_font *font) MUST_CHECK;

/* Adds text of the log, whose lines begin with their level's letter, and shows it. Newlines and
 * tabs (to each eighth column) act; any other byte that is not printable ASCII shows as '?'. The
 * caller lets one CPU in at a time. */
void text_screen_write(struct text_screen *screen, const char *text, size_t size);

#endif
