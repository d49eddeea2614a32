/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A look-up in the middle of changes: after each of its loads the writer takes some steps, in every
 * combination of two such places. In state A station 0 is at port 0 and station 1 at port 1; in
 * state B they are at ports 2 and 3. A frame from 0 to 1 goes from port 0 on lane 1 (A) or to the
 * switch (B). Lane 3 would be of half a change.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/ring_access.h"

#include "abi/fdb_ops.h"
#include "tests/unit/ether.h"

enum { STEPS = 8, LOADS = 60 };

static struct postern_fdb pages;
static unsigned loads, steps_taken;
static bool writing;

/* When the writer goes on: after load `at`, by `steps`. */
static struct {
    unsigned at, steps;
} plan[2];

static void set_entry(uint64_t mac, uint64_t port)
{
    pages.entries[POSTERN_FDB_SET(mac)][2] = mac | (port + 1) << POSTERN_FDB_PORT_SHIFT;
}

/* From A to B, and back. */
static void step(void)
{
    uint64_t base = steps_taken < STEPS / 2 ? 2 : 0;

    switch (steps_taken++ % (STEPS / 2)) {
    case 0:
        postern_fdb_begin(&pages);
        break;
    case 1:
        set_entry(ether_mac(1), base + 1);
        break;
    case 2:
        set_entry(ether_mac(0), base);
        break;
    default:
        postern_fdb_end(&pages, true);
        break;
    }
}

static void write_steps(unsigned count)
{
    writing = true;
    for (unsigned i = 0; i < count && steps_taken < STEPS; i++) {
        step();
    }
    writing = false;
}

static uint64_t access_load(const void *address, size_t size)
{
    uint64_t value = 0;

    memcpy(&value, address, size);
    if (!writing) {
        loads++;
        for (unsigned i = 0; i < 2; i++) {
            if (plan[i].at == loads) {
                write_steps(plan[i].steps);
            }
        }
    }
    return value;
}

static void access_store(void *address, uint64_t value, size_t size)
{
    memcpy(address, &value, size);
}

static void access_barrier(void)
{
}

static void set_up(void)
{
    memset(&pages, 0, sizeof(pages));
    pages.magic = POSTERN_FDB_MAGIC;
    pages.version = POSTERN_FDB_VERSION;
    for (unsigned port = 0; port < POSTERN_FDB_PORTS; port++) {
        pages.ports[port].flags =
            POSTERN_FDB_PORT_UP | POSTERN_FDB_PORT_SENDS | POSTERN_FDB_PORT_RECEIVES;
    }
    set_entry(ether_mac(0), 0);
    set_entry(ether_mac(1), 1);
    steps_taken = 0;
    loads = 0;
}

static int lookup(unsigned first)
{
    const struct postern_fdb_frame frame = {.destination = ether_mac(1), .source = ether_mac(0)};
    struct postern_fdb_reader reader;

    set_up();
    write_steps(first);
    assert_true(postern_fdb_init(&reader, &pages, 0, 0xff));
    return postern_fdb_lookup(&reader, &frame);
}

static void answers_are_of_one_moment(void **state)
{
    unsigned direct = 0;

    (void)state;
    for (unsigned first = 0; first <= STEPS; first++) {
        for (plan[0].at = 1; plan[0].at < LOADS; plan[0].at++) {
            for (plan[0].steps = 0; plan[0].steps <= STEPS; plan[0].steps++) {
                for (plan[1].at = plan[0].at; plan[1].at < LOADS; plan[1].at++) {
                    for (plan[1].steps = 0; plan[1].steps <= STEPS / 2; plan[1].steps++) {
                        int lane = lookup(first);
                        assert_true(lane == 1 || lane == POSTERN_FDB_SWITCH);
                        direct += lane == 1;
                    }
                }
            }
        }
    }
    assert_true(direct > 1000);
}

/* A writer that changes all the time, or stays in the middle of a change, stops nobody. */
static void look_ups_end(void **state)
{
    (void)state;
    for (unsigned first = 1; first < STEPS / 2; first++) {
        plan[0].at = plan[1].at = 0;
        assert_int_equal(lookup(first), POSTERN_FDB_SWITCH);
        assert_true(loads <= POSTERN_FDB_TRIES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_of_one_moment),
        cmocka_unit_test(look_ups_end),
    };

    return cmocka_run_group_tests_name("fdb_order", tests, NULL, NULL);
}
