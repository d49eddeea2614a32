/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exits in the middle of crossings, and by those who try to cross elsewhere. docs/architecture.md
 * follows a crossing, docs/security.md says why no guest gains by any of these paths.
 */
#include "abi/hypercall.h"
#include "arch/x86/defs/msr.h"
#include "arch/x86/defs/registers.h"
#include "arch/x86/vmx_insn.h"
#include "core/exits.h"
#include "core/port.h"
#include "core/vcpu_views.h"
#include "lib/bits.h"
#include "lib/string.h"
#include "vmfunc/gate.h"

#define SWITCH_LENGTH 3u /* bytes of VMFUNC, and of VMCALL */

static bool is_canonical(uint64_t linear)
{
    return (uint64_t)((int64_t)(linear << 16) >> 16) == linear;
}

/* Ends the crossing into `view` whose code is in the gate that begins at `gate` (a linear address),
 * with `error` as its result. The trampoline's abort takes the stack from R14. */
static void abort_crossing(struct vcpu *vcpu, uint32_t view, uint64_t gate, int64_t error)
{
    vcpu_leave_view(vcpu);
    /* Pages of the gate that lie around the hole in the linear addresses are no gate. */
    if (!vcpu_in_64bit_mode() || !is_canonical(gate + GATE_ABORT_OFFSET)) {
        vcpu_inject_exception(vcpu, EXCEPTION_GP, true, 0);
        return;
    }
    vcpu->crossings_aborted++;
    port_count(port_of_view(vcpu->vm, view), POSTERN_PORT_ABORTED);
    vmwrite(VMCS_GUEST_RIP, gate + GATE_ABORT_OFFSET);
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
            vmread32(VMCS_GUEST_INTERRUPTIBILITY) & ~INTERRUPTIBILITY_SHADOW);
    vcpu->vmx.registers.rax = (uint64_t)error;
}

/* The linear address of the gate that RIP is in, by the guest's page tables. False: in none. */
static bool find_gate(const struct vcpu *vcpu, uint64_t *gate)
{
    uint64_t rip = vmread(VMCS_GUEST_RIP);
    uint64_t gpa;

    if (!vcpu_translate(vcpu, rip, &gpa)) {
        return false;
    }
    int page = views_gate_page(&vcpu->vm->views, gpa);
    if (page < 0) {
        return false;
    }
    *gate = align_down(rip, PAGE_SIZE) - (unsigned)page * PAGE_SIZE;
    return true;
}

/* Whether the instruction before RIP is the one that changes views: then nobody but it can have led
 * here, for what the gate's own is followed by is in the gate. */
static bool came_by_switch(const struct vcpu *vcpu)
{
    static const uint8_t by_vmfunc[SWITCH_LENGTH] = {0x0f, 0x01, 0xd4};
    static const uint8_t by_vmcall[SWITCH_LENGTH] = {0x0f, 0x01, 0xc1};
    uint8_t bytes[SWITCH_LENGTH];
    uint64_t rip = vmread(VMCS_GUEST_RIP);

    return vcpu_read_code(vcpu, rip - SWITCH_LENGTH, bytes, sizeof(bytes)) == sizeof(bytes) &&
           (memcmp(bytes, by_vmfunc, sizeof(bytes)) == 0 ||
            memcmp(bytes, by_vmcall, sizeof(bytes)) == 0);
}

enum exit_result exit_violation_in_view(struct vcpu *vcpu, uint64_t qualification, uint64_t gpa)
{
    uint32_t view = vcpu_current_view(vcpu);
    uint64_t gate = 0;

    vcpu_leave_view(vcpu);
    if (vcpu->event != 0) {
        return EXIT_DONE; /* delivered in the default view instead */
    }
    if ((qualification & VIOLATION_FETCH) != 0) {
        /* Either the handler of an exception that was delivered in the view, which goes on in the
         * default view as it would have; or code outside the gate has called VMFUNC. */
        if (came_by_switch(vcpu)) {
            vcpu_tell_violation(vcpu, qualification, gpa, view, true);
        }
        return EXIT_DONE;
    }
    port_count(port_of_window(vcpu->vm, gpa), POSTERN_PORT_VIOLATIONS);
    if (find_gate(vcpu, &gate)) {
        abort_crossing(vcpu, view, gate, POSTERN_ERR_FAULT);
    }
    /* Else the guest changes its page tables under way: it goes on with what they say now. */
    return EXIT_DONE;
}

enum exit_result exit_resume_crossing(struct vcpu *vcpu, uint32_t page)
{
    uint64_t linear = vmread(VMCS_GUEST_LINEAR_ADDRESS);
    uint32_t view = (uint32_t)vcpu->vmx.registers.r15;

    if (view != 0 && vcpu_enter_view(vcpu, view)) {
        vcpu->crossings_resumed++;
        port_count(port_of_view(vcpu->vm, view), POSTERN_PORT_RESUMED);
    } else {
        abort_crossing(vcpu, view, align_down(linear, PAGE_SIZE) - page * PAGE_SIZE,
                       POSTERN_ERR_NOT_OPEN);
    }
    return EXIT_DONE;
}

enum exit_result exit_view_not_open(struct vcpu *vcpu)
{
    uint64_t gate = 0;

    vcpu_leave_view(vcpu);
    if (find_gate(vcpu, &gate)) {
        abort_crossing(vcpu, (uint32_t)vcpu->vmx.registers.rcx, gate, POSTERN_ERR_NOT_OPEN);
    } else {
        vcpu_inject_exception(vcpu, EXCEPTION_UD, false, 0);
    }
    return EXIT_DONE;
}
