/* SPDX-License-Identifier: BSD-2-Clause */
/* The hypercalls on views, gates, pools and #VE. */
#include "abi/hypercall.h"

#include "core/dirty.h"
#include "core/hypercall.h"
#include "core/link.h"
#include "core/pool.h"
#include "core/scheduler.h"
#include "core/vcpu_views.h"
#include "core/window.h"
#include "lib/bits.h"

static int64_t error_of(status_t status)
{
    switch (status) {
    case STATUS_OK:
        return 0;
    case STATUS_NO_MEMORY:
        return POSTERN_ERR_NO_MEMORY;
    case STATUS_UNSUPPORTED:
        return POSTERN_ERR_MODE;
    default:
        return POSTERN_ERR_ARGUMENT;
    }
}

/* The call is answered once no CPU of `vm` can use what it took away. Until then it is made again,
 * for which all calls that end here change nothing the second time: the vCPU goes through its own
 * requests meanwhile, so that two that wait for each other get on. */
static enum exit_result when_flushed(const struct vm *vm, struct vcpu *self, int64_t answer)
{
    return answer < 0 || vm_flushed(vm, self) ? hypercall_answer(self, answer) : EXIT_DONE;
}

enum exit_result hypercall_gate(struct vcpu *vcpu)
{
    const struct views *views = &vcpu->vm->views;

    return hypercall_answer(vcpu, (int64_t)(views->gate_gpa | views->gate_pages));
}

enum exit_result hypercall_gate_place(struct vcpu *vcpu)
{
    uint64_t page = vcpu->vmx.registers.rdi;
    uint64_t gpa = vcpu->vmx.registers.rsi;
    struct vm *vm = vcpu->vm;
    status_t status = STATUS_OK;

    spin_lock(&vm->lock);
    if (page == POSTERN_GATE_REMOVE) {
        status = views_unplace_gate(&vm->views, gpa);
    } else {
        status = page < VIEW_GATE_MAX ? views_place_gate(&vm->views, gpa, (uint32_t)page)
                                      : STATUS_INVALID;
    }
    if (status == STATUS_OK) {
        /* Whether it was written to before cannot be told from what is there now. */
        dirty_note(vm, vm->ram + gpa, PAGE_SIZE);
    }
    spin_unlock(&vm->lock);
    return when_flushed(vm, vcpu, error_of(status));
}

/* The vCPUs that RSI names: from *first, *count of them. False if there is no such vCPU. */
static bool which_vcpus(const struct vcpu *vcpu, uint32_t *first, uint32_t *count)
{
    uint64_t named = vcpu->vmx.registers.rsi;
    const struct vm *vm = vcpu->vm;

    if (named != POSTERN_ALL_VCPUS && named >= vm->vcpu_count) {
        return false;
    }
    *first = named == POSTERN_ALL_VCPUS ? 0 : (uint32_t)named;
    *count = named == POSTERN_ALL_VCPUS ? vm->vcpu_count : 1;
    return true;
}

enum exit_result hypercall_view_open(struct vcpu *vcpu)
{
    uint64_t number = vcpu->vmx.registers.rdi;
    struct vm *vm = vcpu->vm;
    uint32_t first, count, view = 0;

    if (number >= vm->port_count || !which_vcpus(vcpu, &first, &count)) {
        return hypercall_answer(vcpu, POSTERN_ERR_ARGUMENT);
    }
    spin_lock(&vm->lock);
    status_t status = window_make_view(vm->ports[number], &view);
    for (uint32_t i = first; status == STATUS_OK && i < first + count; i++) {
        vcpu_view_open(&vm->vcpus[i], view);
        /* The scheduler is to limit its stays from now on. */
        vcpu_request(&vm->vcpus[i], VCPU_WORK_YIELD);
    }
    spin_unlock(&vm->lock);
    return hypercall_answer(vcpu, status == STATUS_OK ? (int64_t)view : error_of(status));
}

enum exit_result hypercall_view_close(struct vcpu *vcpu)
{
    uint64_t number = vcpu->vmx.registers.rdi;
    struct vm *vm = vcpu->vm;
    uint32_t first, count;

    if (number >= vm->port_count || !which_vcpus(vcpu, &first, &count)) {
        return hypercall_answer(vcpu, POSTERN_ERR_ARGUMENT);
    }
    spin_lock(&vm->lock);
    uint32_t view = vm->ports[number]->view;
    for (uint32_t i = first; view != 0 && i < first + count; i++) {
        if (eptp_list_get(vm->vcpus[i].eptp_list, view) != 0) {
            vcpu_view_close(&vm->vcpus[i], view);
            vcpu_request(&vm->vcpus[i], VCPU_WORK_FLUSH);
        }
    }
    spin_unlock(&vm->lock);
    return when_flushed(vm, vcpu, 0);
}

enum exit_result hypercall_window_grant(struct vcpu *vcpu)
{
    uint64_t number = vcpu->vmx.registers.rdi;
    uint64_t granted = vcpu->vmx.registers.rsi;
    struct vm *vm = vcpu->vm;

    if (number >= vm->port_count || granted > 1) {
        return hypercall_answer(vcpu, POSTERN_ERR_ARGUMENT);
    }
    struct port *port = vm->ports[number];
    if (port->link == NULL) {
        return hypercall_answer(vcpu, POSTERN_ERR_MODE);
    }
    status_t status = window_grant(port, granted == 1);
    if (status == STATUS_BUSY) {
        return EXIT_DONE;
    }
    return when_flushed(port_peer(port)->vm, vcpu, error_of(status));
}

enum exit_result hypercall_pool_give(struct vcpu *vcpu)
{
    const struct vmx_registers *registers = &vcpu->vmx.registers;
    uint64_t number = registers->rdi;
    uint64_t page = registers->rdx & ~POSTERN_POOL_WRITE;
    bool writable = (registers->rdx & POSTERN_POOL_WRITE) != 0;

    if (number >= vcpu->vm->port_count) {
        return hypercall_answer(vcpu, POSTERN_ERR_ARGUMENT);
    }
    status_t status = pool_give(vcpu->vm->ports[number], registers->rsi, page, writable);
    return hypercall_answer(vcpu, error_of(status));
}

enum exit_result hypercall_pool_take(struct vcpu *vcpu)
{
    uint64_t number = vcpu->vmx.registers.rdi;

    if (number >= vcpu->vm->port_count) {
        return hypercall_answer(vcpu, POSTERN_ERR_ARGUMENT);
    }
    struct port *port = vcpu->vm->ports[number];
    status_t status = pool_take(port, vcpu->vmx.registers.rsi);
    if (status != STATUS_OK) {
        return status == STATUS_BUSY ? EXIT_DONE : hypercall_answer(vcpu, error_of(status));
    }
    return when_flushed(port_peer(port)->vm, vcpu, 0);
}

enum exit_result hypercall_ve(struct vcpu *vcpu)
{
    uint64_t gpa = vcpu->vmx.registers.rdi;

    if (gpa == POSTERN_VE_OFF) {
        vcpu_set_ve(vcpu, NULL);
        return hypercall_answer(vcpu, 0);
    }
    void *page = is_aligned(gpa, PAGE_SIZE) ? vm_memory(vcpu->vm, gpa, PAGE_SIZE) : NULL;
    if (page == NULL) {
        return hypercall_answer(vcpu, POSTERN_ERR_ARGUMENT);
    }
    vcpu_set_ve(vcpu, page);
    return hypercall_answer(vcpu, 0);
}

enum exit_result hypercall_exits(struct vcpu *vcpu)
{
    return hypercall_answer(vcpu, (int64_t)vcpu_count_exits(vcpu));
}
