/* SPDX-License-Identifier: BSD-2-Clause */
/* Hypercalls for the tests of Postern itself: unknown without the boot option test=on. */
#include "abi/hypercall.h"

#include "arch/x86/defs/registers.h"
#include "core/hypercall.h"
#include "core/vcpu_views.h"
#include "core/window.h"
#include "lib/bits.h"
#include "lib/pages.h"
#include "vmfunc/sealed.h"

enum exit_result hypercall_test_stay(struct vcpu *vcpu)
{
    uint64_t ticks = vcpu->vmx.registers.rdi;
    uint64_t event = vcpu->vmx.registers.rsi;
    bool is_vector = event == 0 || event == EXCEPTION_NMI || (event >= 32 && event <= 255);

    if (ticks > UINT32_MAX || !is_vector) {
        return hypercall_answer(vcpu, POSTERN_ERR_ARGUMENT);
    }
    vcpu->test_stay = true;
    vcpu->test_event = (uint32_t)event;
    vcpu_set_ticks(vcpu, (uint32_t)ticks);
    return hypercall_answer(vcpu, 0);
}

enum exit_result hypercall_test_seal(struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;
    uint64_t number = vcpu->vmx.registers.rdi;
    struct sealed_request request = {
        .cr3 = vmread(VMCS_GUEST_CR3) & MASK(51, 12),
        .buffer = vcpu->vmx.registers.rsi,
    };
    uint32_t view = 0;

    if (number >= vm->port_count) {
        return hypercall_answer(vcpu, POSTERN_ERR_ARGUMENT);
    }
    /* Never given back: this is called once in a test. */
    request.tables = pages_alloc(SEALED_PAGES, PAGE_SIZE, PAGES_HYPERVISOR);
    request.tables_at = (uint64_t)request.tables;
    if (request.tables == NULL) {
        return hypercall_answer(vcpu, POSTERN_ERR_NO_MEMORY);
    }
    spin_lock(&vm->lock);
    status_t status = views_create_sealed(&vm->views, &request, &view);
    if (status == STATUS_OK) {
        status = window_show_in(vm->ports[number], views_ept(&vm->views, view));
    }
    if (status == STATUS_OK) {
        vcpu_view_open(vcpu, view);
    }
    spin_unlock(&vm->lock);
    return hypercall_answer(vcpu, status == STATUS_OK ? (int64_t)view : POSTERN_ERR_ARGUMENT);
}
