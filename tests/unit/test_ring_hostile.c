/* SPDX-License-Identifier: BSD-2-Clause */
/* The ring against a peer that does one wrong thing: each is found, cuts the peer off, and heals.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/ring_victim.h"

static void wrong_head_far(void)
{
    peer.own->head += SECTION / 2 + 16;
}

static void wrong_head_back(void)
{
    peer.own->head -= 2 * POSTERN_RECORD_ALIGN;
    (void)postern_ring_publish(&peer);
}

static void wrong_head_unaligned(void)
{
    peer.own->head += 8;
}

static void wrong_tail_far(void)
{
    peer.own->tail = victim.head + 16;
}

static void wrong_tail_back(void)
{
    peer.own->tail = victim.peer_tail - 16;
}

static void wrong_tail_unaligned(void)
{
    peer.own->tail = victim.head - 1;
}

/* Publishes a record with these words, without regard to what is behind it. */
static void forge(struct postern_record record, uint32_t published)
{
    *record_at(peer.own->head) = record;
    peer.own->head += published;
}

static void wrong_length_zero(void)
{
    forge((struct postern_record){.length = 0}, 32);
}

static void wrong_length_huge(void)
{
    forge((struct postern_record){.length = 0xffffffff}, 0x4000);
}

static void wrong_length_over_the_maximum(void)
{
    forge((struct postern_record){.length = SECTION / 8 - 31}, 0x4000);
}

static void wrong_length_unpublished(void)
{
    forge((struct postern_record){.length = 17}, 32);
}

static void wrong_header_only(void)
{
    forge((struct postern_record){.length = 1}, 16);
}

/* The data area's last 32 bytes are next for the victim. */
static void go_to_end(void)
{
    uint64_t position = SECTION / 2 - 32;

    peer.own->head = position;
    victim.tail = position;
    victim.published_tail = position;
    victim.peer_head = position;
}

static void wrong_length_wraps(void)
{
    go_to_end();
    forge((struct postern_record){.length = 17}, 0x1000);
}

static void wrong_pad_too_long(void)
{
    go_to_end();
    forge((struct postern_record){.length = 32, .flags = POSTERN_RECORD_PAD}, 0x1000);
}

static void wrong_pad_in_the_middle(void)
{
    forge((struct postern_record){.length = 16, .flags = POSTERN_RECORD_PAD}, 0x1000);
}

static void wrong_pad_at_the_start(void)
{
    go_to_end();
    forge((struct postern_record){.length = 16, .flags = POSTERN_RECORD_PAD}, 32);
    forge((struct postern_record){.length = SECTION / 2 - 16, .flags = POSTERN_RECORD_PAD}, 64);
}

static void wrong_pad_with_nothing_behind(void)
{
    go_to_end();
    forge((struct postern_record){.length = 16, .flags = POSTERN_RECORD_PAD}, 32);
}

/* A stamp that is behind what is published. */
static void wrong_stamp_unpublished(void)
{
    forge((struct postern_record){.length = 16, .flags = POSTERN_RECORD_STAMP}, 32);
}

static void wrong_flags(void)
{
    forge((struct postern_record){.length = 64, .flags = 0x8000}, 80);
}

static void wrong_pad_with_flags(void)
{
    forge((struct postern_record){.length = 64, .flags = POSTERN_RECORD_PAD | POSTERN_RECORD_CSUM},
          80);
}

static void wrong_checksum_outside(void)
{
    forge((struct postern_record){.length = 64,
                                  .flags = POSTERN_RECORD_CSUM,
                                  .csum_start = 0xffff,
                                  .csum_offset = 0xffff},
          80);
}

/* A new opening with another identity. */
static void wrong_magic(void)
{
    postern_ring_open(&peer, 1500, 7);
    peer.own->magic++;
}

static void wrong_version(void)
{
    postern_ring_open(&peer, 1500, 7);
    peer.own->version++;
}

static void wrong_first_head(void)
{
    postern_ring_open(&peer, 1500, 7);
    peer.own->head = 1;
}

static void wrong_first_tail(void)
{
    postern_ring_open(&peer, 1500, 7);
    peer.own->tail = victim.head + 16;
    peer.own->seen = victim.generation;
}

static const struct {
    const char *name;
    void (*attack)(void);
    enum postern_ring_fault fault;
} attacks[] = {
    {"head too far", wrong_head_far, POSTERN_FAULT_HEAD},
    {"head back", wrong_head_back, POSTERN_FAULT_HEAD},
    {"head unaligned", wrong_head_unaligned, POSTERN_FAULT_HEAD},
    {"tail too far", wrong_tail_far, POSTERN_FAULT_TAIL},
    {"tail back", wrong_tail_back, POSTERN_FAULT_TAIL},
    {"tail unaligned", wrong_tail_unaligned, POSTERN_FAULT_TAIL},
    {"length zero", wrong_length_zero, POSTERN_FAULT_LENGTH},
    {"length huge", wrong_length_huge, POSTERN_FAULT_LENGTH},
    {"length over the maximum", wrong_length_over_the_maximum, POSTERN_FAULT_LENGTH},
    {"length unpublished", wrong_length_unpublished, POSTERN_FAULT_LENGTH},
    {"stamp unpublished", wrong_stamp_unpublished, POSTERN_FAULT_LENGTH},
    {"header only", wrong_header_only, POSTERN_FAULT_LENGTH},
    {"record wraps", wrong_length_wraps, POSTERN_FAULT_LENGTH},
    {"pad too long", wrong_pad_too_long, POSTERN_FAULT_PAD},
    {"pad in the middle", wrong_pad_in_the_middle, POSTERN_FAULT_PAD},
    {"pad at the start", wrong_pad_at_the_start, POSTERN_FAULT_LENGTH},
    {"pad and nothing", wrong_pad_with_nothing_behind, POSTERN_FAULT_PAD},
    {"unknown flags", wrong_flags, POSTERN_FAULT_META},
    {"pad with flags", wrong_pad_with_flags, POSTERN_FAULT_META},
    {"checksum outside", wrong_checksum_outside, POSTERN_FAULT_META},
    {"magic", wrong_magic, POSTERN_FAULT_IDENTITY},
    {"version", wrong_version, POSTERN_FAULT_IDENTITY},
    {"first head", wrong_first_head, POSTERN_FAULT_HEAD},
    {"first tail", wrong_first_tail, POSTERN_FAULT_TAIL},
};

/* Fills the victim's ring, so that it has to look at the peer's tail. */
static void fill(void)
{
    while (watch_reserve(1000) != NULL) {
        postern_ring_commit(&victim);
        (void)postern_ring_publish(&victim);
    }
}

static void assert_cut_off(const char *name, enum postern_ring_fault fault)
{
    struct postern_ring_meta meta;

    if (victim.fault != fault) {
        fail_msg("%s: fault %u instead of %u", name, victim.fault, fault);
    }
    assert_null(watch_peek(&meta));
    assert_null(watch_reserve(60));
    assert_false(postern_ring_room(&victim, SECTION / 2));
}

static void test_each_attack(void **state)
{
    for (unsigned i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
        struct postern_ring_meta meta;

        (void)set_up(state);
        fill();
        while (postern_ring_peek(&peer, &meta) != NULL) {
            postern_ring_consume(&peer);
        }
        assert_true(peer_sends(200));
        assert_non_null(watch_peek(&meta));
        postern_ring_consume(&victim);
        attacks[i].attack();

        if (postern_ring_sync_needed(&victim)) {
            (void)watch_sync();
        }
        (void)watch_peek(&meta);
        if (attacks[i].fault == POSTERN_FAULT_TAIL) {
            (void)watch_reserve(1000);
        }
        assert_cut_off(attacks[i].name, attacks[i].fault);
        /* The peer is told, once; then there is nothing to do. */
        uint32_t told = victim.seen != 0;
        assert_int_equal(postern_ring_sync_needed(&victim), told);
        assert_int_equal(watch_sync(), told);
        assert_false(watch_sync());
        assert_int_equal(victim.own->seen, 0);
        assert_true(postern_ring_arm_rx(&victim));
        assert_cut_off(attacks[i].name, attacks[i].fault);

        /* Either end's new start heals it. */
        postern_ring_open(&peer, 1500, 7);
        if (i % 2 == 0) {
            postern_ring_open(&victim, 1500, 7);
        }
        assert_works();
        (void)tear_down(state);
    }
    (void)set_up(state);
}

static void test_record_changes_after_peek(void **state)
{
    struct postern_ring_meta meta;

    (void)state;
    assert_true(peer_sends(64));
    assert_non_null(watch_peek(&meta));
    record_at(victim.tail)->flags = 0x8000;
    assert_int_equal(meta.flags, 0);
    assert_null(watch_peek(&meta));
    /* Nothing was shown, so nothing is consumed. */
    postern_ring_consume(&victim);
    assert_int_equal(victim.tail, victim.published_tail);
    assert_int_equal(victim.fault, POSTERN_FAULT_META);
}

/* In a batch what is wrong ends it: what was before it is good. Of records whose sizes look alike
 * each is checked. */
static void test_wrong_in_a_batch(void **state)
{
    static const struct postern_record wrong[] = {
        {.length = 64 | POSTERN_RECORD_STAMP << 24},
        {.length = 64, .flags = POSTERN_RECORD_STAMP},
        {.length = 65},
        {.length = 0},
    };
    struct postern_ring_meta meta;

    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        (void)set_up(state);
        assert_true(peer_sends(64));
        forge(wrong[i], 80);
        struct postern_ring_reader reader = postern_ring_read_begin(&victim);
        assert_non_null(postern_ring_read_next(&reader, &meta));
        assert_null(postern_ring_read_next(&reader, &meta));
        assert_null(postern_ring_read_next(&reader, &meta));
        postern_ring_read_end(&victim, &reader);
        assert_int_equal(victim.tail, 80);
        assert_int_equal(victim.fault, POSTERN_FAULT_LENGTH);
        (void)tear_down(state);
    }
    (void)set_up(state);
}

/* What is committed and not published must fit behind the tail with which a new peer begins. */
static void test_first_tail_behind_what_is_committed(void **state)
{
    const struct postern_ring_meta meta = {.length = 1000};

    (void)state;
    fill();
    while (peer.published_tail < victim.head / 2) {
        struct postern_ring_meta taken;

        assert_non_null(postern_ring_peek(&peer, &taken));
        postern_ring_consume(&peer);
        (void)postern_ring_release(&peer);
    }
    while (postern_ring_reserve(&victim, &meta) != NULL) {
        postern_ring_commit(&victim);
    }
    assert_true(victim.head > victim.published_head);
    postern_ring_open(&peer, 1500, 7);
    (void)watch_sync();
    /* Within what is published, but the rest would not fit. */
    peer.own->tail = victim.published_head - victim.data_size;
    peer.own->seen = victim.generation;
    (void)watch_sync();
    assert_int_equal(victim.fault, POSTERN_FAULT_TAIL);
    assert_false(victim.up);
}

/* What a peer was before it is opened again may have claimed any generation, also the next one. */
static void test_generation_claimed_before(void **state)
{
    static const uint32_t ahead[] = {0, 1, 2, 0x80000000};

    for (unsigned i = 0; i < sizeof(ahead) / sizeof(ahead[0]); i++) {
        struct postern_ring_meta meta;

        (void)set_up(state);
        assert_true(peer_sends(200));
        assert_non_null(watch_peek(&meta));
        postern_ring_consume(&victim);
        peer.own->last = peer.generation - 1;
        peer.own->generation = peer.generation - 1 + ahead[i];
        (void)watch_sync();
        peer.own->seen = victim.generation;
        (void)watch_sync();

        postern_ring_open(&peer, 1500, 7);
        assert_works();
        (void)tear_down(state);
    }
    (void)set_up(state);
}

static void test_meta(void **state)
{
    enum { CSUM = POSTERN_RECORD_CSUM, VALID = POSTERN_RECORD_VALID, ECN = POSTERN_RECORD_ECN };
    static const struct postern_ring_meta good[] = {
        {64, 0, 0, 0, 0, 0, 0, 0},
        {64, VALID, 0, 0, 0, 0, 0, 0},
        {64, POSTERN_RECORD_STAMP, 0, 0, 0, 0, 0, 1},
        {64, CSUM, 34, 16, 0, 0, 0, 0},
        {64, CSUM, 62, 0, 0, 0, 0, 0},
        {64, CSUM, 0, 62, 0, 0, 0, 0},
        {64, CSUM, 34, 16, POSTERN_GSO_TCP4, 1, 54, 0},
        {64, CSUM | ECN, 34, 16, POSTERN_GSO_TCP6, 0xffff, 63, 0},
    };
    static const struct postern_ring_meta bad[] = {
        {64, POSTERN_RECORD_PAD, 0, 0, 0, 0, 0, 0},
        {64, 0x20, 0, 0, 0, 0, 0, 0},
        {64, CSUM | VALID, 34, 16, 0, 0, 0, 0},
        {64, 0, 34, 0, 0, 0, 0, 0},
        {64, 0, 0, 16, 0, 0, 0, 0},
        {64, CSUM, 63, 0, 0, 0, 0, 0},
        {64, CSUM, 0, 63, 0, 0, 0, 0},
        {64, CSUM, 0xffff, 0xffff, 0, 0, 0, 0},
        {1, CSUM, 0, 0, 0, 0, 0, 0},
        {64, ECN, 0, 0, 0, 0, 0, 0},
        {64, CSUM, 34, 16, 0, 1, 0, 0},
        {64, CSUM, 34, 16, 0, 0, 54, 0},
        {64, CSUM, 34, 16, 3, 1, 54, 0},
        {64, 0, 0, 0, POSTERN_GSO_TCP4, 1, 54, 0},
        {64, CSUM, 34, 16, POSTERN_GSO_TCP4, 0, 54, 0},
        {64, CSUM, 34, 16, POSTERN_GSO_TCP4, 1, 51, 0},
        {64, CSUM, 34, 16, POSTERN_GSO_TCP4, 1, 64, 0},
        {64, CSUM, 34, 16, POSTERN_GSO_TCP4, 1, 0xffff, 0},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(postern_ring_meta_valid(&good[i]));
    }
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(postern_ring_meta_valid(&bad[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_attack, NULL, tear_down),
        cmocka_unit_test_setup_teardown(test_record_changes_after_peek, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_in_a_batch, NULL, tear_down),
        cmocka_unit_test_setup_teardown(test_first_tail_behind_what_is_committed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_generation_claimed_before, NULL, tear_down),
        cmocka_unit_test(test_meta),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
