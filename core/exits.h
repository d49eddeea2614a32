/* SPDX-License-Identifier: BSD-2-Clause */
/* The handling of VM exits: one handler per reason, in the table of exits.c. */
#ifndef POSTERN_CORE_EXITS_H
#define POSTERN_CORE_EXITS_H

#include "core/vcpu.h"

/* What a handler answers. */
enum exit_result {
    EXIT_DONE,  /* enter the guest again where it was (or with the injected event) */
    EXIT_SKIP,  /* the instruction is emulated, with no event: advance RIP */
    EXIT_LEAVE, /* the scheduler is to decide, RIP as it is */
    EXIT_SKIP_LEAVE,
    EXIT_STOP /* the guest did what cannot be handled: dump it and stop its VM */
};

/* vmx.on_exit of every vCPU. */
enum vmx_next exit_handle(struct vmx_vcpu *vmx);

/* Handlers of exits that may come in the middle of an event's delivery call it first: the event is
 * delivered again at the next entry (SDM "Information for VM Exits During Event Delivery"). */
void exit_keep_event(struct vcpu *vcpu);

/* The text of a basic exit reason, "unknown" for none. */
const char *exit_reason_name(uint32_t reason);

/* The local APIC was written to: an EOI or a lower priority may let another interrupt through; the
 * timer may have been set. */
void exit_lapic_changed(struct vcpu *vcpu);

/* Handlers, by the file that has them. */

/* exits_event.c */
enum exit_result exit_exception_nmi(struct vcpu *vcpu);
enum exit_result exit_external_interrupt(struct vcpu *vcpu);
enum exit_result exit_triple_fault(struct vcpu *vcpu);
enum exit_result exit_window(struct vcpu *vcpu);
enum exit_result exit_task_switch(struct vcpu *vcpu);
enum exit_result exit_preemption_timer(struct vcpu *vcpu);
enum exit_result exit_pause(struct vcpu *vcpu);
enum exit_result exit_hlt(struct vcpu *vcpu);
enum exit_result exit_virtualized_eoi(struct vcpu *vcpu);
enum exit_result exit_apic_write(struct vcpu *vcpu);

/* exits_cpu.c */
enum exit_result exit_cpuid(struct vcpu *vcpu);
enum exit_result exit_cr_access(struct vcpu *vcpu);
enum exit_result exit_xsetbv(struct vcpu *vcpu);
enum exit_result exit_wbinvd(struct vcpu *vcpu);
enum exit_result exit_monitor(struct vcpu *vcpu);
enum exit_result exit_mwait(struct vcpu *vcpu);
enum exit_result exit_undefined(struct vcpu *vcpu);
enum exit_result exit_general_protection(struct vcpu *vcpu);

/* exits_msr.c */
enum exit_result exit_rdmsr(struct vcpu *vcpu);
enum exit_result exit_wrmsr(struct vcpu *vcpu);

/* exits_io.c */
enum exit_result exit_io_instruction(struct vcpu *vcpu);

/* exits_mmio.c */
enum exit_result exit_ept_violation(struct vcpu *vcpu);
enum exit_result exit_ept_misconfiguration(struct vcpu *vcpu);

/* exits_view.c. VMFUNC, or the hypercall in its place, named a view that is not open. */
enum exit_result exit_view_not_open(struct vcpu *vcpu);

/* hypercall.c */
enum exit_result exit_vmcall(struct vcpu *vcpu);

#endif
