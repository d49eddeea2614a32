/* SPDX-License-Identifier: BSD-2-Clause */
/* libpostern: two ports in memory, by the gate's code and without it, by frames and by pieces. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "abi/hypercall.h"
#include "guests/libpostern/port.h"
#include "tests/unit/gate_program.h"
#include "tests/unit/random.h"
#include "tests/unit/ring_window.h"
#include "vmfunc/gate/body.h"

#define SECTION POSTERN_SECTION_MIN
#define BURST   8u
#define ROOM    256u

static struct ring_window window;
static struct postern_port ports[2];
static unsigned rings[2];    /* doorbells that each has rung */
static unsigned rung_queues; /* a bit for each */
static bool runs;            /* the peers' VMs */
static int64_t failure;      /* of the gate, if not 0 */
static bool gated;
static bool by_pieces;

/* What one direction goes by. */
struct burst {
    struct postern_gate_frame frames[BURST];
    struct postern_gate_packet packets[BURST];
    struct postern_gate_piece pieces[BURST];
    uint8_t buffers[BURST][ROOM];
    uint32_t room; /* of frames */
};
static struct burst out, in;

static int64_t fake_gate(uint32_t view, uint32_t function, void *arguments)
{
    assert_int_equal(view, 3);
    return failure != 0 ? failure : gate_function(function, arguments);
}

static void count_ring(void *context, unsigned queue)
{
    rung_queues |= 1u << queue;
    (*(unsigned *)context)++;
}

static uint32_t get_link(void *context)
{
    (void)context;
    return runs ? POSTERN_LINK_PEER_RUNS : 0;
}

static void set_up_burst(struct burst *burst)
{
    memset(burst, 0, sizeof(*burst));
    for (unsigned i = 0; i < BURST; i++) {
        burst->pieces[i] = (struct postern_gate_piece){burst->buffers[i], ROOM};
        burst->packets[i].pieces = &burst->pieces[i];
        burst->packets[i].piece_count = 1;
        burst->frames[i].address = burst->buffers[i];
    }
    burst->room = ROOM;
}

/* A packet to be sent: `size` bytes, and a length that should be the same. */
static void set_packet(unsigned i, uint32_t size, uint32_t length)
{
    out.pieces[i].size = size;
    out.packets[i].meta = (struct postern_ring_meta){.length = length};
    out.frames[i].record = (struct postern_record){.length = length};
}

static uint32_t length_of(unsigned i)
{
    return by_pieces ? in.packets[i].meta.length : in.frames[i].record.length;
}

static bool attach_queues(unsigned end, uint64_t section_size, unsigned queues)
{
    const struct postern_port_device device = {.gate = gated ? fake_gate : NULL,
                                               .view = 3,
                                               .own = window.writable[end],
                                               .peer = window.readable[1 - end],
                                               .section_size = section_size,
                                               .queues = queues,
                                               .ring = count_ring,
                                               .link = get_link,
                                               .context = &rings[end]};

    memset(&ports[end], 0, sizeof(ports[end]));
    return postern_port_attach(&ports[end], &device, 1400 + end);
}

static bool attach(unsigned end, uint64_t section_size)
{
    return attach_queues(end, section_size, 1);
}

static struct postern_queue *queue_of(unsigned end)
{
    return postern_port_queue(&ports[end], 0);
}

static unsigned receive(unsigned end)
{
    return by_pieces ? postern_rx_pieces(queue_of(end), in.packets, BURST)
                     : postern_rx_burst(queue_of(end), in.frames, BURST, in.room);
}

/* Sends `count` packets from number `first` on. */
static unsigned send_from(unsigned end, unsigned first, unsigned count)
{
    return by_pieces ? postern_tx_pieces(queue_of(end), out.packets + first, count)
                     : postern_tx_burst(queue_of(end), out.frames + first, count);
}

static void set_up(bool by_gate, bool in_pieces)
{
    gated = by_gate;
    by_pieces = in_pieces;
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
    assert_true(queue_of(0)->ring.up && queue_of(1)->ring.up);
}

#define SET_UP(name, by_gate, in_pieces) \
    static int name(void **state)        \
    {                                    \
        (void)state;                     \
        set_up(by_gate, in_pieces);      \
        return 0;                        \
    }
SET_UP(set_up_gated, true, false)
SET_UP(set_up_gated_pieces, true, true)
SET_UP(set_up_open, false, false)
SET_UP(set_up_open_pieces, false, true)

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
        set_packet(i, size, size);
    }
    return send_from(end, 0, count);
}

static void assert_received(unsigned end, unsigned count, uint32_t size)
{
    assert_int_equal(receive(end), count);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(length_of(i), size);
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
    queue_of(1)->ring.polls = false;
    assert_true(postern_port_set_link(&ports[1], true));
    (void)receive(0);
    (void)receive(1);
    (void)receive(0);
    assert_int_equal(send(0, 2, 64), 2);
    assert_received(1, 2, 64);
    assert_true(postern_ring_arm_rx(&queue_of(1)->ring));
    rung = rings[0];
    assert_int_equal(send(0, 2, 64), 2);
    assert_int_equal(send(0, 2, 64), 2);
    assert_int_equal(rings[0], rung + 1);
}

static void test_done(void **state)
{
    (void)state;
    assert_true(postern_tx_done(queue_of(0)));
    assert_int_equal(send(0, 3, 64), 3);
    assert_false(postern_tx_done(queue_of(0)));
    assert_received(1, 3, 64);
    assert_true(postern_tx_done(queue_of(0)));
    queue_of(0)->tx.busy = 1;
    assert_false(postern_tx_done(queue_of(0)));
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
    static const uint32_t lengths[BURST] = {0,  64, POSTERN_RING_MAX_PAYLOAD, 64, UINT32_MAX, 64,
                                            64, 0};
    static const uint8_t sent[] = {1, 3, 5, 6};

    (void)state;
    for (unsigned i = 0; i < BURST; i++) {
        memset(out.buffers[i], (int)i, ROOM);
        set_packet(i, 64, lengths[i]);
    }
    assert_int_equal(send_from(0, 0, BURST), BURST);
    assert_int_equal(stats_of(0).tx_refused, 4);
    assert_int_equal(stats_of(0).tx_packets, 4);
    assert_int_equal(stats_of(0).tx_bytes, 4 * 64);
    assert_int_equal(receive(1), 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(length_of(i), 64);
        assert_int_equal(in.buffers[i][0], sent[i]);
    }
}

/* Pieces that are not the packet's length: what is before such a packet does not wait. */
static void test_wrong_pieces(void **state)
{
    (void)state;
    for (unsigned i = 0; i < BURST; i++) {
        set_packet(i, 64, 64);
    }
    out.packets[1].meta.length = 63;
    assert_int_equal(send_from(0, 1, 1), 1);
    out.packets[2].meta.length = 63;
    assert_int_equal(send_from(0, 1, 2), 2);
    assert_int_equal(send_from(0, 3, 1), 1);
    out.packets[4].meta.length = 63;
    assert_int_equal(send_from(0, 3, 2), 2);
    assert_int_equal(receive(1), 2);
    assert_int_equal(stats_of(0).tx_refused, 4);
}

static void test_too_long(void **state)
{
    (void)state;
    in.room = 100;
    in.pieces[1].size = 100;
    assert_int_equal(send(0, 1, 100), 1);
    assert_int_equal(send(0, 3, 101), 3);
    assert_int_equal(receive(1), 4);
    assert_int_equal(length_of(0), 100);
    assert_int_equal(length_of(1), 0);
    assert_int_equal(length_of(2), by_pieces ? 101 : 0);
    assert_int_equal(length_of(3), by_pieces ? 101 : 0);
    assert_int_equal(stats_of(1).rx_dropped, by_pieces ? 1 : 3);
    assert_int_equal(stats_of(1).rx_packets, by_pieces ? 3 : 1);
    assert_int_equal(stats_of(1).rx_bytes, by_pieces ? 302 : 100);
}

/* Who only sends, or only receives, follows a peer that comes anew as well. */
static void follow(bool by_sending)
{
    assert_true(attach(1, SECTION));
    for (unsigned i = 0; i < 3; i++) {
        (void)receive(1);
        if (by_sending) {
            (void)send_from(0, 0, 0);
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
    queue_of(0)->tx.busy = 1;
    assert_int_equal(send(0, 1, 64), 0);
    assert_true(postern_port_set_link(&ports[1], false));
    assert_int_equal(receive(0), 0);
    assert_int_equal(stats_of(0).syncs, syncs);
    assert_true(queue_of(0)->ring.up);
    queue_of(0)->tx.busy = 0;
    assert_int_equal(receive(0), 0);
    assert_false(queue_of(0)->ring.up);
    assert_int_equal(queue_of(0)->tx.busy, 0);
    queue_of(0)->rx.busy = 1;
    assert_int_equal(receive(0), 0);
    assert_true(postern_port_set_link(&ports[1], true));
    assert_int_equal(send(0, 1, 64), 0);
    queue_of(0)->rx.busy = 0;
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

#define QUEUES 2u

static void bring_together(void)
{
    for (unsigned i = 0; i < 4; i++) {
        (void)postern_port_link(&ports[i % 2]);
    }
}

static int set_up_queues(void **state)
{
    (void)state;
    gated = true;
    by_pieces = false;
    failure = 0;
    runs = true;
    rung_queues = 0;
    set_up_burst(&out);
    set_up_burst(&in);
    window_create(&window, QUEUES * SECTION);
    for (unsigned end = 0; end < 2; end++) {
        assert_true(attach_queues(end, QUEUES * SECTION, QUEUES));
    }
    bring_together();
    return 0;
}

static void test_queues_are_apart(void **state)
{
    struct postern_port_stats stats;

    (void)state;
    assert_int_equal(rung_queues, 3);
    assert_int_equal(postern_port_info(&ports[0])->queues, QUEUES);
    assert_null(postern_port_queue(&ports[0], QUEUES));
    assert_int_equal(postern_port_info(&ports[0])->max_frame, POSTERN_RING_PAYLOAD(SECTION));
    for (unsigned i = 0; i < QUEUES; i++) {
        struct postern_queue *to = postern_port_queue(&ports[1], i);

        set_packet(0, 60 + i, 60 + i);
        memset(out.buffers[0], (int)i, ROOM);
        assert_int_equal(postern_tx_burst(postern_port_queue(&ports[0], i), out.frames, 1), 1);
        assert_int_equal(
            postern_rx_burst(postern_port_queue(&ports[1], 1 - i), in.frames, BURST, ROOM), 0);
        assert_int_equal(postern_rx_burst(to, in.frames, BURST, ROOM), 1);
        assert_int_equal(length_of(0), 60 + i);
        assert_int_equal(in.buffers[0][0], i);
        postern_queue_stats(to, &stats);
        assert_int_equal(stats.rx_packets, 1);
        assert_int_equal(stats.rx_bytes, 60 + i);
    }
    postern_port_stats(&ports[1], &stats);
    assert_int_equal(stats.rx_packets, QUEUES);
    assert_int_equal(stats.rx_bytes, 60 + 61);
}

/* A queue that one end does not use has no peer; the others have. */
static void test_fewer_queues(void **state)
{
    (void)state;
    postern_port_use_queues(&ports[1], 1);
    assert_true(postern_port_set_link(&ports[1], true));
    bring_together();
    assert_true(postern_port_link(&ports[0]) && postern_port_link(&ports[1]));
    assert_true(postern_queue_link(postern_port_queue(&ports[0], 0)));
    assert_false(postern_queue_link(postern_port_queue(&ports[0], 1)));
    set_packet(0, 64, 64);
    assert_int_equal(postern_tx_burst(postern_port_queue(&ports[0], 1), out.frames, 1), 0);
    assert_int_equal(send(0, 3, 64), 3);
    assert_received(1, 3, 64);
    postern_port_use_queues(&ports[1], 7);
    assert_true(postern_port_set_link(&ports[1], true));
    bring_together();
    assert_true(postern_queue_link(postern_port_queue(&ports[0], 1)));
}

/* A queue whose ring the peer breaks leaves the others alone. */
static void test_queue_is_broken(void **state)
{
    struct postern_ring_header *header = (void *)(window.writable[0] + SECTION);

    (void)state;
    header->head += 8;
    assert_int_equal(postern_rx_burst(postern_port_queue(&ports[1], 1), in.frames, BURST, ROOM), 0);
    assert_false(postern_queue_link(postern_port_queue(&ports[1], 1)));
    assert_int_equal(send(0, 3, 64), 3);
    assert_received(1, 3, 64);
    assert_true(postern_port_link(&ports[1]));
}

#define THREAD_PACKETS 20000u

/* A thread's own end of a queue. */
struct worker {
    struct postern_queue *queue;
    bool sends;
    uint32_t wrong;
};

static void *work(void *argument)
{
    static _Thread_local uint8_t buffers[BURST][ROOM];
    struct postern_gate_frame frames[BURST];
    struct worker *worker = argument;
    uint32_t moved = 0;

    while (moved < THREAD_PACKETS) {
        unsigned count = BURST, done;

        for (uint32_t i = 0; i < BURST; i++) {
            uint32_t number = moved + i;

            frames[i] =
                (struct postern_gate_frame){{.length = 60 + number / 5 % 100}, buffers[i], 0};
            if (worker->sends) {
                memcpy(buffers[i], &number, sizeof(number));
            }
        }
        count = THREAD_PACKETS - moved < BURST ? THREAD_PACKETS - moved : BURST;
        done = worker->sends ? postern_tx_burst(worker->queue, frames, count)
                             : postern_rx_burst(worker->queue, frames, count, ROOM);
        for (uint32_t i = 0; i < done && !worker->sends; i++, moved++) {
            worker->wrong += memcmp(buffers[i], &moved, sizeof(moved)) != 0 ||
                             frames[i].record.length != 60 + moved / 5 % 100;
        }
        moved += worker->sends ? done : 0;
        if (done == 0) {
            sched_yield();
        }
    }
    return NULL;
}

/* Each queue, and each direction of it, by a thread of its own. */
static void test_threads(void **state)
{
    struct worker workers[QUEUES * 2];
    pthread_t threads[QUEUES * 2];

    (void)state;
    for (unsigned i = 0; i < QUEUES * 2; i++) {
        workers[i] =
            (struct worker){.queue = postern_port_queue(&ports[i % 2], i / 2), .sends = i % 2 == 0};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < QUEUES * 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(workers[i].wrong, 0);
    }
    assert_int_equal(stats_of(1).rx_packets, QUEUES * THREAD_PACKETS);
}

static void test_sizes(void **state)
{
    static const uint64_t wrong[] = {0, SECTION / 2, SECTION + 4096, 2ull * POSTERN_SECTION_MAX,
                                     (1ull << 32) + SECTION};

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(attach(0, wrong[i]));
    }
    assert_false(attach_queues(0, SECTION, 2)); /* a slice that is no section */
    assert_false(attach_queues(0, 16 * SECTION, 16));
    assert_false(attach_queues(0, SECTION, 0));
}

#define IN(way, test) cmocka_unit_test_setup_teardown(test, set_up_##way, tear_down)
#define IN_ALL_WAYS(test) \
    IN(gated, test), IN(open, test), IN(gated_pieces, test), IN(open_pieces, test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ALL_WAYS(test_link),
        IN_ALL_WAYS(test_bursts),
        IN_ALL_WAYS(test_sleeping_peer),
        IN_ALL_WAYS(test_done),
        IN_ALL_WAYS(test_full),
        IN_ALL_WAYS(test_refused),
        IN(gated_pieces, test_wrong_pieces),
        IN(open_pieces, test_wrong_pieces),
        IN_ALL_WAYS(test_too_long),
        IN_ALL_WAYS(test_peer_comes_anew),
        IN_ALL_WAYS(test_busy_half),
        IN(gated, test_crossing_fails),
        IN(gated_pieces, test_crossing_fails),
        IN_ALL_WAYS(test_hostile_peer),
        IN_ALL_WAYS(test_random_peer),
        IN(gated, test_sizes),
        IN(queues, test_queues_are_apart),
        IN(queues, test_fewer_queues),
        IN(queues, test_queue_is_broken),
        IN(queues, test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
