/* SPDX-License-Identifier: BSD-2-Clause */
/* The order of the accesses to posted buffers and lent payloads, and what a restart of either end
 * in the middle of them leaves. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <cmocka.h>

#include "tests/unit/ring_cpus.h"
#include "tests/unit/ring_pool_ends.h"

#define PACKET 600u /* bytes; a buffer has room for one and a half */
#define BUFFER 900u

static struct pool_link world;
static bool doorbells[2];
static uint32_t sent[2], expected[2]; /* by and from that end */
static unsigned taken;                /* of them by pools */
static bool wrong;

static void ring_for_peer(unsigned end)
{
    /* A hypercall: what was stored before it is there. */
    access_barrier();
    doorbells[1 - end] = true;
}

static void sync_end(unsigned end)
{
    if (postern_ring_sync(&world.ends[end].ring)) {
        ring_for_peer(end);
    }
    wrong = wrong || world.ends[end].ring.fault != POSTERN_FAULT_NONE;
}

/* No packet comes twice, out of order, or with another one's bytes. */
static void take_all(unsigned end)
{
    static uint8_t bytes[2][POSTERN_RING_MAX_PAYLOAD];
    uint32_t *next = &expected[1 - end];
    struct postern_ring_meta meta;

    while (!wrong && pool_take(&world.ends[end], bytes[end], &meta)) {
        while (*next < sent[1 - end] && !pool_is_packet(bytes[end], *next, meta.length)) {
            (*next)++;
        }
        wrong = wrong || meta.length != PACKET || *next == sent[1 - end];
        (*next)++;
        taken += (meta.flags & POSTERN_RECORD_POOL) != 0;
    }
}

static void post_some(unsigned end)
{
    struct pool_end *self = &world.ends[end];

    while (self->posted - self->filled < 3) {
        (void)pool_post_next(self, BUFFER);
    }
    access_barrier();
}

/* Lends when nothing of its own is on the way, so that the place is free. */
static void send_some(unsigned end)
{
    struct pool_end *self = &world.ends[end];

    for (unsigned i = 0; i < 3; i++) {
        uint32_t number = sent[end]++;
        int64_t result = i == 2 && self->ring.peer_borrows && self->ring.up &&
                                 postern_ring_room(&self->ring, self->ring.data_size)
                             ? pool_lend(self, number, POOL_LENT, PACKET)
                             : pool_send(self, number, PACKET);

        if ((result & POSTERN_GATE_DOORBELL) != 0) {
            ring_for_peer(end);
        }
    }
}

static void work(unsigned end)
{
    for (unsigned round = 0; round < 6; round++) {
        if (postern_ring_sync_needed(&world.ends[end].ring)) {
            sync_end(end);
        }
        post_some(end);
        send_some(end);
        take_all(end);
        wrong = wrong || world.ends[end].ring.fault != POSTERN_FAULT_NONE;
    }
}

static void open_and_sync(unsigned end)
{
    pool_link_open(&world, end);
    ring_for_peer(end);
    sync_end(end);
}

static void work_and_restart(unsigned end)
{
    work(end);
    open_and_sync(end);
    work(end);
    postern_ring_close(&world.ends[end].ring);
    ring_for_peer(end);
    open_and_sync(end);
    work(end);
}

static void begin(void)
{
    world.window = window;
    for (unsigned end = 0; end < 2; end++) {
        memset(window.writable[end], 0, sizeof(struct postern_ring_header));
        pool_link_init(&world, end);
        world.ends[end].cursor = 0;
        pool_link_open(&world, end);
        doorbells[end] = false;
        sent[end] = 0;
        expected[end] = 0;
    }
    pool_link_settle(&world);
    wrong = false;
}

/* After the doorbells the link is up, and packets go each way by the pools. */
static bool is_right(void)
{
    for (unsigned round = 0; doorbells[0] || doorbells[1]; round++) {
        unsigned end = doorbells[0] ? 0 : 1;

        if (round == 10) {
            return false;
        }
        doorbells[end] = false;
        sync_end(end);
    }
    for (unsigned end = 0; end < 2; end++) {
        take_all(end);
        post_some(end);
    }
    for (unsigned end = 0; end < 2; end++) {
        unsigned before = taken;

        send_some(end);
        take_all(1 - end);
        if (taken - before != 3 || expected[end] != sent[end]) {
            return false;
        }
    }
    return !wrong;
}

static void test_traffic(void **state)
{
    static const struct scene scene = {begin, {work, work}, is_right};

    (void)state;
    assert_always_right(run_random_orders(&scene, 1500), 1500);
    assert_true(taken > 20000);
}

static void test_restarts(void **state)
{
    static const struct scene one = {begin, {work, work_and_restart}, is_right};
    static const struct scene both = {begin, {work_and_restart, work_and_restart}, is_right};

    (void)state;
    assert_always_right(run_random_orders(&one, 2000), 2000);
    assert_always_right(run_random_orders(&both, 2000), 2000);
}

static int create(void **state)
{
    window_create(&world.pools, POOL);
    return create_window(state);
}

static int destroy(void **state)
{
    window_destroy(&world.pools);
    return destroy_window(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_traffic),
        cmocka_unit_test(test_restarts),
    };

    return cmocka_run_group_tests(tests, create, destroy);
}
