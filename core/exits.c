/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/exits.h"

#include "arch/x86/cpu.h"
#include "arch/x86/defs/registers.h"
#include "arch/x86/vmx_insn.h"
#include "core/costs.h"
#include "core/trace.h"
#include "core/vcpu_log.h"
#include "core/vcpu_views.h"
#include "lib/log.h"

/* By basic exit reason. A reason without a handler stops the VM that caused it. */
static enum exit_result (*const exit_handlers[EXIT_REASON_COUNT])(struct vcpu *) = {
    [EXIT_EXCEPTION_NMI] = exit_exception_nmi,
    [EXIT_EXTERNAL_INTERRUPT] = exit_external_interrupt,
    [EXIT_TRIPLE_FAULT] = exit_triple_fault,
    [EXIT_INTERRUPT_WINDOW] = exit_window,
    [EXIT_NMI_WINDOW] = exit_window,
    [EXIT_TASK_SWITCH] = exit_task_switch,
    [EXIT_CPUID] = exit_cpuid,
    [EXIT_GETSEC] = exit_undefined,
    [EXIT_HLT] = exit_hlt,
    [EXIT_INVD] = exit_wbinvd,
    [EXIT_RDPMC] = exit_general_protection,
    [EXIT_VMCALL] = exit_vmcall,
    [EXIT_VMCLEAR] = exit_undefined,
    [EXIT_VMLAUNCH] = exit_undefined,
    [EXIT_VMPTRLD] = exit_undefined,
    [EXIT_VMPTRST] = exit_undefined,
    [EXIT_VMREAD] = exit_undefined,
    [EXIT_VMRESUME] = exit_undefined,
    [EXIT_VMWRITE] = exit_undefined,
    [EXIT_VMXOFF] = exit_undefined,
    [EXIT_VMXON] = exit_undefined,
    [EXIT_CR_ACCESS] = exit_cr_access,
    [EXIT_IO_INSTRUCTION] = exit_io_instruction,
    [EXIT_RDMSR] = exit_rdmsr,
    [EXIT_WRMSR] = exit_wrmsr,
    [EXIT_MWAIT] = exit_mwait,
    [EXIT_MONITOR] = exit_monitor,
    [EXIT_PAUSE] = exit_pause,
    [EXIT_VIRTUALIZED_EOI] = exit_virtualized_eoi,
    [EXIT_EPT_VIOLATION] = exit_ept_violation,
    [EXIT_EPT_MISCONFIGURATION] = exit_ept_misconfiguration,
    [EXIT_INVEPT] = exit_undefined,
    [EXIT_PREEMPTION_TIMER] = exit_preemption_timer,
    [EXIT_INVVPID] = exit_undefined,
    [EXIT_WBINVD] = exit_wbinvd,
    [EXIT_XSETBV] = exit_xsetbv,
    [EXIT_APIC_WRITE] = exit_apic_write,
    [EXIT_VMFUNC] = exit_view_not_open,
    [EXIT_ENCLS] = exit_undefined,
    [EXIT_PML_FULL] = exit_log_full,
};

const char *exit_reason_name(uint32_t reason)
{
#define NAME_ROW(number, name, text) [number] = (text),
    static const char *const names[EXIT_REASON_COUNT] = {EXIT_REASONS(NAME_ROW)};
#undef NAME_ROW

    return reason < EXIT_REASON_COUNT && names[reason] != NULL ? names[reason] : "unknown";
}

void exit_keep_event(struct vcpu *vcpu)
{
    uint32_t info = vmread32(VMCS_IDT_VECTORING_INFO);

    if ((info & EVENT_VALID) == 0) {
        return;
    }
    /* Bit 12 is undefined here and reserved at entry. */
    vcpu->event = info & ~BIT32(12);
    vcpu->event_error_code = vmread32(VMCS_IDT_VECTORING_ERROR_CODE);
    vcpu->event_length = vmread32(VMCS_EXIT_INSTRUCTION_LENGTH);
    if ((info & EVENT_TYPE_MASK) == EVENT_TYPE_NMI) {
        /* Blocked by itself: the entry delivers no NMI that is blocked. */
        vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
                vmread32(VMCS_GUEST_INTERRUPTIBILITY) & ~INTERRUPTIBILITY_NMI);
    }
}

static enum vmx_next stop(struct vcpu *vcpu)
{
    uint32_t reason = vmread32(VMCS_EXIT_REASON);

    log_error("%s/%u: exit %u (%s) cannot be handled", vcpu->vm->config->name, vcpu->id,
              reason & EXIT_REASON_BASIC_MASK, exit_reason_name(reason & EXIT_REASON_BASIC_MASK));
    if ((reason & EXIT_REASON_ENTRY_FAILED) != 0) {
        log_error("%s/%u: the entry failed: the guest's state is not valid", vcpu->vm->config->name,
                  vcpu->id);
    }
    vcpu_dump(vcpu);
    vm_end(vcpu->vm, vcpu->vm->config->on_crash, true);
    return VMX_LEAVE;
}

/* The instruction was the last one of 4 GiB. Code of less than 64 bits goes on at 0; the entry
 * would refuse more bits. */
static NOINLINE void wrap_rip(uint64_t rip)
{
    if (!vcpu_in_64bit_mode()) {
        vmwrite(VMCS_GUEST_RIP, (uint32_t)rip);
    }
}

static inline void advance(uint32_t length)
{
    uint64_t next = vmread(VMCS_GUEST_RIP) + length;

    vmwrite(VMCS_GUEST_RIP, next);
    if (UNLIKELY((uint32_t)next < length)) {
        wrap_rip(next);
    }
    uint32_t blocked = vmread32(VMCS_GUEST_INTERRUPTIBILITY);
    if (UNLIKELY((blocked & INTERRUPTIBILITY_SHADOW) != 0)) {
        vmwrite(VMCS_GUEST_INTERRUPTIBILITY, blocked & ~INTERRUPTIBILITY_SHADOW);
    }
    if (UNLIKELY((vmread(VMCS_GUEST_RFLAGS) & RFLAGS_TF) != 0)) {
        /* The trap of a single step, which the instruction did not come to. */
        vmwrite(VMCS_GUEST_PENDING_DEBUG, vmread(VMCS_GUEST_PENDING_DEBUG) | PENDING_DEBUG_STEP);
    }
}

void vcpu_advance(struct vcpu *vcpu, uint64_t length)
{
    (void)vcpu;
    advance((uint32_t)length);
}

NOINLINE void vcpu_write_event(struct vcpu *vcpu)
{
    vmwrite(VMCS_ENTRY_INTERRUPTION_INFO, vcpu->event);
    if (vcpu->event != 0) {
        vcpu_leave_view(vcpu);
        trace_point(POSTERN_TRACE_INJECT, vcpu, vcpu->event & 0xff, vcpu->event);
    }
    if ((vcpu->event & EVENT_ERROR_CODE) != 0) {
        vmwrite(VMCS_ENTRY_EXCEPTION_ERROR_CODE, vcpu->event_error_code);
    }
    if ((vcpu->event & EVENT_TYPE_MASK) >= EVENT_TYPE_SOFT_INT) {
        vmwrite(VMCS_ENTRY_INSTRUCTION_LENGTH, vcpu->event_length);
    }
}

/* The end of an exit that is more than the emulation of an instruction. */
static NOINLINE enum vmx_next finish(struct vcpu *vcpu, enum exit_result result)
{
    enum vmx_next next = VMX_RESUME;

    switch (result) {
    case EXIT_SKIP:
    case EXIT_DONE:
        break;
    case EXIT_SKIP_LEAVE:
        vcpu_advance(vcpu, vmread(VMCS_EXIT_INSTRUCTION_LENGTH));
        next = VMX_LEAVE;
        break;
    case EXIT_LEAVE:
        next = VMX_LEAVE;
        break;
    case EXIT_STOP:
        return stop(vcpu);
    }
    if (atomic_load_explicit(&vcpu->work, memory_order_relaxed) != 0) {
        next |= vcpu_service(vcpu);
    }
    if (vcpu->event != 0) {
        vcpu_write_event(vcpu);
    }
    return next;
}

static inline enum vmx_next handle(struct vcpu *vcpu)
{
    uint64_t reason = vmread(VMCS_EXIT_REASON);

    vcpu->event = 0;
    if (UNLIKELY(reason >= EXIT_REASON_COUNT || exit_handlers[reason] == NULL)) {
        return stop(vcpu);
    }
    vcpu->exits[reason]++;
    enum exit_result result = exit_handlers[reason](vcpu);
    if (LIKELY(result == EXIT_SKIP)) {
        advance(vmread32(VMCS_EXIT_INSTRUCTION_LENGTH));
        /* The shortest way back: an instruction that is emulated has no event with it. Relaxed:
         * vcpu_service() takes the bits with acquire. One that is set after this look comes with a
         * kick, which is pending at the entry and exits at once. */
        return LIKELY(atomic_load_explicit(&vcpu->work, memory_order_relaxed) == 0)
                   ? VMX_RESUME
                   : finish(vcpu, EXIT_SKIP);
    }
    return finish(vcpu, result);
}

/* One that is traced, or whose cost is counted. */
static NOINLINE enum vmx_next handle_measured(struct vcpu *vcpu)
{
    uint64_t began = rdtsc(), rip = vmread(VMCS_GUEST_RIP);
    uint32_t reason = vmread32(VMCS_EXIT_REASON);
    enum vmx_next next = handle(vcpu);
    uint64_t ticks = rdtsc() - began;

    if (trace_wants(POSTERN_TRACE_EXIT)) {
        trace_span(POSTERN_TRACE_EXIT, vcpu, began, (uint8_t)reason, rip);
    }
    if (trace_wants_any(TRACE_COSTS)) {
        costs_add(vcpu, reason, ticks);
    }
    return next;
}

enum vmx_next exit_handle(struct vmx_vcpu *vmx)
{
    struct vcpu *vcpu = (struct vcpu *)vmx;

    return trace_wants_any(BIT32(POSTERN_TRACE_EXIT) | TRACE_COSTS) ? handle_measured(vcpu)
                                                                    : handle(vcpu);
}
