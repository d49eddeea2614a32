/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The switch against hostile members. The input is a configuration, then steps: frames of any
 * bytes, ports that go up and down, time that passes. Each frame is also looked up as its sender
 * would: the direct way never contradicts the switch.
 */
#include "tests/fuzz/fuzz.h"

#include "net/switch.h"
#include "tests/unit/ether.h"

static struct postern_fdb pages;
static struct switch_state state;
static uint32_t lanes[SWITCH_PORTS];
static uint64_t now;

static void configure(struct fuzz_input *input)
{
    uint32_t ports = 2 + fuzz_byte(input) % (SWITCH_PORTS - 1);
    unsigned count = fuzz_byte(input) % 20;

    now = 0;
    switch_init(&state, &pages, ports);
    for (unsigned i = 0; i < count; i++) {
        uint8_t kind = fuzz_byte(input);
        uint32_t port = (kind >> 3) % ports;
        switch (kind & 7) {
        case 0:
        case 1:
            fdb_add_vlan(&state.fdb, port, 1 + (uint32_t)fuzz_number(input, 2) % 4094, kind & 1);
            break;
        case 2:
            switch_mirror(&state, fuzz_byte(input) & ~(1u << port), port);
            break;
        case 3:
            switch_limit(&state, port, fuzz_number(input, 5) % 100000000000ull);
            break;
        case 4:
            switch_limit_floods(&state, port, fuzz_number(input, 3));
            break;
        case 5:
            (void)!switch_fix(&state, port, ether_mac(fuzz_byte(input)), 0);
            break;
        default: {
            const struct postern_fdb_rule rule = {.mac = ether_mac(fuzz_byte(input)),
                                                  .ethertype = (uint16_t)fuzz_number(input, 2),
                                                  .from = fuzz_byte(input),
                                                  .to = fuzz_byte(input),
                                                  .flags = fuzz_byte(input)};
            (void)!fdb_add_rule(&state.fdb, &rule);
            break;
        }
        }
    }
    for (uint32_t port = 0; port < ports; port++) {
        switch_set_up(&state, port, true);
        lanes[port] = 0;
        for (uint32_t other = 0; other < ports; other++) {
            lanes[port] |= switch_is_direct(&state, port, other) ? 1u << other : 0;
        }
    }
}

/* A frame with addresses of a few stations and the input's bytes behind them, or all the input's.
 */
static uint8_t *take_frame(struct fuzz_input *input, uint8_t kind, size_t *length)
{
    size_t size = fuzz_byte(input);
    const uint8_t *bytes = fuzz_bytes(input, &size);
    uint8_t *frame = fuzz_copy(bytes, size);

    if ((kind & 0x80) != 0 && size >= 12) {
        uint64_t to = frame[0] == 0xff ? ETHER_BROADCAST : ether_mac(frame[0] % 16);
        (void)ether_put_mac(ether_put_mac(frame, to), ether_mac(frame[6] % 16));
    }
    *length = size;
    return frame;
}

static void check_output(uint32_t from, const struct switch_output *output, const uint8_t *frame,
                         uint32_t length)
{
    uint32_t targets = output->ports | output->copies;

    FUZZ_CHECK((output->ports & output->copies) == 0);
    FUZZ_CHECK(targets >> state.port_count == 0 && (targets >> from & 1) == 0);
    for (uint32_t port = 0; port < state.port_count; port++) {
        if ((targets >> port & 1) != 0) {
            size_t size = (size_t)((int)length + switch_growth(&state, output, port));
            uint8_t *copy = malloc(size);
            FUZZ_CHECK((pages.ports[port].flags & POSTERN_FDB_PORT_UP) != 0);
            FUZZ_CHECK(copy != NULL && size >= POSTERN_ETHERNET_HEADER);
            switch_copy(&state, output, port, frame, length, copy);
            FUZZ_CHECK(memcmp(copy, frame, 12) == 0);
            free(copy);
        }
    }
}

static void send_frame(struct fuzz_input *input, uint8_t kind)
{
    uint32_t from = (kind >> 3) % state.port_count;
    size_t length;
    uint8_t *bytes = take_frame(input, kind, &length);
    struct postern_fdb_reader reader;
    struct postern_fdb_frame frame;
    struct switch_output output;
    int lane = POSTERN_FDB_SWITCH;

    FUZZ_CHECK(postern_fdb_init(&reader, &pages, from, lanes[from]));
    if (postern_fdb_parse(bytes, (uint32_t)length, &frame)) {
        lane = postern_fdb_lookup(&reader, &frame);
    }
    bool sent = switch_forward(&state, from, bytes, (uint32_t)length, now, &output);
    FUZZ_CHECK(sent == ((output.ports | output.copies) != 0));
    check_output(from, &output, bytes, (uint32_t)length);
    if (lane >= 0) {
        FUZZ_CHECK(output.ports == 1u << lane && output.copies == 0);
        FUZZ_CHECK(switch_growth(&state, &output, (uint32_t)lane) == 0);
    }
    FUZZ_CHECK(lane != POSTERN_FDB_DROP || !sent);
    FUZZ_CHECK(pages.sequence % 2 == 0);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};

    configure(&input);
    while (input.left > 0) {
        uint8_t kind = fuzz_byte(&input);
        switch (kind & 7) {
        case 0:
            now += (uint64_t)fuzz_byte(&input) * FDB_SECOND / 8;
            /* The switch ages some sets with each frame. Between a sender's lookup and its frame
             * that would be a change, and answers of two moments may differ. */
            fdb_age(&state.fdb, POSTERN_FDB_SETS, now);
            break;
        case 1:
            switch_set_up(&state, (kind >> 3) % state.port_count, kind >> 7);
            break;
        default:
            send_frame(&input, kind);
            break;
        }
    }
    return 0;
}
