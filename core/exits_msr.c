/* SPDX-License-Identifier: BSD-2-Clause */
/* Exits for RDMSR and WRMSR: what the policy's table leaves to the vCPU. */
#include "arch/x86/cpu.h"
#include "arch/x86/defs/msr.h"
#include "arch/x86/defs/registers.h"
#include "core/exits.h"
#include "core/scheduler.h"
#include "machine/xapic.h"

static enum exit_result fault(struct vcpu *vcpu)
{
    vcpu_inject_exception(vcpu, EXCEPTION_GP, true, 0);
    return EXIT_DONE;
}

static bool is_x2apic(uint32_t msr)
{
    return msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST;
}

/* A deadline by the guest's TSC, and by this CPU's; 0 is none. */
static uint64_t to_guest_tsc(const struct vm *vm, uint64_t deadline)
{
    return deadline == 0 ? 0 : deadline + vm->tsc_offset;
}

static uint64_t from_guest_tsc(const struct vm *vm, uint64_t deadline)
{
    return deadline == 0 ? 0 : deadline - vm->tsc_offset;
}

enum exit_result exit_rdmsr(struct vcpu *vcpu)
{
    struct vmx_registers *r = &vcpu->vmx.registers;
    uint32_t msr = (uint32_t)r->rcx;
    uint64_t value = 0;
    bool ok;

    if (is_x2apic(msr)) {
        ok = lapic_mode(&vcpu->lapic) == LAPIC_X2APIC &&
             lapic_read_msr(&vcpu->lapic, msr, rdtsc(), &value);
    } else if (msr == MSR_IA32_TSC_DEADLINE) {
        value = to_guest_tsc(vcpu->vm, lapic_read_tsc_deadline(&vcpu->lapic));
        ok = true;
    } else if (msr == MSR_IA32_XSS) {
        value = vcpu->context.xss;
        ok = vcpu->vm->cpuid.xsaves;
    } else {
        ok = msr_emulate_read(&vcpu->msrs, msr, &value);
    }
    if (!ok) {
        return fault(vcpu);
    }
    r->rax = (uint32_t)value;
    r->rdx = value >> 32;
    return EXIT_SKIP;
}

void exit_lapic_changed(struct vcpu *vcpu)
{
    atomic_fetch_or_explicit(&vcpu->work, VCPU_WORK_INTERRUPT, memory_order_relaxed);
    scheduler_update_timer(vcpu->scheduler);
}

/* Multiboot kernels may change the local APIC's mode; Linux is kept in x2APIC mode. */
static bool write_apic_base(struct vcpu *vcpu, uint64_t value)
{
    if (vcpu->vm->entry.kind != GUEST_KERNEL_MULTIBOOT) {
        return msr_emulate_write(&vcpu->msrs, MSR_IA32_APIC_BASE, value);
    }
    if (!xapic_base_is_valid(vcpu->msrs.apic_base, value)) {
        return false;
    }
    enum lapic_mode mode = xapic_base_mode(value);
    if (mode == LAPIC_OFF) {
        scheduler_take_timer(vcpu->scheduler);
        lapic_reset(&vcpu->lapic, LAPIC_OFF);
        exit_lapic_changed(vcpu);
    }
    lapic_set_mode(&vcpu->lapic, mode);
    vcpu->msrs.apic_base = value;
    return true;
}

static bool write(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
    if (is_x2apic(msr)) {
        if (lapic_mode(&vcpu->lapic) != LAPIC_X2APIC) {
            return false;
        }
        if (msr == MSR_X2APIC_LVT_TIMER) {
            /* A change of mode disarms the timer: the model must have it. */
            scheduler_take_timer(vcpu->scheduler);
        }
        bool ok = lapic_write_msr(&vcpu->lapic, msr, rdtsc(), value);
        exit_lapic_changed(vcpu);
        return ok;
    }
    if (msr == MSR_IA32_TSC_DEADLINE) {
        lapic_write_tsc_deadline(&vcpu->lapic, from_guest_tsc(vcpu->vm, value));
        scheduler_update_timer(vcpu->scheduler);
        return true;
    }
    if (msr == MSR_IA32_XSS) {
        /* No supervisor state component is shown to guests. */
        return vcpu->vm->cpuid.xsaves && value == 0;
    }
    if (msr == MSR_IA32_APIC_BASE) {
        return write_apic_base(vcpu, value);
    }
    return msr_emulate_write(&vcpu->msrs, msr, value);
}

enum exit_result exit_wrmsr(struct vcpu *vcpu)
{
    const struct vmx_registers *r = &vcpu->vmx.registers;
    uint64_t value = r->rdx << 32 | (uint32_t)r->rax;

    return write(vcpu, (uint32_t)r->rcx, value) ? EXIT_SKIP : fault(vcpu);
}
