/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vCPU and its views: which one it is in, ways out of and back into a protected view, and #VE.
 * All but those that open and close views run on the vCPU's own pCPU with its VMCS current.
 *
 * VMFUNC changes the VMCS's EPT pointer, so that after an exit the VMCS tells the view. Whoever has
 * an event delivered restores the default view first: handlers are in memory that no protected view
 * executes.
 */
#ifndef POSTERN_CORE_VCPU_VIEWS_H
#define POSTERN_CORE_VCPU_VIEWS_H

#include "arch/x86/vmx_insn.h"
#include "core/trace.h"

/* After a reset: the default view, no #VE. What is in the vCPU's list stays. */
void vcpu_reset_views(struct vcpu *vcpu);

/* Has the vCPU go on in view `view`, whose EPT pointer is `pointer`, as VMFUNC does. */
static inline void vcpu_write_view(struct vcpu *vcpu, uint64_t view, uint64_t pointer)
{
    trace_point(POSTERN_TRACE_VIEW, vcpu, (uint8_t)view, 0);
    vmwrite(VMCS_EPT_POINTER, pointer);
    if (vcpu->ve != NULL && vcpu_caps()->virtualization_exceptions) {
        vmwrite(VMCS_EPTP_INDEX, view);
    }
}

/* Back to the default view, if the vCPU is in another. */
static inline void vcpu_leave_view(struct vcpu *vcpu)
{
    if (UNLIKELY(vmread(VMCS_EPT_POINTER) != vcpu->vm->default_view)) {
        vcpu_write_view(vcpu, 0, vcpu->vm->default_view);
    }
}

/* The index of the view that the vCPU is in; UINT32_MAX if that was taken away meanwhile. This and
 * vcpu_flush_views() take the VM's lock. */
uint32_t vcpu_current_view(const struct vcpu *vcpu);

/* What VMFUNC does. False, and no change, if the view is not open. */
bool vcpu_enter_view(struct vcpu *vcpu, uint64_t view) MUST_CHECK;

/* Invalidates what this CPU has cached of the VM's views, leaves a protected one, and takes what
 * the vCPU has logged. */
void vcpu_flush_views(struct vcpu *vcpu);

/* Puts a view into the vCPU's list, or takes it out. On any CPU, under the VM's lock. A view that
 * was taken out is left at the latest when vm_flushed(). */
void vcpu_view_open(struct vcpu *vcpu, uint32_t view);
void vcpu_view_close(struct vcpu *vcpu, uint32_t view);

/* Takes all but the default view out of the list of a vCPU that is parked. On any CPU, under the
 * VM's lock. */
void vcpu_close_views(struct vcpu *vcpu);

/* Registers the vCPU for #VE with the area at `area`, a page of the guest's RAM as the hypervisor
 * sees it; NULL: no more. */
void vcpu_set_ve(struct vcpu *vcpu, struct ve_information *area);

/* Tells the guest of an access that it may not make: by #VE where it registered for it and it is
 * `convertible`, else by #GP (by #DF where another event was being delivered). */
void vcpu_tell_violation(struct vcpu *vcpu, uint64_t qualification, uint64_t gpa, uint32_t view,
                         bool convertible);

/* Exits that have to do with views (exits_view.c). */

/* An EPT violation in a protected view. */
enum exit_result exit_violation_in_view(struct vcpu *vcpu, uint64_t qualification, uint64_t gpa);

/* A fetch of protected code in the default view: an interrupted crossing goes on. `page`: of the
 * gate. */
enum exit_result exit_resume_crossing(struct vcpu *vcpu, uint32_t page);

#endif
