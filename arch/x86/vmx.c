/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/vmx.h"

#include "arch/x86/cpu.h"
#include "arch/x86/defs/msr.h"
#include "arch/x86/defs/registers.h"
#include "arch/x86/descriptors.h"
#include "arch/x86/pcpu.h"
#include "arch/x86/vmx_insn.h"
#include "lib/bits.h"
#include "lib/log.h"
#include "lib/panic.h"

/* vmx_entry.S counts on these. */
_Static_assert(offsetof(struct vmx_vcpu, host_stack) == 120, "HOST_STACK in vmx_entry.S");
_Static_assert(offsetof(struct vmx_vcpu, on_exit) == 128, "ON_EXIT in vmx_entry.S");
_Static_assert(offsetof(struct vmx_vcpu, launched) == 136, "LAUNCHED in vmx_entry.S");

int vmx_enter_guest(struct vmx_vcpu *vcpu);
extern char vmx_exit[];

void vmx_access_failed(const char *operation, enum vmcs_field field, const char *caller)
{
    uint64_t error = 0;
    bool invalid;

    /* VMfailInvalid has no error number: there is no current VMCS. */
    __asm__ volatile("vmread %2, %0"
                     : "=r"(error), "=@ccbe"(invalid)
                     : "r"((uint64_t)VMCS_INSTRUCTION_ERROR));
    panic("%s of field 0x%04x failed in %s: %s %llu", operation, (unsigned)field, caller,
          invalid ? "no current VMCS" : "VM-instruction error", (unsigned long long)error);
}

status_t vmx_enable(void *region)
{
    uint64_t feature_control = rdmsr(MSR_IA32_FEATURE_CONTROL);
    uint64_t wanted = FEATURE_CONTROL_LOCKED | FEATURE_CONTROL_VMX_OUTSIDE;

    if ((feature_control & FEATURE_CONTROL_LOCKED) == 0) {
        wrmsr(MSR_IA32_FEATURE_CONTROL, feature_control | wanted);
    } else if ((feature_control & FEATURE_CONTROL_VMX_OUTSIDE) == 0) {
        log_error("cpu %u: the firmware has locked VT-x off, on this CPU alone",
                  this_pcpu()->index);
        return STATUS_DENIED;
    }
    write_cr0((read_cr0() | rdmsr(MSR_IA32_VMX_CR0_FIXED0)) & rdmsr(MSR_IA32_VMX_CR0_FIXED1));
    write_cr4(((read_cr4() | CR4_VMXE) | rdmsr(MSR_IA32_VMX_CR4_FIXED0)) &
              rdmsr(MSR_IA32_VMX_CR4_FIXED1));
    *(uint32_t *)region = (uint32_t)rdmsr(MSR_IA32_VMX_BASIC) & 0x7fffffff;
    if (!vmx_on((uint64_t)region)) {
        log_error("cpu %u: VMXON fails", this_pcpu()->index);
        return STATUS_IO;
    }
    /* Nothing of an earlier life may be cached under the identifiers that are used from here on. */
    return invept(INVEPT_ALL, 0) ? STATUS_OK : STATUS_UNSUPPORTED;
}

status_t vmx_vmcs_prepare(void *vmcs)
{
    *(uint32_t *)vmcs = (uint32_t)rdmsr(MSR_IA32_VMX_BASIC) & 0x7fffffff;
    return vmx_clear((uint64_t)vmcs) ? STATUS_OK : STATUS_IO;
}

void vmx_vcpu_load(struct vmx_vcpu *vcpu)
{
    ASSERT(vmx_load((uint64_t)vcpu->vmcs));
}

void vmx_host_state(struct vmx_vcpu *vcpu)
{
    struct pcpu *pcpu = this_pcpu();

    vmwrite(VMCS_HOST_CR0, read_cr0());
    vmwrite(VMCS_HOST_CR3, read_cr3());
    vmwrite(VMCS_HOST_CR4, read_cr4());
    vmwrite(VMCS_HOST_EFER, rdmsr(MSR_IA32_EFER));
    vmwrite(VMCS_HOST_PAT, rdmsr(MSR_IA32_PAT));
    vmwrite(VMCS_HOST_CS_SELECTOR, SELECTOR_CODE);
    vmwrite(VMCS_HOST_SS_SELECTOR, SELECTOR_DATA);
    vmwrite(VMCS_HOST_DS_SELECTOR, SELECTOR_DATA);
    vmwrite(VMCS_HOST_ES_SELECTOR, SELECTOR_DATA);
    vmwrite(VMCS_HOST_FS_SELECTOR, 0);
    vmwrite(VMCS_HOST_GS_SELECTOR, 0);
    vmwrite(VMCS_HOST_TR_SELECTOR, SELECTOR_TSS);
    vmwrite(VMCS_HOST_FS_BASE, 0);
    vmwrite(VMCS_HOST_GS_BASE, (uint64_t)pcpu);
    vmwrite(VMCS_HOST_TR_BASE, (uint64_t)&pcpu->tables.tss);
    vmwrite(VMCS_HOST_GDTR_BASE, (uint64_t)pcpu->tables.gdt);
    vmwrite(VMCS_HOST_IDTR_BASE, descriptors_idt());
    vmwrite(VMCS_HOST_SYSENTER_CS, 0);
    vmwrite(VMCS_HOST_SYSENTER_ESP, 0);
    vmwrite(VMCS_HOST_SYSENTER_EIP, 0);
    vmwrite(VMCS_HOST_RSP, (uint64_t)(&vcpu->registers + 1));
    vmwrite(VMCS_HOST_RIP, (uint64_t)vmx_exit);
}

bool vmx_run(struct vmx_vcpu *vcpu, uint32_t *error)
{
    if (vmx_enter_guest(vcpu) != 0) {
        return true;
    }
    *error = vmread32(VMCS_INSTRUCTION_ERROR);
    return false;
}

/* After an NMI exit NMIs may stay blocked until an IRET (in Bochs they do; on silicon the IRET is
 * harmless). */
void vmx_unblock_nmi(void)
{
    __asm__ volatile("mov %%rsp, %%rax\n\t"
                     "push %0\n\t"
                     "push %%rax\n\t"
                     "pushfq\n\t"
                     "push %1\n\t"
                     "lea 1f(%%rip), %%rax\n\t"
                     "push %%rax\n\t"
                     "iretq\n"
                     "1:"
                     :
                     : "i"(SELECTOR_DATA), "i"(SELECTOR_CODE)
                     : "rax", "memory", "cc");
}
