/* SPDX-License-Identifier: BSD-2-Clause */
/* The learning switch, and that the direct way never contradicts it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/switch.h"
#include "tests/unit/ether.h"
#include "tests/unit/random.h"

#define PORTS  5u
#define LENGTH 60u
#define SECOND FDB_SECOND
#define BIT(n) (1u << (n))

static struct postern_fdb pages;
static struct switch_state state;
static struct switch_output output;
static uint64_t now;

static int set_up(void **unused)
{
    (void)unused;
    now = 0;
    switch_init(&state, &pages, PORTS);
    return 0;
}

static void all_up(void)
{
    for (uint32_t port = 0; port < PORTS; port++) {
        switch_set_up(&state, port, true);
    }
}

/* Port `from` sends a frame from station `source`. Returns the ports that get it. */
static uint32_t send_frame(uint32_t from, uint64_t destination, uint32_t source, int tag,
                           uint16_t type)
{
    uint8_t frame[LENGTH];

    ether_frame(frame, LENGTH, destination, ether_mac(source), tag, type);
    return switch_forward(&state, from, frame, LENGTH, now, &output) ? output.ports : 0;
}

/* The same to station `to`, and each station is at the port of its number, if nobody moves. */
static uint32_t send(uint32_t from, uint32_t to, uint32_t source)
{
    return send_frame(from, ether_mac(to), source, ETHER_NO_TAG, ETHER_IPV4);
}

static uint32_t broadcast(uint32_t from, uint32_t source)
{
    return send_frame(from, ETHER_BROADCAST, source, ETHER_NO_TAG, ETHER_IPV4);
}

static uint64_t drops(uint32_t port, enum switch_drop reason)
{
    return state.ports[port].drops[reason];
}

static void floods_then_learns(void **unused)
{
    (void)unused;
    all_up();
    assert_int_equal(send(0, 1, 0), 0x1e);
    assert_int_equal(send(1, 0, 1), BIT(0));
    assert_int_equal(send(0, 1, 0), BIT(1));
    assert_int_equal(send(2, 1, 2), BIT(1));
    assert_int_equal(broadcast(3, 3), 0x17);
    assert_int_equal(send(1, 7, 1), 0x1d);
    assert_int_equal(state.ports[1].flooded, 1);
    assert_int_equal(state.ports[1].frames, 2);
}

static void follows_a_move(void **unused)
{
    (void)unused;
    all_up();
    (void)broadcast(0, 0);
    (void)broadcast(1, 1);
    assert_int_equal(send(1, 0, 1), BIT(0));
    (void)broadcast(3, 0);
    assert_int_equal(send(1, 0, 1), BIT(3));
}

static void sends_nothing_back(void **unused)
{
    (void)unused;
    all_up();
    (void)broadcast(0, 0);
    (void)broadcast(0, 8);
    assert_int_equal(send(0, 8, 0), 0);
    assert_int_equal(drops(0, SWITCH_DROP_NOWHERE), 1);
}

static void ports_go_down(void **unused)
{
    (void)unused;
    all_up();
    (void)broadcast(0, 0);
    (void)broadcast(1, 1);
    switch_set_up(&state, 1, false);
    assert_int_equal(pages.ports[1].flags, 0);
    assert_int_equal(send(0, 1, 0), 0x1c); /* nobody knows where it is */
    assert_int_equal(send(1, 0, 1), 0);
    assert_int_equal(drops(1, SWITCH_DROP_DOWN), 1);
    switch_set_up(&state, 1, true);
    assert_int_equal(send(1, 0, 1), BIT(0));
    assert_int_equal(send(0, 1, 0), BIT(1));
}

/* A port without lanes: the others keep theirs, and the fdb tells nobody to go there directly. */
static void relays(void **unused)
{
    (void)unused;
    switch_relay(&state, 1);
    all_up();
    assert_int_equal(pages.ports[1].flags, POSTERN_FDB_PORT_UP);
    assert_false(switch_is_direct(&state, 0, 1));
    assert_false(switch_is_direct(&state, 1, 2));
    assert_true(switch_is_direct(&state, 0, 2));
    (void)broadcast(1, 1);
    assert_int_equal(send(0, 1, 0), BIT(1));
    assert_int_equal(send(1, 0, 1), BIT(0));
}

static void refuses_what_is_no_frame(void **unused)
{
    uint8_t frame[LENGTH];

    (void)unused;
    all_up();
    ether_frame(frame, LENGTH, ether_mac(1), ether_mac(0), 5, ETHER_IPV4);
    for (uint32_t length = 0; length < 18; length++) {
        assert_false(switch_forward(&state, 0, frame, length, now, &output));
    }
    assert_int_equal(drops(0, SWITCH_DROP_FRAME), 18);
    assert_int_equal(send_frame(0, 0x010000c28001ull, 0, ETHER_NO_TAG, 0x8808), 0);
    assert_int_equal(drops(0, SWITCH_DROP_FRAME), 19);
    assert_int_equal(send_frame(0, 0x000000c28001ull, 0, ETHER_NO_TAG, 0x0027), 0x1e); /* STP */
    ether_frame(frame, LENGTH, ether_mac(1), ETHER_BROADCAST, ETHER_NO_TAG, ETHER_IPV4);
    assert_false(switch_forward(&state, 0, frame, LENGTH, now, &output));
    ether_frame(frame, LENGTH, ether_mac(1), 0, ETHER_NO_TAG, ETHER_IPV4);
    assert_false(switch_forward(&state, 0, frame, LENGTH, now, &output));
    assert_int_equal(drops(0, SWITCH_DROP_SOURCE), 2);
}

static void rules_drop(void **unused)
{
    const struct postern_fdb_rule no_ipv6 = {.ethertype = ETHER_IPV6, .from = 0x01, .to = 0x06};
    const struct postern_fdb_rule apart = {.from = BIT(3), .to = BIT(4)};

    (void)unused;
    assert_int_equal(fdb_add_rule(&state.fdb, &no_ipv6), STATUS_OK);
    assert_int_equal(fdb_add_rule(&state.fdb, &apart), STATUS_OK);
    all_up();
    for (uint32_t i = 0; i < PORTS; i++) {
        (void)broadcast(i, i);
    }
    assert_int_equal(send_frame(0, ether_mac(1), 0, ETHER_NO_TAG, ETHER_IPV6), 0);
    assert_int_equal(send_frame(0, ether_mac(3), 0, ETHER_NO_TAG, ETHER_IPV6), BIT(3));
    assert_int_equal(send_frame(0, ETHER_BROADCAST, 0, ETHER_NO_TAG, ETHER_IPV6), 0x18);
    assert_int_equal(send_frame(0, ETHER_BROADCAST, 0, 0, ETHER_IPV6), 0x18);
    assert_int_equal(send_frame(1, ether_mac(0), 1, ETHER_NO_TAG, ETHER_IPV6), BIT(0));
    assert_int_equal(send(3, 4, 3), 0);
    assert_int_equal(send(4, 3, 4), BIT(3));
    /* A rule on some frames is the ends' affair, one on all takes the lanes. */
    assert_true(switch_is_direct(&state, 0, 1));
    assert_false(switch_is_direct(&state, 3, 4));
    assert_false(switch_is_direct(&state, 4, 3));
    assert_true(switch_is_direct(&state, 2, 4));
    assert_false(switch_is_direct(&state, 2, 2));
}

static void mirrors(void **unused)
{
    (void)unused;
    switch_mirror(&state, BIT(1), 4);
    all_up();
    assert_int_equal(pages.ports[1].flags, POSTERN_FDB_PORT_UP);
    assert_false(switch_is_direct(&state, 1, 0));
    assert_true(switch_is_direct(&state, 0, 4));
    for (uint32_t i = 0; i < PORTS; i++) {
        (void)broadcast(i, i);
        assert_int_equal(output.copies, 0); /* port 4 gets it anyhow, or has sent it */
    }
    assert_int_equal(send(0, 1, 0), BIT(1));
    assert_int_equal(output.copies, BIT(4));
    assert_int_equal(send(1, 0, 1), BIT(0));
    assert_int_equal(output.copies, BIT(4));
    assert_int_equal(send(0, 2, 0), BIT(2));
    assert_int_equal(output.copies, 0);
    assert_int_equal(send(1, 4, 1), BIT(4));
    assert_int_equal(output.copies, 0);
    assert_int_equal(send(1, 1, 1), 0);
    assert_int_equal(output.copies, BIT(4));
    switch_set_up(&state, 4, false);
    assert_int_equal(send(1, 0, 1), BIT(0));
    assert_int_equal(output.copies, 0);
}

static void limits_bytes(void **unused)
{
    unsigned passed = 0;

    (void)unused;
    switch_limit(&state, 0, 100 * LENGTH);
    all_up();
    assert_int_equal(pages.ports[0].flags, POSTERN_FDB_PORT_UP);
    assert_false(switch_is_direct(&state, 0, 1));
    (void)broadcast(1, 1);
    now = 7 * SECOND;
    for (; send(0, 1, 0) != 0; passed++) {
    }
    assert_in_range(passed, 10, 12);
    for (unsigned i = 0; i < 10000; i++, now += SECOND / 1000) {
        passed += send(0, 1, 0) != 0;
    }
    assert_in_range(passed, 1000, 1015);
    assert_int_equal(drops(0, SWITCH_DROP_LIMIT), state.ports[0].frames - passed);
    assert_int_equal(send(1, 0, 1), BIT(0));
}

static void limits_floods(void **unused)
{
    unsigned passed = 0;

    (void)unused;
    switch_limit_floods(&state, 0, 100);
    all_up();
    (void)broadcast(1, 1);
    for (unsigned i = 0; i < 5000; i++, now += SECOND / 1000) {
        passed += broadcast(0, 0) != 0;
        assert_int_equal(send(0, 1, 0), BIT(1));
    }
    assert_in_range(passed, 500, 515);
    assert_int_equal(broadcast(2, 2), 0x1b);
    switch_limit_floods(&state, 0, 0);
    for (unsigned i = 0; i < 50000; i++) {
        assert_int_equal(broadcast(0, 0), 0x1e);
    }
}

/* Two ports that a guest bridges: what is flooded to one comes back by the other. */
static void survives_a_loop(void **unused)
{
    unsigned rounds = 0;

    (void)unused;
    all_up();
    (void)broadcast(0, 0);
    for (; broadcast(2 + rounds % 2, 0) != 0; rounds++) {
        now += 1000;
        assert_true(rounds < 10000);
    }
    assert_true(rounds > FDB_MOVES);
    assert_int_equal(state.fdb.held, 1);
    assert_int_equal(state.fdb.moved, FDB_MOVES);
    /* The station whose frame it is still gets what is sent to it. */
    assert_int_equal(send(1, 0, 1) & BIT(0), BIT(0));
}

static void addresses_that_are_fixed(void **unused)
{
    (void)unused;
    assert_int_equal(switch_fix(&state, 0, ether_mac(0), 0), STATUS_OK);
    assert_int_equal(switch_fix(&state, 1, ether_mac(0), 0), STATUS_EXISTS);
    all_up();
    assert_int_equal(send(0, 7, 0), 0x1e);
    assert_int_equal(send(0, 7, 5), 0); /* not its own */
    assert_int_equal(send(2, 7, 0), 0); /* somebody else's */
    assert_int_equal(send(2, 0, 2), BIT(0));
    assert_int_equal(drops(0, SWITCH_DROP_SOURCE) + drops(2, SWITCH_DROP_SOURCE), 2);
    assert_int_equal(pages.ports[0].flags & POSTERN_FDB_PORT_FIXED, POSTERN_FDB_PORT_FIXED);
    assert_int_equal(pages.ports[2].flags & POSTERN_FDB_PORT_FIXED, 0);
}

/* Ports 0 and 1: VLAN 10 without tags. Port 2: 10 and 20 with tags. Port 3: 20 without. Port 4
 * mirrors port 1. */
static void set_up_vlans(void)
{
    fdb_add_vlan(&state.fdb, 0, 10, false);
    fdb_add_vlan(&state.fdb, 1, 10, false);
    fdb_add_vlan(&state.fdb, 2, 10, true);
    fdb_add_vlan(&state.fdb, 2, 20, true);
    fdb_add_vlan(&state.fdb, 3, 20, false);
    switch_mirror(&state, BIT(1), 4);
    all_up();
}

static void vlans(void **unused)
{
    (void)unused;
    set_up_vlans();
    assert_int_equal(broadcast(0, 0), BIT(1) | BIT(2));
    assert_int_equal(output.copies, BIT(4));
    assert_int_equal(broadcast(3, 3), BIT(2));
    assert_int_equal(send_frame(2, ETHER_BROADCAST, 2, 20, ETHER_IPV4), BIT(3));
    assert_int_equal(send_frame(2, ETHER_BROADCAST, 2, 10, ETHER_IPV4), BIT(0) | BIT(1));
    assert_int_equal(broadcast(2, 2), 0);
    assert_int_equal(send_frame(0, ETHER_BROADCAST, 0, 20, ETHER_IPV4), 0);
    assert_int_equal(drops(2, SWITCH_DROP_VLAN) + drops(0, SWITCH_DROP_VLAN), 2);
    /* The same station in two VLANs is two. */
    assert_int_equal(send_frame(3, ether_mac(0), 3, ETHER_NO_TAG, ETHER_IPV4), BIT(2));
    assert_int_equal(send_frame(2, ether_mac(0), 2, 10, ETHER_IPV4), BIT(0));
    assert_true(switch_is_direct(&state, 0, 2));
    assert_true(switch_is_direct(&state, 2, 3));
    assert_false(switch_is_direct(&state, 0, 3));
    assert_false(switch_is_direct(&state, 0, 1));
}

/* The frame as `port` gets it is `length` bytes and the same as `expected`. */
static void expect_copy(uint32_t port, const uint8_t *frame, const uint8_t *expected,
                        uint32_t length)
{
    uint8_t *copy;

    assert_int_equal((int)LENGTH + switch_growth(&state, &output, port), (int)length);
    copy = malloc(length);
    assert_non_null(copy);
    switch_copy(&state, &output, port, frame, LENGTH, copy);
    assert_memory_equal(copy, expected, length);
    free(copy);
}

static void tags(void **unused)
{
    uint8_t sent[LENGTH], expected[LENGTH + 4];

    (void)unused;
    set_up_vlans();
    ether_frame(sent, LENGTH, ETHER_BROADCAST, ether_mac(1), ETHER_NO_TAG, ETHER_IPV4);
    assert_true(switch_forward(&state, 1, sent, LENGTH, now, &output));
    expect_copy(0, sent, sent, LENGTH);
    expect_copy(4, sent, sent, LENGTH);
    ether_frame(expected, LENGTH + 4, ETHER_BROADCAST, ether_mac(1), 10, ETHER_IPV4);
    expect_copy(2, sent, expected, LENGTH + 4);

    ether_frame(sent, LENGTH, ETHER_BROADCAST, ether_mac(1), 0x6000, ETHER_IPV4);
    assert_true(switch_forward(&state, 1, sent, LENGTH, now, &output));
    expect_copy(4, sent, sent, LENGTH);
    ether_frame(expected, LENGTH, ETHER_BROADCAST, ether_mac(1), 0x600a, ETHER_IPV4);
    expect_copy(2, sent, expected, LENGTH);
    ether_frame(expected, LENGTH - 4, ETHER_BROADCAST, ether_mac(1), ETHER_NO_TAG, ETHER_IPV4);
    expect_copy(0, sent, expected, LENGTH - 4);

    ether_frame(sent, LENGTH, ETHER_BROADCAST, ether_mac(2), 0x6014, ETHER_IPV4);
    assert_true(switch_forward(&state, 2, sent, LENGTH, now, &output));
    ether_frame(expected, LENGTH - 4, ETHER_BROADCAST, ether_mac(2), ETHER_NO_TAG, ETHER_IPV4);
    expect_copy(3, sent, expected, LENGTH - 4);
}

static void leaves_tags_alone_without_vlans(void **unused)
{
    uint8_t sent[LENGTH];

    (void)unused;
    all_up();
    ether_frame(sent, LENGTH, ETHER_BROADCAST, ether_mac(1), 0x0064, ETHER_IPV4);
    assert_true(switch_forward(&state, 1, sent, LENGTH, now, &output));
    assert_int_equal(output.ports, 0x1d);
    expect_copy(0, sent, sent, LENGTH);
    assert_int_equal(send_frame(0, ether_mac(1), 0, 0x0032, ETHER_IPV4), BIT(1));
}

/*
 * Whatever was sent, learned, ruled and cut: where a member would send directly, the switch sends
 * to that port and to no other, and the frame does not change; what a member would drop, the switch
 * drops; and a receiver accepts what the switch would give it.
 */
static void check_frame(struct random *random, uint32_t from)
{
    static const uint16_t types[] = {ETHER_IPV4, ETHER_IPV6};
    static const int tag_choices[] = {ETHER_NO_TAG, ETHER_NO_TAG, 0, 10, 20, 30};
    struct postern_fdb_reader reader;
    struct postern_fdb_frame frame;
    uint8_t bytes[LENGTH];
    uint32_t lanes = 0, to = random_below(random, 7);

    for (uint32_t i = 0; i < PORTS; i++) {
        lanes |= switch_is_direct(&state, from, i) ? BIT(i) : 0;
    }
    ether_frame(bytes, LENGTH, to == 6 ? ETHER_BROADCAST : ether_mac(to),
                ether_mac(random_below(random, 10) == 0 ? random_below(random, 6) : from),
                tag_choices[random_below(random, 6)], types[random_below(random, 2)]);
    assert_true(postern_fdb_parse(bytes, LENGTH, &frame));
    assert_true(postern_fdb_init(&reader, &pages, from, lanes));
    int lane = postern_fdb_lookup(&reader, &frame);
    bool forwarded = switch_forward(&state, from, bytes, LENGTH, now, &output);

    if (lane >= 0) {
        uint32_t port = (uint32_t)lane;
        assert_true(forwarded);
        assert_int_equal(output.ports, BIT(port));
        assert_int_equal(output.copies, 0);
        expect_copy(port, bytes, bytes, LENGTH);
        assert_true(postern_fdb_init(&reader, &pages, port, lanes));
        assert_true(postern_fdb_accepts(&reader, from, &frame));
    } else if (lane == POSTERN_FDB_DROP) {
        assert_int_equal(forwarded ? output.ports | output.copies : 0, 0);
    }
}

static void configure(struct random *random)
{
    static const uint32_t vlan_numbers[] = {10, 20, 30};

    switch_init(&state, &pages, PORTS);
    if (random_below(random, 2) == 0) {
        for (unsigned i = 0; i < 8; i++) {
            fdb_add_vlan(&state.fdb, random_below(random, PORTS),
                         vlan_numbers[random_below(random, 3)], random_below(random, 2) == 0);
        }
    }
    for (unsigned i = random_below(random, 3); i > 0; i--) {
        const struct postern_fdb_rule rule = {.mac = ether_mac(random_below(random, 6)),
                                              .ethertype =
                                                  random_below(random, 2) == 0 ? ETHER_IPV6 : 0,
                                              .from = (uint8_t)random_below(random, 32),
                                              .to = (uint8_t)random_below(random, 32),
                                              .flags = (uint8_t)random_below(random, 3)};
        assert_int_equal(fdb_add_rule(&state.fdb, &rule), STATUS_OK);
    }
    if (random_below(random, 3) == 0) {
        switch_mirror(&state, BIT(random_below(random, 4)), 4);
    }
    if (random_below(random, 3) == 0) {
        switch_limit(&state, random_below(random, PORTS), 3000);
    }
    all_up();
}

static void the_direct_way_never_contradicts(void **unused)
{
    struct random random = {2015};
    unsigned direct = 0;

    (void)unused;
    for (unsigned round = 0; round < 300; round++) {
        configure(&random);
        for (unsigned i = 0; i < 300; i++) {
            now += random_below(&random, 1000) * 1000000ull;
            if (random_below(&random, 50) == 0) {
                switch_set_up(&state, random_below(&random, PORTS), random_below(&random, 2) == 0);
            }
            check_frame(&random, random_below(&random, PORTS));
            direct += output.ports != 0;
        }
    }
    assert_true(direct > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(floods_then_learns, set_up),
        cmocka_unit_test_setup(follows_a_move, set_up),
        cmocka_unit_test_setup(sends_nothing_back, set_up),
        cmocka_unit_test_setup(ports_go_down, set_up),
        cmocka_unit_test_setup(relays, set_up),
        cmocka_unit_test_setup(refuses_what_is_no_frame, set_up),
        cmocka_unit_test_setup(rules_drop, set_up),
        cmocka_unit_test_setup(mirrors, set_up),
        cmocka_unit_test_setup(limits_bytes, set_up),
        cmocka_unit_test_setup(limits_floods, set_up),
        cmocka_unit_test_setup(survives_a_loop, set_up),
        cmocka_unit_test_setup(addresses_that_are_fixed, set_up),
        cmocka_unit_test_setup(vlans, set_up),
        cmocka_unit_test_setup(tags, set_up),
        cmocka_unit_test_setup(leaves_tags_alone_without_vlans, set_up),
        cmocka_unit_test_setup(the_direct_way_never_contradicts, set_up),
    };

    return cmocka_run_group_tests_name("switch", tests, NULL, NULL);
}
