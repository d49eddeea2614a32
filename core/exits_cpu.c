/* SPDX-License-Identifier: BSD-2-Clause */
/* Exits for CPUID, control registers and instructions that a guest does not get. */
#include "arch/x86/cpu.h"
#include "arch/x86/defs/msr.h"
#include "arch/x86/defs/registers.h"
#include "arch/x86/defs/vmx_controls.h"
#include "arch/x86/exceptions.h"
#include "arch/x86/vmx_insn.h"
#include "core/exits.h"
#include "lib/bits.h"
#include "lib/string.h"

#define XCR0_X87    BIT(0)
#define XCR0_SSE    BIT(1)
#define XCR0_AVX    BIT(2)
#define CR_MOV_TO   0u
#define CR_MOV_FROM 1u
#define CR_CLTS     2u
#define CR_LMSW     3u
#define CR8_MAX     15u
/* In MWAIT's ECX: interrupts end it even where they are masked. */
#define MWAIT_BREAK_ON_MASKED BIT(0)

/* Of the entries of PAE paging's first level; and the bits of CR4 whose change loads them. */
#define PDPTE_PRESENT       BIT(0)
#define PDPTE_RESERVED      (MASK(2, 1) | MASK(8, 5))
#define CR4_LOADS_PDPTES    (CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP)
#define CPUID_ADDRESS_SIZES 0x80000008u

static enum exit_result answer_cpuid(struct vcpu *vcpu, const struct cpuid_regs *regs)
{
    struct vmx_registers *r = &vcpu->vmx.registers;

    r->rax = regs->eax;
    r->rbx = regs->ebx;
    r->rcx = regs->ecx;
    r->rdx = regs->edx;
    return EXIT_SKIP;
}

/* Out of line, so that its stack frame is not a part of every CPUID exit. */
static NOINLINE enum exit_result emulate_cpuid(struct vcpu *vcpu)
{
    uint32_t leaf = (uint32_t)vcpu->vmx.registers.rax;
    uint32_t subleaf = (uint32_t)vcpu->vmx.registers.rcx;
    struct cpuid_env env = vcpu->vm->cpuid;
    struct cpuid_regs regs = {0};

    if (!cpuid_is_synthetic(leaf)) {
        struct cpuid_result host = cpuid(leaf, subleaf);
        regs = (struct cpuid_regs){host.eax, host.ebx, host.ecx, host.edx};
    }
    env.apic_id = vcpu->id;
    env.apic_off = lapic_mode(&vcpu->lapic) == LAPIC_OFF;
    env.osxsave = (vmread(VMCS_GUEST_CR4) & CR4_OSXSAVE) != 0;
    cpuid_emulate(&env, leaf, subleaf, &regs);
    return answer_cpuid(vcpu, &regs);
}

enum exit_result exit_cpuid(struct vcpu *vcpu)
{
    const struct cpuid_regs *cached =
        cpuid_cached(&vcpu->vm->cpuid_cache, (uint32_t)vcpu->vmx.registers.rax);

    return LIKELY(cached != NULL) ? answer_cpuid(vcpu, cached) : emulate_cpuid(vcpu);
}

/* What the CPU would refuse, had the write not exited (SDM, "MOV - Move to/from Control
 * Registers").
 */
static bool cr0_is_valid(uint64_t old, uint64_t value)
{
    uint64_t cr4 = vmread(VMCS_GUEST_CR4);
    uint64_t efer = vmread(VMCS_GUEST_EFER);
    bool code64 = (vmread32(VMCS_GUEST_CS_RIGHTS) & SEGMENT_LONG) != 0;

    if ((value >> 32) != 0 || ((value & CR0_PG) != 0 && (value & CR0_PE) == 0) ||
        ((value & CR0_NW) != 0 && (value & CR0_CD) == 0)) {
        return false;
    }
    if ((old & ~value & CR0_PG) != 0) {
        return (cr4 & CR4_PCIDE) == 0 && ((efer & EFER_LMA) == 0 || !code64);
    }
    if ((value & ~old & CR0_PG) != 0 && (efer & EFER_LME) != 0) {
        return (cr4 & CR4_PAE) != 0 && !code64;
    }
    return true;
}

/* With EPT the four entries that CR3 leads to in PAE paging are registers, which a write of CR0 or
 * CR4 may load (SDM "PDPTE Registers"). The CPU does so itself for writes that do not exit, and for
 * those of CR3. False, and no change: #GP. */
static bool load_pdptes(const struct vcpu *vcpu)
{
    uint64_t reserved = PDPTE_RESERVED | ~(BIT(cpuid(CPUID_ADDRESS_SIZES, 0).eax & 0xff) - 1);
    uint64_t entries[4];
    const void *table = vm_memory(vcpu->vm, vmread(VMCS_GUEST_CR3) & MASK(31, 5), sizeof(entries));

    if (table == NULL) {
        return false; /* nothing is there: each bit reads 1 */
    }
    memcpy(entries, table, sizeof(entries));
    for (unsigned i = 0; i < ARRAY_SIZE(entries); i++) {
        if ((entries[i] & PDPTE_PRESENT) != 0 && (entries[i] & reserved) != 0) {
            return false;
        }
    }
    for (unsigned i = 0; i < ARRAY_SIZE(entries); i++) {
        vmwrite(VMCS_GUEST_PDPTE0 + 2 * i, entries[i]);
    }
    return true;
}

static bool is_pae_paging(uint64_t cr0, uint64_t cr4)
{
    return (cr0 & CR0_PG) != 0 && (cr4 & CR4_PAE) != 0 && (vmread(VMCS_GUEST_EFER) & EFER_LME) == 0;
}

/* Writes of control registers that change paging end what the CPU has cached of it, here too. */
static void forget_translations(const struct vcpu *vcpu)
{
    if (vcpu_caps()->vpid) {
        (void)invvpid(INVVPID_SINGLE, vcpu->vpid);
    }
}

static bool cr0_loads_pdptes(uint64_t old, uint64_t value)
{
    uint64_t changed =
        ((old ^ value) & CR0_PG) | ((vmread(VMCS_CR0_SHADOW) ^ value) & (CR0_CD | CR0_NW));

    return changed != 0 && is_pae_paging(value, vmread(VMCS_GUEST_CR4));
}

/* CR0: caching is never turned off for a guest, and NE stays set as VMX demands; the guest reads
 * back what it wrote. */
static enum exit_result write_cr0_guest(struct vcpu *vcpu, uint64_t value)
{
    uint64_t old = vmread(VMCS_GUEST_CR0);

    if (!cr0_is_valid(old, value) || (cr0_loads_pdptes(old, value) && !load_pdptes(vcpu))) {
        vcpu_inject_exception(vcpu, EXCEPTION_GP, true, 0);
        return EXIT_DONE;
    }
    if (((old ^ value) & CR0_PG) != 0) {
        /* CR0.PG is the guest's own with "unrestricted guest", but an exit for another bit may
         * change it as well: long mode follows. */
        uint64_t efer = vmread(VMCS_GUEST_EFER);
        uint32_t entry = vmread32(VMCS_ENTRY_CONTROLS);
        bool active = (value & CR0_PG) != 0 && (efer & EFER_LME) != 0;
        vmwrite(VMCS_GUEST_EFER, active ? efer | EFER_LMA : efer & ~EFER_LMA);
        vmwrite(VMCS_ENTRY_CONTROLS,
                active ? entry | ENTRY_IA32E_MODE_GUEST : entry & ~ENTRY_IA32E_MODE_GUEST);
    }
    vmwrite(VMCS_CR0_SHADOW, value);
    vmwrite(VMCS_GUEST_CR0, (value & ~(CR0_CD | CR0_NW)) | CR0_NE | CR0_ET);
    forget_translations(vcpu);
    return EXIT_SKIP;
}

/* The same for CR4; what CPUID hides cannot be turned on. */
static bool cr4_is_valid(const struct vm *vm, uint64_t value)
{
    bool long_mode = (vmread(VMCS_GUEST_EFER) & EFER_LMA) != 0;
    bool pcide_rises = (value & ~vmread(VMCS_GUEST_CR4) & CR4_PCIDE) != 0;

    if ((value & vm->cpuid.cr4_hidden) != 0 || (long_mode && (value & CR4_PAE) == 0)) {
        return false;
    }
    return !pcide_rises || (long_mode && (vmread(VMCS_GUEST_CR3) & (PAGE_SIZE - 1)) == 0);
}

/* CR4: what is set underneath is the guest's to see as it wrote it. */
static enum exit_result write_cr4_guest(struct vcpu *vcpu, uint64_t value)
{
    bool loads_pdptes = ((vmread(VMCS_GUEST_CR4) ^ value) & CR4_LOADS_PDPTES) != 0 &&
                        is_pae_paging(vmread(VMCS_GUEST_CR0), value);

    if (!cr4_is_valid(vcpu->vm, value) || (loads_pdptes && !load_pdptes(vcpu))) {
        vcpu_inject_exception(vcpu, EXCEPTION_GP, true, 0);
        return EXIT_DONE;
    }
    vmwrite(VMCS_CR4_SHADOW, value);
    vmwrite(VMCS_GUEST_CR4, value | VCPU_CR4_FORCED);
    forget_translations(vcpu);
    return EXIT_SKIP;
}

/* Bits 7:4 of the TPR. They exit only where the CPU does not virtualise the local APIC. */
static enum exit_result access_cr8(struct vcpu *vcpu, unsigned type, unsigned index)
{
    uint64_t tpr = 0;

    if (type == CR_MOV_FROM) {
        (void)lapic_read_msr(&vcpu->lapic, MSR_X2APIC_TPR, 0, &tpr);
        vcpu_write_register(vcpu, index, tpr >> 4);
        return EXIT_SKIP;
    }
    tpr = vcpu_read_register(vcpu, index);
    if (tpr > CR8_MAX) {
        vcpu_inject_exception(vcpu, EXCEPTION_GP, true, 0);
        return EXIT_DONE;
    }
    (void)lapic_write_msr(&vcpu->lapic, MSR_X2APIC_TPR, 0, tpr << 4);
    /* A lower priority may let an interrupt through. */
    atomic_fetch_or_explicit(&vcpu->work, VCPU_WORK_INTERRUPT, memory_order_relaxed);
    return EXIT_SKIP;
}

enum exit_result exit_cr_access(struct vcpu *vcpu)
{
    uint64_t qualification = vmread(VMCS_EXIT_QUALIFICATION);
    unsigned number = qualification & 0xf;
    unsigned type = qualification >> 4 & 3;
    uint64_t value = vcpu_read_register(vcpu, qualification >> 8 & 0xf);

    if (type == CR_MOV_TO && number == 0) {
        return write_cr0_guest(vcpu, value);
    }
    if (type == CR_MOV_TO && number == 4) {
        return write_cr4_guest(vcpu, value);
    }
    if (number == 8 && (type == CR_MOV_TO || type == CR_MOV_FROM)) {
        return access_cr8(vcpu, type, qualification >> 8 & 0xf);
    }
    if (type == CR_CLTS) {
        return write_cr0_guest(vcpu, vmread(VMCS_CR0_SHADOW) & ~CR0_TS);
    }
    if (type == CR_LMSW) {
        uint64_t low = qualification >> 16 & 0xf;
        uint64_t shadow = vmread(VMCS_GUEST_CR0);
        /* LMSW can set PE and not clear it. */
        return write_cr0_guest(vcpu, (shadow & ~0xeull) | low);
    }
    return EXIT_STOP;
}

enum exit_result exit_xsetbv(struct vcpu *vcpu)
{
    const struct vmx_registers *r = &vcpu->vmx.registers;
    uint64_t value = r->rdx << 32 | (uint32_t)r->rax;
    /* On silicon the #GP of another CPL comes before the exit; in Bochs 2.7 it does not. */
    bool valid = (vmread32(VMCS_GUEST_SS_RIGHTS) & SEGMENT_DPL) == 0 && (uint32_t)r->rcx == 0 &&
                 (value & ~vcpu->vm->cpuid.xcr0_allowed) == 0 && (value & XCR0_X87) != 0 &&
                 ((value & XCR0_AVX) == 0 || (value & XCR0_SSE) != 0);

    /* The CPU has the last word on which combinations it takes. */
    if (!valid || xsetbv_safe(0, value) != STATUS_OK) {
        vcpu_inject_exception(vcpu, EXCEPTION_GP, true, 0);
        return EXIT_DONE;
    }
    vcpu->context.xcr0 = value;
    return EXIT_SKIP;
}

enum exit_result exit_wbinvd(struct vcpu *vcpu)
{
    /* All of a guest's memory is write-back and coherent: it has nothing to flush, and flushing the
     * caches of the whole machine is not for a guest to do. */
    (void)vcpu;
    return EXIT_SKIP;
}

enum exit_result exit_undefined(struct vcpu *vcpu)
{
    vcpu_inject_exception(vcpu, EXCEPTION_UD, false, 0);
    return EXIT_DONE;
}

enum exit_result exit_general_protection(struct vcpu *vcpu)
{
    vcpu_inject_exception(vcpu, EXCEPTION_GP, true, 0);
    return EXIT_DONE;
}

/* The extensions that MONITOR and MWAIT are given. */
static uint64_t wait_extensions(const struct vcpu *vcpu)
{
    uint64_t rcx = vcpu->vmx.registers.rcx;

    return vcpu_in_64bit_mode() ? rcx : (uint32_t)rcx;
}

/* MONITOR and MWAIT exit from a vCPU that shares its CPU, if it has them at all. It does not wait
 * there: the CPU goes to the next one. A wait may end without a cause (SDM "MONITOR/MWAIT
 * Instruction"), so nothing has to be watched. */
enum exit_result exit_monitor(struct vcpu *vcpu)
{
    if (!vcpu->vm->cpuid.mwait) {
        return exit_undefined(vcpu);
    }
    return wait_extensions(vcpu) == 0 ? EXIT_SKIP : exit_general_protection(vcpu);
}

enum exit_result exit_mwait(struct vcpu *vcpu)
{
    if (!vcpu->vm->cpuid.mwait) {
        return exit_undefined(vcpu);
    }
    return (wait_extensions(vcpu) & ~MWAIT_BREAK_ON_MASKED) == 0 ? EXIT_SKIP_LEAVE
                                                                 : exit_general_protection(vcpu);
}
