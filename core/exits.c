/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/exits.h"

#include "core/vcpu_views.h"

#include "arch/x86/defs/registers.h"
#include "arch/x86/vmx_insn.h"
#include "lib/log.h"

struct exit_row {
    enum exit_result (*handler)(struct vcpu *);
    bool during_delivery; /* may interrupt the delivery of an event, which must then be repeated */
};

/* By basic exit reason. A reason without a row stops the VM that caused it. */
static const struct exit_row exit_table[EXIT_REASON_COUNT] = {
    [EXIT_EXCEPTION_NMI] = {exit_exception_nmi, true},
    [EXIT_EXTERNAL_INTERRUPT] = {exit_external_interrupt, false},
    [EXIT_TRIPLE_FAULT] = {exit_triple_fault, false},
    [EXIT_INTERRUPT_WINDOW] = {exit_interrupt_window, false},
    [EXIT_NMI_WINDOW] = {exit_nmi_window, false},
    [EXIT_CPUID] = {exit_cpuid, false},
    [EXIT_GETSEC] = {exit_undefined, false},
    [EXIT_HLT] = {exit_hlt, false},
    [EXIT_INVD] = {exit_wbinvd, false},
    [EXIT_RDPMC] = {exit_general_protection, false},
    [EXIT_VMCALL] = {exit_vmcall, false},
    [EXIT_VMCLEAR] = {exit_undefined, false},
    [EXIT_VMLAUNCH] = {exit_undefined, false},
    [EXIT_VMPTRLD] = {exit_undefined, false},
    [EXIT_VMPTRST] = {exit_undefined, false},
    [EXIT_VMREAD] = {exit_undefined, false},
    [EXIT_VMRESUME] = {exit_undefined, false},
    [EXIT_VMWRITE] = {exit_undefined, false},
    [EXIT_VMXOFF] = {exit_undefined, false},
    [EXIT_VMXON] = {exit_undefined, false},
    [EXIT_CR_ACCESS] = {exit_cr_access, false},
    [EXIT_IO_INSTRUCTION] = {exit_io_instruction, false},
    [EXIT_RDMSR] = {exit_rdmsr, false},
    [EXIT_WRMSR] = {exit_wrmsr, false},
    [EXIT_MWAIT] = {exit_undefined, false},
    [EXIT_MONITOR] = {exit_undefined, false},
    [EXIT_VIRTUALIZED_EOI] = {exit_virtualized_eoi, true},
    [EXIT_EPT_VIOLATION] = {exit_ept_violation, true},
    [EXIT_EPT_MISCONFIGURATION] = {exit_ept_misconfiguration, true},
    [EXIT_INVEPT] = {exit_undefined, false},
    [EXIT_PREEMPTION_TIMER] = {exit_preemption_timer, false},
    [EXIT_INVVPID] = {exit_undefined, false},
    [EXIT_WBINVD] = {exit_wbinvd, false},
    [EXIT_XSETBV] = {exit_xsetbv, false},
    [EXIT_APIC_WRITE] = {exit_apic_write, true},
    [EXIT_VMFUNC] = {exit_vmfunc, false},
    [EXIT_ENCLS] = {exit_undefined, false},
};

const char *exit_reason_name(uint32_t reason)
{
#define NAME_ROW(number, name, text) [number] = (text),
    static const char *const names[EXIT_REASON_COUNT] = {EXIT_REASONS(NAME_ROW)};
#undef NAME_ROW

    return reason < EXIT_REASON_COUNT && names[reason] != NULL ? names[reason] : "unknown";
}

/* An exit in the middle of an event's delivery: the event is delivered again at the next entry
 * (SDM "Information for VM Exits During Event Delivery"). */
static void keep_interrupted_event(struct vcpu *vcpu)
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

static enum vmx_next stop(struct vcpu *vcpu, uint32_t reason)
{
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

static inline void advance(uint64_t length)
{
    uint64_t rip = vmread(VMCS_GUEST_RIP);
    uint64_t next = rip + length;

    if (UNLIKELY((rip ^ next) >> 31 == 3) && !vcpu_in_64bit_mode()) {
        /* The last instruction of 4 GiB: it goes on at 0. The entry would refuse more bits. */
        next = (uint32_t)next;
    }
    vmwrite(VMCS_GUEST_RIP, next);
    uint32_t blocked = vmread32(VMCS_GUEST_INTERRUPTIBILITY);
    if (UNLIKELY((blocked & (INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS)) != 0)) {
        vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
                blocked & ~(INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS));
    }
    if (UNLIKELY((vmread(VMCS_GUEST_RFLAGS) & RFLAGS_TF) != 0)) {
        /* The trap of a single step, which the instruction did not come to. */
        vmwrite(VMCS_GUEST_PENDING_DEBUG, vmread(VMCS_GUEST_PENDING_DEBUG) | PENDING_DEBUG_STEP);
    }
}

void vcpu_advance(struct vcpu *vcpu, uint64_t length)
{
    (void)vcpu;
    advance(length);
}

NOINLINE void vcpu_write_event(struct vcpu *vcpu)
{
    vmwrite(VMCS_ENTRY_INTERRUPTION_INFO, vcpu->event);
    if (vcpu->event != 0) {
        vcpu_leave_view(vcpu);
    }
    if ((vcpu->event & EVENT_ERROR_CODE) != 0) {
        vmwrite(VMCS_ENTRY_EXCEPTION_ERROR_CODE, vcpu->event_error_code);
    }
    if ((vcpu->event & EVENT_TYPE_MASK) >= EVENT_TYPE_SOFT_INT) {
        vmwrite(VMCS_ENTRY_INSTRUCTION_LENGTH, vcpu->event_length);
    }
}

enum vmx_next exit_handle(struct vmx_vcpu *vmx)
{
    struct vcpu *vcpu = (struct vcpu *)vmx;
    uint32_t reason = vmread32(VMCS_EXIT_REASON);
    enum vmx_next next = VMX_RESUME;

    vcpu->event = 0;
    if (UNLIKELY(reason >= EXIT_REASON_COUNT || exit_table[reason].handler == NULL)) {
        return stop(vcpu, reason);
    }
    vcpu->exits[reason]++;
    if (exit_table[reason].during_delivery) {
        keep_interrupted_event(vcpu);
    }
    enum exit_result result = exit_table[reason].handler(vcpu);
    switch (LIKELY(result == EXIT_SKIP) ? EXIT_SKIP : result) {
    case EXIT_SKIP:
        advance(vmread(VMCS_EXIT_INSTRUCTION_LENGTH));
        break;
    case EXIT_DONE:
        break;
    case EXIT_SKIP_LEAVE:
        advance(vmread(VMCS_EXIT_INSTRUCTION_LENGTH));
        next = VMX_LEAVE;
        break;
    case EXIT_LEAVE:
        next = VMX_LEAVE;
        break;
    case EXIT_STOP:
        return stop(vcpu, reason);
    }
    /* Relaxed: vcpu_service() takes the bits with acquire. One that is set after this look comes
     * with a kick, which is pending at the entry and exits at once. */
    if (atomic_load_explicit(&vcpu->work, memory_order_relaxed) != 0 ||
        UNLIKELY(vcpu->nmi_pending)) {
        next |= vcpu_service(vcpu);
    }
    if (UNLIKELY(vcpu->event != 0)) {
        vcpu_write_event(vcpu);
    }
    return next;
}
