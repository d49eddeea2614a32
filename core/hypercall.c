/* SPDX-License-Identifier: BSD-2-Clause */
/* The hypercalls of abi/hypercall.h: a table by number. */
#include "abi/hypercall.h"

#include "arch/x86/defs/registers.h"
#include "arch/x86/vmx_insn.h"
#include "core/exits.h"
#include "core/hypercall.h"
#include "core/port.h"
#include "core/vcpu_views.h"

static enum exit_result hypercall_version(struct vcpu *vcpu)
{
    return hypercall_answer(vcpu, POSTERN_ABI_VERSION);
}

static enum exit_result hypercall_doorbell(struct vcpu *vcpu)
{
    uint64_t number = vcpu->vmx.registers.rdi;

    uint64_t queue = vcpu->vmx.registers.rsi;

    if (number >= vcpu->vm->port_count) {
        return hypercall_answer(vcpu, POSTERN_ERR_ARGUMENT);
    }
    struct port *port = vcpu->vm->ports[number];
    if (queue >= port->queues) {
        return hypercall_answer(vcpu, POSTERN_ERR_ARGUMENT);
    }
    status_t status = port_doorbell(port, (uint32_t)queue);
    trace_point(POSTERN_TRACE_DOORBELL, vcpu, (uint8_t)number, status == STATUS_BUSY);
    if (UNLIKELY(status == STATUS_BUSY)) {
        return EXIT_DONE;
    }
    return hypercall_answer(vcpu, status == STATUS_OK ? 0 : POSTERN_ERR_PEER_DOWN);
}

/* As VMFUNC, which takes the view from ECX, and from any CPL. */
static enum exit_result hypercall_view_switch(struct vcpu *vcpu)
{
    uint32_t view = (uint32_t)vcpu->vmx.registers.rcx;
    uint64_t left = vmread(VMCS_EPT_POINTER);

    if (!vcpu_enter_view(vcpu, view)) {
        return exit_view_not_open(vcpu);
    }
    port_count(view != 0 ? port_of_view(vcpu->vm, view) : port_of_view_pointer(vcpu->vm, left),
               POSTERN_PORT_SWITCHES);
    return EXIT_SKIP;
}

static enum exit_result hypercall_port_exits(struct vcpu *vcpu)
{
    uint64_t number = vcpu->vmx.registers.rdi;
    uint64_t which = vcpu->vmx.registers.rsi;

    if (number >= vcpu->vm->port_count || which >= POSTERN_PORT_COUNTS) {
        return hypercall_answer(vcpu, POSTERN_ERR_ARGUMENT);
    }
    return hypercall_answer(vcpu, (int64_t)atomic_load(&vcpu->vm->ports[number]->counts[which]));
}

static bool tests_allowed;

void hypercall_allow_tests(void)
{
    tests_allowed = true;
}

static enum exit_result (*const hypercalls[])(struct vcpu *) = {
    [POSTERN_HC_VERSION] = hypercall_version,
    [POSTERN_HC_DOORBELL] = hypercall_doorbell,
    [POSTERN_HC_VIEW_SWITCH] = hypercall_view_switch,
    [POSTERN_HC_GATE] = hypercall_gate,
    [POSTERN_HC_GATE_PLACE] = hypercall_gate_place,
    [POSTERN_HC_VIEW_OPEN] = hypercall_view_open,
    [POSTERN_HC_VIEW_CLOSE] = hypercall_view_close,
    [POSTERN_HC_WINDOW_GRANT] = hypercall_window_grant,
    [POSTERN_HC_VE] = hypercall_ve,
    [POSTERN_HC_EXITS] = hypercall_exits,
    [POSTERN_HC_PORT_EXITS] = hypercall_port_exits,
    [POSTERN_HC_POOL_GIVE] = hypercall_pool_give,
    [POSTERN_HC_POOL_TAKE] = hypercall_pool_take,
};

_Static_assert(ARRAY_SIZE(hypercalls) == POSTERN_HC_POOL_TAKE + 1, "each number has its handler");

/* What not every exit should pay for: calls for tests, and calls that are none. */
static NOINLINE enum exit_result rare_call(struct vcpu *vcpu, uint64_t number)
{
    if (tests_allowed && number == POSTERN_HC_TEST_STAY) {
        return hypercall_test_stay(vcpu);
    }
    if (tests_allowed && number == POSTERN_HC_TEST_SEAL) {
        return hypercall_test_seal(vcpu);
    }
    return hypercall_answer(vcpu, POSTERN_ERR_UNKNOWN);
}

enum exit_result exit_vmcall(struct vcpu *vcpu)
{
    uint64_t number = vcpu->vmx.registers.rax;
    /* SS's DPL is the CPL (SDM "Guest Register State"). */
    bool kernel = (vmread32(VMCS_GUEST_SS_RIGHTS) & SEGMENT_DPL) == 0;

    if (UNLIKELY(!kernel) && number != POSTERN_HC_VIEW_SWITCH) {
        return hypercall_answer(vcpu, POSTERN_ERR_PERMISSION);
    }
    if (UNLIKELY(number >= ARRAY_SIZE(hypercalls))) {
        return rare_call(vcpu, number);
    }
    return hypercalls[number](vcpu);
}
