/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order of the accesses to a posted-interrupt descriptor: a CPU that posts and the owner run as
 * coroutines that change at each access, in every order that there is. All accesses that have to be
 * ordered are sequentially consistent, so that no store waits in a buffer meanwhile: weaker ones do
 * not compile here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <cmocka.h>

#include "machine/posted_interrupt.h"

#define STACK_SIZE  0x10000u
#define CHOICES_MAX 64u
#define VECTOR      0x45u

enum side { POSTER, OWNER };

static struct {
    ucontext_t context;
    uint8_t stack[STACK_SIZE];
    bool finished;
} sides[2];
static ucontext_t scheduler;
static int current = -1; /* none: the test itself */

static void pause_here(void)
{
    if (current >= 0) {
        (void)swapcontext(&sides[current].context, &scheduler);
    }
}

/* The source with a pause before each access. Only loads may be relaxed. */
#define PAUSED(access) (pause_here(), (access))
#undef atomic_load
#undef atomic_store
#undef atomic_exchange
#undef atomic_fetch_or
#undef atomic_fetch_and
#undef atomic_load_explicit
#undef atomic_compare_exchange_weak
#undef atomic_store_explicit
#undef atomic_exchange_explicit
#undef atomic_fetch_or_explicit
#undef atomic_fetch_and_explicit
#undef atomic_compare_exchange_weak_explicit
#define atomic_load(p)                  PAUSED(__atomic_load_n(p, __ATOMIC_SEQ_CST))
#define atomic_store(p, value)          PAUSED(__atomic_store_n(p, value, __ATOMIC_SEQ_CST))
#define atomic_exchange(p, value)       PAUSED(__atomic_exchange_n(p, value, __ATOMIC_SEQ_CST))
#define atomic_fetch_or(p, value)       PAUSED(__atomic_fetch_or(p, value, __ATOMIC_SEQ_CST))
#define atomic_fetch_and(p, value)      PAUSED(__atomic_fetch_and(p, value, __ATOMIC_SEQ_CST))
#define atomic_load_explicit(p, memory) PAUSED(__atomic_load_n(p, __ATOMIC_RELAXED))
#define atomic_compare_exchange_weak(p, old, value) \
    PAUSED(__atomic_compare_exchange_n(p, old, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
#include "machine/posted_interrupt.c"

static struct posted_interrupts posted;
static bool ipi, work; /* a notification that is pending, a request for attention */
static bool in_guest, taken;
static enum posted_next answer;

static void take(void)
{
    uint64_t words[POSTED_WORDS];

    posted_take(&posted, words);
    taken = taken || (words[VECTOR / 64] >> VECTOR % 64 & 1) != 0;
}

/* What the CPU does for a notification that is pending in the guest. */
static void take_notified(void)
{
    if (ipi) {
        ipi = false;
        take();
    }
}

static void run_poster(void)
{
    if (posted_request(&posted, VECTOR)) {
        answer = posted_notify(&posted);
        pause_here(); /* it is under way for a while */
        ipi = ipi || answer == POSTED_NOTIFY;
        work = work || answer == POSTED_REQUEST;
    }
}

/* The ways of the owner. Each ends in the guest or out of it. */

static void owner_enters(void)
{
    posted_allow(&posted);
    in_guest = true;
}

static void owner_leaves(void)
{
    in_guest = false;
    work = posted_suppress(&posted) || work;
    ipi = false; /* a handler that does nothing */
}

static void owner_leaves_and_comes_back(void)
{
    owner_leaves();
    owner_enters();
}

static void owner_comes_and_leaves(void)
{
    owner_enters();
    pause_here();
    take_notified();
    owner_leaves();
}

/* An exit that takes the requests and resumes. */
static void owner_takes(void)
{
    take();
}

/* The same, with a notification that is already on its way for another vector. */
static void owner_takes_another(void)
{
    take_notified();
    pause_here();
    take_notified();
}

struct way {
    void (*run)(void);
    bool starts_in_guest;
    bool notified; /* another vector is on its way */
};

static const struct way ways[] = {
    {owner_enters, false, false},
    {owner_leaves, true, false},
    {owner_leaves, true, true},
    {owner_leaves_and_comes_back, true, false},
    {owner_leaves_and_comes_back, true, true},
    {owner_comes_and_leaves, false, false},
    {owner_takes, true, false},
    {owner_takes, true, true},
    {owner_takes_another, true, true},
};

static const struct way *way;

static void enter(void)
{
    if (current == POSTER) {
        run_poster();
    } else {
        way->run();
    }
    sides[current].finished = true;
}

static void begin(void)
{
    memset(&posted, 0, sizeof(posted));
    posted_set_target(&posted, 0xf3, 1);
    in_guest = way->starts_in_guest;
    ipi = work = taken = false;
    if (in_guest) {
        posted_allow(&posted);
    }
    if (way->notified) {
        assert_true(posted_request(&posted, VECTOR + 1));
        assert_int_equal(posted_notify(&posted), POSTED_NOTIFY);
        ipi = true;
    }
    for (int side = POSTER; side <= OWNER; side++) {
        assert_int_equal(getcontext(&sides[side].context), 0);
        sides[side].context.uc_stack.ss_sp = sides[side].stack;
        sides[side].context.uc_stack.ss_size = STACK_SIZE;
        sides[side].context.uc_link = &scheduler;
        sides[side].finished = false;
        makecontext(&sides[side].context, enter, 0);
    }
}

static void step(int side)
{
    current = side;
    assert_int_equal(swapcontext(&scheduler, &sides[side].context), 0);
    current = -1;
}

/* Lets the sides go on as `choices` says, one bit for each time that both can. Returns how many
 * there were. */
static unsigned run(uint64_t choices)
{
    unsigned count = 0;

    begin();
    while (!sides[POSTER].finished || !sides[OWNER].finished) {
        int side = sides[POSTER].finished ? OWNER : POSTER;
        if (!sides[POSTER].finished && !sides[OWNER].finished) {
            assert_true(count < CHOICES_MAX);
            side = (int)(choices >> count++ & 1);
        }
        step(side);
    }
    return count;
}

/* Whatever the order: the vector was taken, or somebody is going to. */
static void check_nothing_is_lost(void)
{
    bool requested =
        (__atomic_load_n(&posted.requests[VECTOR / 64], __ATOMIC_RELAXED) >> VECTOR % 64 & 1) != 0;

    assert_true(taken != requested); /* never twice either */
    assert_true(taken || work || (in_guest && ipi));
    /* Nor will the next one be: an ON without a notification would keep it from being told of. */
    assert_true(!in_guest || ipi || (__atomic_load_n(&posted.control, __ATOMIC_RELAXED) & 1) == 0);
}

static void test_every_order(void **state)
{
    uint64_t runs = 0;

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
        uint64_t choices = 0;
        unsigned count;
        way = &ways[i];
        do {
            count = run(choices);
            check_nothing_is_lost();
            runs++;
            /* The next order: as a number whose first choice is the highest digit. */
            unsigned last = count;
            while (last > 0 && (choices >> (last - 1) & 1) != 0) {
                last--;
            }
            if (last == 0) {
                break;
            }
            choices = (choices & ((1ull << (last - 1)) - 1)) | 1ull << (last - 1);
        } while (true);
    }
    assert_true(runs > 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
