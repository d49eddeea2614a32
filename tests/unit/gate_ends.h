/* SPDX-License-Identifier: BSD-2-Clause */
/* Two ends of a link that go by the gate's functions only. For cmocka tests. */
#ifndef POSTERN_TESTS_UNIT_GATE_ENDS_H
#define POSTERN_TESTS_UNIT_GATE_ENDS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "abi/gate_ring.h"
#include "tests/unit/ring_window.h"
#include "vmfunc/gate/body.h"

#define SECTION POSTERN_SECTION_MIN

static struct ring_window window;
static struct postern_ring ends[2];

static inline int64_t ring_call(unsigned end, uint32_t function, uint64_t argument)
{
    struct postern_gate_ring call = {
        .ring = &ends[end], .bytes = argument, .mtu = (uint32_t)argument, .seed = 7};

    return gate_function(function, &call);
}

static inline int set_up_closed(void **state)
{
    (void)state;
    window_create(&window, SECTION);
    for (unsigned end = 0; end < 2; end++) {
        assert_true(
            postern_ring_init(&ends[end], window.writable[end], window.readable[1 - end], SECTION));
    }
    return 0;
}

static inline int set_up(void **state)
{
    (void)set_up_closed(state);
    for (unsigned end = 0; end < 2; end++) {
        assert_int_equal(ring_call(end, POSTERN_GATE_RING_OPEN, 1500), POSTERN_GATE_DOORBELL);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_true(ring_call(i % 2, POSTERN_GATE_RING_SYNC, 0) >= 0);
    }
    assert_true(ends[0].up && ends[1].up);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    window_destroy(&window);
    return 0;
}

static inline struct postern_ring_header *header(unsigned end)
{
    return (struct postern_ring_header *)(void *)window.writable[end];
}

static inline struct postern_record *record_at(unsigned end, uint64_t position)
{
    return (void *)(window.writable[end] + SECTION / 2 + position % (SECTION / 2));
}

#endif
