/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/vcpu_views.h"

#include "arch/x86/defs/registers.h"
#include "arch/x86/defs/vmx_controls.h"
#include "core/dirty.h"
#include "core/vcpu_log.h"
#include "lib/log.h"

#define VMFUNC_EPTP_SWITCHING 1u

void vcpu_reset_views(struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;

    vmwrite(VMCS_EPT_POINTER, vm->default_view);
    vcpu->ve = NULL;
    vcpu->test_stay = false;
    if (vcpu_caps()->eptp_switching) {
        vmwrite(VMCS_VM_FUNCTION_CONTROLS, VMFUNC_EPTP_SWITCHING);
        vmwrite(VMCS_EPTP_LIST_ADDRESS, (uint64_t)vcpu->eptp_list);
    }
}

uint32_t vcpu_current_view(const struct vcpu *vcpu)
{
    uint64_t pointer = vmread(VMCS_EPT_POINTER);
    uint32_t found = UINT32_MAX;

    spin_lock(&vcpu->vm->lock);
    for (uint32_t view = 0; view < vcpu->vm->views.end && found == UINT32_MAX; view++) {
        const struct ept *ept = views_ept(&vcpu->vm->views, view);
        if (ept != NULL && ept_pointer(ept) == pointer) {
            found = view;
        }
    }
    spin_unlock(&vcpu->vm->lock);
    return found;
}

bool vcpu_enter_view(struct vcpu *vcpu, uint64_t view)
{
    uint64_t pointer = eptp_list_get(vcpu->eptp_list, view);

    if (pointer == 0) {
        return false;
    }
    vcpu_write_view(vcpu, view, pointer);
    return true;
}

void vcpu_flush_views(struct vcpu *vcpu)
{
    const struct views *views = &vcpu->vm->views;

    vcpu_leave_view(vcpu);
    vcpu_log_sync(vcpu);
    spin_lock(&vcpu->vm->lock);
    for (uint32_t view = 0; view < views->end; view++) {
        const struct ept *ept = views_ept(views, view);
        if (ept != NULL) {
            (void)invept(INVEPT_SINGLE, ept_pointer(ept));
        }
    }
    spin_unlock(&vcpu->vm->lock);
}

void vcpu_view_open(struct vcpu *vcpu, uint32_t view)
{
    if (eptp_list_get(vcpu->eptp_list, view) == 0) {
        eptp_list_set(vcpu->eptp_list, view, ept_pointer(views_ept(&vcpu->vm->views, view)));
        atomic_fetch_add(&vcpu->views_open, 1);
    }
}

void vcpu_view_close(struct vcpu *vcpu, uint32_t view)
{
    if (eptp_list_get(vcpu->eptp_list, view) != 0) {
        eptp_list_set(vcpu->eptp_list, view, 0);
        atomic_fetch_sub(&vcpu->views_open, 1);
    }
}

void vcpu_close_views(struct vcpu *vcpu)
{
    atomic_store(&vcpu->views_open, 0);
    eptp_list_clear(vcpu->eptp_list, vcpu->vm->default_view);
}

void vcpu_set_ve(struct vcpu *vcpu, struct ve_information *area)
{
    uint32_t controls = vmread32(VMCS_PROC_CONTROLS2) & ~PROC2_VE;

    if (vcpu->ve != NULL) {
        /* As long as it was registered each harvest has had it; now this is the last time. */
        dirty_note(vcpu->vm, vcpu->ve, PAGE_SIZE);
    }
    vcpu->ve = area;
    if (!vcpu_caps()->virtualization_exceptions) {
        return;
    }
    if (area != NULL) {
        vmwrite(VMCS_VE_INFORMATION_ADDRESS, (uint64_t)area);
        vmwrite(VMCS_EPTP_INDEX, 0);
        controls |= PROC2_VE;
    }
    vmwrite(VMCS_PROC_CONTROLS2, controls);
}

void vcpu_tell_violation(struct vcpu *vcpu, uint64_t qualification, uint64_t gpa, uint32_t view,
                         bool convertible)
{
    if (vcpu->refused_accesses++ == 0) {
        log_warning("%s/%u: access 0x%llx to 0x%llx is refused (more are counted, not told)",
                    vcpu->vm->config->name, vcpu->id, (unsigned long long)(qualification & 7),
                    (unsigned long long)gpa);
    }
    if (vcpu->event != 0) {
        vcpu_fail_delivery(vcpu);
    } else if (convertible && vcpu->ve != NULL && (vmread(VMCS_GUEST_CR0) & CR0_PE) != 0 &&
               ve_fill(vcpu->ve, qualification, vmread(VMCS_GUEST_LINEAR_ADDRESS), gpa,
                       (uint16_t)view)) {
        vcpu_inject_exception(vcpu, EXCEPTION_VE, false, 0);
    } else {
        vcpu_inject_exception(vcpu, EXCEPTION_GP, true, 0);
    }
}
