/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VMX operation of this CPU, and the running of one vCPU: its VMCS, its registers, entry and exit.
 */
#ifndef POSTERN_ARCH_X86_VMX_H
#define POSTERN_ARCH_X86_VMX_H

#include "arch/x86/vmx_caps.h"
#include "lib/status.h"

/* General registers of a guest, in the order in which vmx_entry.S pushes them; RSP is the VMCS's.
 */
struct vmx_registers {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
};

/* What an exit's handling asks for. */
enum vmx_next {
    VMX_RESUME = 0, /* enter the guest again at once */
    VMX_LEAVE = 1   /* vmx_run() returns */
};

struct vmx_vcpu;
typedef enum vmx_next (*vmx_exit_handler_t)(struct vmx_vcpu *vcpu);

/* The part of a vCPU that entry and exit need. Only its own CPU touches it. vmx_entry.S knows the
 * offsets of the first four members. */
struct vmx_vcpu {
    struct vmx_registers registers; /* HOST_RSP is its end: exits push straight into it */
    uint64_t host_stack;            /* RSP of vmx_run() while the guest runs */
    vmx_exit_handler_t on_exit;     /* runs on the CPU's stack, interrupts off */
    uint64_t launched;              /* 0: VMLAUNCH is due, else VMRESUME */
    void *vmcs;
};

/* Reads this CPU's capabilities into `raw`. With no VMX the MSR values stay 0. */
void vmx_probe(struct vmx_raw *raw);

/* Enters VMX root operation on the CPU that calls: sets and locks IA32_FEATURE_CONTROL where the
 * firmware left it open, sets CR0 and CR4 to their fixed bits, VMXON. `region`: a zeroed page. */
status_t vmx_enable(void *region) MUST_CHECK;

/* Puts the VMCS revision into a zeroed page and clears it on this CPU. */
status_t vmx_vmcs_prepare(void *vmcs) MUST_CHECK;

/* Makes the vCPU's VMCS current on this CPU. */
void vmx_vcpu_load(struct vmx_vcpu *vcpu);

/* Fills the host-state area of the current VMCS for this CPU. */
void vmx_host_state(struct vmx_vcpu *vcpu);

/* Enters the guest and stays until an exit's handler answers VMX_LEAVE. The vCPU's VMCS is current.
 * Returns false when the CPU refused the entry itself (VMfail): `*error` is the VM-instruction
 * error. Interrupts are off. */
bool vmx_run(struct vmx_vcpu *vcpu, uint32_t *error) MUST_CHECK;

/* Ends the blocking of NMIs that an exit for an NMI leaves behind (SDM "Loading Host
 * Non-Register State"). */
void vmx_unblock_nmi(void);

#endif
