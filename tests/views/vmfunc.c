/* SPDX-License-Identifier: BSD-2-Clause */
/* VMFUNC elsewhere than in the gate, and the hypercall that does the same. */
#include "tests/views/views.h"

static void vmfunc_then(void *argument)
{
    __asm__ volatile("vmfunc; nop" : : "a"(0), "c"(argument) : "memory");
}

CLAIM(vmfunc_outside_the_gate, "code that calls VMFUNC by itself gets #GP, in the default view")
{
    uint32_t view = open_view();
    struct trap trap = trap_of(vmfunc_then, (void *)(uint64_t)view);

    CHECK_EQUAL(trap.vector, views_are_native() ? EXCEPTION_GP : EXCEPTION_UD);
    CHECK_EQUAL(cross(view, POSTERN_GATE_NOTHING, NULL), 0);
}

CLAIM(vmfunc_not_open, "VMFUNC into a view that is not open is #UD")
{
    (void)open_view();
    CHECK_TRAP(try_vmfunc(0, NOT_OPEN), EXCEPTION_UD, 0);
    CHECK_TRAP(try_vmfunc(0, 511), EXCEPTION_UD, 0);
    CHECK_TRAP(try_vmfunc(0, 512), EXCEPTION_UD, 0);
    CHECK_TRAP(try_vmfunc(0, UINT32_MAX), EXCEPTION_UD, 0);
}

CLAIM(vmfunc_default_view, "VMFUNC into the default view, where one is, changes nothing")
{
    (void)open_view();
    if (!views_are_native()) {
        skip("VMFUNC is not there");
    }
    CHECK_NO_TRAP(try_vmfunc(0, 0));
}

CLAIM(vmfunc_other_leaves, "VMFUNC leaves other than 0 are #UD")
{
    (void)open_view();
    for (uint32_t leaf = 1; leaf < 70; leaf++) {
        CHECK_TRAP(try_vmfunc(leaf, 0), EXCEPTION_UD, 0);
    }
    CHECK_TRAP(try_vmfunc(UINT32_MAX, 0), EXCEPTION_UD, 0);
}

static struct trap try_switch(uint64_t view)
{
    return TRY("vmcall", : : "a"(POSTERN_HC_VIEW_SWITCH), "c"(view) : "memory");
}

CLAIM(switch_not_open, "the hypercall in VMFUNC's place is #UD for a view that is not open")
{
    (void)open_view();
    CHECK_TRAP(try_switch(NOT_OPEN), EXCEPTION_UD, 0);
    CHECK_TRAP(try_switch(512), EXCEPTION_UD, 0);
    CHECK_TRAP(try_switch(BIT(32) | NOT_OPEN), EXCEPTION_UD, 0); /* ECX counts, as for VMFUNC */
    CHECK_TRAP(try_switch(UINT64_MAX), EXCEPTION_UD, 0);
    CHECK_NO_TRAP(try_switch(0));
}

static void switch_then(void *argument)
{
    __asm__ volatile("vmcall; nop" : : "a"(POSTERN_HC_VIEW_SWITCH), "c"(argument) : "memory");
}

CLAIM(switch_outside_the_gate, "the hypercall into an open view is #GP at the next instruction")
{
    uint32_t view = open_view();
    struct trap trap = trap_of(switch_then, (void *)(uint64_t)view);

    CHECK_TRAP(trap, EXCEPTION_GP, 0);
    CHECK_EQUAL(cross(view, POSTERN_GATE_NOTHING, NULL), 0);
}

static uint64_t vmfunc_as_user(uint64_t view)
{
    __asm__ volatile("vmfunc; nop" : : "a"(0), "c"(view) : "memory");
    return 0;
}

CLAIM(vmfunc_in_ring_3, "a program that calls VMFUNC by itself gets the exception itself")
{
    uint32_t view = open_view();
    struct trap trap = run_user(vmfunc_as_user, view, NULL);

    CHECK_EQUAL(trap.vector, views_are_native() ? EXCEPTION_GP : EXCEPTION_UD);
    CHECK(trap.user);
}
