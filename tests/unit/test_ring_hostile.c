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

/* More bytes than the buffers that the victim has posted. */
static void wrong_filled_nothing(void)
{
    forge((struct postern_record){.length = 64, .flags = POSTERN_RECORD_POSTED}, 16);
}

static void wrong_filled_too_much(void)
{
    posts(&victim, 0, 1000);
    posts(&victim, 1000, 1000);
    forge((struct postern_record){.length = 2001, .flags = POSTERN_RECORD_POSTED}, 16);
}

static void wrong_filled_unpublished(void)
{
    posts(&victim, 0, 1000);
    assert_true(postern_ring_post(&victim, (struct postern_posted){1000, 1000}));
    forge((struct postern_record){.length = 1001, .flags = POSTERN_RECORD_POSTED}, 16);
}

static void wrong_filled_too_many(void)
{
    for (uint32_t i = 0; i < POSTERN_POSTED_SPAN + 1; i++) {
        posts(&victim, 0, 10);
    }
    forge((struct postern_record){.length = 10 * POSTERN_POSTED_SPAN + 1,
                                  .flags = POSTERN_RECORD_POSTED},
          16);
}

static void wrong_filled_stamp(void)
{
    posts(&victim, 0, 1000);
    forge((struct postern_record){.length = 64,
                                  .flags = POSTERN_RECORD_POSTED | POSTERN_RECORD_STAMP},
          16);
}

static void wrong_both(void)
{
    posts(&victim, 0, 1000);
    forge((struct postern_record){.length = 64, .flags = POSTERN_RECORD_POOL}, 80);
}

/* Lends `length` bytes at that offset of its pool, or beyond. */
static void lend(uint64_t offset, uint32_t length)
{
    struct postern_record *record = record_at(peer.own->head);

    memcpy(record + 1, &offset, sizeof(offset));
    forge((struct postern_record){.length = length, .flags = POSTERN_RECORD_LENT}, 32);
}

static void wrong_lent_behind(void)
{
    lend(POOL, 1);
}

static void wrong_lent_over_the_end(void)
{
    lend(POOL - 999, 1000);
}

static void wrong_lent_wraps(void)
{
    lend(UINT64_MAX - 10, 1000);
}

static void wrong_lent_unpublished(void)
{
    forge((struct postern_record){.length = 1000, .flags = POSTERN_RECORD_LENT}, 16);
}

/* Buffers for the victim to fill. */
static void wrong_posted_too_many(void)
{
    peer.own->posted = POSTERN_POSTED_MAX + 1;
}

static void wrong_posted_back(void)
{
    (void)postern_ring_release(&peer);
    posts(&peer, 0, 1000);
    assert_true(watch_send(1000));
    peer.own->posted = 0;
}

static void wrong_posted_empty(void)
{
    *posted_at(0) = (struct postern_posted){.offset = 100, .size = 0};
    peer.own->posted = 2;
}

static void wrong_posted_behind(void)
{
    *posted_at(0) = (struct postern_posted){.offset = POOL, .size = 4096};
    peer.own->posted = 1;
}

static void wrong_posted_over_the_end(void)
{
    *posted_at(0) = (struct postern_posted){.offset = POOL - 4095, .size = 4096};
    peer.own->posted = 1;
}

static void wrong_posted_wraps(void)
{
    *posted_at(0) = (struct postern_posted){.offset = UINT32_MAX - 10, .size = 4096};
    peer.own->posted = 1;
}

/* The second one that a packet needs. */
static void wrong_posted_later(void)
{
    *posted_at(0) = (struct postern_posted){.offset = 0, .size = 100};
    *posted_at(1) = (struct postern_posted){.offset = 100, .size = UINT32_MAX};
    peer.own->posted = 2;
}

/* A number with which nothing that is posted later agrees. */
static void wrong_first_posted(void)
{
    postern_ring_open(&peer, 1500, 7);
    (void)watch_sync();
    peer.own->first_posted = 1;
    peer.own->seen = victim.generation;
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

/* Where the peer's first record is to be. */
static void wrong_start_far(void)
{
    postern_ring_open(&peer, 1500, 7);
    (void)watch_sync();
    peer.own->start = SECTION / 2 + 16;
    peer.own->seen = victim.generation;
}

static void wrong_start_unaligned(void)
{
    wrong_start_far();
    peer.own->start = 8;
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
    {"start too far", wrong_start_far, POSTERN_FAULT_HEAD},
    {"start unaligned", wrong_start_unaligned, POSTERN_FAULT_HEAD},
    {"first tail", wrong_first_tail, POSTERN_FAULT_TAIL},
    {"filled nothing", wrong_filled_nothing, POSTERN_FAULT_LENGTH},
    {"filled too much", wrong_filled_too_much, POSTERN_FAULT_LENGTH},
    {"filled unpublished", wrong_filled_unpublished, POSTERN_FAULT_LENGTH},
    {"filled too many", wrong_filled_too_many, POSTERN_FAULT_LENGTH},
    {"filled with an unpublished stamp", wrong_filled_stamp, POSTERN_FAULT_LENGTH},
    {"posted and lent", wrong_both, POSTERN_FAULT_META},
    {"lent behind the pool", wrong_lent_behind, POSTERN_FAULT_LENT},
    {"lent over its end", wrong_lent_over_the_end, POSTERN_FAULT_LENT},
    {"lent far away", wrong_lent_wraps, POSTERN_FAULT_LENT},
    {"lent unpublished", wrong_lent_unpublished, POSTERN_FAULT_LENGTH},
    {"posted too many", wrong_posted_too_many, POSTERN_FAULT_POSTED},
    {"posted back", wrong_posted_back, POSTERN_FAULT_POSTED},
    {"posted nothing", wrong_posted_empty, POSTERN_FAULT_POSTED},
    {"posted behind the pool", wrong_posted_behind, POSTERN_FAULT_POSTED},
    {"posted over its end", wrong_posted_over_the_end, POSTERN_FAULT_POSTED},
    {"posted far away", wrong_posted_wraps, POSTERN_FAULT_POSTED},
    {"posted a wrong second", wrong_posted_later, POSTERN_FAULT_POSTED},
    {"first posted", wrong_first_posted, POSTERN_FAULT_POSTED},
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
        if (attacks[i].fault == POSTERN_FAULT_POSTED) {
            assert_false(watch_send(1000));
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

/* A posted buffer is where it was when it was looked at, whatever the peer writes there then. */
static void move_posted(void)
{
    *posted_at(0) = (struct postern_posted){.offset = UINT32_MAX, .size = UINT32_MAX};
}

static void test_posted_changes_after_look(void **state)
{
    (void)state;
    posts(&peer, POOL - 1000, 1000);
    after_load = move_posted;
    /* The first load is not the entry's: by then it is wrong already. */
    assert_false(watch_send(1000));
    assert_int_equal(victim.fault, POSTERN_FAULT_POSTED);
    after_load = NULL;
    postern_ring_open(&peer, 1500, 7);
    assert_works();
    posts(&peer, POOL - 1000, 1000);
    struct postern_posted found[POSTERN_POSTED_SPAN];
    assert_int_equal(postern_ring_find_posted(&victim, 1000, found), 1);
    move_posted();
    assert_int_equal(found[0].offset, POOL - 1000);
}

/* Without the peer's pool in reach no buffer is filled, and nothing borrowed. */
static void test_no_pool(void **state)
{
    struct postern_ring_meta meta;

    (void)state;
    postern_ring_set_pool(&victim, NULL, 0);
    posts(&peer, 0, 1000);
    assert_true(watch_send(1000));
    assert_int_equal(victim.peer_filled, 0);
    lend(0, 1000);
    assert_null(watch_peek(&meta));
    assert_int_equal(victim.fault, POSTERN_FAULT_LENT);
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

/* What is committed and not published must fit behind the tail with which a peer begins again. */
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
    peer.own->seen = 0;
    (void)watch_sync();
    assert_false(victim.up);
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
        {64, POSTERN_RECORD_POSTED, 0, 0, 0, 0, 0, 0},
        {64, POSTERN_RECORD_LENT, 0, 0, 0, 0, 0, 0},
        {64, CSUM, 34, 16, 0, 0, 0, 0},
        {64, CSUM, 62, 0, 0, 0, 0, 0},
        {64, CSUM, 0, 62, 0, 0, 0, 0},
        {64, CSUM, 34, 16, POSTERN_GSO_TCP4, 1, 54, 0},
        {64, CSUM | ECN, 34, 16, POSTERN_GSO_TCP6, 0xffff, 63, 0},
    };
    static const struct postern_ring_meta bad[] = {
        {64, POSTERN_RECORD_PAD, 0, 0, 0, 0, 0, 0},
        {64, 0x80, 0, 0, 0, 0, 0, 0},
        {64, POSTERN_RECORD_POOL, 0, 0, 0, 0, 0, 0},
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
        cmocka_unit_test_setup_teardown(test_posted_changes_after_look, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_pool, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_in_a_batch, NULL, tear_down),
        cmocka_unit_test_setup_teardown(test_first_tail_behind_what_is_committed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_generation_claimed_before, NULL, tear_down),
        cmocka_unit_test(test_meta),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
