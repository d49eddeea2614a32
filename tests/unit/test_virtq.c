/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtqueues of both layouts: chains that are right, chains that are not, and who is told when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/random.h"
#include "tests/unit/virtq_driver.h"

#define INDIRECT VIRTIO_F_INDIRECT_DESC
#define EVENTS   VIRTIO_F_EVENT_IDX
#define SIZE     8u

struct fixture {
    struct driver driver;
    struct virtq queue;
    struct virtq_chain chain;
};

static struct fixture *start(bool packed, uint16_t size, uint64_t features)
{
    struct fixture *f = calloc(1, sizeof(*f));
    driver_start(&f->driver, packed, size, features);
    struct virtq_setup setup = driver_setup(&f->driver);

    assert_int_equal(virtq_init(&f->queue, &setup), STATUS_OK);
    return f;
}

static void stop(struct fixture *f)
{
    driver_stop(&f->driver);
    free(f);
}

/* Runs `test` for a split queue and for a packed one. */
static void both(uint64_t features, void (*test)(struct fixture *f))
{
    for (int packed = 0; packed < 2; packed++) {
        struct fixture *f = start(packed, SIZE, features);
        test(f);
        stop(f);
    }
}

static const struct driver_buffer three[] = {
    {DRIVER_DATA, 16, false}, {DRIVER_DATA + 0x100, 512, true}, {DRIVER_DATA + 0x300, 1, true}};

static void check_three(const struct fixture *f)
{
    const struct virtq_chain *c = &f->chain;

    assert_int_equal(c->count, 3);
    assert_int_equal(c->readable, 1);
    assert_int_equal(c->readable_size, 16);
    assert_int_equal(c->writable_size, 513);
    for (unsigned i = 0; i < 3; i++) {
        assert_ptr_equal(c->pieces[i].bytes, f->driver.ram + three[i].gpa);
        assert_int_equal(c->pieces[i].size, three[i].size);
    }
}

static void expect_used(struct fixture *f, uint16_t id, uint32_t written)
{
    uint16_t got_id = 0;
    uint32_t got = 0;

    assert_true(driver_take(&f->driver, &got_id, &got));
    assert_int_equal(got_id, id);
    assert_int_equal(got, written);
}

static void one_chain(struct fixture *f)
{
    uint16_t id;

    assert_int_equal(virtq_pop(&f->queue, &f->chain), VIRTQ_NONE);
    /* Often enough to go round several times, with chains over the ring's end. */
    for (unsigned round = 0; round < 40; round++) {
        id = driver_add(&f->driver, three, 3);
        assert_int_equal(virtq_pop(&f->queue, &f->chain), VIRTQ_CHAIN);
        check_three(f);
        assert_int_equal(virtq_pop(&f->queue, &(struct virtq_chain){0}), VIRTQ_NONE);
        virtq_push(&f->queue, &f->chain, round);
        expect_used(f, id, round);
    }
}

static void test_one_chain(void **state)
{
    (void)state;
    both(0, one_chain);
    both(INDIRECT | EVENTS, one_chain);
}

/* What has changed since `before` is in pages that the device has said it writes to. Forgets them
 * all. */
static void check_noted(struct fixture *f, uint8_t *before)
{
    struct driver *d = &f->driver;
    unsigned changes = 0;

    for (unsigned page = 0; page < ARRAY_SIZE(d->noted); page++) {
        bool same = memcmp(before + page * PAGE_SIZE, d->ram + page * PAGE_SIZE, PAGE_SIZE) == 0;
        assert_true(same || d->noted[page]);
        changes += !same;
        d->noted[page] = false;
    }
    assert_int_not_equal(changes, 0);
    memcpy(before, d->ram, DRIVER_RAM);
}

static void writes_are_noted(struct fixture *f)
{
    uint8_t *before = malloc(DRIVER_RAM);

    assert_non_null(before);
    for (unsigned round = 1; round < 20; round++) {
        (void)driver_add(&f->driver, three, 3);
        memcpy(before, f->driver.ram, DRIVER_RAM);
        memset(f->driver.noted, 0, sizeof(f->driver.noted));
        assert_int_equal(virtq_pop(&f->queue, &f->chain), VIRTQ_CHAIN);
        /* The buffer to write to, and no other page. */
        for (unsigned page = 0; page < ARRAY_SIZE(f->driver.noted); page++) {
            assert_int_equal(f->driver.noted[page], page == DRIVER_DATA / PAGE_SIZE);
        }
        struct virtq_cursor out = virtq_writable(&f->chain);
        uint64_t bytes = ~0ull * round;
        assert_int_equal(virtq_copy_to(&out, &bytes, sizeof(bytes)), sizeof(bytes));
        check_noted(f, before);
        virtq_push(&f->queue, &f->chain, round);
        check_noted(f, before);
        uint16_t id;
        uint32_t got;
        assert_true(driver_take(&f->driver, &id, &got));
    }
    (void)!virtq_arm(&f->queue);
    check_noted(f, before);
    free(before);
}

static void test_writes_are_noted(void **state)
{
    (void)state;
    both(EVENTS, writes_are_noted);
    both(INDIRECT | EVENTS, writes_are_noted);
}

static void indirect_chain(struct fixture *f)
{
    /* Tables need not be aligned. */
    for (unsigned round = 0; round < 20; round++) {
        uint16_t id =
            driver_add_indirect(&f->driver, DRIVER_INDIRECT + round, three, ARRAY_SIZE(three));
        assert_int_equal(virtq_pop(&f->queue, &f->chain), VIRTQ_CHAIN);
        check_three(f);
        virtq_push(&f->queue, &f->chain, 3);
        expect_used(f, id, 3);
    }
}

static void test_indirect_chain(void **state)
{
    (void)state;
    both(INDIRECT, indirect_chain);
}

/* An ordinary descriptor, then an indirect one. */
static void mixed_chain(struct fixture *f)
{
    struct driver *d = &f->driver;
    uint64_t second = DRIVER_DESC + 16;
    const struct driver_buffer outer[] = {three[0], {DRIVER_INDIRECT, 32, false}};

    driver_write_table(d, DRIVER_INDIRECT, three + 1, 2);
    driver_add(d, outer, 2);
    uint64_t flags_at = second + (d->packed ? 14 : 12);
    driver_put(d, flags_at, driver_get(d, flags_at, 2) | VIRTQ_DESC_INDIRECT, 2);
    assert_int_equal(virtq_pop(&f->queue, &f->chain), VIRTQ_CHAIN);
    check_three(f);
}

static void test_indirect_behind_direct(void **state)
{
    (void)state;
    both(INDIRECT, mixed_chain);
}

static void full_queue(struct fixture *f)
{
    const struct driver_buffer one = {DRIVER_DATA, 64, true};
    uint16_t ids[SIZE];

    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < SIZE; i++) {
            ids[i] = driver_add(&f->driver, &one, 1);
        }
        for (unsigned i = 0; i < SIZE; i++) {
            assert_int_equal(virtq_pop(&f->queue, &f->chain), VIRTQ_CHAIN);
            virtq_push(&f->queue, &f->chain, i);
        }
        assert_int_equal(virtq_pop(&f->queue, &f->chain), VIRTQ_NONE);
        for (unsigned i = 0; i < SIZE; i++) {
            expect_used(f, ids[i], i);
        }
    }
}

static void test_full_queue(void **state)
{
    (void)state;
    both(0, full_queue);
}

static void test_sizes_of_queues(void **state)
{
    (void)state;
    for (int packed = 0; packed < 2; packed++) {
        static const struct {
            uint32_t size;
            bool split, packed;
        } sizes[] = {{0, false, false}, {1, true, true},     {3, false, true},
                     {256, true, true}, {257, false, false}, {65535, false, false}};
        for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
            struct driver d;
            struct virtq queue;
            driver_start(&d, packed, (uint16_t)sizes[i].size, 0);
            struct virtq_setup setup = driver_setup(&d);
            bool good = packed ? sizes[i].packed : sizes[i].split;
            assert_int_equal(virtq_init(&queue, &setup), good ? STATUS_OK : STATUS_INVALID);
            assert_int_equal(queue.fault, good ? VIRTQ_FAULT_NONE : VIRTQ_FAULT_SIZE);
            driver_stop(&d);
        }
    }
}

/* The last byte of each area counts: the words of EVENT_IDX. */
static void test_places_of_rings(void **state)
{
    (void)state;
    for (int packed = 0; packed < 2; packed++) {
        const uint64_t sizes[] = {16 * SIZE, packed ? 4 : 6 + 2 * SIZE, packed ? 4 : 6 + 8 * SIZE};
        const uint64_t alignments[] = {16, packed ? 4 : 2, 4};
        for (unsigned area = 0; area < 3; area++) {
            uint64_t last = align_down(DRIVER_RAM - sizes[area], alignments[area]);
            const uint64_t places[] = {last, last + alignments[area], alignments[area] / 2,
                                       ~0ull - 15, 1ull << 63};
            for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
                struct driver d;
                struct virtq queue;
                driver_start(&d, packed, SIZE, 0);
                struct virtq_setup setup = driver_setup(&d);
                *(area == 0   ? &setup.descriptors
                  : area == 1 ? &setup.driver
                              : &setup.device) = places[i];
                assert_int_equal(virtq_init(&queue, &setup), i == 0 ? STATUS_OK : STATUS_INVALID);
                assert_int_equal(queue.fault, i == 0 ? VIRTQ_FAULT_NONE : VIRTQ_FAULT_RING);
                if (i == 0) {
                    /* All of it is used, and nothing behind it. */
                    struct virtq_chain chain;
                    (void)!virtq_pop(&queue, &chain);
                    (void)!virtq_arm(&queue);
                }
                driver_stop(&d);
            }
        }
    }
}

static void expect_fault(struct fixture *f, enum virtq_fault fault)
{
    assert_int_equal(virtq_pop(&f->queue, &f->chain), VIRTQ_FAULTY);
    assert_int_equal(f->queue.fault, fault);
    assert_true(strlen(virtq_fault_name(fault)) > 5);
    /* For good. */
    assert_int_equal(virtq_pop(&f->queue, &f->chain), VIRTQ_FAULTY);
}

/* Chains of one or two buffers that no driver may send, directly and by an indirect table. */
static void test_bad_buffers(void **state)
{
    static const struct {
        struct driver_buffer buffers[2];
        unsigned count;
        enum virtq_fault fault;
    } bad[] = {
        {{{DRIVER_DATA, 0, false}}, 1, VIRTQ_FAULT_EMPTY},
        {{{DRIVER_DATA, 8, true}, {DRIVER_DATA, 8, false}}, 2, VIRTQ_FAULT_ORDER},
        {{{DRIVER_RAM, 1, false}}, 1, VIRTQ_FAULT_MEMORY},
        {{{DRIVER_RAM - 1, 2, false}}, 1, VIRTQ_FAULT_MEMORY},
        {{{~0ull, 1, true}}, 1, VIRTQ_FAULT_MEMORY},
        {{{~0ull, 2, true}}, 1, VIRTQ_FAULT_MEMORY},
        {{{0, UINT32_MAX, false}}, 1, VIRTQ_FAULT_MEMORY},
        {{{0, DRIVER_RAM, true}, {0, UINT32_MAX, true}}, 2, VIRTQ_FAULT_LARGE},
        {{{0, DRIVER_RAM, false}, {0, UINT32_MAX - DRIVER_RAM + 1, true}}, 2, VIRTQ_FAULT_LARGE},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        for (unsigned kind = 0; kind < 4; kind++) {
            struct fixture *f = start(kind % 2, SIZE, INDIRECT);
            if (kind < 2) {
                driver_add(&f->driver, bad[i].buffers, bad[i].count);
            } else {
                driver_add_indirect(&f->driver, DRIVER_INDIRECT, bad[i].buffers, bad[i].count);
            }
            expect_fault(f, bad[i].fault);
            stop(f);
        }
    }
}

/* All of RAM, and a chain of the largest size, are allowed. */
static void largest(struct fixture *f)
{
    const struct driver_buffer all = {0, DRIVER_RAM, true};

    driver_add(&f->driver, &all, 1);
    assert_int_equal(virtq_pop(&f->queue, &f->chain), VIRTQ_CHAIN);
    assert_int_equal(f->chain.writable_size, DRIVER_RAM);
}

static void test_largest_buffer(void **state)
{
    (void)state;
    both(0, largest);
}

static void longest_indirect(struct fixture *f)
{
    struct driver_buffer many[VIRTQ_PIECES_MAX + 1];

    for (unsigned i = 0; i <= VIRTQ_PIECES_MAX; i++) {
        many[i] = (struct driver_buffer){DRIVER_DATA + i, 1, i >= VIRTQ_PIECES_MAX / 2};
    }
    driver_add_indirect(&f->driver, DRIVER_INDIRECT, many, VIRTQ_PIECES_MAX);
    assert_int_equal(virtq_pop(&f->queue, &f->chain), VIRTQ_CHAIN);
    assert_int_equal(f->chain.count, VIRTQ_PIECES_MAX);
    assert_int_equal(f->chain.readable, VIRTQ_PIECES_MAX / 2);
    driver_add_indirect(&f->driver, DRIVER_INDIRECT, many, VIRTQ_PIECES_MAX + 1);
    expect_fault(f, VIRTQ_FAULT_LONG);
}

static void test_longest_chain(void **state)
{
    (void)state;
    both(INDIRECT, longest_indirect);
}

static void bad_tables(struct fixture *f)
{
    const struct {
        uint64_t gpa;
        uint32_t size;
    } tables[] = {{DRIVER_INDIRECT, 0},       {DRIVER_INDIRECT, 15}, {DRIVER_INDIRECT, 24},
                  {DRIVER_RAM - 16, 32},      {~0ull - 15, 16},      {DRIVER_RAM, 16},
                  {DRIVER_INDIRECT, 1u << 31}};

    for (unsigned i = 0; i < ARRAY_SIZE(tables); i++) {
        struct fixture *g = start(f->driver.packed, SIZE, INDIRECT);
        const struct driver_buffer table = {tables[i].gpa, tables[i].size, false};
        uint64_t flags_at = DRIVER_DESC + (g->driver.packed ? 14 : 12);
        driver_add(&g->driver, &table, 1);
        driver_put(&g->driver, flags_at, driver_get(&g->driver, flags_at, 2) | VIRTQ_DESC_INDIRECT,
                   2);
        expect_fault(g, VIRTQ_FAULT_INDIRECT);
        stop(g);
    }
}

static void nested_table(struct fixture *f)
{
    unsigned flags = f->driver.packed ? 14 : 12;

    driver_add_indirect(&f->driver, DRIVER_INDIRECT, three, 3);
    driver_put(&f->driver, DRIVER_INDIRECT + flags, VIRTQ_DESC_INDIRECT, 2);
    expect_fault(f, VIRTQ_FAULT_INDIRECT);
}

static void table_and_next(struct fixture *f)
{
    unsigned at = DRIVER_DESC + (f->driver.packed ? 14 : 12);

    driver_add_indirect(&f->driver, DRIVER_INDIRECT, three, 3);
    driver_put(&f->driver, at, driver_get(&f->driver, at, 2) | VIRTQ_DESC_NEXT, 2);
    expect_fault(f, VIRTQ_FAULT_INDIRECT);
}

static void table_not_negotiated(struct fixture *f)
{
    driver_add_indirect(&f->driver, DRIVER_INDIRECT, three, 3);
    expect_fault(f, VIRTQ_FAULT_INDIRECT);
}

static void test_bad_indirect(void **state)
{
    (void)state;
    both(INDIRECT, bad_tables);
    both(INDIRECT, nested_table);
    both(INDIRECT, table_and_next);
    both(0, table_not_negotiated);
}

/* Split: what the indices of a table lead to. */
static void test_split_indices(void **state)
{
    static const struct {
        uint16_t head, next;
        enum virtq_fault fault;
    } bad[] = {{SIZE, 0, VIRTQ_FAULT_HEAD},
               {0xffff, 0, VIRTQ_FAULT_HEAD},
               {0, SIZE, VIRTQ_FAULT_NEXT},
               {0, 0xffff, VIRTQ_FAULT_NEXT},
               {0, 0, VIRTQ_FAULT_LONG /* it leads to itself */}};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        struct fixture *f = start(false, SIZE, INDIRECT);
        driver_describe(&f->driver, DRIVER_DESC, DRIVER_DATA, 1, VIRTQ_DESC_NEXT, bad[i].next);
        driver_offer(&f->driver, bad[i].head);
        expect_fault(f, bad[i].fault);
        stop(f);
    }
    /* In an indirect table of three. */
    struct fixture *f = start(false, SIZE, INDIRECT);
    driver_add_indirect(&f->driver, DRIVER_INDIRECT, three, 3);
    driver_put(&f->driver, DRIVER_INDIRECT + 14, 3, 2);
    expect_fault(f, VIRTQ_FAULT_NEXT);
    stop(f);
}

static void test_split_index_runs_away(void **state)
{
    (void)state;
    for (unsigned ahead = SIZE; ahead < 0x10000; ahead += 0x3ff7) {
        struct fixture *f = start(false, SIZE, 0);
        driver_add(&f->driver, three, 3);
        driver_put(&f->driver, DRIVER_AVAIL + 2, ahead, 2);
        if (ahead == SIZE) {
            assert_int_equal(virtq_pop(&f->queue, &f->chain), VIRTQ_CHAIN);
        } else {
            expect_fault(f, VIRTQ_FAULT_INDEX);
        }
        stop(f);
    }
}

/* Packed: a chain that takes the whole ring and goes on. */
static void test_packed_without_end(void **state)
{
    struct fixture *f = start(true, SIZE, 0);

    (void)state;
    for (unsigned i = 0; i < SIZE; i++) {
        driver_describe(&f->driver, DRIVER_DESC + 16 * i, DRIVER_DATA, 1, 0,
                        VIRTQ_DESC_NEXT | VIRTQ_DESC_AVAIL);
    }
    expect_fault(f, VIRTQ_FAULT_LONG);
    stop(f);
}

/* Without EVENT_IDX: by flags. */
static void interrupts_by_flags(struct fixture *f)
{
    bool packed = f->driver.packed;

    assert_false(virtq_must_interrupt(&f->queue)); /* nothing was pushed */
    for (unsigned off = 0; off < 2; off++) {
        driver_put(&f->driver, packed ? DRIVER_AVAIL + 2 : DRIVER_AVAIL, off, 2);
        driver_add(&f->driver, three, 3);
        assert_int_equal(virtq_pop(&f->queue, &f->chain), VIRTQ_CHAIN);
        virtq_push(&f->queue, &f->chain, 0);
        assert_int_equal(virtq_must_interrupt(&f->queue), off == 0);
        assert_false(virtq_must_interrupt(&f->queue));
    }
}

static void test_interrupts_by_flags(void **state)
{
    (void)state;
    both(0, interrupts_by_flags);
}

/* With EVENT_IDX: exactly when the chain that the driver named is used, at every place of the ring,
 * however many are used at once. */
static void interrupts_by_event(struct fixture *f)
{
    const struct driver_buffer one = {DRIVER_DATA, 4, true};
    struct random random = {7};

    for (unsigned round = 0; round < 500; round++) {
        unsigned count = 1 + random_below(&random, SIZE);
        uint16_t event = (uint16_t)random_below(&random, SIZE);
        driver_want(&f->driver, event);
        for (unsigned i = 0; i < count; i++) {
            driver_add(&f->driver, &one, 1);
        }
        for (unsigned i = 0; i < count; i++) {
            uint16_t id;
            uint32_t written;
            assert_int_equal(virtq_pop(&f->queue, &f->chain), VIRTQ_CHAIN);
            virtq_push(&f->queue, &f->chain, 4);
            assert_true(driver_take(&f->driver, &id, &written));
        }
        assert_int_equal(virtq_must_interrupt(&f->queue), event < count);
    }
}

static void test_interrupts_by_event(void **state)
{
    (void)state;
    both(EVENTS, interrupts_by_event);
}

/* The driver notifies for the first chain after the device has found none, and not for others. */
static void notifications(struct fixture *f)
{
    const struct driver_buffer one = {DRIVER_DATA, 4, true};
    struct random random = {9};
    uint16_t id;
    uint32_t written;

    for (unsigned round = 0; round < 300; round++) {
        unsigned count = 1 + random_below(&random, SIZE);
        assert_false(virtq_arm(&f->queue));
        for (unsigned i = 0; i < count; i++) {
            driver_add(&f->driver, &one, 1);
            assert_int_equal(driver_must_notify(&f->driver), i == 0);
        }
        assert_true(virtq_arm(&f->queue)); /* it need not wait for the notification */
        for (unsigned i = 0; i < count; i++) {
            assert_int_equal(virtq_pop(&f->queue, &f->chain), VIRTQ_CHAIN);
            virtq_push(&f->queue, &f->chain, 4);
            assert_true(driver_take(&f->driver, &id, &written));
        }
    }
}

static void test_notifications(void **state)
{
    (void)state;
    both(EVENTS, notifications);
}

/* Without EVENT_IDX the flags say that each chain is to be told of, whatever was there. */
static void notifications_by_flags(struct fixture *f)
{
    uint64_t flags_at = f->driver.packed ? DRIVER_USED + 2 : DRIVER_USED;

    driver_put(&f->driver, flags_at, VIRTQ_EVENT_DISABLE, 2);
    assert_false(virtq_arm(&f->queue));
    assert_int_equal(driver_get(&f->driver, flags_at, 2), 0);
    driver_add(&f->driver, three, 3);
    assert_true(virtq_arm(&f->queue));
}

static void test_notifications_by_flags(void **state)
{
    (void)state;
    both(0, notifications_by_flags);
}

static void cursors(struct fixture *f)
{
    const struct driver_buffer buffers[] = {{DRIVER_DATA, 3, false},
                                            {DRIVER_DATA + 10, 5, false},
                                            {DRIVER_DATA + 100, 4, true},
                                            {DRIVER_DATA + 200, 9, true}};
    uint8_t bytes[32];
    uint8_t *at = NULL;

    memcpy(f->driver.ram + DRIVER_DATA, "abc", 3);
    memcpy(f->driver.ram + DRIVER_DATA + 10, "defgh", 5);
    driver_add(&f->driver, buffers, 4);
    assert_int_equal(virtq_pop(&f->queue, &f->chain), VIRTQ_CHAIN);
    struct virtq_cursor in = virtq_readable(&f->chain);
    assert_int_equal(virtq_copy_from(&in, bytes, 2), 2);
    assert_int_equal(virtq_copy_from(&in, bytes + 2, 0), 0);
    assert_int_equal(virtq_copy_from(&in, bytes + 2, 4), 4);
    assert_int_equal(virtq_copy_from(&in, bytes + 6, 20), 2);
    assert_int_equal(virtq_copy_from(&in, bytes, 1), 0);
    assert_memory_equal(bytes, "abcdefgh", 8);
    struct virtq_cursor out = virtq_writable(&f->chain);
    assert_int_equal(virtq_take(&out, 3, &at), 3);
    assert_ptr_equal(at, f->driver.ram + DRIVER_DATA + 100);
    assert_int_equal(virtq_copy_to(&out, "0123456789", 10), 10);
    assert_memory_equal(f->driver.ram + DRIVER_DATA + 103, "0\0", 2);
    assert_memory_equal(f->driver.ram + DRIVER_DATA + 200, "123456789", 9);
    assert_int_equal(virtq_take(&out, 1, &at), 0);
}

static void test_cursors(void **state)
{
    (void)state;
    both(0, cursors);
}

/* Random chains, several in flight, used in another order than they came in. */
static void random_traffic(struct fixture *f)
{
    struct random random = {f->driver.packed ? 3u : 4u};
    static struct virtq_chain chains[SIZE];
    uint16_t id;
    uint32_t written;

    for (unsigned round = 0; round < 2000; round++) {
        unsigned count = 1 + random_below(&random, 3);
        uint16_t ids[SIZE];
        for (unsigned i = 0; i < count; i++) {
            unsigned pieces = 1 + random_below(&random, 2);
            ids[i] = random_below(&random, 2) != 0
                         ? driver_add(&f->driver, three, pieces)
                         : driver_add_indirect(&f->driver, DRIVER_INDIRECT + 64 * i, three, pieces);
            assert_int_equal(virtq_pop(&f->queue, &chains[i]), VIRTQ_CHAIN);
            assert_int_equal(chains[i].id, ids[i]);
            assert_int_equal(chains[i].count, pieces);
        }
        for (unsigned i = count; i-- > 0;) {
            virtq_push(&f->queue, &chains[i], round + i);
        }
        for (unsigned i = count; i-- > 0;) {
            assert_true(driver_take(&f->driver, &id, &written));
            assert_int_equal(id, ids[i]);
            assert_int_equal(written, round + i);
        }
        assert_false(driver_take(&f->driver, &id, &written));
    }
}

static void test_random_traffic(void **state)
{
    (void)state;
    both(INDIRECT, random_traffic);
}

/* What the driver can see of a frame's chains: none before it can see all. */
static void several_at_once(struct fixture *f)
{
    struct virtq_used used[3];
    uint16_t ids[3];

    for (uint32_t round = 0; round < 40; round++) {
        for (unsigned i = 0; i < 3; i++) {
            ids[i] = driver_add(&f->driver, three, 1 + (round + i) % 2);
            assert_int_equal(virtq_pop(&f->queue, &f->chain), VIRTQ_CHAIN);
            used[i] = (struct virtq_used){f->chain.id, f->chain.slots, round + i};
        }
        virtq_push_all(&f->queue, used, 3);
        for (unsigned i = 0; i < 3; i++) {
            expect_used(f, ids[i], round + i);
        }
    }
}

static void test_several_at_once(void **state)
{
    (void)state;
    both(0, several_at_once);
}

/* A chain that was popped and given up is popped again, in each place of the ring. */
static void popped_again(struct fixture *f)
{
    for (uint32_t round = 0; round < 40; round++) {
        uint16_t first = driver_add(&f->driver, three, 3);
        uint16_t second = driver_add(&f->driver, three, 2);
        const struct virtq_mark mark = virtq_mark(&f->queue);
        for (unsigned again = 0; again < 2; again++) {
            virtq_rewind(&f->queue, mark);
            assert_int_equal(virtq_pop(&f->queue, &f->chain), VIRTQ_CHAIN);
            assert_int_equal(f->chain.id, first);
            check_three(f);
        }
        virtq_push(&f->queue, &f->chain, round);
        expect_used(f, first, round);
        assert_int_equal(virtq_pop(&f->queue, &f->chain), VIRTQ_CHAIN);
        assert_int_equal(f->chain.id, second);
        virtq_push(&f->queue, &f->chain, round);
        expect_used(f, second, round);
    }
}

static void test_popped_again(void **state)
{
    (void)state;
    both(0, popped_again);
}

/* The driver may notify as it likes until it is asked not to; then it never does, as long as the
 * ring's index does not go round. */
static void not_notified(struct fixture *f)
{
    virtq_disarm(&f->queue);
    for (unsigned round = 0; round < 300; round++) {
        uint16_t id = driver_add(&f->driver, three, 1);
        assert_false(driver_must_notify(&f->driver));
        assert_int_equal(virtq_pop(&f->queue, &f->chain), VIRTQ_CHAIN);
        virtq_push(&f->queue, &f->chain, 0);
        expect_used(f, id, 0);
    }
    assert_false(virtq_arm(&f->queue));
    driver_add(&f->driver, three, 1);
    assert_true(driver_must_notify(&f->driver));
}

static void no_notification_flag(struct fixture *f)
{
    virtq_disarm(&f->queue);
    uint64_t at = f->driver.packed ? DRIVER_USED + 2 : DRIVER_USED;
    assert_int_equal(driver_get(&f->driver, at, 2), 1);
    assert_false(virtq_arm(&f->queue));
    assert_int_equal(driver_get(&f->driver, at, 2), 0);
}

static void test_disarm(void **state)
{
    (void)state;
    both(EVENTS, not_notified);
    both(0, no_notification_flag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_chain),
        cmocka_unit_test(test_writes_are_noted),
        cmocka_unit_test(test_indirect_chain),
        cmocka_unit_test(test_indirect_behind_direct),
        cmocka_unit_test(test_full_queue),
        cmocka_unit_test(test_sizes_of_queues),
        cmocka_unit_test(test_places_of_rings),
        cmocka_unit_test(test_bad_buffers),
        cmocka_unit_test(test_largest_buffer),
        cmocka_unit_test(test_longest_chain),
        cmocka_unit_test(test_bad_indirect),
        cmocka_unit_test(test_split_indices),
        cmocka_unit_test(test_split_index_runs_away),
        cmocka_unit_test(test_packed_without_end),
        cmocka_unit_test(test_interrupts_by_flags),
        cmocka_unit_test(test_interrupts_by_event),
        cmocka_unit_test(test_notifications),
        cmocka_unit_test(test_notifications_by_flags),
        cmocka_unit_test(test_cursors),
        cmocka_unit_test(test_random_traffic),
        cmocka_unit_test(test_several_at_once),
        cmocka_unit_test(test_popped_again),
        cmocka_unit_test(test_disarm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
