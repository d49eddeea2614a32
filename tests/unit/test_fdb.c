/* SPDX-License-Identifier: BSD-2-Clause */
/* A network's forwarding database: its writer, and the readers of its pages. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "abi/fdb_ops.h"
#include "net/fdb.h"
#include "tests/unit/ether.h"
#include "tests/unit/random.h"

#define ALL_LANES  0xffu
#define PORT_FLAGS (POSTERN_FDB_PORT_UP | POSTERN_FDB_PORT_SENDS | POSTERN_FDB_PORT_RECEIVES)
#define SECOND     FDB_SECOND

static struct postern_fdb pages;
static struct fdb fdb;

static int set_up(void **state)
{
    (void)state;
    memset(&pages, 0xa5, sizeof(pages));
    fdb_init(&fdb, &pages);
    for (uint32_t port = 0; port < POSTERN_FDB_PORTS; port++) {
        fdb_set_port(&fdb, port, PORT_FLAGS);
    }
    return 0;
}

static struct postern_fdb_frame frame_of(uint64_t to, uint64_t from, int vlan, uint16_t type)
{
    return (struct postern_fdb_frame){.destination = to,
                                      .source = from,
                                      .ethertype = type,
                                      .vlan = (uint16_t)(vlan < 0 ? 0 : vlan),
                                      .tagged = vlan >= 0};
}

static int lookup_with(uint32_t self, uint32_t lanes, const struct postern_fdb_frame *frame)
{
    struct postern_fdb_reader reader;

    assert_true(postern_fdb_init(&reader, &pages, self, lanes));
    return postern_fdb_lookup(&reader, frame);
}

/* What member `self` does with a frame from station `from` to station `to`. */
static int lookup(uint32_t self, uint32_t to, uint32_t from)
{
    struct postern_fdb_frame frame =
        frame_of(ether_mac(to), ether_mac(from), ETHER_NO_TAG, ETHER_IPV4);

    return lookup_with(self, ALL_LANES, &frame);
}

static enum fdb_lesson learn(uint32_t station, uint32_t port, uint64_t now)
{
    return fdb_learn(&fdb, ether_mac(station), 0, port, now);
}

/* The writer. */

static void begins_empty_whatever_was_there(void **state)
{
    uint64_t sequence = pages.sequence, generation = pages.generation;

    (void)state;
    assert_int_equal(learn(1, 1, 0), FDB_LEARNED);
    /* As if a writer had ended in the middle of a change. */
    postern_fdb_begin(&pages);
    fdb_init(&fdb, &pages);
    assert_true(pages.sequence > sequence && pages.sequence % 2 == 0);
    assert_true(pages.generation > generation);
    assert_int_equal(fdb_find(&fdb, ether_mac(1), 0), FDB_UNKNOWN);
    assert_int_equal(pages.ports[1].flags, 0);
    assert_int_equal(pages.magic, POSTERN_FDB_MAGIC);
}

static void learns_and_moves(void **state)
{
    (void)state;
    assert_int_equal(fdb_find(&fdb, ether_mac(1), 0), FDB_UNKNOWN);
    assert_int_equal(learn(1, 3, 0), FDB_LEARNED);
    assert_int_equal(learn(1, 3, 1), FDB_SEEN);
    assert_int_equal(fdb_find(&fdb, ether_mac(1), 0), 3);
    assert_int_equal(fdb_find(&fdb, ether_mac(1), 7), FDB_UNKNOWN);
    assert_int_equal(learn(1, 0, 2), FDB_MOVED);
    assert_int_equal(fdb_find(&fdb, ether_mac(1), 0), 0);
    assert_int_equal(fdb.learned, 1);
    assert_int_equal(fdb.moved, 1);
}

static void only_what_revokes_makes_a_generation(void **state)
{
    uint64_t generation = pages.generation;
    uint64_t sequence;

    (void)state;
    (void)learn(1, 1, 0);
    assert_int_equal(pages.generation, generation);
    sequence = pages.sequence;
    (void)learn(1, 1, 1);
    assert_int_equal(pages.sequence, sequence);
    (void)learn(1, 2, 2);
    assert_int_equal(pages.generation, generation + 1);
    fdb_flush(&fdb, 3);
    assert_int_equal(pages.generation, generation + 1);
    fdb_flush(&fdb, 2);
    assert_int_equal(pages.generation, generation + 2);
    assert_int_equal(pages.sequence % 2, 0);
}

static void holds_what_flaps(void **state)
{
    uint64_t now = 5 * SECOND;

    (void)state;
    (void)learn(1, 0, now);
    for (unsigned i = 1; i <= FDB_MOVES; i++) {
        assert_int_equal(learn(1, i % 2, now), FDB_MOVED);
    }
    assert_int_equal(learn(1, 1, now), FDB_HELD);
    assert_int_equal(fdb_find(&fdb, ether_mac(1), 0), FDB_UNKNOWN);
    assert_int_equal(learn(1, 1, now + FDB_HOLD - 1), FDB_HELD);
    assert_int_equal(fdb_find(&fdb, ether_mac(1), 0), FDB_UNKNOWN);
    assert_int_equal(learn(1, 1, now + FDB_HOLD), FDB_LEARNED);
    assert_int_equal(fdb_find(&fdb, ether_mac(1), 0), 1);
}

static void believes_slow_moves(void **state)
{
    (void)state;
    (void)learn(1, 0, 0);
    for (unsigned i = 1; i < 20; i++) {
        assert_int_equal(learn(1, i % 2, i * (FDB_MOVE_WINDOW + 1) / 2), FDB_MOVED);
    }
}

static void ages(void **state)
{
    (void)state;
    (void)learn(1, 1, 0);
    (void)learn(2, 2, SECOND);
    fdb_age(&fdb, POSTERN_FDB_SETS, FDB_AGE);
    assert_int_equal(fdb_find(&fdb, ether_mac(1), 0), 1);
    fdb_age(&fdb, POSTERN_FDB_SETS - 1, FDB_AGE + 1);
    fdb_age(&fdb, 1, FDB_AGE + 1);
    assert_int_equal(fdb_find(&fdb, ether_mac(1), 0), FDB_UNKNOWN);
    assert_int_equal(fdb_find(&fdb, ether_mac(2), 0), 2);
    assert_int_equal(fdb.aged, 1);
}

static void forgets_a_port_that_goes_down(void **state)
{
    (void)state;
    (void)learn(1, 1, 0);
    (void)learn(2, 2, 0);
    assert_int_equal(fdb_fix(&fdb, ether_mac(3), 0, 1), STATUS_OK);
    fdb_set_port(&fdb, 1, 0);
    assert_int_equal(fdb_find(&fdb, ether_mac(1), 0), FDB_UNKNOWN);
    assert_int_equal(fdb_find(&fdb, ether_mac(2), 0), 2);
    assert_int_equal(fdb_find(&fdb, ether_mac(3), 0), 1);
}

static void does_not_move_what_is_fixed(void **state)
{
    (void)state;
    assert_int_equal(fdb_fix(&fdb, ether_mac(1), 0, 1), STATUS_OK);
    assert_int_equal(fdb_fix(&fdb, ether_mac(1), 0, 1), STATUS_OK);
    assert_int_equal(fdb_fix(&fdb, ether_mac(1), 0, 2), STATUS_EXISTS);
    assert_int_equal(learn(1, 2, 0), FDB_REFUSED);
    assert_int_equal(learn(1, 1, 0), FDB_SEEN);
    fdb_age(&fdb, POSTERN_FDB_SETS, 10 * FDB_AGE);
    assert_int_equal(fdb_find(&fdb, ether_mac(1), 0), 1);
}

/* The next station after *station that shares the set of station 0. */
static uint32_t collide(uint32_t *station)
{
    do {
        (*station)++;
    } while (POSTERN_FDB_SET(ether_mac(*station)) != POSTERN_FDB_SET(ether_mac(0)));
    return *station;
}

static void nobody_is_crowded_out(void **state)
{
    uint32_t station = 0, victim;

    (void)state;
    (void)learn(0, 1, 0);
    victim = collide(&station);
    (void)learn(victim, 2, 0);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(learn(collide(&station), 7, i + 1), FDB_LEARNED);
    }
    assert_int_equal(fdb_find(&fdb, ether_mac(0), 0), 1);
    assert_int_equal(fdb_find(&fdb, ether_mac(victim), 0), 2);
    /* A full set has room for one that has less of it. */
    victim = collide(&station);
    assert_int_equal(learn(victim, 3, 2000), FDB_LEARNED);
    assert_int_equal(fdb_find(&fdb, ether_mac(victim), 0), 3);
    assert_int_equal(fdb_find(&fdb, ether_mac(0), 0), 1);
    assert_int_equal(fdb.evicted, 1000 + 2 + 1 - POSTERN_FDB_WAYS);
}

static void fixed_ones_fill_a_set(void **state)
{
    uint32_t station = 0;

    (void)state;
    for (unsigned way = 0; way < POSTERN_FDB_WAYS; way++) {
        assert_int_equal(fdb_fix(&fdb, ether_mac(collide(&station)), 0, 1), STATUS_OK);
    }
    assert_int_equal(fdb_fix(&fdb, ether_mac(collide(&station)), 0, 1), STATUS_NO_MEMORY);
    assert_int_equal(learn(collide(&station), 2, 0), FDB_REFUSED);
}

/* The writer against a flat model: random lessons, flushes and ages. */
static void agrees_with_a_model(void **state)
{
    enum { STATIONS = 300 };
    int port_of[STATIONS];
    struct random random = {77};
    uint64_t now = 0;

    (void)state;
    for (unsigned i = 0; i < STATIONS; i++) {
        port_of[i] = FDB_UNKNOWN;
    }
    for (unsigned step = 0; step < 20000; step++) {
        uint32_t station = random_below(&random, STATIONS), port = random_below(&random, 8);
        now += 2 * FDB_MOVE_WINDOW; /* nothing flaps, nothing is as old as FDB_AGE */
        if (random_below(&random, 200) == 0) {
            fdb_flush(&fdb, port);
            for (unsigned i = 0; i < STATIONS; i++) {
                port_of[i] = port_of[i] == (int)port ? FDB_UNKNOWN : port_of[i];
            }
        } else {
            enum fdb_lesson lesson = learn(station, port, now);
            assert_int_equal(lesson, port_of[station] == FDB_UNKNOWN ? FDB_LEARNED
                                     : port_of[station] == (int)port ? FDB_SEEN
                                                                     : FDB_MOVED);
            port_of[station] = (int)port;
        }
        station = random_below(&random, STATIONS);
        assert_int_equal(fdb_find(&fdb, ether_mac(station), 0), port_of[station]);
    }
    assert_int_equal(fdb.evicted, 0);
}

/* Readers. */

static void goes_directly_once_both_are_known(void **state)
{
    (void)state;
    assert_int_equal(lookup(0, 1, 0), POSTERN_FDB_SWITCH);
    (void)learn(1, 1, 0);
    assert_int_equal(lookup(0, 1, 0), POSTERN_FDB_SWITCH); /* who is station 0? */
    (void)learn(0, 0, 0);
    assert_int_equal(lookup(0, 1, 0), 1);
    assert_int_equal(lookup(1, 0, 1), 0);
    assert_int_equal(lookup(0, 2, 0), POSTERN_FDB_SWITCH);
    assert_int_equal(lookup(2, 1, 0), POSTERN_FDB_SWITCH); /* station 0 has moved to port 2 */
    (void)learn(5, 0, 0);
    assert_int_equal(lookup(0, 5, 0), POSTERN_FDB_DROP); /* it is on this side */
}

static void several_receivers_are_for_the_switch(void **state)
{
    struct postern_fdb_frame frame =
        frame_of(ETHER_BROADCAST, ether_mac(0), ETHER_NO_TAG, ETHER_IPV4);

    (void)state;
    (void)learn(0, 0, 0);
    assert_int_equal(lookup_with(0, ALL_LANES, &frame), POSTERN_FDB_SWITCH);
    frame.destination = 0x0100005e0001ull; /* of IPv4 */
    assert_int_equal(lookup_with(0, ALL_LANES, &frame), POSTERN_FDB_SWITCH);
}

static void states_of_ports(void **state)
{
    (void)state;
    (void)learn(0, 0, 0);
    (void)learn(1, 1, 0);
    fdb_set_port(&fdb, 0, POSTERN_FDB_PORT_UP | POSTERN_FDB_PORT_RECEIVES);
    assert_int_equal(lookup(0, 1, 0), POSTERN_FDB_SWITCH);
    assert_int_equal(lookup(1, 0, 1), 0);
    fdb_set_port(&fdb, 0, POSTERN_FDB_PORT_UP | POSTERN_FDB_PORT_SENDS);
    assert_int_equal(lookup(0, 1, 0), 1);
    assert_int_equal(lookup(1, 0, 1), POSTERN_FDB_SWITCH);
    fdb_set_port(&fdb, 0, PORT_FLAGS);
    fdb_set_port(&fdb, 1, 0);
    assert_int_equal(lookup(0, 1, 0), POSTERN_FDB_SWITCH);
}

static void lanes_that_the_reader_lacks(void **state)
{
    struct postern_fdb_frame frame = frame_of(ether_mac(1), ether_mac(0), ETHER_NO_TAG, ETHER_IPV4);

    (void)state;
    (void)learn(0, 0, 0);
    (void)learn(1, 1, 0);
    assert_int_equal(lookup_with(0, 0x2, &frame), 1);
    assert_int_equal(lookup_with(0, 0xfd, &frame), POSTERN_FDB_SWITCH);
}

static void rules_drop(void **state)
{
    struct postern_fdb_rule rule = {.ethertype = ETHER_IPV6, .from = 0x01, .to = 0x06};
    struct postern_fdb_frame frame = frame_of(ether_mac(1), ether_mac(0), ETHER_NO_TAG, ETHER_IPV6);

    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        (void)learn(i, i, 0);
    }
    assert_int_equal(fdb_add_rule(&fdb, &rule), STATUS_OK);
    assert_int_equal(lookup_with(0, ALL_LANES, &frame), POSTERN_FDB_DROP);
    frame.destination = ether_mac(3);
    assert_int_equal(lookup_with(0, ALL_LANES, &frame), 3);
    frame.destination = ether_mac(2);
    frame.ethertype = ETHER_IPV4;
    assert_int_equal(lookup_with(0, ALL_LANES, &frame), 2);
    rule = (struct postern_fdb_rule){
        .mac = ether_mac(0), .from = 0xff, .to = 0xff, .flags = POSTERN_FDB_RULE_SOURCE};
    assert_int_equal(fdb_add_rule(&fdb, &rule), STATUS_OK);
    assert_int_equal(lookup_with(0, ALL_LANES, &frame), POSTERN_FDB_DROP);
    assert_int_equal(lookup(1, 2, 1), 2);
    rule.mac = ether_mac(2);
    rule.flags = POSTERN_FDB_RULE_DESTINATION;
    assert_int_equal(fdb_add_rule(&fdb, &rule), STATUS_OK);
    assert_int_equal(lookup(1, 2, 1), POSTERN_FDB_DROP);
    assert_int_equal(lookup(2, 1, 2), 1);
    for (uint32_t i = 3; i < POSTERN_FDB_RULES; i++) {
        assert_int_equal(fdb_add_rule(&fdb, &rule), STATUS_OK);
    }
    assert_int_equal(fdb_add_rule(&fdb, &rule), STATUS_NO_MEMORY);
}

/* Ports 0 and 1 have VLAN 10 without tags, port 2 has 10 and 20 with tags, port 3 20 without. */
static void set_up_vlans(void)
{
    fdb_add_vlan(&fdb, 0, 10, false);
    fdb_add_vlan(&fdb, 1, 10, false);
    fdb_add_vlan(&fdb, 2, 10, true);
    fdb_add_vlan(&fdb, 2, 20, true);
    fdb_add_vlan(&fdb, 3, 20, false);
    fdb_add_vlan(&fdb, 4, 20, true);
    for (uint32_t port = 0; port < 5; port++) {
        (void)fdb_learn(&fdb, ether_mac(port), 10, port, 0);
        (void)fdb_learn(&fdb, ether_mac(port), 20, port, 0);
    }
}

static void vlans(void **state)
{
    static const struct {
        uint32_t from, to;
        int vlan, lane;
    } cases[] = {
        {0, 1, -1, 1},
        {0, 2, -1, POSTERN_FDB_SWITCH}, /* it needs a tag there */
        {0, 3, -1, POSTERN_FDB_SWITCH}, /* which it does not have */
        {0, 1, 10, POSTERN_FDB_SWITCH}, /* it loses its tag there */
        {0, 2, 10, 2},
        {0, 1, 0, POSTERN_FDB_SWITCH}, /* priority only */
        {0, 2, 0, POSTERN_FDB_SWITCH},
        {0, 1, 20, POSTERN_FDB_DROP},
        {2, 4, 20, 4},
        {2, 4, 10, POSTERN_FDB_SWITCH},
        {2, 0, 10, POSTERN_FDB_SWITCH},
        {2, 0, -1, POSTERN_FDB_DROP}, /* port 2 has nothing without tags */
        {2, 4, 4095, POSTERN_FDB_DROP},
        {5, 0, -1, POSTERN_FDB_DROP}, /* port 5 has no VLAN */
    };

    (void)state;
    set_up_vlans();
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct postern_fdb_frame frame =
            frame_of(ether_mac(cases[i].to), ether_mac(cases[i].from), cases[i].vlan, ETHER_IPV4);
        int lane = lookup_with(cases[i].from, ALL_LANES, &frame);
        if (lane != cases[i].lane) {
            fail_msg("case %u: %d", i, lane);
        }
    }
}

static void receivers_check(void **state)
{
    struct postern_fdb_rule rule = {.ethertype = ETHER_IPV6, .from = 0x01, .to = 0x02};
    struct postern_fdb_frame frame = frame_of(ether_mac(1), ether_mac(0), ETHER_NO_TAG, ETHER_IPV4);
    struct postern_fdb_reader reader;

    (void)state;
    assert_true(postern_fdb_init(&reader, &pages, 1, ALL_LANES));
    assert_int_equal(fdb_add_rule(&fdb, &rule), STATUS_OK);
    assert_true(postern_fdb_accepts(&reader, 0, &frame));
    frame.ethertype = ETHER_IPV6;
    assert_false(postern_fdb_accepts(&reader, 0, &frame));
    assert_true(postern_fdb_accepts(&reader, 2, &frame));
    assert_false(postern_fdb_accepts(&reader, POSTERN_FDB_PORTS, &frame));
    set_up_vlans();
    frame.ethertype = ETHER_IPV4;
    assert_true(postern_fdb_accepts(&reader, 0, &frame));
    assert_false(postern_fdb_accepts(&reader, 3, &frame));
    frame.tagged = true;
    frame.vlan = 10;
    assert_false(postern_fdb_accepts(&reader, 0, &frame));
    postern_fdb_begin(&pages);
    frame.tagged = false;
    assert_false(postern_fdb_accepts(&reader, 0, &frame));
}

static void receivers_check_fixed_sources(void **state)
{
    struct postern_fdb_frame frame = frame_of(ether_mac(1), ether_mac(0), ETHER_NO_TAG, ETHER_IPV4);
    struct postern_fdb_reader reader;

    (void)state;
    assert_true(postern_fdb_init(&reader, &pages, 1, ALL_LANES));
    fdb_set_port(&fdb, 0, POSTERN_FDB_PORT_UP | POSTERN_FDB_PORT_FIXED);
    assert_false(postern_fdb_accepts(&reader, 0, &frame)); /* nobody's */
    assert_true(postern_fdb_accepts(&reader, 2, &frame));
    assert_int_equal(fdb_fix(&fdb, ether_mac(0), 0, 0), STATUS_OK);
    assert_int_equal(fdb_fix(&fdb, ether_mac(2), 0, 2), STATUS_OK);
    assert_true(postern_fdb_accepts(&reader, 0, &frame));
    frame.source = ether_mac(2);
    assert_false(postern_fdb_accepts(&reader, 0, &frame)); /* another's */
    /* Its address in a VLAN is its own there only. */
    set_up_vlans();
    assert_int_equal(fdb_fix(&fdb, ether_mac(0), 10, 0), STATUS_OK);
    frame.source = ether_mac(0);
    fdb_set_port(&fdb, 0, POSTERN_FDB_PORT_UP | POSTERN_FDB_PORT_FIXED);
    assert_true(postern_fdb_accepts(&reader, 0, &frame));
    frame.source = ether_mac(3);
    assert_false(postern_fdb_accepts(&reader, 0, &frame));
}

static void gives_up_while_it_changes(void **state)
{
    (void)state;
    (void)learn(0, 0, 0);
    (void)learn(1, 1, 0);
    postern_fdb_begin(&pages);
    assert_int_equal(lookup(0, 1, 0), POSTERN_FDB_SWITCH);
    postern_fdb_end(&pages, false);
    assert_int_equal(lookup(0, 1, 0), 1);
}

static void refuses_readers_that_are_none(void **state)
{
    struct postern_fdb_reader reader;

    (void)state;
    assert_false(postern_fdb_init(&reader, &pages, POSTERN_FDB_PORTS, 1));
    assert_false(postern_fdb_init(&reader, &pages, 0, 1u << POSTERN_FDB_PORTS));
}

/* A database of random bytes, as a hostile switch may write it: an answer stays one of those that
 * a reader may get. */
static void survives_any_content(void **state)
{
    struct random random = {4711};

    (void)state;
    for (unsigned round = 0; round < 200; round++) {
        for (size_t i = 0; i < sizeof(pages) / 4; i++) {
            ((uint32_t *)(void *)&pages)[i] = random_next(&random);
        }
        pages.sequence &= ~1ull;
        pages.magic = POSTERN_FDB_MAGIC;
        pages.version = POSTERN_FDB_VERSION;
        pages.ports[2].flags |= POSTERN_FDB_PORT_SENDS;
        pages.rule_count = random_below(&random, 3);
        for (unsigned i = 0; i < 100; i++) {
            uint64_t source = pages.entries[i][0];
            uint64_t *to = &pages.entries[random_below(&random, POSTERN_FDB_SETS)][3];
            struct postern_fdb_frame frame = {.destination = *to & POSTERN_FDB_MAC_MASK &
                                                             ~POSTERN_FDB_MULTICAST,
                                              .source = source & POSTERN_FDB_MAC_MASK,
                                              .vlan = (uint16_t)(random_next(&random) & 0xfff),
                                              .tagged = true};
            uint64_t key = postern_fdb_key(frame.source, frame.vlan);
            int lane;

            pages.flags &= (uint16_t)random_next(&random);
            pages.entries[POSTERN_FDB_SET(key)][1] = key | 3ull << POSTERN_FDB_PORT_SHIFT;
            pages.entries[POSTERN_FDB_SET(source & POSTERN_FDB_MAC_MASK)][2] =
                (source & POSTERN_FDB_MAC_MASK) | 3ull << POSTERN_FDB_PORT_SHIFT;
            lane = lookup_with(2, 0x35, &frame);
            assert_true(lane == POSTERN_FDB_SWITCH || lane == POSTERN_FDB_DROP ||
                        (lane >= 0 && lane < 8 && (0x35 >> lane & 1) != 0));
        }
    }
}

static void parses(void **state)
{
    uint8_t bytes[64];
    struct postern_fdb_frame frame;

    (void)state;
    ether_frame(bytes, sizeof(bytes), ether_mac(1), ether_mac(2), 0xe00a, ETHER_IPV6);
    assert_true(postern_fdb_parse(bytes, 18, &frame));
    assert_true(frame.destination == ether_mac(1) && frame.source == ether_mac(2));
    assert_true(frame.tagged && frame.vlan == 10 && frame.ethertype == ETHER_IPV6);
    assert_false(postern_fdb_parse(bytes, 17, &frame));
    ether_frame(bytes, sizeof(bytes), ETHER_BROADCAST, ether_mac(2), ETHER_NO_TAG, ETHER_IPV4);
    assert_true(postern_fdb_parse(bytes, 14, &frame));
    assert_true(!frame.tagged && frame.vlan == 0 && frame.ethertype == ETHER_IPV4);
    assert_false(postern_fdb_parse(bytes, 13, &frame));
}

/*
 * A thread changes between two states, each change of several words; others look up meanwhile. In
 * state A station 0 is at port 0 and station 1 at port 1, in state B at ports 2 and 3. A frame from
 * 0 to 1 goes from port 0 on lane 1 or to the switch; on lane 3 it would be of both states.
 */
enum { LOOKUPS = 3000000 };
static atomic_bool stop;

static void set_entry(uint64_t mac, unsigned way, uint64_t port)
{
    POSTERN_STORE(&pages.entries[POSTERN_FDB_SET(mac)][way], mac | (port + 1)
                                                                       << POSTERN_FDB_PORT_SHIFT);
}

static void *change(void *context)
{
    struct random random = {99};

    (void)context;
    while (!atomic_load(&stop)) {
        uint64_t base = random_below(&random, 2) * 2;
        unsigned first = random_below(&random, 2);
        postern_fdb_begin(&pages);
        set_entry(ether_mac(first), 0, base + first);
        for (unsigned i = random_below(&random, 50); i > 0; i--) {
            POSTERN_STORE(&pages.entries[POSTERN_FDB_SETS - 1][7], i);
        }
        set_entry(ether_mac(1 - first), 0, base + 1 - first);
        postern_fdb_end(&pages, true);
        /* Time for a look-up between two changes. */
        for (unsigned i = random_below(&random, 40); i > 0; i--) {
            __builtin_ia32_pause();
        }
    }
    return NULL;
}

static void answers_are_of_one_moment(void **state)
{
    pthread_t writer;
    unsigned direct = 0, switched = 0;

    (void)state;
    set_entry(ether_mac(0), 0, 0);
    set_entry(ether_mac(1), 0, 1);
    atomic_store(&stop, false);
    assert_int_equal(pthread_create(&writer, NULL, change, NULL), 0);
    for (unsigned i = 0; i < LOOKUPS || direct == 0 || switched == 0; i++) {
        int lane = lookup(0, 1, 0);
        if (lane == 1) {
            direct++;
        } else if (lane == POSTERN_FDB_SWITCH) {
            switched++;
        } else {
            fail_msg("look-up %u: %d", i, lane);
        }
    }
    atomic_store(&stop, true);
    assert_int_equal(pthread_join(writer, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(begins_empty_whatever_was_there, set_up),
        cmocka_unit_test_setup(learns_and_moves, set_up),
        cmocka_unit_test_setup(only_what_revokes_makes_a_generation, set_up),
        cmocka_unit_test_setup(holds_what_flaps, set_up),
        cmocka_unit_test_setup(believes_slow_moves, set_up),
        cmocka_unit_test_setup(ages, set_up),
        cmocka_unit_test_setup(forgets_a_port_that_goes_down, set_up),
        cmocka_unit_test_setup(does_not_move_what_is_fixed, set_up),
        cmocka_unit_test_setup(nobody_is_crowded_out, set_up),
        cmocka_unit_test_setup(fixed_ones_fill_a_set, set_up),
        cmocka_unit_test_setup(agrees_with_a_model, set_up),
        cmocka_unit_test_setup(goes_directly_once_both_are_known, set_up),
        cmocka_unit_test_setup(several_receivers_are_for_the_switch, set_up),
        cmocka_unit_test_setup(states_of_ports, set_up),
        cmocka_unit_test_setup(lanes_that_the_reader_lacks, set_up),
        cmocka_unit_test_setup(rules_drop, set_up),
        cmocka_unit_test_setup(vlans, set_up),
        cmocka_unit_test_setup(receivers_check, set_up),
        cmocka_unit_test_setup(receivers_check_fixed_sources, set_up),
        cmocka_unit_test_setup(gives_up_while_it_changes, set_up),
        cmocka_unit_test_setup(refuses_readers_that_are_none, set_up),
        cmocka_unit_test_setup(survives_any_content, set_up),
        cmocka_unit_test_setup(parses, set_up),
        cmocka_unit_test_setup(answers_are_of_one_moment, set_up),
    };

    return cmocka_run_group_tests_name("fdb", tests, NULL, NULL);
}
