/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/hdlc.h"
#include "tests/unit/random.h"

#define PAYLOAD_MAX 64u
#define LINE_MAX    2048u
#define FRAMES      3u

/* What a decoder made of a line. */
struct heard {
    struct hdlc_decoder decoder;
    uint8_t buffer[PAYLOAD_MAX + 4];
    unsigned count;
    size_t sizes[LINE_MAX / 8];
    uint8_t payloads[LINE_MAX / 8][PAYLOAD_MAX];
    char text[LINE_MAX];
    size_t text_size;
};

static void take(struct heard *heard, enum hdlc_event event)
{
    if (event == HDLC_FRAME) {
        size_t size = heard->decoder.payload_size;
        assert_true(size <= PAYLOAD_MAX);
        memcpy(heard->payloads[heard->count], heard->buffer, size);
        heard->sizes[heard->count++] = size;
    } else if (event == HDLC_TEXT) {
        assert_in_range(heard->decoder.text_size, 1, 2);
        memcpy(heard->text + heard->text_size, heard->decoder.text, heard->decoder.text_size);
        heard->text_size += heard->decoder.text_size;
    }
}

static void listen_to(struct heard *heard, const uint8_t *line, size_t size)
{
    memset(heard, 0, sizeof(*heard));
    hdlc_decoder_init(&heard->decoder, heard->buffer, sizeof(heard->buffer));
    for (size_t i = 0; i < size; i++) {
        take(heard, hdlc_decode(&heard->decoder, line[i]));
    }
}

/* The CRC of IEEE 802.3 and RFC 1662, a bit at a time: written apart from the code under test. */
static uint32_t slow_crc(const uint8_t *bytes, size_t size)
{
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < size; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            uint32_t feed = (crc ^ (uint32_t)bytes[i] >> bit) & 1;
            crc = (crc >> 1) ^ (feed ? 0xedb88320 : 0);
        }
    }
    return ~crc;
}

static void test_frame_layout(void **state)
{
    static const uint8_t covered[] = {0xff, 0x03, '1', '2', '3'};
    uint8_t frame[HDLC_ENCODED_MAX(3)];
    uint32_t crc = slow_crc(covered, sizeof(covered));

    (void)state;
    /* The CRC's published check value keeps the reference itself honest. */
    assert_int_equal(slow_crc((const uint8_t *)"123456789", 9), 0xcbf43926);
    size_t size = hdlc_encode(frame, "123", 3, 0);
    assert_int_equal(size, 11);
    assert_int_equal(frame[0], 0x7e);
    assert_memory_equal(frame + 1, covered, sizeof(covered));
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(frame[6 + i], crc >> (8 * i) & 0xff);
    }
    assert_int_equal(frame[10], 0x7e);
}

static void test_every_byte_value_passes(void **state)
{
    static const uint32_t maps[] = {0, HDLC_ESCAPE_ALL, HDLC_ESCAPE_FLOW};
    uint8_t payload[PAYLOAD_MAX], line[HDLC_ENCODED_MAX(PAYLOAD_MAX)];
    static struct heard heard;

    (void)state;
    for (unsigned map = 0; map < 3; map++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            memset(payload, (int)byte, sizeof(payload));
            for (size_t size = 0; size <= PAYLOAD_MAX; size += 16) {
                size_t length = hdlc_encode(line, payload, size, maps[map]);
                assert_true(length <= HDLC_ENCODED_MAX(size));
                listen_to(&heard, line, length);
                assert_int_equal(heard.count, 1);
                assert_int_equal(heard.sizes[0], size);
                assert_memory_equal(heard.payloads[0], payload, size);
                assert_int_equal(heard.text_size, 0);
            }
        }
    }
}

static void test_controls_are_escaped(void **state)
{
    uint8_t payload[32], line[HDLC_ENCODED_MAX(32)];

    (void)state;
    for (unsigned i = 0; i < 32; i++) {
        payload[i] = (uint8_t)i;
    }
    size_t length = hdlc_encode(line, payload, sizeof(payload), HDLC_ESCAPE_ALL);
    for (size_t i = 3; i < length; i++) {
        assert_true(line[i] >= 32);
    }
    length = hdlc_encode(line, payload, sizeof(payload), HDLC_ESCAPE_FLOW);
    for (size_t i = 3; i < length; i++) {
        assert_true(line[i] != 0x11 && line[i] != 0x13);
    }
    assert_non_null(memchr(line + 3, '\r', length - 3));
}

static void assert_text(const char *line, const char *text)
{
    static struct heard heard;

    listen_to(&heard, (const uint8_t *)line, strlen(line));
    assert_int_equal(heard.text_size, strlen(text));
    assert_memory_equal(heard.text, text, strlen(text));
    assert_int_equal(heard.count, 0);
}

static void test_tilde_is_text(void **state)
{
    static struct heard heard;

    (void)state;
    assert_text("list\r", "list\r");
    assert_text("cd ~user", "cd ~user");
    assert_text("a~~b~~~c", "a~~b~~~c");
    /* The last one waits for what follows, and a silence tells. */
    assert_text("a~", "a");
    listen_to(&heard, (const uint8_t *)"a~", 2);
    take(&heard, hdlc_decode_silence(&heard.decoder));
    assert_int_equal(heard.text_size, 2);
    assert_memory_equal(heard.text, "a~", 2);
    take(&heard, hdlc_decode_silence(&heard.decoder));
    assert_int_equal(heard.text_size, 2);
}

static size_t put_frame(uint8_t *line, size_t at, const char *payload)
{
    return at + hdlc_encode(line + at, payload, strlen(payload), 0);
}

static void test_text_between_frames(void **state)
{
    uint8_t line[LINE_MAX];
    static struct heard heard;
    size_t at = 0;

    (void)state;
    memcpy(line, "ab", 2);
    at = put_frame(line, 2, "one");
    memcpy(line + at, "c~d", 3);
    at = put_frame(line, at + 3, "two");
    at = put_frame(line, at, "three");
    line[at++] = 'e';
    listen_to(&heard, line, at);
    assert_int_equal(heard.count, 3);
    assert_memory_equal(heard.payloads[1], "two", 3);
    assert_int_equal(heard.text_size, 6);
    assert_memory_equal(heard.text, "abc~de", 6);
    assert_int_equal(heard.decoder.frames, 3);
    assert_int_equal(heard.decoder.damaged, 0);
}

static void test_one_flag_closes_and_opens(void **state)
{
    uint8_t line[LINE_MAX];
    static struct heard heard;
    size_t at = put_frame(line, 0, "one");

    (void)state;
    at = put_frame(line, at - 1, "two");
    listen_to(&heard, line, at);
    assert_int_equal(heard.count, 2);
    assert_int_equal(heard.decoder.damaged, 0);
    assert_int_equal(heard.text_size, 0);
}

static void test_bad_frames_are_counted(void **state)
{
    /* Too short for an FCS; given up by an escaped flag; an address and no control. */
    static const uint8_t short_frame[] = {0x7e, 0xff, 0x03, 1, 2, 3, 0x7e, 'x'};
    static const uint8_t given_up[] = {0x7e, 0xff, 0x03, 1, 2, 3, 4, 5, 0x7d, 0x7e, 'x'};
    static const uint8_t no_control[] = {0x7e, 0xff, 0x04, 1, 2, 3, 4, 5, 6, 7, 0x7e, 'x'};
    static struct heard heard;

    (void)state;
    listen_to(&heard, short_frame, sizeof(short_frame));
    assert_int_equal(heard.decoder.damaged, 1);
    assert_int_equal(heard.text_size, 1);
    listen_to(&heard, given_up, sizeof(given_up));
    assert_int_equal(heard.decoder.damaged, 1);
    assert_int_equal(heard.text_size, 1);
    listen_to(&heard, no_control, sizeof(no_control));
    assert_int_equal(heard.decoder.damaged, 1);
    assert_int_equal(heard.text_size, 1);
    assert_int_equal(heard.count, 0);
}

static void test_too_long_is_skipped(void **state)
{
    uint8_t payload[PAYLOAD_MAX + 1] = {0}, line[LINE_MAX];
    static struct heard heard;
    size_t at = hdlc_encode(line, payload, sizeof(payload), 0);

    (void)state;
    at = put_frame(line, at, "next");
    listen_to(&heard, line, at);
    assert_int_equal(heard.decoder.damaged, 1);
    assert_int_equal(heard.count, 1);
    assert_memory_equal(heard.payloads[0], "next", 4);
    /* Without an end in sight the line goes back to text. */
    memset(line, 'x', sizeof(line));
    memcpy(line, "\x7e\xff\x03", 3);
    listen_to(&heard, line, LINE_MAX);
    assert_int_equal(heard.decoder.damaged, 1);
    assert_true(heard.text_size > LINE_MAX - 4 * PAYLOAD_MAX);
}

static void test_silence_ends_a_frame(void **state)
{
    uint8_t line[LINE_MAX];
    static struct heard heard;
    size_t at = put_frame(line, 0, "broken");

    (void)state;
    listen_to(&heard, line, at - 3);
    take(&heard, hdlc_decode_silence(&heard.decoder));
    assert_int_equal(heard.decoder.damaged, 1);
    take(&heard, hdlc_decode(&heard.decoder, 'l'));
    assert_int_equal(heard.text_size, 1);
    assert_int_equal(heard.count, 0);
}

/* Three frames with text around, of which the middle one has awkward bytes. */
static size_t record(uint8_t *line, size_t starts[FRAMES + 1])
{
    static const char *const payloads[FRAMES] = {"first", "~}~\x03\xff~second\r\n", "third"};
    size_t at = 0;

    for (unsigned i = 0; i < FRAMES; i++) {
        starts[i] = at;
        at = put_frame(line, at, payloads[i]);
    }
    starts[FRAMES] = at;
    return at;
}

/* No fault may make a wrong frame, nor cost more than the frames that it touches: the frame that
 * has it, and none that begins after the frame's end. */
static void check_fault(const uint8_t *line, size_t size, const size_t starts[FRAMES + 1],
                        size_t fault_at)
{
    static struct heard clean, heard;
    uint8_t whole[LINE_MAX];
    unsigned next = 0;

    listen_to(&clean, whole, record(whole, (size_t[FRAMES + 1]){0}));
    listen_to(&heard, line, size);
    for (unsigned i = 0; i < FRAMES; i++) {
        bool found = next < heard.count && heard.sizes[next] == clean.sizes[i] &&
                     memcmp(heard.payloads[next], clean.payloads[i], clean.sizes[i]) == 0;
        next += found;
        bool touched = fault_at >= starts[i] && fault_at < starts[i + 1];
        assert_true(found || touched);
    }
    assert_int_equal(next, heard.count);
}

static void test_any_fault_costs_one_frame(void **state)
{
    uint8_t line[LINE_MAX], faulty[LINE_MAX];
    size_t starts[FRAMES + 1], size = record(line, starts);

    (void)state;
    for (size_t at = 0; at < size; at++) {
        memcpy(faulty, line, at);
        memcpy(faulty + at, line + at + 1, size - at - 1);
        check_fault(faulty, size - 1, starts, at);
        memcpy(faulty + at + 1, line + at, size - at);
        check_fault(faulty, size + 1, starts, at);
        for (unsigned byte = 0; byte < 256; byte++) {
            memcpy(faulty, line, size);
            faulty[at] = (uint8_t)byte;
            check_fault(faulty, size, starts, at);
        }
    }
}

static void test_random_bytes(void **state)
{
    static const uint8_t likely[] = {0x7e, 0xff, 0x03, 0x7d, 0x5e, 0x7e, 0x7e, 0xff};
    static struct heard heard;
    struct random random = {1};

    (void)state;
    for (unsigned round = 0; round < 2000; round++) {
        memset(&heard, 0, sizeof(heard));
        hdlc_decoder_init(&heard.decoder, heard.buffer, sizeof(heard.buffer));
        for (unsigned i = 0; i < 500; i++) {
            uint32_t number = random_next(&random);
            uint8_t byte = number & 1 ? likely[number >> 1 & 7] : (uint8_t)(number >> 8 & 0xff);
            take(&heard, hdlc_decode(&heard.decoder, byte));
            if (number >> 24 < 4) {
                take(&heard, hdlc_decode_silence(&heard.decoder));
            }
        }
        /* A chance of one in 2^32 for each frame: with this seed there is none. */
        assert_int_equal(heard.count, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame_layout),
        cmocka_unit_test(test_every_byte_value_passes),
        cmocka_unit_test(test_controls_are_escaped),
        cmocka_unit_test(test_tilde_is_text),
        cmocka_unit_test(test_text_between_frames),
        cmocka_unit_test(test_one_flag_closes_and_opens),
        cmocka_unit_test(test_bad_frames_are_counted),
        cmocka_unit_test(test_too_long_is_skipped),
        cmocka_unit_test(test_silence_ends_a_frame),
        cmocka_unit_test(test_any_fault_costs_one_frame),
        cmocka_unit_test(test_random_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
