/* SPDX-License-Identifier: BSD-2-Clause */
/* VMFUNC, and the hypercall in its place, from code outside the gate. */
#include "tests/attack/attack.h"

#define INDICES 512u
#define LEAVES  64u

static const uint64_t beyond[] = {512,        513,       1023,       1024,
                                  0x7fffffff, BIT32(31), 0xfffffe00, 0xffffffff};
static const uint64_t wide[] = {1ull << 32, 1ull << 63, ~0ull << 32};

/* `view` is open, `other` is not there or not open. */
static void check_index(struct trap (*attempt)(uint64_t), uint64_t index, uint64_t view)
{
    struct trap trap = attempt(index);

    if (index == 0) {
        CHECK_TRAP(trap, TRAP_NONE, 0);
    } else if (index == view) {
        CHECK_TRAP(trap, EXCEPTION_GP, 0);
    } else {
        CHECK_TRAP(trap, EXCEPTION_UD, 0);
    }
}

static void try_all_indices(struct trap (*attempt)(uint64_t))
{
    uint64_t view = view_open(PORT_GATED);

    for (uint64_t index = 0; index < INDICES; index++) {
        check_index(attempt, index, view);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(beyond); i++) {
        CHECK_TRAP(attempt(beyond[i]), EXCEPTION_UD, 0);
    }
    /* The index is ECX: what is above does not count. */
    for (unsigned i = 0; i < ARRAY_SIZE(wide); i++) {
        check_index(attempt, wide[i] & UINT32_MAX, view);
        CHECK_TRAP(attempt(wide[i]), TRAP_NONE, 0);
        CHECK_TRAP(attempt(wide[i] | view), EXCEPTION_GP, 0);
        CHECK_TRAP(attempt(wide[i] | 511), EXCEPTION_UD, 0);
    }
}

CLAIM(vmfunc_every_index_ring0,
      "VMFUNC of ring 0 outside the gate reaches no view, whatever its index")
{
    try_all_indices(try_switch);
}

CLAIM(vmfunc_every_index_ring3,
      "VMFUNC of ring 3 outside the gate reaches no view, whatever its index")
{
    try_all_indices(user_switch);
}

CLAIM(vmfunc_nothing_open, "while no view is open VMFUNC leads nowhere, by the gate neither")
{
    for (uint64_t index = 1; index < INDICES; index++) {
        CHECK_TRAP(try_switch(index), EXCEPTION_UD, 0);
    }
    for (uint64_t index = 1; index < INDICES; index += 7) {
        CHECK_EQUAL(cross(index, POSTERN_GATE_NOTHING, NULL), POSTERN_ERR_NOT_OPEN);
    }
}

static void try_all_leaves(struct trap (*attempt)(uint64_t, uint64_t))
{
    static const uint64_t more[] = {64, 65, 127, 0x7fffffff, BIT32(31), 0xffffffff};
    uint64_t view = view_open(PORT_GATED);

    for (uint64_t leaf = 1; leaf < LEAVES; leaf++) {
        CHECK_TRAP(attempt(leaf, view), EXCEPTION_UD, 0);
        CHECK_TRAP(attempt(leaf, 0), EXCEPTION_UD, 0);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(more); i++) {
        CHECK_TRAP(attempt(more[i], view), EXCEPTION_UD, 0);
    }
}

CLAIM(vmfunc_every_leaf_ring0, "VMFUNC of ring 0 has no other leaf than 0")
{
    try_all_leaves(try_vmfunc);
}

CLAIM(vmfunc_every_leaf_ring3, "VMFUNC of ring 3 has no other leaf than 0")
{
    try_all_leaves(user_vmfunc);
}

CLAIM(vmfunc_where_hypercalls_switch, "where the gate uses the hypercall VMFUNC is no instruction")
{
    if (native_vmfunc()) {
        skip("the CPU has VMFUNC");
    }
    uint64_t view = view_open(PORT_GATED);
    CHECK_TRAP(try_vmfunc(0, 0), EXCEPTION_UD, 0);
    CHECK_TRAP(try_vmfunc(0, view), EXCEPTION_UD, 0);
    CHECK_TRAP(user_vmfunc(0, view), EXCEPTION_UD, 0);
}

/* Whether a switch that #GP ended has left something of the view behind. */
CLAIM(vmfunc_leaves_nothing_behind, "after a refused VMFUNC the window is still out of reach")
{
    uint64_t view = view_open(PORT_GATED);
    const uint64_t *peer = (const uint64_t *)(window_map(PORT_GATED) + SECTION_SIZE);
    uint64_t word = 0;

    for (unsigned i = 0; i < 100; i++) {
        CHECK_TRAP(try_switch(view), EXCEPTION_GP, 0);
        CHECK_TRAP(TRY("mov (%1), %0",
                       : "+r"(word)
                       : "r"(peer + CANARY_OFFSET / sizeof(*peer))),
                   EXCEPTION_GP, 0);
        CHECK_EQUAL(word, 0);
    }
}

CLAIM(view_of_another_vcpu, "a view that is open to one vCPU is not open to another")
{
    need_cpu(1);
    (void)nic_of(PORT_GATED);
    int64_t view = hypercall(POSTERN_HC_VIEW_OPEN, PORT_GATED, 1, 0);
    CHECK(view > 0);
    CHECK_TRAP(try_switch((uint64_t)view), EXCEPTION_UD, 0);
    CHECK_TRAP(user_switch((uint64_t)view), EXCEPTION_UD, 0);
    CHECK_EQUAL(cross((uint64_t)view, POSTERN_GATE_NOTHING, NULL), POSTERN_ERR_NOT_OPEN);
}
