/* SPDX-License-Identifier: BSD-2-Clause */
/* Framing: the input as a line's bytes, and as a payload that has to come back as it was. */
#include "tests/fuzz/fuzz.h"

#include "lib/hdlc.h"

static void check_event(const struct hdlc_decoder *decoder, enum hdlc_event event)
{
    FUZZ_CHECK(event == HDLC_NOTHING || event == HDLC_TEXT || event == HDLC_FRAME);
    FUZZ_CHECK(event != HDLC_TEXT ||
               (decoder->text_size > 0 && decoder->text_size <= sizeof(decoder->text)));
    FUZZ_CHECK(event != HDLC_FRAME || decoder->payload_size + 4 <= decoder->size);
}

/* One byte of the input's choice stands for a silence and itself. */
static void decode_line(struct fuzz_input input)
{
    struct hdlc_decoder decoder;
    size_t size = 4u + fuzz_byte(&input);
    uint8_t silence = fuzz_byte(&input);
    uint8_t *buffer = malloc(size);

    FUZZ_CHECK(buffer != NULL);
    hdlc_decoder_init(&decoder, buffer, size);
    while (input.left > 0) {
        uint8_t byte = fuzz_byte(&input);

        if (byte == silence) {
            check_event(&decoder, hdlc_decode_silence(&decoder));
        }
        check_event(&decoder, hdlc_decode(&decoder, byte));
    }
    free(buffer);
}

static void there_and_back(struct fuzz_input input)
{
    struct hdlc_decoder decoder;
    uint32_t escape = (uint32_t)fuzz_number(&input, 4);
    uint8_t *payload = fuzz_copy(input.at, input.left);
    uint8_t *frame = malloc(HDLC_ENCODED_MAX(input.left));
    uint8_t *buffer = malloc(input.left + 4);
    enum hdlc_event event = HDLC_NOTHING;

    FUZZ_CHECK(frame != NULL && buffer != NULL);
    size_t size = hdlc_encode(frame, payload, input.left, escape);
    FUZZ_CHECK(size <= HDLC_ENCODED_MAX(input.left));
    hdlc_decoder_init(&decoder, buffer, input.left + 4);
    for (size_t i = 0; i < size; i++) {
        /* The flags, address and control are sent as they are. */
        FUZZ_CHECK(i < 3 || frame[i] >= 0x20 || (escape >> frame[i] & 1) == 0);
        event = hdlc_decode(&decoder, frame[i]);
        FUZZ_CHECK((event == HDLC_FRAME) == (i + 1 == size));
    }
    FUZZ_CHECK(decoder.payload_size == input.left && decoder.damaged == 0);
    FUZZ_CHECK(memcmp(buffer, payload, input.left) == 0);
    free(payload);
    free(frame);
    free(buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode_line((struct fuzz_input){data, size});
    there_and_back((struct fuzz_input){data, size});
    return 0;
}
