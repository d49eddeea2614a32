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

/* Writes something into the header, or into the record that the victim looks at next. */
static void mutate(void)
{
    static const uint16_t offsets[] = {0x00, 0x04, 0x08, 0x0c, 0x10, 0x40, 0x80, 0xc0, 0x100};
    uint64_t value = likely_value();
    uint8_t *at = window.writable[1];
    size_t size = (size_t)1 << random_below(&random_peer, 4);

    if (random_below(&random_peer, 10) == 0) {
        record_at(victim.tail)->flags = POSTERN_RECORD_PAD;
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

static void peer_steps(void)
{
    uint32_t kind = random_below(&random_peer, 100);
    struct postern_ring_meta meta;

    if (kind == 0 || !peer.up) {
        if (random_below(&random_peer, 4) == 0) {
            postern_ring_open(&peer, 1500, 7);
        }
        (void)postern_ring_sync(&peer);
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
    struct postern_ring_meta meta;
    const uint8_t *payload = watch_peek(&meta);
    static volatile uint8_t sum;

    if (payload == NULL) {
        watch();
        (void)postern_ring_release(&victim);
        watch();
        (void)postern_ring_arm_rx(&victim);
        watching = false;
        return;
    }
    size_t offset = (size_t)(payload - window.readable[1]);
    assert_true(offset >= SECTION / 2 && offset + meta.length <= SECTION);
    assert_true(meta.length > 0 && meta.length <= victim.max_payload);
    assert_true(postern_ring_meta_valid(&meta));
    for (uint32_t at = 0; at < meta.length; at++) {
        sum = (uint8_t)(sum + payload[at]);
    }
    postern_ring_consume(&victim);
    received++;
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
    } else if (kind < 7) {
        victim_sends();
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
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_random_peer, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
