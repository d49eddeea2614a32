/* SPDX-License-Identifier: BSD-2-Clause */
/* Two ends of a link, each in mode open or gated, as the guest with lwIP has them. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "abi/hypercall.h"
#include "abi/pci.h"
#include "guests/lwip/console.h"
#include "guests/lwip/hypercall.h"
#include "guests/lwip/paging.h"
#include "guests/lwip/port.h"
#include "tests/unit/ring_window.h"
#include "vmfunc/gate/body.h"

#define SECTION POSTERN_SECTION_MIN
#define BATCH   8u

static struct ring_window window;
static struct port ports[2];
static int64_t crossing_fails; /* with this error */
static unsigned doorbells, waits;
static size_t mapped_size = 2 * SECTION;
static uint64_t rung_queue;

/* What the gate cannot execute here. */
void gate_test_monitor(const void *address)
{
    assert_ptr_equal(address, window.readable[1] + 0x40);
}

void gate_test_mwait(void)
{
    waits++;
}

bool gate_test_is_kernel(void)
{
    return true;
}

/* The gate's home begins a page. */
__attribute__((aligned(4096))) static int64_t gate_home(uint32_t view, uint32_t function,
                                                        void *arguments)
{
    assert_int_equal(view, 1);
    return crossing_fails != 0 ? crossing_fails : gate_function(function, arguments);
}

int64_t hypercall(uint64_t number, uint64_t a, uint64_t b)
{
    switch (number) {
    case POSTERN_HC_GATE:
        return (int64_t)(uintptr_t)gate_home | 2;
    case POSTERN_HC_VIEW_OPEN:
        assert_true(b == POSTERN_ALL_VCPUS);
        return 1;
    default:
        assert_int_equal(number, POSTERN_HC_DOORBELL);
        assert_int_equal(a, 5);
        doorbells++;
        rung_queue = b;
        return 0;
    }
}

void *map_memory(uint64_t address, size_t size)
{
    assert_int_equal(size, mapped_size);
    return (void *)address;
}

void give_up(const char *format, ...)
{
    fail_msg("%s", format);
    abort();
}

static void sync_both(void)
{
    for (unsigned i = 0; i < 4; i++) {
        (void)port_sync(&ports[i % 2]);
    }
}

/* Bit 0 and 1 of `modes`: is that end gated? */
static void make_ports(unsigned modes)
{
    window_create(&window, SECTION);
    crossing_fails = 0;
    for (unsigned end = 0; end < 2; end++) {
        struct device device = {.window = (uint64_t)(uintptr_t)window.writable[end],
                                .section_size = SECTION,
                                .queues = 1,
                                .port = 5,
                                .mode = (modes >> end & 1) != 0 ? POSTERN_MODE_GATED
                                                                : POSTERN_MODE_OPEN};
        port_init(&ports[end], &device, 0);
        /* Here the sections do not lie side by side. */
        assert_true(postern_ring_init(&ports[end].ring, window.writable[end],
                                      window.readable[1 - end], SECTION));
        port_open(&ports[end], 1500);
    }
    sync_both();
    assert_true(port_works(&ports[0]) && port_works(&ports[1]));
}

static void for_all_modes(void (*test)(void))
{
    for (unsigned modes = 0; modes < 4; modes++) {
        make_ports(modes);
        test();
        window_destroy(&window);
    }
}

/* Sends `size` bytes, all `byte`, in two pieces. */
static int64_t send(struct port *port, uint8_t byte, uint32_t size, bool *sent)
{
    uint8_t bytes[4096];
    struct postern_gate_piece pieces[2] = {{bytes, 5}, {bytes + 5, size - 5}};
    struct postern_gate_packet packet = {.meta = {.length = size, .flags = POSTERN_RECORD_VALID},
                                         .pieces = pieces,
                                         .piece_count = 2};

    memset(bytes, byte, size);
    return port_send(port, &packet, sent);
}

/* Takes a look and then what it has shown, each packet into `room` bytes. Returns how many came. */
static uint32_t take(struct port *port, uint8_t (*bytes)[4096], uint64_t room,
                     struct postern_gate_packet *packets, int64_t *bits)
{
    struct postern_gate_piece pieces[BATCH];
    uint32_t found, taken;

    *bits = port_look(port, packets, BATCH, &found);
    for (uint32_t i = 0; i < found; i++) {
        pieces[i] = (struct postern_gate_piece){bytes[i], room};
        packets[i].pieces = &pieces[i];
        packets[i].piece_count = 1;
    }
    *bits |= port_take(port, packets, found, &taken);
    assert_int_equal(taken, found);
    return taken;
}

static void exchange(void)
{
    static uint8_t bytes[BATCH][4096];
    struct postern_gate_packet packets[BATCH];
    uint32_t come = 0;
    int64_t bits;
    bool sent;

    assert_true(port_wait_for_packets(&ports[1]));
    for (uint8_t i = 0; i < 3; i++) {
        assert_int_equal(send(&ports[0], i, 100u + i, &sent), 0);
        assert_true(sent);
    }
    assert_int_equal(take(&ports[1], bytes, 4096, packets, &bits), 0);
    assert_int_equal(port_flush(&ports[0]), POSTERN_GATE_DOORBELL);
    assert_int_equal(port_flush(&ports[0]), 0);
    assert_false(port_wait_for_packets(&ports[1]));
    while (come < 3) {
        uint32_t now = take(&ports[1], bytes, 4096, packets, &bits);
        assert_true(now > 0 && come + now <= 3);
        for (uint32_t i = 0; i < now; i++, come++) {
            assert_int_equal(packets[i].meta.length, 100 + come);
            assert_int_equal(packets[i].meta.flags, POSTERN_RECORD_VALID);
            assert_int_equal(bytes[i][0], come);
            assert_memory_equal(bytes[i], bytes[i] + 1, 99 + come);
        }
    }
    assert_true(port_wait_for_packets(&ports[1]));
}

static void test_exchange(void **state)
{
    (void)state;
    for_all_modes(exchange);
}

static void too_little_room(void)
{
    static uint8_t bytes[BATCH][4096];
    struct postern_gate_packet packets[BATCH];
    int64_t bits;
    bool sent;

    (void)send(&ports[0], 1, 100, &sent);
    (void)port_flush(&ports[0]);
    memset(bytes[0], 0xee, 100);
    assert_int_equal(take(&ports[1], bytes, 99, packets, &bits), 1);
    assert_int_equal(packets[0].meta.length, 0);
    (void)send(&ports[0], 2, 100, &sent);
    (void)port_flush(&ports[0]);
    assert_int_equal(take(&ports[1], bytes, 100, packets, &bits), 1);
    assert_int_equal(packets[0].meta.length, 100);
    assert_int_equal(bytes[0][99], 2);
}

static void test_too_little_room_loses_one_packet(void **state)
{
    (void)state;
    for_all_modes(too_little_room);
}

/* A full ring is shown to the peer, with the doorbell, before anybody flushes. */
static void full_ring(void)
{
    static uint8_t bytes[BATCH][4096];
    struct postern_gate_packet packets[BATCH];
    int64_t bits = 0, due;
    uint32_t count = 0, come = 0;
    bool sent = true;

    assert_true(port_wait_for_packets(&ports[1]));
    while (sent) {
        bits |= send(&ports[0], 7, 3000, &sent);
        count += sent;
    }
    assert_true(count > 5 && count < 12);
    bits |= port_flush(&ports[0]);
    assert_int_equal(bits, POSTERN_GATE_DOORBELL);
    assert_false(port_has_room(&ports[0], SECTION / 4));
    assert_true(port_wait_for_room(&ports[0], SECTION / 4));
    due = 0;
    while (come < count) {
        come += take(&ports[1], bytes, 4096, packets, &bits);
        due |= bits;
    }
    assert_int_equal(due, POSTERN_GATE_DOORBELL);
    assert_true(port_has_room(&ports[0], SECTION / 4));
    assert_false(port_wait_for_room(&ports[0], SECTION / 4));
}

static void test_full_ring(void **state)
{
    (void)state;
    for_all_modes(full_ring);
}

static void new_generation(void)
{
    struct postern_gate_packet packets[BATCH];
    uint32_t found;
    bool sent;

    (void)send(&ports[0], 1, 100, &sent);
    port_open(&ports[1], 1500);
    assert_int_equal(port_look(&ports[0], packets, BATCH, &found), POSTERN_GATE_SYNC);
    assert_int_equal(port_sync(&ports[0]), POSTERN_GATE_DOORBELL);
    assert_false(port_works(&ports[0]));
    (void)send(&ports[0], 1, 100, &sent);
    assert_false(sent);
    sync_both();
    assert_true(port_works(&ports[0]) && port_works(&ports[1]));
    exchange();
}

static void test_peer_opens_anew(void **state)
{
    (void)state;
    for_all_modes(new_generation);
}

static void test_failed_crossing(void **state)
{
    struct postern_gate_packet packets[BATCH];
    uint32_t found = 1;
    bool sent = true;

    (void)state;
    make_ports(3);
    crossing_fails = POSTERN_ERR_FAULT;
    (void)send(&ports[0], 1, 100, &sent);
    assert_false(sent);
    assert_false(port_works(&ports[0]));
    assert_int_equal(ports[0].error, POSTERN_ERR_FAULT);
    assert_false(port_revived(&ports[0]));
    crossing_fails = 0;
    /* No crossing is made until the port is opened again. */
    assert_int_equal(port_look(&ports[0], packets, BATCH, &found), 0);
    assert_int_equal(found, 0);
    assert_int_equal(port_flush(&ports[0]), 0);
    assert_true(port_wait_for_packets(&ports[0]));
    assert_true(port_wait_for_room(&ports[0], 100));
    assert_true(port_revived(&ports[0]));
    port_open(&ports[0], 1500);
    sync_both();
    exchange();
    window_destroy(&window);
}

static void test_doorbell(void **state)
{
    (void)state;
    make_ports(1);
    doorbells = 0;
    port_doorbell(&ports[0]);
    assert_int_equal(doorbells, 1);
    window_destroy(&window);
}

static void test_mwait(void **state)
{
    bool sent;

    (void)state;
    make_ports(1);
    waits = 0;
    assert_true(port_mwait(&ports[0]));
    assert_int_equal(waits, 1);
    (void)send(&ports[1], 'm', 100, &sent);
    (void)port_flush(&ports[1]);
    assert_true(sent);
    assert_false(port_mwait(&ports[0]));
    crossing_fails = POSTERN_ERR_FAULT;
    assert_false(port_mwait(&ports[0]));
    assert_int_equal(ports[0].error, POSTERN_ERR_FAULT);
    assert_int_equal(waits, 1);
    window_destroy(&window);
}

/* Of the NIC's queues each is a slice of both sections, with a doorbell of its own. */
static void test_queues(void **state)
{
    const struct device device = {
        .window = 0x10000000, .section_size = 4 * SECTION, .queues = 4, .port = 5};
    struct port port;

    (void)state;
    mapped_size = 8 * SECTION;
    port_init(&port, &device, 2);
    mapped_size = 2 * SECTION;
    assert_ptr_equal(port.ring.own, device.window + 2 * SECTION);
    assert_ptr_equal(port.ring.peer, device.window + 6 * SECTION);
    assert_int_equal(port.ring.data_size, SECTION / 2);
    port_doorbell(&port);
    assert_int_equal(rung_queue, 2);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exchange),
        cmocka_unit_test(test_too_little_room_loses_one_packet),
        cmocka_unit_test(test_full_ring),
        cmocka_unit_test(test_peer_opens_anew),
        cmocka_unit_test(test_failed_crossing),
        cmocka_unit_test(test_doorbell),
        cmocka_unit_test(test_mwait),
        cmocka_unit_test(test_queues),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
