/* SPDX-License-Identifier: BSD-2-Clause */
/* libpostern: two ports in memory, by the gate's code and without it. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "abi/hypercall.h"
#include "guests/libpostern/port.h"
#include "tests/unit/random.h"
#include "tests/unit/ring_window.h"
#include "vmfunc/gate/body.h"

#define SECTION POSTERN_SECTION_MIN
#define BURST   8u
#define ROOM    256u

/* A program cannot wait by MWAIT, and libpostern does not try. */
void gate_test_monitor(const void *address)
{
    (void)address;
    fail();
}

void gate_test_mwait(void)
{
    fail();
}

bool gate_test_is_kernel(void)
{
    return false;
}

static struct ring_window window;
static struct postern_port ports[2];
static unsigned rings[2]; /* doorbells that each has rung */
static bool runs;         /* the peers' VMs */
static int64_t failure;   /* of the gate, if not 0 */
static bool gated;

/* What one direction goes by. */
struct burst {
    struct postern_gate_packet packets[BURST];
    struct postern_gate_piece pieces[BURST];
    uint8_t buffers[BURST][ROOM];
};
static struct burst out, in;

static int64_t fake_gate(uint32_t view, uint32_t function, void *arguments)
{
    assert_int_equal(view, 3);
    return failure != 0 ? failure : gate_function(function, arguments);
}

static void count_ring(void *context)
{
    (*(unsigned *)context)++;
}

static bool peer_runs(void *context)
{
    (void)context;
    return runs;
}

static void set_up_burst(struct burst *burst)
{
    memset(burst, 0, sizeof(*burst));
    for (unsigned i = 0; i < BURST; i++) {
        burst->pieces[i] = (struct postern_gate_piece){burst->buffers[i], ROOM};
        burst->packets[i].pieces = &burst->pieces[i];
        burst->packets[i].piece_count = 1;
    }
}

static bool attach(unsigned end, uint64_t section_size)
{
    const struct postern_port_device device = {.gate = gated ? fake_gate : NULL,
                                               .view = 3,
                                               .own = window.writable[end],
                                               .peer = window.readable[1 - end],
                                               .section_size = section_size,
                                               .ring = count_ring,
                                               .peer_runs = peer_runs,
                                               .context = &rings[end]};

    memset(&ports[end], 0, sizeof(ports[end]));
    return postern_port_attach(&ports[end], &device, 1400 + end);
}

static unsigned receive(unsigned end)
{
    return postern_rx_burst(&ports[end], in.packets, BURST);
}

static void set_up(bool by_gate)
{
    gated = by_gate;
    failure = 0;
    runs = true;
    rings[0] = rings[1] = 0;
    set_up_burst(&out);
    set_up_burst(&in);
    window_create(&window, SECTION);
    assert_true(attach(0, SECTION) && attach(1, SECTION));
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(receive(i % 2), 0);
    }
    assert_true(ports[0].ring.up && ports[1].ring.up);
}

static int set_up_gated(void **state)
{
    (void)state;
    set_up(true);
    return 0;
}

static int set_up_open(void **state)
{
    (void)state;
    set_up(false);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    window_destroy(&window);
    return 0;
}

static struct postern_port_stats stats_of(unsigned end)
{
    struct postern_port_stats stats;

    postern_port_stats(&ports[end], &stats);
    return stats;
}

/* Sends `count` packets of `size` bytes, which tell their number. */
static unsigned send(unsigned end, unsigned count, uint32_t size)
{
    for (unsigned i = 0; i < count; i++) {
        memset(out.buffers[i], (int)(i + size), ROOM);
        out.pieces[i].size = size;
        out.packets[i].meta = (struct postern_ring_meta){.length = size};
    }
    return postern_tx_burst(&ports[end], out.packets, count);
}

static void assert_received(unsigned end, unsigned count, uint32_t size)
{
    assert_int_equal(receive(end), count);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(in.packets[i].meta.length, size);
        assert_int_equal(in.buffers[i][0], (uint8_t)(i + size));
        assert_int_equal(in.buffers[i][size - 1], (uint8_t)(i + size));
    }
}

static void test_link(void **state)
{
    (void)state;
    assert_true(postern_port_link(&ports[0]));
    assert_int_equal(postern_port_peer_mtu(&ports[0]), 1401);
    postern_port_set_mtu(&ports[1], 700);
    assert_true(postern_port_set_link(&ports[1], false));
    assert_false(postern_port_link(&ports[0]));
    assert_int_equal(postern_port_peer_mtu(&ports[0]), 0);
    assert_int_equal(send(0, 1, 64), 0);
    assert_true(postern_port_set_link(&ports[1], true));
    (void)postern_port_link(&ports[0]);
    assert_true(postern_port_link(&ports[1]));
    assert_true(postern_port_link(&ports[0]));
    assert_int_equal(postern_port_peer_mtu(&ports[0]), 700);
    runs = false;
    assert_false(postern_port_link(&ports[0]));
    assert_int_equal(postern_port_info(&ports[0])->gated, gated);
    assert_int_equal(postern_port_info(&ports[0])->max_frame, POSTERN_RING_PAYLOAD(SECTION));
}

/* A burst is one crossing, and between two that poll no doorbell rings. */
static void test_bursts(void **state)
{
    struct postern_port_stats before = stats_of(0), after;
    unsigned rung = rings[0] + rings[1];
    uint64_t bytes = 0;

    (void)state;
    for (uint32_t size = 1; size <= ROOM; size++) {
        unsigned count = 1 + size % BURST;

        assert_int_equal(send(0, count, size), count);
        assert_received(1, count, size);
        bytes += (uint64_t)count * size;
    }
    after = stats_of(0);
    assert_int_equal(after.crossings - before.crossings, ROOM);
    assert_int_equal(after.tx_bytes, bytes);
    assert_int_equal(stats_of(1).rx_bytes, bytes);
    assert_int_equal(after.tx_packets, stats_of(1).rx_packets);
    assert_int_equal(after.syncs, before.syncs);
    /* The first packet passes the event that the sync has set. */
    assert_true(rings[0] + rings[1] - rung <= 1);
    assert_int_equal(after.doorbells, rings[0]);
    assert_int_equal(receive(1), 0);
}

/* A peer that waits for a doorbell gets one, and one only. */
static void test_sleeping_peer(void **state)
{
    unsigned rung;

    (void)state;
    /* A driver that does not poll. */
    (void)postern_port_set_link(&ports[1], false);
    ports[1].ring.polls = false;
    assert_true(postern_port_set_link(&ports[1], true));
    (void)receive(0);
    (void)receive(1);
    (void)receive(0);
    assert_int_equal(send(0, 2, 64), 2);
    assert_received(1, 2, 64);
    assert_true(postern_ring_arm_rx(&ports[1].ring));
    rung = rings[0];
    assert_int_equal(send(0, 2, 64), 2);
    assert_int_equal(send(0, 2, 64), 2);
    assert_int_equal(rings[0], rung + 1);
}

static void test_done(void **state)
{
    (void)state;
    assert_true(postern_tx_done(&ports[0]));
    assert_int_equal(send(0, 3, 64), 3);
    assert_false(postern_tx_done(&ports[0]));
    assert_received(1, 3, 64);
    assert_true(postern_tx_done(&ports[0]));
    ports[0].tx.busy = 1;
    assert_false(postern_tx_done(&ports[0]));
}

static void test_full(void **state)
{
    unsigned sent = 0, came = 0, done;

    (void)state;
    do {
        done = send(0, BURST, ROOM);
        sent += done;
    } while (done == BURST);
    assert_true(sent >= SECTION / 2 / (ROOM + 16) - 1 && sent <= SECTION / 2 / (ROOM + 16));
    assert_int_equal(send(0, BURST, ROOM), 0);
    for (done = BURST; done == BURST; came += done) {
        done = receive(1);
    }
    assert_int_equal(came, sent);
    assert_int_equal(send(0, BURST, ROOM), BURST);
}

/* Packets that no ring can carry are dropped; those around them are sent, at once. */
static void test_refused(void **state)
{
    static const uint32_t lengths[BURST] = {0,  64,        POSTERN_RING_MAX_PAYLOAD, 64, 63, 64,
                                            64, UINT32_MAX};

    (void)state;
    for (unsigned i = 0; i < BURST; i++) {
        memset(out.buffers[i], (int)i, ROOM);
        out.pieces[i].size = 64;
        out.packets[i].meta = (struct postern_ring_meta){.length = lengths[i]};
    }
    assert_int_equal(postern_tx_burst(&ports[0], out.packets, BURST), BURST);
    assert_int_equal(stats_of(0).tx_refused, 4);
    assert_int_equal(stats_of(0).tx_packets, 4);
    assert_int_equal(stats_of(0).tx_bytes, 4 * 64);
    assert_int_equal(receive(1), 4);
    static const uint8_t sent[] = {1, 3, 5, 6};
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(in.packets[i].meta.length, 64);
        assert_int_equal(in.buffers[i][0], sent[i]);
    }
    /* The last of a burst: what is before it does not wait. */
    out.packets[1].meta.length = 63;
    assert_int_equal(postern_tx_burst(&ports[0], out.packets + 1, 1), 1);
    out.packets[2].meta.length = 63;
    assert_int_equal(postern_tx_burst(&ports[0], out.packets + 1, 2), 2);
    assert_int_equal(postern_tx_burst(&ports[0], out.packets + 3, 1), 1);
    out.packets[4].meta.length = 63;
    assert_int_equal(postern_tx_burst(&ports[0], out.packets + 3, 2), 2);
    assert_int_equal(receive(1), 2);
    assert_int_equal(stats_of(0).tx_refused, 8);
}

static void test_too_long_for_pieces(void **state)
{
    (void)state;
    in.pieces[1].size = 100;
    assert_int_equal(send(0, 3, 101), 3);
    assert_int_equal(receive(1), 3);
    assert_int_equal(in.packets[0].meta.length, 101);
    assert_int_equal(in.packets[1].meta.length, 0);
    assert_int_equal(in.packets[2].meta.length, 101);
    assert_int_equal(stats_of(1).rx_dropped, 1);
    assert_int_equal(stats_of(1).rx_packets, 2);
    assert_int_equal(stats_of(1).rx_bytes, 202);
}

/* Who only sends, or only receives, follows a peer that comes anew as well. */
static void follow(bool by_sending)
{
    assert_true(attach(1, SECTION));
    for (unsigned i = 0; i < 3; i++) {
        (void)receive(1);
        if (by_sending) {
            (void)postern_tx_burst(&ports[0], NULL, 0);
        } else {
            (void)receive(0);
        }
    }
    assert_int_equal(send(0, 3, 64), 3);
    assert_received(1, 3, 64);
    assert_int_equal(send(1, 3, 65), 3);
    assert_received(0, 3, 65);
}

static void test_peer_comes_anew(void **state)
{
    (void)state;
    assert_int_equal(send(0, 2, 64), 2); /* nobody will have them */
    follow(true);
    follow(false);
}

/* While another thread is in the other half there is no sync, and no waiting for it. */
static void test_busy_half(void **state)
{
    uint64_t syncs = stats_of(0).syncs;

    (void)state;
    ports[0].tx.busy = 1;
    assert_int_equal(send(0, 1, 64), 0);
    assert_true(postern_port_set_link(&ports[1], false));
    assert_int_equal(receive(0), 0);
    assert_int_equal(stats_of(0).syncs, syncs);
    assert_true(ports[0].ring.up);
    ports[0].tx.busy = 0;
    assert_int_equal(receive(0), 0);
    assert_false(ports[0].ring.up);
    assert_int_equal(ports[0].tx.busy, 0);
    ports[0].rx.busy = 1;
    assert_int_equal(receive(0), 0);
    assert_true(postern_port_set_link(&ports[1], true));
    assert_int_equal(send(0, 1, 64), 0);
    ports[0].rx.busy = 0;
    assert_int_equal(send(0, 1, 64), 0);
    (void)receive(1);
    (void)receive(0);
    assert_int_equal(send(0, 1, 64), 1);
}

/* After a crossing failed nothing moves, and few crossings are tried, until one succeeds. */
static void test_crossing_fails(void **state)
{
    uint64_t crossings;

    (void)state;
    assert_int_equal(send(0, 2, 64), 2);
    failure = POSTERN_ERR_FAULT;
    assert_int_equal(receive(1), 0);
    assert_false(postern_port_link(&ports[1]));
    crossings = stats_of(1).crossings;
    for (unsigned i = 0; i < 50000; i++) {
        assert_int_equal(receive(1), 0);
        assert_int_equal(send(1, 1, 64), 0);
    }
    assert_true(stats_of(1).crossings - crossings <= 11);
    assert_int_equal(stats_of(1).errors, stats_of(1).crossings - crossings + 2);
    failure = 0;
    for (unsigned i = 0; i < 20000; i++) {
        (void)receive(1);
        (void)receive(0);
    }
    assert_int_equal(send(0, 3, 64), 3);
    assert_received(1, 3, 64);
    failure = POSTERN_ERR_NOT_OPEN;
    assert_int_equal(send(0, 3, 64), 0);
    assert_false(postern_port_link(&ports[0]));
    failure = 0;
    (void)postern_port_link(&ports[0]);
    (void)receive(1);
    (void)receive(0);
    assert_int_equal(send(0, 3, 64), 3);
    failure = POSTERN_ERR_FAULT;
    assert_false(attach(0, SECTION));
    failure = 0;
}

/* A peer that breaks the ring has no link, until it comes anew. */
static void test_hostile_peer(void **state)
{
    struct postern_ring_header *header = (void *)window.writable[0];

    (void)state;
    header->head += 8;
    assert_int_equal(receive(1), 0);
    assert_int_equal(receive(1), 0);
    assert_false(postern_port_link(&ports[1]));
    assert_int_equal(send(1, 1, 64), 0);
    assert_true(attach(0, SECTION));
    for (unsigned i = 0; i < 4; i++) {
        (void)receive(i % 2);
    }
    assert_int_equal(send(0, 3, 64), 3);
    assert_received(1, 3, 64);
}

/* Whatever the peer's section says, a burst ends and stays within its buffers. */
static void test_random_peer(void **state)
{
    struct random random = {1};

    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t *section = window.writable[0];
        uint32_t word = random_next(&random);
        size_t at = round % 2 == 0 ? word % 0x110 : SECTION / 2 + word % 512;

        (void)send(0, 1 + round % BURST, 1 + round % ROOM);
        section[at] = (uint8_t)random_next(&random);
        assert_true(receive(1) <= BURST);
        (void)send(1, 2, 64);
        if (round % 16 == 0) {
            assert_true(postern_port_set_link(&ports[0], true));
            (void)receive(1);
            (void)receive(0);
        }
    }
}

static void test_sizes(void **state)
{
    static const uint64_t wrong[] = {0, SECTION / 2, SECTION + 4096, 2ull * POSTERN_SECTION_MAX,
                                     (1ull << 32) + SECTION};

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(attach(0, wrong[i]));
    }
}

#define IN_BOTH_MODES(test)                                         \
    cmocka_unit_test_setup_teardown(test, set_up_gated, tear_down), \
        cmocka_unit_test_setup_teardown(test, set_up_open, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_BOTH_MODES(test_link),
        IN_BOTH_MODES(test_bursts),
        IN_BOTH_MODES(test_sleeping_peer),
        IN_BOTH_MODES(test_done),
        IN_BOTH_MODES(test_full),
        IN_BOTH_MODES(test_refused),
        IN_BOTH_MODES(test_too_long_for_pieces),
        IN_BOTH_MODES(test_peer_comes_anew),
        IN_BOTH_MODES(test_busy_half),
        cmocka_unit_test_setup_teardown(test_crossing_fails, set_up_gated, tear_down),
        IN_BOTH_MODES(test_hostile_peer),
        IN_BOTH_MODES(test_random_peer),
        IN_BOTH_MODES(test_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
