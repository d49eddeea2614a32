/* SPDX-License-Identifier: BSD-2-Clause */
/* The counters of exits that a port has: a data path without exits changes none of them. */
#include "tests/views/views.h"

#define CROSSINGS 1000u

static uint64_t counts[POSTERN_PORT_COUNTS];

static uint64_t count_of(unsigned number)
{
    int64_t count = hypercall(POSTERN_HC_PORT_EXITS, GATED_PORT, number, 0);

    CHECK(count >= 0);
    return (uint64_t)count;
}

static void remember_counts(void)
{
    for (unsigned i = 0; i < POSTERN_PORT_COUNTS; i++) {
        counts[i] = count_of(i);
    }
}

/* Checks that `number` has grown by `difference` since then, and nothing else. */
static void check_counts(unsigned number, uint64_t difference)
{
    for (unsigned i = 0; i < POSTERN_PORT_COUNTS; i++) {
        CHECK_EQUAL(count_of(i) - counts[i], i == number ? difference : 0);
    }
}

CLAIM(port_counts_arguments, "the counters of a port that is not there, and others, are errors")
{
    (void)need_nic();
    CHECK_EQUAL(hypercall(POSTERN_HC_PORT_EXITS, PORTS, 0, 0), POSTERN_ERR_ARGUMENT);
    CHECK_EQUAL(hypercall(POSTERN_HC_PORT_EXITS, BIT(32), 0, 0), POSTERN_ERR_ARGUMENT);
    CHECK_EQUAL(hypercall(POSTERN_HC_PORT_EXITS, GATED_PORT, POSTERN_PORT_COUNTS, 0),
                POSTERN_ERR_ARGUMENT);
    CHECK_EQUAL(hypercall(POSTERN_HC_PORT_EXITS, GATED_PORT, UINT64_MAX, 0), POSTERN_ERR_ARGUMENT);
}

CLAIM(crossings_are_not_counted,
      "a thousand crossings with data change no counter of their port; by exits two switches each")
{
    uint32_t view = open_view();
    uint64_t word = window_of(GATED_PORT) + PEER_OFFSET;
    uint64_t value = 0, resumed, early;

    remember_counts();
    for (unsigned i = 0; i < CROSSINGS / 2; i++) {
        CHECK_EQUAL(gate_store(view, word, i), 0);
        CHECK_EQUAL(gate_load(view, word, &value), 0);
        CHECK_EQUAL(value, i);
    }
    /* The ends of time slices take it out of a crossing: the counter that may grow, by a few. */
    resumed = count_of(POSTERN_PORT_RESUMED) - counts[POSTERN_PORT_RESUMED];
    CHECK(resumed < CROSSINGS / 10);
    counts[POSTERN_PORT_RESUMED] += resumed;
    if (views_are_native()) {
        check_counts(POSTERN_PORT_SWITCHES, 0);
        return;
    }
    /* One that a time slice's end takes out of the view right before it leaves has left already. */
    early = 2ull * CROSSINGS - (count_of(POSTERN_PORT_SWITCHES) - counts[POSTERN_PORT_SWITCHES]);
    CHECK(early <= 3);
    check_counts(POSTERN_PORT_SWITCHES, 2ull * CROSSINGS - early);
}

CLAIM(port_counts, "doorbells, crossings that end early and violations are counted, each once")
{
    uint32_t view = open_view();
    uint64_t window = window_of(GATED_PORT);

    remember_counts();
    CHECK_EQUAL(hypercall(POSTERN_HC_DOORBELL, GATED_PORT, 0, 0), 0);
    check_counts(POSTERN_PORT_DOORBELLS, 1);
    CHECK_EQUAL(TRY("movb (%0), %%al", : : "r"(window) : "rax").vector, EXCEPTION_GP);
    counts[POSTERN_PORT_DOORBELLS]++;
    check_counts(POSTERN_PORT_VIOLATIONS, 1);
    CHECK_EQUAL(gate_store(view, window + SECTION_SIZE, 1), POSTERN_ERR_FAULT);
    CHECK_EQUAL(count_of(POSTERN_PORT_VIOLATIONS) - counts[POSTERN_PORT_VIOLATIONS], 2);
    CHECK_EQUAL(count_of(POSTERN_PORT_ABORTED) - counts[POSTERN_PORT_ABORTED], 1);
    CHECK_EQUAL(postern_view_close(GATED_PORT), 0);
    CHECK_EQUAL(gate_store(view, window, 1), POSTERN_ERR_NOT_OPEN);
    CHECK_EQUAL(count_of(POSTERN_PORT_ABORTED) - counts[POSTERN_PORT_ABORTED], 2);
}

CLAIM(resumed_crossings_are_counted, "crossings that go on after an interruption are counted")
{
    uint32_t view = open_view();
    uint64_t word = window_of(GATED_PORT) + PEER_OFFSET;

    remember_counts();
    for (unsigned i = 0;
         i < CROSSINGS && count_of(POSTERN_PORT_RESUMED) < counts[POSTERN_PORT_RESUMED] + 3; i++) {
        (void)hypercall(POSTERN_HC_TEST_STAY, 1 + i % 40, 0, 0);
        CHECK_EQUAL(gate_store(view, word, i), 0);
    }
    CHECK(count_of(POSTERN_PORT_RESUMED) >= counts[POSTERN_PORT_RESUMED] + 3);
}
