/* SPDX-License-Identifier: BSD-2-Clause */
/* The bound on the time in a view, on a machine that sets no other limit to a stay in the guest. */
#include "abi/guest.h"
#include "tests/kit/kit.h"

#define PORT         0u
#define STAY_SECONDS 2u /* docs/abi.md */
#define LENGTH       (56ull << 20)

CLAIM(stay_in_a_view_is_bounded, "who stays in a view is taken out after two seconds, and goes on")
{
    uint32_t pages;
    uint64_t gate = postern_gate_home(&pages);
    int64_t view = postern_view_open(PORT);

    CHECK(view > 0);
    /* All of RAM onto itself, a byte at a time: a crossing that lasts, with interrupts off. */
    int64_t before = postern_hypercall(POSTERN_HC_EXITS, 0, 0);
    uint64_t start = rdtsc();
    CHECK_EQUAL(postern_gate_copy(gate, (uint32_t)view, SIZE_2M, SIZE_2M, LENGTH), 0);
    uint64_t seconds = (rdtsc() - start) / (1000 * tsc_per_ms());
    int64_t exits = postern_hypercall(POSTERN_HC_EXITS, 0, 0) - before - 1;
    if (seconds < STAY_SECONDS) {
        skip("this CPU copies %u MiB in less", (unsigned)(LENGTH >> 20));
    }
    /* Each time the timer's exit, and the fetch by which the crossing goes on. */
    CHECK(exits >= 2);
    CHECK(exits <= 2 * (int64_t)(seconds / STAY_SECONDS) + 4);
}
