/* SPDX-License-Identifier: BSD-2-Clause */
/* The ring against a peer that writes anything at any time, also between two loads of one call. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/random.h"
#include "tests/unit/ring_victim.h"

static struct random random_peer;
static unsigned fault_counts[POSTERN_FAULTS];
static unsigned received, sent;
static unsigned filled, borrowed, used; /* of them by pools */

static uint64_t likely_value(void)
{
    const uint64_t bases[] = {0,
                              victim.tail,
                              victim.head,
                              victim.peer_tail,
                              victim.peer_head,
                              victim.generation,
                              victim.peer_generation,
                              peer.own->head,
                              SECTION / 2,
                              SECTION / 8 - 16,
                              victim.peer_filled,
                              victim.filled,
                              POOL - 1000,
                              POSTERN_RECORD_PAD,
                              POSTERN_RING_MAGIC};
    uint64_t base = bases[random_below(&random_peer, sizeof(bases) / sizeof(bases[0]))];

    switch (random_below(&random_peer, 8)) {
    case 0:
        return base + random_below(&random_peer, 64) - 32;
    case 1:
        return base + SECTION / 2;
    case 2:
        return base - SECTION / 2;
    case 3:
        return base ^ 1ull << random_below(&random_peer, 64);
    case 4:
        return (uint64_t)random_next(&random_peer) << 32 | random_next(&random_peer);
    default:
        return base + 16 * (uint64_t)random_below(&random_peer, 200);
    }
}

/* Writes something into the header, the posted buffer that the victim fills next or the record that
 * it looks at next. */
static void mutate(void)
{
    static const uint16_t offsets[] = {0x00, 0x04, 0x08, 0x0c, 0x10,  0x18,
                                       0x20, 0x40, 0x80, 0xc0, 0x100, 0x140};
    uint64_t value = likely_value();
    uint8_t *at = window.writable[1];
    size_t size = (size_t)1 << random_below(&random_peer, 4);

    if (random_below(&random_peer, 10) == 0) {
        record_at(victim.tail)->flags = (uint16_t)(1u << random_below(&random_peer, 8));
        return;
    }
    if (random_below(&random_peer, 10) == 0) {
        memcpy(posted_at(victim.peer_filled), &value, sizeof(value));
        return;
    }
    if (random_below(&random_peer, 3) == 0) {
        at += offsets[random_below(&random_peer, sizeof(offsets) / sizeof(offsets[0]))];
    } else {
        at = (uint8_t *)record_at(victim.tail) + (random_below(&random_peer, 16) & ~(size - 1));
    }
    memcpy(at, &value, size);
}

static void mutate_sometimes(void)
{
    if (random_below(&random_peer, 400) == 0) {
        mutate();
    }
}

/* Half of what comes is LENT, half in the victim's posted buffers. */
static void peer_sends_by_pool(struct postern_ring *ring)
{
    static uint8_t bytes[2000];
    struct postern_gate_piece piece = {bytes,
                                       POSTERN_POSTED_MIN + random_below(&random_peer, 1400)};
    struct postern_gate_packet packet = {{.length = (uint32_t)piece.size}, &piece, 1};
    struct postern_gate_batch batch = {.ring = ring, .packets = &packet, .count = 1};

    if (random_below(&random_peer, 2) == 0) {
        piece.address = NULL; /* its pool's start */
        packet.meta.flags = POSTERN_RECORD_LENT;
    }
    (void)postern_gate_send(&batch);
}

static void peer_steps(void)
{
    uint32_t kind = random_below(&random_peer, 100);
    struct postern_ring_meta meta;

    if (kind == 0 || !peer.up) {
        if (random_below(&random_peer, 4) == 0) {
            postern_ring_open(&peer, 1500, 7);
        }
        (void)postern_ring_sync(&peer);
    } else if (kind < 20) {
        posts(&peer, random_below(&random_peer, POOL), 1 + random_below(&random_peer, 2000));
    } else if (kind < 30) {
        peer_sends_by_pool(&peer);
    } else if (kind < 60) {
        uint32_t length = random_below(&random_peer, 20) == 0 ? peer.max_payload : 300;
        (void)peer_sends(1 + random_below(&random_peer, length));
    } else if (kind < 90) {
        while (postern_ring_peek(&peer, &meta) != NULL) {
            postern_ring_consume(&peer);
        }
        (void)postern_ring_release(&peer);
    } else if (kind == 90) {
        mutate();
    }
}

static void victim_receives(void)
{
    struct postern_ring_reader reader;
    struct postern_ring_meta meta;
    static volatile uint8_t sum;

    watch();
    reader = postern_ring_read_begin(&victim);
    const uint8_t *payload = postern_ring_read_next(&reader, &meta);
    watching = false;
    bool posted = postern_ring_read_posted(&reader);
    postern_ring_read_end(&victim, &reader);
    assert_true(victim.filled <= victim.published_posted);
    if (payload == NULL && !posted) {
        watch();
        (void)postern_ring_release(&victim);
        watch();
        (void)postern_ring_arm_rx(&victim);
        watching = false;
        return;
    }
    received++;
    assert_true(meta.length > 0 && meta.length <= victim.max_payload);
    assert_true(postern_ring_meta_valid(&meta));
    assert_int_equal((meta.flags & POSTERN_RECORD_POSTED) != 0, posted);
    if (posted) {
        filled++;
        return;
    }
    if ((meta.flags & POSTERN_RECORD_LENT) != 0) {
        size_t offset = (size_t)(payload - pools.writable[1]);
        assert_true(offset <= POOL && meta.length <= POOL - offset);
        borrowed++;
    } else {
        size_t offset = (size_t)(payload - window.readable[1]);
        assert_true(offset >= SECTION / 2 && offset + meta.length <= SECTION);
    }
    for (uint32_t at = 0; at < meta.length; at++) {
        sum = (uint8_t)(sum + payload[at]);
    }
}

/* As the gate does it: into posted buffers, if there are some. */
static void victim_sends_long(void)
{
    uint64_t before = victim.peer_filled;

    used += watch_send(POSTERN_POSTED_MIN + random_below(&random_peer, 4000)) &&
            victim.peer_filled != before;
}

static void victim_sends(void)
{
    struct postern_ring_meta meta = {.length = 1 + random_below(&random_peer, 2000)};
    uint8_t *payload = watch_reserve(meta.length);

    if (payload == NULL) {
        watch();
        (void)postern_ring_arm_tx(&victim, victim.data_size / 2);
        watching = false;
        return;
    }
    size_t offset = (size_t)(payload - window.writable[0]);
    assert_true(offset >= SECTION / 2 && offset + meta.length <= SECTION);
    memset(payload, 0x5a, meta.length);
    postern_ring_commit(&victim);
    watch();
    (void)postern_ring_publish(&victim);
    watching = false;
    assert_true(victim.head - victim.peer_tail <= victim.data_size);
    sent++;
}

static void victim_steps(void)
{
    uint32_t before = victim.fault, kind = random_below(&random_peer, 8);

    watch();
    bool needed = postern_ring_sync_needed(&victim);
    watching = false;
    if (needed) {
        (void)watch_sync();
    } else if (kind < 5) {
        victim_receives();
    } else if (kind == 5) {
        victim_sends();
    } else if (kind == 6) {
        victim_sends_long();
        posts(&victim, random_below(&random_peer, POOL), 1 + random_below(&random_peer, 2000));
    } else if (random_below(&random_peer, 500) == 0) {
        postern_ring_open(&victim, 1500, 7);
        before = POSTERN_FAULT_NONE;
    }
    if (victim.fault != before) {
        assert_true(victim.fault < POSTERN_FAULTS);
        fault_counts[victim.fault]++;
    }
}

static void test_random_peer(void **state)
{
    static const uint32_t seeds[] = {1, 2, 3, 4, 5, 6, 7, 8};

    (void)state;
    for (unsigned i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
        random_peer.state = seeds[i];
        after_load = mutate_sometimes;
        for (unsigned step = 0; step < 200000; step++) {
            peer_steps();
            victim_steps();
        }
        after_load = NULL;
        /* After all of that, an honest peer finds a link that works. */
        postern_ring_open(&peer, 1500, 7);
        assert_works();
        (void)postern_ring_release(&victim);
    }
    /* It was attacked in all ways, and did work in between. */
    for (unsigned fault = POSTERN_FAULT_NONE + 1; fault < POSTERN_FAULTS; fault++) {
        assert_true(fault_counts[fault] >= 10);
    }
    assert_true(received > 100000 && sent > 20000);
    assert_true(filled > 5000 && borrowed > 5000 && used > 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_random_peer, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
