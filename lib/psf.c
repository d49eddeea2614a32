/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/psf.h"

#define PSF1_MAGIC      0x0436u
#define PSF1_HEADER     4u
#define PSF1_MODE_512   0x01u
#define PSF1_WIDTH      8u
#define PSF2_MAGIC      0x864ab572u
#define PSF2_HEADER     32u
#define GLYPHS_OF_ASCII 128u

static uint32_t read_le32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

/* Magic (2 bytes), mode, bytes per glyph. */
static uint64_t read_psf1(struct psf_font *font, const uint8_t *blob)
{
    font->count = (blob[2] & PSF1_MODE_512) != 0 ? 512 : 256;
    font->width = PSF1_WIDTH;
    font->height = blob[3];
    return PSF1_HEADER;
}

/* 32-bit words: magic, version, size of the header, flags, glyphs, bytes per glyph, height, width.
 * Returns the header's size, 0 if the words contradict each other. */
static uint64_t read_psf2(struct psf_font *font, const uint8_t *blob)
{
    uint32_t header = read_le32(blob + 8);
    uint32_t glyph_bytes = read_le32(blob + 20);

    font->count = read_le32(blob + 16);
    font->height = read_le32(blob + 24);
    font->width = read_le32(blob + 28);
    uint64_t bytes_per_line = ((uint64_t)font->width + 7) / 8;
    bool exact = glyph_bytes == font->height * bytes_per_line;
    return read_le32(blob + 4) == 0 && header >= PSF2_HEADER && exact ? header : 0;
}

status_t psf_open(struct psf_font *font, const uint8_t *blob, size_t size)
{
    uint64_t header = 0;

    if (size >= PSF1_HEADER && ((uint32_t)blob[0] | (uint32_t)blob[1] << 8) == PSF1_MAGIC) {
        header = read_psf1(font, blob);
    } else if (size >= PSF2_HEADER && read_le32(blob) == PSF2_MAGIC) {
        header = read_psf2(font, blob);
    }
    if (header == 0 || font->width == 0 || font->height == 0) {
        return STATUS_INVALID;
    }
    if (font->width > PSF_MAX_WIDTH || font->height > PSF_MAX_HEIGHT ||
        font->count < GLYPHS_OF_ASCII) {
        return STATUS_UNSUPPORTED;
    }
    /* At most 2^32 glyphs of 2^8 bytes. */
    if (header + (uint64_t)font->count * font->height * psf_line_bytes(font) > size) {
        return STATUS_INVALID;
    }
    font->glyphs = blob + header;
    return STATUS_OK;
}
