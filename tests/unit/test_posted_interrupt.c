/* SPDX-License-Identifier: BSD-2-Clause */
/* The posted-interrupt descriptor: its layout, what each state answers, and two threads. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "machine/posted_interrupt.h"

#define TARGET_VECTOR 0xf3u
#define TARGET_ID     0x12345678u
#define ROUNDS        200000u

static uint64_t word_of(const struct posted_interrupts *posted, unsigned index)
{
    uint64_t words[8];

    memcpy(words, posted, sizeof(words));
    return words[index];
}

static void test_layout(void **state)
{
    struct posted_interrupts posted = {0};

    (void)state;
    posted_set_target(&posted, TARGET_VECTOR, TARGET_ID);
    /* SN is bit 257, NV bits 272 to 279, NDST bits 288 to 319. */
    assert_true(word_of(&posted, 4) == (2 | 0xf3ull << 16 | 0x12345678ull << 32));
    posted_allow(&posted);
    assert_true(word_of(&posted, 4) == (0xf3ull << 16 | 0x12345678ull << 32));
    for (unsigned vector = 0; vector < 256; vector += 51) {
        assert_true(posted_request(&posted, (uint8_t)vector));
        assert_true((word_of(&posted, vector / 64) >> vector % 64 & 1) != 0);
    }
    assert_int_equal(posted_notify(&posted), POSTED_NOTIFY);
    assert_true((word_of(&posted, 4) & 3) == 1); /* ON is bit 256 */
    for (unsigned i = 5; i < 8; i++) {
        assert_true(word_of(&posted, i) == 0);
    }
}

static void test_notifications(void **state)
{
    struct posted_interrupts posted = {0};
    uint64_t words[POSTED_WORDS];

    (void)state;
    posted_set_target(&posted, TARGET_VECTOR, TARGET_ID);
    assert_true(posted_request(&posted, 0x31));
    assert_int_equal(posted_notify(&posted), POSTED_REQUEST); /* not in the guest */
    assert_false(posted_request(&posted, 0x31));
    posted_allow(&posted);
    assert_true(posted_request(&posted, 0x32));
    assert_int_equal(posted_notify(&posted), POSTED_NOTIFY);
    assert_true(posted_request(&posted, 0x33));
    assert_int_equal(posted_notify(&posted), POSTED_NOTHING); /* the same one does */
    posted_take(&posted, words);
    assert_true(words[0] == (7ull << 0x31) && (words[1] | words[2] | words[3]) == 0);
    posted_take(&posted, words);
    assert_true((words[0] | words[1] | words[2] | words[3]) == 0);
    assert_true(posted_request(&posted, 0x31));
    assert_int_equal(posted_notify(&posted), POSTED_NOTIFY); /* it comes after the taking */
    assert_true(posted_suppress(&posted));                   /* and was not taken in the guest */
    assert_true(posted_request(&posted, 0xff));
    assert_int_equal(posted_notify(&posted), POSTED_REQUEST);
    posted_clear(&posted);
    assert_false(posted_suppress(&posted));
    posted_allow(&posted);
    assert_true(posted_request(&posted, 0xff));
    assert_int_equal(posted_notify(&posted), POSTED_NOTIFY); /* no ON is left of before */
    assert_true(word_of(&posted, 4) >> 16 == (0xf3 | 0x12345678ull << 16));
}

/* Two threads: one posts each vector, and the next time only when it was taken; the other is the
 * owner, which enters and leaves a guest that takes what is notified. */

static struct {
    struct posted_interrupts posted;
    atomic_bool ipi, work; /* what posting leads to: a notification, a request for attention */
    _Atomic uint32_t taken[256];
    atomic_bool stop;
} shared;

static void *post(void *argument)
{
    (void)argument;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint8_t vector = (uint8_t)(round * 73);
        uint32_t before = atomic_load(&shared.taken[vector]);
        if (posted_request(&shared.posted, vector)) {
            switch (posted_notify(&shared.posted)) {
            case POSTED_NOTIFY:
                atomic_store(&shared.ipi, true);
                break;
            case POSTED_REQUEST:
                atomic_store(&shared.work, true);
                break;
            case POSTED_NOTHING:
                break;
            }
        }
        /* One that is lost is waited for for ever, and the owner gives up. Every other one is left
         * on its way, to be joined by the next. */
        while (round % 2 != 0 && atomic_load(&shared.taken[vector]) == before &&
               !atomic_load(&shared.stop)) {
            sched_yield();
        }
    }
    atomic_store(&shared.stop, true);
    return NULL;
}

static bool take(void)
{
    uint64_t words[POSTED_WORDS];
    bool any = false;

    posted_take(&shared.posted, words);
    for (unsigned vector = 0; vector < 256; vector++) {
        if ((words[vector / 64] >> vector % 64 & 1) != 0) {
            atomic_fetch_add(&shared.taken[vector], 1);
            any = true;
        }
    }
    return any;
}

static void test_two_threads(void **state)
{
    pthread_t thread;
    uint64_t idle = 0;

    (void)state;
    posted_set_target(&shared.posted, TARGET_VECTOR, TARGET_ID);
    assert_int_equal(pthread_create(&thread, NULL, post, NULL), 0);
    for (uint32_t round = 0; !atomic_load(&shared.stop); round++) {
        bool any = false;
        if (atomic_exchange(&shared.work, false)) {
            any = take() || any;
        }
        posted_allow(&shared.posted);
        for (unsigned stay = 0; stay < round % 5; stay++) {
            if (atomic_exchange(&shared.ipi, false)) { /* as the CPU does in the guest */
                any = take() || any;
            }
        }
        if (posted_suppress(&shared.posted)) {
            atomic_store(&shared.work, true);
        }
        atomic_store(&shared.ipi, false); /* taken by a handler that does nothing */
        if (any) {
            idle = 0;
        } else {
            assert_true(++idle < 100000000); /* the poster waits for what was lost */
            sched_yield();
        }
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_notifications),
        cmocka_unit_test(test_two_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
