/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/vcpu_reset.h"

#include "arch/x86/cpu.h"
#include "arch/x86/defs/msr.h"
#include "arch/x86/defs/registers.h"
#include "arch/x86/defs/vmx_controls.h"
#include "arch/x86/exceptions.h"
#include "arch/x86/vmx_insn.h"
#include "core/scheduler.h"
#include "core/vcpu_log.h"
#include "core/vcpu_views.h"
#include "lib/bits.h"
#include "lib/panic.h"
#include "lib/string.h"

#define PAT_RESET 0x0007040600070406ull
#define DR7_RESET 0x400ull

/* What counts as spinning (SDM "Instructions That Cause VM Exits Conditionally", PAUSE): PAUSEs no
 * more TSC ticks apart than the gap, with a crossing or two in between, and for so many ticks that
 * to change to another vCPU and back is cheaper. */
#define SPIN_GAP    1024u
#define SPIN_WINDOW 2048u

/* Bits whose change the guest may not make by itself. */
#define CR0_OWNED (CR0_CD | CR0_NW | CR0_NE)

/* The selector field of each segment register in the order of the encodings (ES, CS, SS, DS, FS,
 * GS, LDTR, TR); limit, rights and base follow by the same steps. */
static void set_segment(unsigned index, uint32_t selector, uint64_t base, uint32_t limit,
                        uint32_t rights)
{
    vmwrite(VMCS_GUEST_ES_SELECTOR + 2 * index, selector);
    vmwrite(VMCS_GUEST_ES_BASE + 2 * index, base);
    vmwrite(VMCS_GUEST_ES_LIMIT + 2 * index, limit);
    vmwrite(VMCS_GUEST_ES_RIGHTS + 2 * index, rights);
}

enum segment { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR };

static void set_controls(struct vcpu *vcpu)
{
    const struct vmx_caps *caps = vcpu_caps();
    struct vm *vm = vcpu->vm;

    vmwrite(VMCS_PIN_CONTROLS, caps->pin & ~PIN_PREEMPTION_TIMER);
    vmwrite(VMCS_PROC_CONTROLS2, caps->proc2);
    vmwrite(VMCS_EXIT_CONTROLS, caps->exit & ~EXIT_SAVE_PREEMPTION_TIMER);
    vmwrite(VMCS_ENTRY_CONTROLS, caps->entry);
    vmwrite(VMCS_EXCEPTION_BITMAP, BIT32(EXCEPTION_DB) | BIT32(EXCEPTION_AC) | BIT32(EXCEPTION_MC));
    vmwrite(VMCS_PAGE_FAULT_ERROR_MASK, 0);
    vmwrite(VMCS_PAGE_FAULT_ERROR_MATCH, 0);
    vmwrite(VMCS_CR3_TARGET_COUNT, 0);
    vmwrite(VMCS_EXIT_MSR_STORE_COUNT, 0);
    vmwrite(VMCS_EXIT_MSR_LOAD_COUNT, 0);
    vmwrite(VMCS_ENTRY_MSR_LOAD_COUNT, 0);
    vmwrite(VMCS_ENTRY_INTERRUPTION_INFO, 0);
    vmwrite(VMCS_MSR_BITMAP, (uint64_t)vm->msr_bitmap);
    vmwrite(VMCS_TSC_OFFSET, vm->tsc_offset);
    vmwrite(VMCS_GUEST_LINK_POINTER, ~0ull);
    if (caps->vpid) {
        vmwrite(VMCS_VPID, vcpu->vpid);
    }
    if (caps->pause_loop_exiting) {
        vmwrite(VMCS_PLE_GAP, SPIN_GAP);
        vmwrite(VMCS_PLE_WINDOW, SPIN_WINDOW);
    }
    if (caps->xsaves) {
        vmwrite(VMCS_XSS_EXITING_BITMAP, 0);
    }
    if (caps->x2apic_virtualization) {
        vmwrite(VMCS_VIRTUAL_APIC_ADDRESS, (uint64_t)vcpu->lapic.page);
        vmwrite(VMCS_TPR_THRESHOLD, 0);
    }
    if (caps->virtual_interrupt_delivery) {
        /* Level-triggered interrupts are added as the I/O APIC asks for them. */
        for (unsigned i = 0; i < 4; i++) {
            vmwrite(VMCS_EOI_EXIT_BITMAP0 + 2 * i, 0);
            vcpu->eoi_exits[i] = 0;
        }
        vmwrite(VMCS_GUEST_INTERRUPT_STATUS, 0);
    }
    posted_set_target(&vcpu->lapic.posted, VECTOR_POSTED, vcpu->scheduler->pcpu->apic_id);
    if (caps->posted_interrupts) {
        vmwrite(VMCS_POSTED_INTERRUPT_VECTOR, VECTOR_POSTED);
        vmwrite(VMCS_POSTED_INTERRUPT_DESCRIPTOR, (uint64_t)&vcpu->lapic.posted);
    }
}

static void set_common_state(struct vcpu *vcpu)
{
    vmwrite(VMCS_GUEST_PAT, PAT_RESET);
    vmwrite(VMCS_GUEST_DEBUGCTL, 0);
    vmwrite(VMCS_GUEST_DR7, DR7_RESET);
    vmwrite(VMCS_GUEST_PENDING_DEBUG, 0);
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY, 0);
    vmwrite(VMCS_GUEST_ACTIVITY, ACTIVITY_ACTIVE);
    vmwrite(VMCS_GUEST_SYSENTER_CS, 0);
    vmwrite(VMCS_GUEST_SYSENTER_ESP, 0);
    vmwrite(VMCS_GUEST_SYSENTER_EIP, 0);
    vmwrite(VMCS_GUEST_IDTR_BASE, 0);
    vmwrite(VMCS_GUEST_RFLAGS, RFLAGS_RESERVED1);
    vmwrite(VMCS_GUEST_RSP, 0);
    vmwrite(VMCS_CR0_MASK, CR0_OWNED);
    vmwrite(VMCS_CR4_MASK, VCPU_CR4_FORCED | vcpu->vm->cpuid.cr4_hidden);
    vcpu->event = 0;
    vcpu->nmis_pending = 0;
    /* A window that was open is closed. */
    vmwrite(VMCS_PROC_CONTROLS, vcpu_caps()->proc);
    vcpu_set_waits(vcpu, vcpu->scheduler->count == 1);
    vcpu->window_open = false;
    vcpu->nmi_window_open = false;
    memset(&vcpu->vmx.registers, 0, sizeof(vcpu->vmx.registers));
}

void vcpu_set_mode(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
    uint32_t entry = vmread32(VMCS_ENTRY_CONTROLS) & ~ENTRY_IA32E_MODE_GUEST;

    vmwrite(VMCS_GUEST_CR0, (cr0 & ~(CR0_CD | CR0_NW)) | CR0_NE | CR0_ET);
    vmwrite(VMCS_CR0_SHADOW, cr0 | CR0_ET);
    vmwrite(VMCS_GUEST_CR4, cr4 | VCPU_CR4_FORCED);
    vmwrite(VMCS_CR4_SHADOW, cr4);
    vmwrite(VMCS_GUEST_EFER, efer);
    vmwrite(VMCS_ENTRY_CONTROLS, (efer & EFER_LMA) != 0 ? entry | ENTRY_IA32E_MODE_GUEST : entry);
}

void vcpu_start_up(struct vcpu *vcpu, uint32_t page)
{
    vcpu_leave_view(vcpu);
    set_common_state(vcpu);
    vcpu_set_mode(0, 0, 0);
    vmwrite(VMCS_GUEST_CR3, 0);
    set_segment(SEG_CS, page << 8, (uint64_t)page << 12, 0xffff, SEGMENT_CODE16);
    for (unsigned i = SEG_ES; i <= SEG_GS; i++) {
        if (i != SEG_CS) {
            set_segment(i, 0, 0, 0xffff, SEGMENT_DATA16);
        }
    }
    set_segment(SEG_LDTR, 0, 0, 0xffff, SEGMENT_LDT16);
    set_segment(SEG_TR, 0, 0, 0xffff, SEGMENT_TSS);
    vmwrite(VMCS_GUEST_GDTR_BASE, 0);
    vmwrite(VMCS_GUEST_GDTR_LIMIT, 0xffff);
    vmwrite(VMCS_GUEST_IDTR_LIMIT, 0xffff);
    vmwrite(VMCS_GUEST_RIP, 0);
}

/* The entry that the kernel's loader asks for. */
static void set_kernel_entry(struct vcpu *vcpu)
{
    const struct guest_entry *entry = &vcpu->vm->entry;
    uint32_t data = entry->data_selector;

    set_common_state(vcpu);
    if (entry->long_mode) {
        vcpu_set_mode(CR0_PE | CR0_PG, CR4_PAE, EFER_LME | EFER_LMA);
    } else {
        vcpu_set_mode(CR0_PE, 0, 0);
    }
    vmwrite(VMCS_GUEST_CR3, entry->cr3);
    set_segment(SEG_CS, entry->code_selector, 0, 0xffffffff,
                entry->long_mode ? SEGMENT_CODE64 : SEGMENT_CODE32);
    set_segment(SEG_SS, data, 0, 0xffffffff, SEGMENT_DATA);
    set_segment(SEG_DS, data, 0, 0xffffffff, SEGMENT_DATA);
    set_segment(SEG_ES, data, 0, 0xffffffff, SEGMENT_DATA);
    /* Multiboot wants these flat too; 64-bit kernels load them before they use them. */
    for (unsigned i = SEG_FS; i <= SEG_GS; i++) {
        set_segment(i, entry->long_mode ? 0 : data, 0, entry->long_mode ? 0 : 0xffffffff,
                    entry->long_mode ? SEGMENT_UNUSABLE : SEGMENT_DATA);
    }
    set_segment(SEG_LDTR, 0, 0, 0, SEGMENT_UNUSABLE);
    set_segment(SEG_TR, 0, 0, 0xffff, SEGMENT_TSS);
    vmwrite(VMCS_GUEST_GDTR_BASE, entry->gdt_base);
    vmwrite(VMCS_GUEST_GDTR_LIMIT, entry->gdt_limit);
    vmwrite(VMCS_GUEST_IDTR_LIMIT, 0);
    vmwrite(VMCS_GUEST_RIP, entry->rip);
    vmwrite(VMCS_GUEST_RSP, entry->rsp);
    vcpu->vmx.registers.rax = entry->rax;
    vcpu->vmx.registers.rbx = entry->rbx;
    vcpu->vmx.registers.rsi = entry->rsi;
}

void vcpu_reset(struct vcpu *vcpu)
{
    ASSERT(vmx_vmcs_prepare(vcpu->vmx.vmcs) == STATUS_OK);
    vcpu->vmx.launched = 0;
    vcpu_init_context(vcpu);
    vcpu_load_context(vcpu); /* makes the VMCS current again, too */
    vmx_host_state(&vcpu->vmx);
    set_controls(vcpu);
    vcpu_reset_views(vcpu);
    vcpu_log_sync(vcpu);
    vcpu->scheduler->slicing = false;
    /* Of all views, also those that are no more: a new one may have the same root. */
    (void)invept(INVEPT_ALL, 0);
    if (vcpu_caps()->vpid) {
        (void)invvpid(INVVPID_SINGLE, vcpu->vpid);
    }
    atomic_store(&vcpu->nmis_posted, 0);
    lapic_reset(&vcpu->lapic, LAPIC_X2APIC);
    vcpu->timer_held = false;
    msr_state_reset(&vcpu->msrs, vcpu->id == 0, vcpu->vm->cpuid.mwait);
    if (vcpu->id == 0) {
        set_kernel_entry(vcpu);
        atomic_store(&vcpu->state, VCPU_RUNNABLE);
    } else {
        vcpu_start_up(vcpu, 0);
        atomic_store(&vcpu->state, VCPU_WAITING);
    }
}
