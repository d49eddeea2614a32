/* SPDX-License-Identifier: BSD-2-Clause */
/* libpostern: a port whose link is to have another mode, or whose VM was restored. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "abi/hypercall.h"
#include "guests/libpostern/port.h"
#include "tests/unit/gate_program.h"
#include "tests/unit/ring_window.h"
#include "vmfunc/gate/body.h"

#define SECTION POSTERN_SECTION_MIN
#define QUEUES  2u
#define VIEW    3u
#define BURSTS  20001u /* in which a port that fails has tried again */
#define ASKED   (POSTERN_LINK_OTHER_MODE | POSTERN_LINK_RESTORED)

/* The NIC of end 0, as its driver and the hypervisor have it. */
static struct {
    uint32_t link;
    bool gated;
    bool view_open; /* else crossings fail */
    bool knows;     /* FOLLOW, as a driver does that is new enough */
    unsigned follows;
} nic;

static struct ring_window window;
static struct postern_port ports[2];

static int64_t fake_gate(uint32_t view, uint32_t function, void *arguments)
{
    assert_int_equal(view, VIEW);
    return nic.view_open ? gate_function(function, arguments) : POSTERN_ERR_NOT_OPEN;
}

static void ring(void *context, unsigned queue)
{
    (void)context;
    assert_true(queue < QUEUES);
}

static uint32_t get_link(void *context)
{
    return context == &ports[0] ? nic.link : POSTERN_LINK_PEER_RUNS;
}

/* In both sections of end 0 each ring is closed by then. */
static bool follow(void *context, struct postern_port_device *device)
{
    assert_ptr_equal(context, &ports[0]);
    nic.follows++;
    if (!nic.knows) {
        return false;
    }
    for (unsigned i = 0; i < QUEUES; i++) {
        const struct postern_ring_header *own = (void *)(window.writable[0] + i * SECTION);
        assert_int_equal(own->generation, 0);
    }
    nic.gated ^= (nic.link & POSTERN_LINK_OTHER_MODE) != 0;
    nic.link &= ~ASKED;
    nic.view_open = nic.gated;
    device->gate = nic.gated ? fake_gate : NULL;
    device->view = VIEW;
    return true;
}

static void attach(unsigned end)
{
    const struct postern_port_device device = {.gate = end == 0 && nic.gated ? fake_gate : NULL,
                                               .view = VIEW,
                                               .own = window.writable[end],
                                               .peer = window.readable[1 - end],
                                               .section_size = SECTION * QUEUES,
                                               .queues = QUEUES,
                                               .ring = ring,
                                               .link = get_link,
                                               .follow = follow,
                                               .context = &ports[end]};

    memset(&ports[end], 0, sizeof(ports[end]));
    assert_true(postern_port_attach(&ports[end], &device, 1500));
}

static unsigned receive(unsigned end, unsigned queue)
{
    static uint8_t buffer[64];
    struct postern_gate_frame frame = {.address = buffer};

    return postern_rx_burst(postern_port_queue(&ports[end], queue), &frame, 1, sizeof(buffer));
}

static unsigned send(unsigned end, unsigned queue)
{
    static uint8_t buffer[64];
    struct postern_gate_frame frame = {.record.length = sizeof(buffer), .address = buffer};

    return postern_tx_burst(postern_port_queue(&ports[end], queue), &frame, 1);
}

/* That the ends find each other again, and a packet arrives in each queue, in both directions. */
static void assert_meet(void)
{
    for (unsigned i = 0; i < 6 * QUEUES; i++) {
        (void)receive(i % 2, i / 2 % QUEUES);
    }
    for (unsigned i = 0; i < 2 * QUEUES; i++) {
        assert_int_equal(send(i % 2, i / 2), 1);
        assert_int_equal(receive(1 - i % 2, i / 2), 1);
    }
    assert_true(postern_port_link(&ports[0]));
    assert_int_equal(postern_port_info(&ports[0])->gated, nic.gated);
}

static int set_up(bool gated)
{
    nic.link = POSTERN_LINK_PEER_RUNS;
    nic.gated = nic.view_open = gated;
    nic.knows = true;
    nic.follows = 0;
    window_create(&window, SECTION * QUEUES);
    attach(0);
    attach(1);
    assert_meet();
    return 0;
}

static int set_up_gated(void **state)
{
    (void)state;
    return set_up(true);
}

static int set_up_open(void **state)
{
    (void)state;
    return set_up(false);
}

static int tear_down(void **state)
{
    (void)state;
    window_destroy(&window);
    return 0;
}

/* What the hypervisor does to end 0's port. */
static void restore(void)
{
    for (unsigned i = 0; i < QUEUES; i++) {
        struct postern_ring_header *own = (void *)(window.writable[0] + i * SECTION);
        own->generation = 0;
    }
    nic.view_open = false;
    nic.link |= POSTERN_LINK_RESTORED;
}

/* Both ways: there and back. */
static void test_mode(void **state)
{
    bool before = nic.gated;

    (void)state;
    for (unsigned i = 1; i <= 4; i++) {
        nic.link |= POSTERN_LINK_OTHER_MODE;
        (void)postern_port_link(&ports[0]);
        assert_int_equal(nic.follows, i);
        assert_int_equal(nic.gated, before ^ (i % 2));
        assert_meet();
    }
}

/* An end that only makes bursts finds out when its peer goes down and up. */
static void test_mode_with_peer(void **state)
{
    (void)state;
    nic.link |= POSTERN_LINK_OTHER_MODE;
    assert_true(postern_port_set_link(&ports[1], false));
    (void)receive(0, 1);
    assert_int_equal(nic.follows, 1);
    assert_true(postern_port_set_link(&ports[1], true));
    assert_meet();
}

/* Only by bursts: of a gated port they fail, to one in mode open the peer has gone. */
static void test_restored(void **state)
{
    (void)state;
    restore();
    for (unsigned i = 0; i < BURSTS; i++) {
        (void)receive(1, i % QUEUES);
        (void)receive(0, i % QUEUES);
    }
    assert_int_equal(nic.follows, 1);
    assert_meet();
}

/* Somebody is in a burst of another queue: not now. */
static void test_busy(void **state)
{
    struct postern_queue *queue = postern_port_queue(&ports[0], 1);
    struct postern_queue_half *halves[] = {&queue->rx, &queue->tx};

    (void)state;
    nic.link |= POSTERN_LINK_OTHER_MODE;
    for (unsigned i = 0; i < 2; i++) {
        assert_true(postern_queue_enter(halves[i]));
        (void)postern_port_link(&ports[0]);
        assert_int_equal(nic.follows, 0);
        postern_queue_leave(halves[i]);
    }
    (void)postern_port_link(&ports[0]);
    assert_int_equal(nic.follows, 1);
    assert_meet();
}

/* A port that was taken down follows, and stays down. */
static void test_down(void **state)
{
    (void)state;
    assert_true(postern_port_set_link(&ports[0], false));
    nic.link |= POSTERN_LINK_OTHER_MODE;
    assert_false(postern_port_link(&ports[0]));
    assert_int_equal(nic.follows, 1);
    (void)receive(1, 0);
    assert_false(postern_port_link(&ports[1]));
    assert_true(postern_port_set_link(&ports[0], true));
    assert_meet();
}

/* A driver that is older is asked once, and the port goes on as it was. */
static void test_old_driver(void **state)
{
    (void)state;
    nic.knows = false;
    nic.link |= POSTERN_LINK_OTHER_MODE;
    for (unsigned i = 0; i < 3; i++) {
        (void)postern_port_link(&ports[0]);
    }
    assert_meet();
    assert_int_equal(nic.follows, 1);
}

#define IN_BOTH_MODES(test)                                         \
    cmocka_unit_test_setup_teardown(test, set_up_gated, tear_down), \
        cmocka_unit_test_setup_teardown(test, set_up_open, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_BOTH_MODES(test_mode),     IN_BOTH_MODES(test_mode_with_peer),
        IN_BOTH_MODES(test_restored), IN_BOTH_MODES(test_busy),
        IN_BOTH_MODES(test_down),     IN_BOTH_MODES(test_old_driver),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
