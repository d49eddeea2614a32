/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Console fonts in the PC Screen Font formats 1 and 2, as the Linux console and kbd use them. A
 * character's number is its glyph's: in the fonts for text consoles, ASCII is at its own place. A
 * table of Unicode numbers behind the glyphs is passed over.
 */
#ifndef POSTERN_LIB_PSF_H
#define POSTERN_LIB_PSF_H

#include "lib/status.h"

#define PSF_MAX_WIDTH  32u
#define PSF_MAX_HEIGHT 64u

struct psf_font {
    const uint8_t *glyphs;
    uint32_t count;         /* of glyphs, at least the 128 of ASCII */
    uint32_t width, height; /* of a glyph, in pixels */
};

/* Looks at the font in blob[0..size) and describes it in `font`, which points into `blob` then.
 * STATUS_INVALID: it is no font, or not all of it is there; STATUS_UNSUPPORTED: its glyphs are too
 * large or too few. */
status_t psf_open(struct psf_font *font, const uint8_t *blob, size_t size) MUST_CHECK;

static inline uint32_t psf_line_bytes(const struct psf_font *font)
{
    return (font->width + 7) / 8;
}

/* A line of a glyph: its leftmost pixel is bit 31, what lies beyond its width is 0. `glyph` must be
 * less than count, `line` than height. */
static inline uint32_t psf_line(const struct psf_font *font, uint32_t glyph, uint32_t line)
{
    uint32_t bytes = psf_line_bytes(font);
    const uint8_t *at = font->glyphs + ((size_t)glyph * font->height + line) * bytes;
    uint32_t pixels = 0;

    for (uint32_t i = 0; i < bytes; i++) {
        pixels |= (uint32_t)at[i] << (24 - 8 * i);
    }
    return pixels & ~0u << (PSF_MAX_WIDTH - font->width);
}

#endif
