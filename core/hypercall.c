/* SPDX-License-Identifier: BSD-2-Clause */
/* The hypercalls of abi/hypercall.h: a table by number. */
#include "abi/hypercall.h"

#include "arch/x86/vmx_insn.h"
#include "core/exits.h"
#include "core/hypercall.h"
#include "core/link.h"
#include "core/vcpu_views.h"

static int64_t hypercall_version(struct vcpu *vcpu)
{
    (void)vcpu;
    return POSTERN_ABI_VERSION;
}

static int64_t hypercall_doorbell(struct vcpu *vcpu)
{
    uint64_t number = vcpu->vmx.registers.rdi;

    if (number >= vcpu->vm->port_count) {
        return POSTERN_ERR_ARGUMENT;
    }
    status_t status = port_doorbell(vcpu->vm->ports[number]);
    return status == STATUS_OK ? 0 : POSTERN_ERR_PEER_DOWN;
}

static bool tests_allowed;

void hypercall_allow_tests(void)
{
    tests_allowed = true;
}

static int64_t (*const hypercalls[])(struct vcpu *) = {
    [POSTERN_HC_VERSION] = hypercall_version,
    [POSTERN_HC_DOORBELL] = hypercall_doorbell,
    [POSTERN_HC_VIEW_SWITCH] = NULL, /* never called */
    [POSTERN_HC_GATE] = hypercall_gate,
    [POSTERN_HC_GATE_PLACE] = hypercall_gate_place,
    [POSTERN_HC_VIEW_OPEN] = hypercall_view_open,
    [POSTERN_HC_VIEW_CLOSE] = hypercall_view_close,
    [POSTERN_HC_WINDOW_GRANT] = hypercall_window_grant,
    [POSTERN_HC_VE] = hypercall_ve,
    [POSTERN_HC_EXITS] = hypercall_exits,
};

_Static_assert(ARRAY_SIZE(hypercalls) == POSTERN_HC_EXITS + 1, "each number has its handler");

/* What not every exit should pay for: calls for tests, and calls that are none. */
static NOINLINE int64_t rare_call(struct vcpu *vcpu, uint64_t number)
{
    if (tests_allowed && number == POSTERN_HC_TEST_STAY) {
        return hypercall_test_stay(vcpu);
    }
    if (tests_allowed && number == POSTERN_HC_TEST_SEAL) {
        return hypercall_test_seal(vcpu);
    }
    return POSTERN_ERR_UNKNOWN;
}

/* From any CPL, as VMFUNC, which takes the view from ECX. */
static NOINLINE enum exit_result view_switch(struct vcpu *vcpu)
{
    return vcpu_enter_view(vcpu, (uint32_t)vcpu->vmx.registers.rcx) ? EXIT_SKIP
                                                                    : exit_view_not_open(vcpu);
}

enum exit_result exit_vmcall(struct vcpu *vcpu)
{
    uint64_t number = vcpu->vmx.registers.rax;
    /* SS's DPL is the CPL (SDM "Guest Register State"). */
    uint32_t cpl = vmread32(VMCS_GUEST_SS_RIGHTS) >> 5 & 3;
    int64_t result;

    if (UNLIKELY(number == POSTERN_HC_VIEW_SWITCH)) {
        return view_switch(vcpu);
    }
    if (UNLIKELY(cpl != 0)) {
        result = POSTERN_ERR_PERMISSION;
    } else if (UNLIKELY(number >= ARRAY_SIZE(hypercalls))) {
        result = rare_call(vcpu, number);
    } else {
        result = hypercalls[number](vcpu);
        if (UNLIKELY(result <= HYPERCALL_AGAIN)) {
            return EXIT_DONE;
        }
    }
    vcpu->vmx.registers.rax = (uint64_t)result;
    return EXIT_SKIP;
}
