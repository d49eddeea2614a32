/* SPDX-License-Identifier: BSD-2-Clause */
/* The order of the ring's accesses. test_ring_pool_order.c has those to pools. */
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

static struct postern_ring ends[2];
static bool doorbells[2]; /* rung for end n */
static bool sleeps[2];    /* end n waits for a doorbell */
static unsigned received;
static bool faulted; /* an end took the other's doing for a fault, if only for a moment */

static void clear_sections(void)
{
    for (unsigned end = 0; end < 2; end++) {
        memset(window.writable[end], 0, sizeof(struct postern_ring_header));
        assert_true(
            postern_ring_init(&ends[end], window.writable[end], window.readable[1 - end], SECTION));
        doorbells[end] = false;
        sleeps[end] = false;
    }
    received = 0;
    faulted = false;
}

static void begin_link(void)
{
    clear_sections();
    postern_ring_open(&ends[0], 1500, 7);
    postern_ring_open(&ends[1], 1500, 7);
    (void)postern_ring_sync(&ends[0]);
    (void)postern_ring_sync(&ends[1]);
    (void)postern_ring_sync(&ends[0]);
    assert_true(ends[0].up && ends[1].up);
}

static bool put(unsigned end, uint32_t length)
{
    struct postern_ring_meta meta = {.length = length};

    if (postern_ring_reserve(&ends[end], &meta) == NULL) {
        return false;
    }
    postern_ring_commit(&ends[end]);
    return true;
}

static void publish(unsigned end)
{
    if (postern_ring_publish(&ends[end])) {
        doorbells[1 - end] = true;
    }
}

static unsigned take_all(unsigned end)
{
    struct postern_ring_meta meta;
    unsigned count = 0;

    while (postern_ring_peek(&ends[end], &meta) != NULL) {
        postern_ring_consume(&ends[end]);
        count++;
    }
    return count;
}

/* The receiver polls until there is nothing, and sleeps. */
static void receive_until_idle(unsigned end)
{
    do {
        received += take_all(end);
        if (postern_ring_release(&ends[end])) {
            doorbells[1 - end] = true;
        }
    } while (!postern_ring_arm_rx(&ends[end]));
    sleeps[end] = true;
}

static void begin_sending(void)
{
    begin_link();
    /* One that has come and gone: the receiver's event is behind, and rings for nobody. */
    assert_true(put(0, 100));
    publish(0);
    assert_int_equal(take_all(1), 1);
    (void)postern_ring_release(&ends[1]);
    doorbells[1] = false;
    assert_true(put(0, 100));
}

static void send_one(unsigned end)
{
    publish(end);
}

/* Asleep with a record to come: then the doorbell has rung. A doorbell too many does no harm. */
static bool receiver_is_right(void)
{
    return sleeps[1] && ends[1].fault == POSTERN_FAULT_NONE && (received == 1 || doorbells[1]);
}

static void test_rx_wakeup_in_every_order(void **state)
{
    static const struct scene scene = {
        begin_sending, {send_one, receive_until_idle}, receiver_is_right};

    (void)state;
    assert_always_right(run_all_orders(&scene), 100);
    assert_each_barrier_matters(&scene);
}

static void send_two(unsigned end)
{
    publish(end);
    if (put(end, 200)) {
        publish(end);
    }
}

static bool two_are_right(void)
{
    return sleeps[1] && ends[1].fault == POSTERN_FAULT_NONE && (received == 2 || doorbells[1]);
}

static void test_rx_wakeup_of_two(void **state)
{
    static const struct scene scene = {
        begin_sending, {send_two, receive_until_idle}, two_are_right};

    (void)state;
    assert_always_right(run_random_orders(&scene, 30000), 30000);
}

#define ROOM_WANTED 0x2000u

/* Full, with all of it read by the peer and nothing given back. */
static void begin_full(void)
{
    begin_link();
    while (put(0, 1000)) {
    }
    publish(0);
    assert_true(take_all(1) > 0);
    doorbells[1] = false;
}

static void wait_for_room(unsigned end)
{
    sleeps[end] = postern_ring_arm_tx(&ends[end], ROOM_WANTED);
}

static void give_back(unsigned end)
{
    if (postern_ring_release(&ends[end])) {
        doorbells[1 - end] = true;
    }
}

static bool sender_is_right(void)
{
    return ends[0].fault == POSTERN_FAULT_NONE && (!sleeps[0] || doorbells[0]) &&
           postern_ring_room(&ends[0], ROOM_WANTED);
}

static void test_tx_wakeup_in_every_order(void **state)
{
    static const struct scene scene = {begin_full, {wait_for_room, give_back}, sender_is_right};

    (void)state;
    assert_always_right(run_all_orders(&scene), 50);
    assert_each_barrier_matters(&scene);
}

static void ring_for_peer(unsigned end)
{
    /* A hypercall: what was stored before it is there. */
    access_barrier();
    doorbells[1 - end] = true;
}

static void sync_end(unsigned end)
{
    if (postern_ring_sync(&ends[end])) {
        ring_for_peer(end);
    }
}

static void open_and_sync(unsigned end)
{
    postern_ring_open(&ends[end], 1500, 7);
    ring_for_peer(end);
    sync_end(end);
}

/* Delivers doorbells, each of which makes its end look, until it is quiet. */
static bool settle(void)
{
    for (unsigned round = 0; doorbells[0] || doorbells[1]; round++) {
        unsigned end = doorbells[0] ? 0 : 1;
        if (round == 10) {
            return false;
        }
        doorbells[end] = false;
        sync_end(end);
    }
    return ends[0].up && ends[1].up && ends[0].fault == POSTERN_FAULT_NONE &&
           ends[1].fault == POSTERN_FAULT_NONE;
}

/* The link is up after the doorbells, and a packet goes each way. */
static bool link_is_right(void)
{
    if (!settle() || faulted) {
        return false;
    }
    for (unsigned end = 0; end < 2; end++) {
        (void)take_all(end);
        if (!put(1 - end, 64)) {
            return false;
        }
        publish(1 - end);
        if (take_all(end) != 1) {
            return false;
        }
    }
    return true;
}

static void test_both_open(void **state)
{
    static const struct scene scene = {
        clear_sections, {open_and_sync, open_and_sync}, link_is_right};

    (void)state;
    assert_always_right(run_random_orders(&scene, 30000), 30000);
}

/* An end that sends, receives and follows the other. */
static void work(unsigned end)
{
    for (unsigned round = 0; round < 8; round++) {
        if (postern_ring_sync_needed(&ends[end])) {
            sync_end(end);
        }
        if (put(end, 3000)) {
            publish(end);
        }
        (void)take_all(end);
        (void)postern_ring_release(&ends[end]);
        faulted = faulted || ends[end].fault != POSTERN_FAULT_NONE;
    }
    sync_end(end);
}

static void work_and_restart(unsigned end)
{
    work(end);
    open_and_sync(end);
    work(end);
    postern_ring_close(&ends[end]);
    ring_for_peer(end);
    open_and_sync(end);
}

static void begin_busy(void)
{
    begin_link();
    for (unsigned i = 0; i < 5; i++) {
        assert_true(put(0, 3000) && put(1, 3000));
        publish(0);
        publish(1);
    }
    (void)take_all(1);
    give_back(1);
}

/* No end takes the other's restart for a fault, whatever it was about to do. */
static void test_restart_under_load(void **state)
{
    static const struct scene scene = {begin_busy, {work, work_and_restart}, link_is_right};
    static const struct scene both = {
        begin_busy, {work_and_restart, work_and_restart}, link_is_right};

    (void)state;
    assert_always_right(run_random_orders(&scene, 5000), 5000);
    assert_always_right(run_random_orders(&both, 5000), 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rx_wakeup_in_every_order), cmocka_unit_test(test_rx_wakeup_of_two),
        cmocka_unit_test(test_tx_wakeup_in_every_order), cmocka_unit_test(test_both_open),
        cmocka_unit_test(test_restart_under_load),
    };

    return cmocka_run_group_tests(tests, create_window, destroy_window);
}
