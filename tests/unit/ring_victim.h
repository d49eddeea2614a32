/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A link with a victim (end 0) and a peer that writes what it likes into its section, whenever it
 * likes: each word of the peer's that the victim loads may change right after. The victim's view of
 * that section is read-only and has guard pages around it. For cmocka tests.
 */
#ifndef POSTERN_TESTS_UNIT_RING_VICTIM_H
#define POSTERN_TESTS_UNIT_RING_VICTIM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/ring_access.h"

#include "abi/gate_ring_ops.h"
#include "tests/unit/ring_window.h"

#define SECTION   POSTERN_SECTION_MIN
#define POOL      0x10000u
#define LOADS_MAX 32u

static struct ring_window window;
static struct ring_window pools; /* the victim's mapping of the peer's pool has guard pages too */
static struct postern_ring victim, peer;

/* The loads that the victim's present call has made from the peer's section. */
static bool watching;
static const void *loads[LOADS_MAX];
static unsigned load_count;
/* What the peer does after each of them, or NULL. */
static void (*after_load)(void);

static inline void note_load(const void *address)
{
    size_t offset = (uintptr_t)address - (uintptr_t)window.readable[1];

    if (!watching || offset >= SECTION) {
        return;
    }
    assert_true(load_count < LOADS_MAX);
    for (unsigned i = 0; i < load_count; i++) {
        /* The generation is looked at again to tell a restart from a fault. */
        assert_true(loads[i] != address ||
                    offset == offsetof(struct postern_ring_header, generation));
    }
    loads[load_count++] = address;
    if (after_load != NULL) {
        after_load();
    }
}

static uint64_t access_load(const void *address, size_t size)
{
    uint64_t value = 0;

    memcpy(&value, address, size);
    note_load(address);
    return value;
}

static void access_store(void *address, uint64_t value, size_t size)
{
    memcpy(address, &value, size);
}

static void access_barrier(void)
{
}

/* Around each call of the victim's. */
static inline void watch(void)
{
    load_count = 0;
    watching = true;
}

static inline const void *watch_peek(struct postern_ring_meta *meta)
{
    watch();
    const void *payload = postern_ring_peek(&victim, meta);
    watching = false;
    return payload;
}

static inline void *watch_reserve(uint32_t length)
{
    const struct postern_ring_meta meta = {.length = length};

    watch();
    void *payload = postern_ring_reserve(&victim, &meta);
    watching = false;
    return payload;
}

/* Sends a packet through the gate: by posted buffers, if it finds some. False: it was not taken. */
static inline bool watch_send(uint32_t length)
{
    static uint8_t bytes[POSTERN_RING_MAX_PAYLOAD];
    struct postern_gate_piece piece = {bytes, length};
    struct postern_gate_packet packet = {{.length = length}, &piece, 1};
    struct postern_gate_batch batch = {.ring = &victim, .packets = &packet, .count = 1};

    watch();
    int64_t result = postern_gate_send(&batch);
    watching = false;
    assert_true(result >= 0);
    return batch.done == 1;
}

static inline bool watch_sync(void)
{
    watch();
    bool doorbell = postern_ring_sync(&victim);
    watching = false;
    return doorbell;
}

static inline int set_up(void **state)
{
    (void)state;
    window_create(&window, SECTION);
    window_create(&pools, POOL);
    after_load = NULL;
    assert_true(postern_ring_init(&victim, window.writable[0], window.readable[1], SECTION));
    assert_true(postern_ring_init(&peer, window.writable[1], window.readable[0], SECTION));
    postern_ring_set_pool(&victim, pools.writable[1], POOL);
    postern_ring_set_pool(&peer, pools.writable[0], POOL);
    postern_ring_open(&victim, 1500, 7);
    postern_ring_open(&peer, 1500, 70);
    (void)postern_ring_sync(&victim);
    (void)postern_ring_sync(&peer);
    (void)postern_ring_sync(&victim);
    assert_true(victim.up && peer.up);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    window_destroy(&window);
    window_destroy(&pools);
    return 0;
}

static inline struct postern_record *record_at(uint64_t position)
{
    position -= position % POSTERN_RECORD_ALIGN;
    return (void *)(window.writable[1] + SECTION / 2 + position % (SECTION / 2));
}

/* An honest packet of the peer's; false when the ring is full. */
static inline bool peer_sends(uint32_t length)
{
    struct postern_ring_meta meta = {.length = length};

    if (postern_ring_reserve(&peer, &meta) == NULL) {
        return false;
    }
    postern_ring_commit(&peer);
    (void)postern_ring_publish(&peer);
    return true;
}

/* Posts a buffer at that offset of the own pool. */
static inline void posts(struct postern_ring *ring, uint32_t offset, uint32_t size)
{
    (void)postern_ring_post(ring, (struct postern_posted){offset, size});
    postern_ring_publish_posted(ring);
}

/* The peer's n-th posted buffer, wherever that is. */
static inline struct postern_posted *posted_at(uint64_t number)
{
    return (struct postern_posted *)(void *)(window.writable[1] + POSTERN_POSTED_OFFSET) +
           number % POSTERN_POSTED_MAX;
}

/* The link works again: a packet of the peer's arrives, and one goes to it. */
static inline void assert_works(void)
{
    struct postern_ring_meta meta;

    (void)watch_sync();
    (void)postern_ring_sync(&peer);
    (void)watch_sync();
    assert_true(victim.up && peer.up);
    assert_true(peer_sends(77));
    assert_non_null(watch_peek(&meta));
    assert_int_equal(meta.length, 77);
    postern_ring_consume(&victim);
    assert_non_null(watch_reserve(77));
    postern_ring_commit(&victim);
    (void)postern_ring_publish(&victim);
    assert_non_null(postern_ring_peek(&peer, &meta));
    assert_int_equal(meta.length, 77);
}

#endif
