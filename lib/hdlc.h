/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames on a serial line that carries plain text too: RFC 1662, "PPP in HDLC-like Framing", octet
 * stuffing and the 32-bit FCS. A frame is
 *
 *     0x7E 0xFF 0x03 payload FCS 0x7E
 *
 * in which payload and FCS have 0x7D, 0x7E and the control characters that the sender chose
 * escaped as 0x7D, byte ^ 0x20. The FCS covers address (0xFF), control (0x03) and payload and is
 * sent lowest byte first. One flag may close a frame and open the next.
 *
 * What is in no frame is text. A flag is also the character '~', so it begins a frame only if
 * 0xFF follows, which nobody types.
 */
#ifndef POSTERN_LIB_HDLC_H
#define POSTERN_LIB_HDLC_H

#include "lib/types.h"

#define HDLC_FLAG    0x7eu
#define HDLC_ESCAPE  0x7du
#define HDLC_ADDRESS 0xffu
#define HDLC_CONTROL 0x03u

/* Sets of control characters to escape, bit n for byte n: all of them, or those that a line's
 * software flow control takes for itself. */
#define HDLC_ESCAPE_ALL  0xffffffffu
#define HDLC_ESCAPE_FLOW (1u << 0x11 | 1u << 0x13)

/* The most bytes that a payload of `size` can become. */
#define HDLC_ENCODED_MAX(size) (2u * ((size) + 4u) + 4u)

/* Writes the frame of `size` bytes of payload to `frame`, which has HDLC_ENCODED_MAX(size) bytes.
 * Returns the frame's length. */
size_t hdlc_encode(uint8_t *frame, const void *payload, size_t size, uint32_t escape);

enum hdlc_state {
    HDLC_IN_TEXT, /* zero: where a decoder starts */
    HDLC_AT_FLAG, /* after a flag in text: '~', or a frame begins */
    HDLC_AT_ADDRESS,
    HDLC_IN_FRAME,
    HDLC_IN_ESCAPE,
    HDLC_SKIPPING, /* a frame that is known to be bad, up to its end */
    HDLC_AT_END    /* after a flag that ended a frame, and may begin the next */
};

enum hdlc_event {
    HDLC_NOTHING,
    HDLC_TEXT, /* text[0 .. text_size) came outside frames */
    HDLC_FRAME /* buffer[0 .. payload_size) is a frame's payload, its FCS right */
};

struct hdlc_decoder {
    uint8_t *buffer;
    size_t size; /* of the buffer */

    /* Results, of the last call only. */
    size_t payload_size;
    uint8_t text[2];
    unsigned text_size;

    /* Counters. */
    uint64_t frames;  /* good ones */
    uint64_t damaged; /* wrong FCS, too short, too long or cut off */

    enum hdlc_state state;
    size_t used;
};

/* `buffer` must hold the largest payload and 4 bytes more for the FCS; it is the caller's. */
void hdlc_decoder_init(struct hdlc_decoder *decoder, uint8_t *buffer, size_t size);

/* Takes the line's next byte. */
enum hdlc_event hdlc_decode(struct hdlc_decoder *decoder, uint8_t byte);

/* Says that the line has been silent for long (a third of a second is): a lone '~' becomes text,
 * and a frame that broke off is given up, so that text typed next is not swallowed by it. */
enum hdlc_event hdlc_decode_silence(struct hdlc_decoder *decoder);

#endif
