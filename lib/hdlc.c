/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/hdlc.h"

#define FCS_SIZE 4u
#define FCS_INIT 0xffffffffu
/* What the FCS comes to over a whole frame, its own FCS included (RFC 1662, "32-bit FCS"). */
#define FCS_GOOD 0xdebb20e3u

/* The CRC of one byte, half a byte at a time: 16 words instead of a table of 256. */
static uint32_t fcs_add(uint32_t fcs, uint8_t byte)
{
    static const uint32_t nibbles[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };

    fcs = (fcs >> 4) ^ nibbles[(fcs ^ byte) & 0xf];
    return (fcs >> 4) ^ nibbles[(fcs ^ (unsigned)byte >> 4) & 0xf];
}

static uint8_t *put_stuffed(uint8_t *at, uint8_t byte, uint32_t escape)
{
    if (byte == HDLC_FLAG || byte == HDLC_ESCAPE || (byte < 32 && (escape >> byte & 1))) {
        *at++ = HDLC_ESCAPE;
        byte ^= 0x20;
    }
    *at++ = byte;
    return at;
}

size_t hdlc_encode(uint8_t *frame, const void *payload, size_t size, uint32_t escape)
{
    const uint8_t *bytes = payload;
    uint32_t fcs = fcs_add(fcs_add(FCS_INIT, HDLC_ADDRESS), HDLC_CONTROL);
    uint8_t *at = frame;

    *at++ = HDLC_FLAG;
    *at++ = HDLC_ADDRESS;
    *at++ = HDLC_CONTROL;
    for (size_t i = 0; i < size; i++) {
        fcs = fcs_add(fcs, bytes[i]);
        at = put_stuffed(at, bytes[i], escape);
    }
    for (unsigned i = 0; i < FCS_SIZE; i++) {
        at = put_stuffed(at, (uint8_t)(~fcs >> (8 * i) & 0xff), escape);
    }
    *at++ = HDLC_FLAG;
    return (size_t)(at - frame);
}

void hdlc_decoder_init(struct hdlc_decoder *decoder, uint8_t *buffer, size_t size)
{
    *decoder = (struct hdlc_decoder){.buffer = buffer, .size = size};
}

static enum hdlc_event text(struct hdlc_decoder *decoder, bool flag_first, uint8_t byte)
{
    if (flag_first) {
        decoder->text[decoder->text_size++] = HDLC_FLAG;
    }
    decoder->text[decoder->text_size++] = byte;
    return HDLC_TEXT;
}

/* A flag ended the frame in the buffer. */
static enum hdlc_event finish(struct hdlc_decoder *decoder)
{
    uint32_t fcs = fcs_add(fcs_add(FCS_INIT, HDLC_ADDRESS), HDLC_CONTROL);

    decoder->state = HDLC_AT_END;
    for (size_t i = 0; i < decoder->used; i++) {
        fcs = fcs_add(fcs, decoder->buffer[i]);
    }
    if (decoder->used < FCS_SIZE || fcs != FCS_GOOD) {
        decoder->damaged++;
        return HDLC_NOTHING;
    }
    decoder->frames++;
    decoder->payload_size = decoder->used - FCS_SIZE;
    return HDLC_FRAME;
}

/* A byte of a frame that is known to be bad: it, too, is bounded, since its end may be lost. */
static void skip(struct hdlc_decoder *decoder)
{
    decoder->state = HDLC_SKIPPING;
    if (decoder->used++ >= HDLC_ENCODED_MAX(decoder->size)) {
        decoder->state = HDLC_IN_TEXT;
    }
}

static void append(struct hdlc_decoder *decoder, uint8_t byte)
{
    if (decoder->used == decoder->size) {
        decoder->damaged++;
        skip(decoder);
        return;
    }
    decoder->buffer[decoder->used++] = byte;
    decoder->state = HDLC_IN_FRAME;
}

static enum hdlc_event decode_outside(struct hdlc_decoder *decoder, uint8_t byte)
{
    bool flag_pending = decoder->state == HDLC_AT_FLAG;

    if (byte == HDLC_ADDRESS && decoder->state != HDLC_IN_TEXT) {
        decoder->state = HDLC_AT_ADDRESS;
        return HDLC_NOTHING;
    }
    if (byte == HDLC_FLAG) {
        decoder->state = HDLC_AT_FLAG;
        return flag_pending ? text(decoder, false, byte) : HDLC_NOTHING;
    }
    decoder->state = HDLC_IN_TEXT;
    return text(decoder, flag_pending, byte);
}

static enum hdlc_event decode_inside(struct hdlc_decoder *decoder, uint8_t byte)
{
    if (byte == HDLC_FLAG) {
        if (decoder->state == HDLC_IN_FRAME) {
            return finish(decoder);
        }
        /* Right after an escape a flag gives the frame up (RFC 1662, "Transparency"). A frame that
         * is skipped was counted when its fault was seen. */
        decoder->damaged += decoder->state != HDLC_SKIPPING;
        decoder->state = HDLC_AT_END;
        return HDLC_NOTHING;
    }
    switch (decoder->state) {
    case HDLC_AT_ADDRESS:
        decoder->used = 0;
        if (byte == HDLC_CONTROL) {
            decoder->state = HDLC_IN_FRAME;
        } else {
            decoder->damaged++;
            skip(decoder);
        }
        break;
    case HDLC_IN_FRAME:
        if (byte == HDLC_ESCAPE) {
            decoder->state = HDLC_IN_ESCAPE;
        } else {
            append(decoder, byte);
        }
        break;
    case HDLC_IN_ESCAPE:
        append(decoder, byte ^ 0x20);
        break;
    default:
        skip(decoder);
    }
    return HDLC_NOTHING;
}

enum hdlc_event hdlc_decode(struct hdlc_decoder *decoder, uint8_t byte)
{
    decoder->text_size = 0;
    switch (decoder->state) {
    case HDLC_IN_TEXT:
    case HDLC_AT_FLAG:
    case HDLC_AT_END:
        return decode_outside(decoder, byte);
    default:
        return decode_inside(decoder, byte);
    }
}

enum hdlc_event hdlc_decode_silence(struct hdlc_decoder *decoder)
{
    enum hdlc_state state = decoder->state;

    decoder->text_size = 0;
    decoder->state = HDLC_IN_TEXT;
    if (state == HDLC_AT_FLAG) {
        return text(decoder, false, HDLC_FLAG);
    }
    if (state == HDLC_AT_ADDRESS || state == HDLC_IN_FRAME || state == HDLC_IN_ESCAPE) {
        decoder->damaged++;
    }
    return HDLC_NOTHING;
}
