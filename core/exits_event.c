/* SPDX-License-Identifier: BSD-2-Clause */
/* Exits for interrupts, exceptions and the ends of time slices. */
#include "arch/x86/apic.h"
#include "arch/x86/cpu.h"
#include "arch/x86/defs/msr.h"
#include "arch/x86/defs/registers.h"
#include "arch/x86/exceptions.h"
#include "arch/x86/pcpu.h"
#include "arch/x86/vmx.h"
#include "arch/x86/vmx_insn.h"
#include "core/exits.h"
#include "core/interrupts.h"
#include "core/scheduler.h"
#include "core/vcpu_views.h"
#include "lib/bits.h"
#include "lib/log.h"
#include "lib/string.h"

enum exit_result exit_external_interrupt(struct vcpu *vcpu)
{
    uint32_t vector = vmread32(VMCS_EXIT_INTERRUPTION_INFO) & EVENT_VECTOR_MASK;

    (void)vcpu;
    interrupt_dispatch(vector);
    /* A kick is for another vCPU of this pCPU, or for this one, whose work bits tell. */
    return vector == VECTOR_TIMER ? EXIT_DONE : EXIT_LEAVE;
}

/* #DB is the guest's own; it is seen here only so that its delivery can never loop for ever inside
 * the CPU (as #AC can, too). */
static void reflect_debug(struct vcpu *vcpu, uint32_t info)
{
    uint64_t causes = vmread(VMCS_EXIT_QUALIFICATION) & 0xe00f;
    uint32_t blocked = vmread32(VMCS_GUEST_INTERRUPTIBILITY);

    if ((info & EVENT_TYPE_MASK) == EVENT_TYPE_PRIV_SOFT) {
        /* INT1: a trap, whose handler returns behind it. */
        vcpu_advance(vcpu, vmread(VMCS_EXIT_INSTRUCTION_LENGTH));
    } else if ((blocked & INTERRUPTIBILITY_SHADOW) != 0 &&
               (vmread(VMCS_GUEST_RFLAGS) & RFLAGS_TF) != 0) {
        /* The entry wants to see the step that is pending in such a shadow, though the exit has
         * taken it away (SDM "Checks on Guest Non-Register State"). */
        vmwrite(VMCS_GUEST_PENDING_DEBUG, PENDING_DEBUG_STEP);
    }
    write_dr6((read_dr6() & ~0xe00full) | causes);
    /* General detect is cleared at the delivery of #DB. */
    vmwrite(VMCS_GUEST_DR7, vmread(VMCS_GUEST_DR7) & ~BIT(13));
    vmwrite(VMCS_GUEST_DEBUGCTL, vmread(VMCS_GUEST_DEBUGCTL) & ~BIT(0));
    vcpu_inject_exception(vcpu, EXCEPTION_DB, false, 0);
}

enum exit_result exit_exception_nmi(struct vcpu *vcpu)
{
    uint32_t info = vmread32(VMCS_EXIT_INTERRUPTION_INFO);
    uint32_t vector = info & EVENT_VECTOR_MASK;

    exit_keep_event(vcpu);
    if ((info & EVENT_TYPE_MASK) == EVENT_TYPE_NMI) {
        panic_nmi();
        vmx_unblock_nmi();
        this_pcpu()->nmi_count++;
        return EXIT_DONE;
    }
    if (vector == EXCEPTION_MC) {
        log_error("%s/%u: machine check", vcpu->vm->config->name, vcpu->id);
        return EXIT_STOP;
    }
    if (vcpu->event != 0) {
        /* An exception while another event was delivered: on silicon the outcome would be #DF or
         * worse for some pairs. The guest gets the worst of them. */
        vcpu_fail_delivery(vcpu);
    } else if (vector == EXCEPTION_DB) {
        reflect_debug(vcpu, info);
    } else {
        vcpu_inject_exception(vcpu, vector, (info & EVENT_ERROR_CODE) != 0,
                              vmread32(VMCS_EXIT_INTERRUPTION_ERROR_CODE));
    }
    return EXIT_DONE;
}

/* A guest of 32 bits switches tasks by hardware, which VMX leaves to the hypervisor and no kernel
 * of today needs: it is told that it cannot, as if the TSS or the task gate were not one. */
enum exit_result exit_task_switch(struct vcpu *vcpu)
{
    uint64_t qualification = vmread(VMCS_EXIT_QUALIFICATION);
    uint32_t selector = (uint32_t)qualification & 0xfffc;

    exit_keep_event(vcpu);
    uint32_t event = vcpu->event;
    if ((event & EVENT_TYPE_MASK) == EVENT_TYPE_EXCEPTION) {
        vcpu_fail_delivery(vcpu);
    } else if (event != 0) {
        /* An interrupt or INT by a task gate. */
        bool software = (event & EVENT_TYPE_MASK) >= EVENT_TYPE_SOFT_INT;
        vcpu_inject_exception(vcpu, EXCEPTION_GP, true,
                              (event & EVENT_VECTOR_MASK) << 3 | ERROR_CODE_IDT |
                                  (software ? 0 : ERROR_CODE_EXTERNAL));
    } else {
        vcpu_inject_exception(vcpu, EXCEPTION_GP, true, selector);
    }
    return EXIT_DONE;
}

enum exit_result exit_triple_fault(struct vcpu *vcpu)
{
    const struct vm *vm = vcpu->vm;

    log_error("%s/%u: triple fault at rip 0x%llx", vm->config->name, vcpu->id,
              (unsigned long long)vmread(VMCS_GUEST_RIP));
    vcpu_dump(vcpu);
    vm_end(vcpu->vm, vm->config->on_crash, true);
    return EXIT_LEAVE;
}

enum exit_result exit_window(struct vcpu *vcpu)
{
    /* The interrupt or NMI that waits is injected by vcpu_service(). */
    atomic_fetch_or_explicit(&vcpu->work, VCPU_WORK_INTERRUPT, memory_order_relaxed);
    return EXIT_DONE;
}

static void deliver_test_event(struct vcpu *vcpu)
{
    if (vcpu->test_event == EXCEPTION_NMI) {
        interrupts_nmi(vcpu);
    } else if (vcpu->test_event != 0 &&
               lapic_post(&vcpu->lapic, (uint8_t)vcpu->test_event, false)) {
        vcpu_request(vcpu, VCPU_WORK_INTERRUPT);
    }
    vcpu->test_stay = false;
    vcpu->test_event = 0;
}

enum exit_result exit_preemption_timer(struct vcpu *vcpu)
{
    /* The bound on the time in a view: whoever is still there comes back by a fetch that exits. */
    vcpu_leave_view(vcpu);
    if (UNLIKELY(vcpu->test_stay)) {
        deliver_test_event(vcpu);
    }
    return EXIT_LEAVE;
}

/* It waits for somebody by PAUSE, maybe for one of those that wait for the CPU. */
enum exit_result exit_pause(struct vcpu *vcpu)
{
    vcpu->gives_way = true;
    return EXIT_SKIP_LEAVE;
}

enum exit_result exit_hlt(struct vcpu *vcpu)
{
    lapic_sync_posted(&vcpu->lapic);
    if (vcpu_is_woken(vcpu)) {
        /* The shadow of STI or MOV SS held it back until here. */
        atomic_fetch_or_explicit(&vcpu->work, VCPU_WORK_INTERRUPT, memory_order_relaxed);
        return EXIT_SKIP;
    }
    atomic_store_explicit(&vcpu->state, VCPU_HALTED, memory_order_relaxed);
    return EXIT_SKIP_LEAVE;
}

enum exit_result exit_virtualized_eoi(struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;

    exit_keep_event(vcpu);
    spin_lock(&vm->lock);
    ioapic_eoi(&vm->ioapic, (uint8_t)vmread(VMCS_EXIT_QUALIFICATION));
    spin_unlock(&vm->lock);
    return EXIT_DONE;
}

enum exit_result exit_apic_write(struct vcpu *vcpu)
{
    /* In x2APIC mode only a self-IPI with an illegal vector comes here, once it is written to the
     * page (SDM "Virtualizing MSR-Based APIC Accesses"). */
    uint32_t offset = vmread32(VMCS_EXIT_QUALIFICATION) & 0xff0;
    uint32_t value = 0;

    exit_keep_event(vcpu);
    memcpy(&value, (const char *)vcpu->lapic.page + offset, sizeof(value));
    (void)lapic_write_msr(&vcpu->lapic, MSR_X2APIC_FIRST + (offset >> 4), rdtsc(), value);
    return EXIT_DONE;
}
