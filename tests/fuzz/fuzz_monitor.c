/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor on its line. The input is a script: bytes typed, frames with a right checksum around
 * requests of any content, time that passes, and what guests print meanwhile. Whatever the monitor
 * says in frames has to arrive undamaged.
 */
#include "tests/fuzz/fuzz.h"

#include "tests/hvctl/fake_core.h"

static struct monitor monitor;
static struct fake_core core;
static struct hdlc_decoder hears;
static uint8_t heard[MONITOR_MAX_PAYLOAD + 4];
static uint64_t now;

static void check_answer(void)
{
    FUZZ_CHECK(hears.payload_size >= MONITOR_HEADER_SIZE);
    FUZZ_CHECK((heard[0] & MONITOR_ANSWER) != 0);
}

/* Takes up to `size` bytes off the line. */
static void transmit(size_t size)
{
    uint8_t bytes[64];

    while (size > 0) {
        size_t part = size < sizeof(bytes) ? size : sizeof(bytes);
        size_t count = monitor_transmit(&monitor, bytes, part);

        FUZZ_CHECK(count <= part);
        for (size_t i = 0; i < count; i++) {
            if (hdlc_decode(&hears, bytes[i]) == HDLC_FRAME) {
                check_answer();
            }
        }
        if (count == 0) {
            break;
        }
        size -= count;
    }
}

static void receive(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        monitor_receive(&monitor, bytes[i]);
    }
}

static void request(const uint8_t *payload, size_t size)
{
    uint8_t frame[HDLC_ENCODED_MAX(256)];

    receive(frame, hdlc_encode(frame, payload, size, HDLC_ESCAPE_FLOW));
}

static void pass_time(uint64_t microseconds)
{
    now += microseconds;
    (void)monitor_poll(&monitor, now);
}

/* Not '~' and 0xff, which would begin a frame where the line is joined to a console. Nor does the
 * core echo them. */
static void print(unsigned stream, const uint8_t *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char byte = text[i] == 0xff ? '?' : (char)text[i];
        fake_print(&core, stream, &byte, 1);
    }
}

static void step(struct fuzz_input *input)
{
    uint8_t op = fuzz_byte(input);
    size_t size = fuzz_byte(input);
    const uint8_t *bytes;

    switch (op % 8) {
    case 0:
    case 1:
        bytes = fuzz_bytes(input, &size);
        receive(bytes, size);
        break;
    case 2:
    case 3:
    case 4:
        bytes = fuzz_bytes(input, &size);
        request(bytes, size);
        break;
    case 5:
        pass_time((uint64_t)size * size * 100);
        break;
    case 6:
        transmit(size * size);
        break;
    default:
        core.echo = (op & 0x10) != 0;
        core.deaf = (op & 0x20) != 0;
        bytes = fuzz_bytes(input, &size);
        print((op >> 6) % FAKE_LAST_STREAM, bytes, size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};

    memset(&core, 0, sizeof(core));
    core.plain = true;
    now = 0;
    monitor_init(&monitor, &fake_core_ops, &core, 0);
    hdlc_decoder_init(&hears, heard, sizeof(heard));
    while (input.left > 0) {
        step(&input);
    }
    pass_time(2 * MONITOR_SESSION_US);
    transmit(1u << 20);
    FUZZ_CHECK(hears.damaged == 0);
    return 0;
}
