/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/vcpu_log.h"

#include "arch/x86/defs/vmx_controls.h"
#include "arch/x86/vmx_insn.h"
#include "core/exits.h"
#include "lib/bits.h"

/* The CPU fills the log from its last entry down, and its index is the next one to fill. */
#define LOG_ENTRIES (PAGE_SIZE / sizeof(uint64_t))

static void take(struct vcpu *vcpu)
{
    const struct vm *vm = vcpu->vm;

    /* From 511 down; 0xffff when all are filled. */
    for (uint64_t i = (uint16_t)(vmread(VMCS_PML_INDEX) + 1); i < LOG_ENTRIES; i++) {
        uint64_t page = vcpu->log[i] / PAGE_SIZE;
        if (page < vm->dirty.pages) {
            __atomic_fetch_or(&vm->dirty.logged[page / 64], BIT(page % 64), __ATOMIC_SEQ_CST);
        }
    }
    vmwrite(VMCS_PML_INDEX, LOG_ENTRIES - 1);
}

void vcpu_log_sync(struct vcpu *vcpu)
{
    uint32_t controls = vmread32(VMCS_PROC_CONTROLS2);
    bool was_on = (controls & PROC2_PML) != 0;
    bool on = atomic_load(&vcpu->vm->dirty.logging);

    if (was_on) {
        take(vcpu);
    }
    if (on && !was_on) {
        vmwrite(VMCS_PML_ADDRESS, (uint64_t)vcpu->log);
        vmwrite(VMCS_PML_INDEX, LOG_ENTRIES - 1);
        vmwrite(VMCS_PROC_CONTROLS2, controls | PROC2_PML);
    } else if (was_on && !on) {
        vmwrite(VMCS_PROC_CONTROLS2, controls & ~PROC2_PML);
    }
}

enum exit_result exit_log_full(struct vcpu *vcpu)
{
    exit_keep_event(vcpu);
    if ((vmread(VMCS_EXIT_QUALIFICATION) & LOG_FULL_NMI_UNMASK) != 0 && vcpu->event == 0) {
        /* An IRET was under way, which will run again: NMIs are blocked until then. */
        vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
                vmread(VMCS_GUEST_INTERRUPTIBILITY) | INTERRUPTIBILITY_NMI);
    }
    take(vcpu);
    return EXIT_DONE;
}
