/* SPDX-License-Identifier: BSD-2-Clause */
/* A vCPU on its pCPU: its VMCS's set-up, its way into the guest, and events on the way. All of it
 * runs on the vCPU's own pCPU. */
#ifndef POSTERN_CORE_VCPU_H
#define POSTERN_CORE_VCPU_H

#include "arch/x86/defs/registers.h"
#include "arch/x86/vmx_caps.h"
#include "core/vm.h"

/* Set in CR4 under the guest: VMX wants VMXE, and without MCE a machine check in a guest would shut
 * the machine down instead of coming here. */
#define VCPU_CR4_FORCED (CR4_VMXE | CR4_MCE)

/* Sets up what `vcpu` has for good; once, at boot. vm->cpuid is set. */
void vcpu_init(struct vcpu *vcpu, struct vm *vm, uint32_t id);

/* Makes VMCS, virtual-APIC page, EPTP list and XSAVE area of a vCPU that is parked, in memory of
 * its VM's. */
status_t vcpu_create(struct vcpu *vcpu) MUST_CHECK;

/* They are gone, or will be at once. */
void vcpu_destroy(struct vcpu *vcpu);

/* Tells how this machine runs guests; before any vCPU is created. `caps` stays the caller's. */
void vcpu_use_caps(const struct vmx_caps *caps, uint64_t tsc_hz);
const struct vmx_caps *vcpu_caps(void);

/* Puts the state that VMX does not switch to what it is after reset. */
void vcpu_init_context(struct vcpu *vcpu);

/* Swaps in what VMX does not switch, and makes the VMCS current. */
void vcpu_load_context(struct vcpu *vcpu);
void vcpu_save_context(struct vcpu *vcpu);

/* Has this CPU keep nothing of a vCPU that moves to another one: its context is saved, and it is
 * not parked. */
void vcpu_depart(struct vcpu *vcpu);

/* On the new CPU, with its context loaded, before it is entered: makes what its VMCS has of a CPU
 * this one's, and has this CPU forget what it has cached of its memory when it was here before. */
void vcpu_arrive(struct vcpu *vcpu);

/* Lets the guest wait by MONITOR and MWAIT without exits, where its VM has them; or no longer. */
void vcpu_set_waits(struct vcpu *vcpu, bool on);

/* Limits the next stay in the guest to `ms` by the VMX-preemption timer; 0 turns the timer off. */
void vcpu_set_slice(struct vcpu *vcpu, uint32_t ms);

/* Has the guest leave the CPU when it spins by PAUSE, in ring 0, for a while; or no longer. */
void vcpu_set_spin_exits(struct vcpu *vcpu, bool on);

/* Ends the next stay after `ticks` of the timer itself; once. */
void vcpu_set_ticks(struct vcpu *vcpu, uint32_t ticks);

/* Lets the guest set this CPU's TSC-deadline timer itself, or takes that away. */
void vcpu_pass_timer(struct vcpu *vcpu, bool pass);

/* Enters the guest and comes back when the scheduler is to decide. The vCPU is loaded. */
void vcpu_run(struct vcpu *vcpu);

/* Its exits so far, of all reasons. Any CPU: of another one the count may be a little old. */
uint64_t vcpu_count_exits(const struct vcpu *vcpu);

/* General register `index` in the order of the encodings (RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI,
 * R8 ...). */
uint64_t vcpu_read_register(const struct vcpu *vcpu, unsigned index);
void vcpu_write_register(struct vcpu *vcpu, unsigned index, uint64_t value);

/* The guest-physical address of `linear` by the guest's own page tables. False where it has none.
 */
bool vcpu_translate(const struct vcpu *vcpu, uint64_t linear, uint64_t *gpa);

/* Whether the guest executes 64-bit code. */
bool vcpu_in_64bit_mode(void);

/* Copies up to `size` bytes of the guest's code at `rip` through its own page tables. Returns the
 * count. */
size_t vcpu_read_code(const struct vcpu *vcpu, uint64_t rip, uint8_t *bytes, size_t size);

/* Puts vcpu->event where the next entry finds it. */
void vcpu_write_event(struct vcpu *vcpu);

/* Has an exception delivered at the next entry. */
void vcpu_inject_exception(struct vcpu *vcpu, unsigned vector, bool has_error, uint32_t error);

/* The event that was being delivered cannot be: its stack or its gate is out of reach. The guest
 * gets #DF; if that cannot be delivered either the VM ends, as by a triple fault. */
void vcpu_fail_delivery(struct vcpu *vcpu);

/* Answers with #GP an instruction that works on hardware and is not emulated here: the program or
 * driver that uses it ends, not the VM. `where` is the address or port. Logged once for a vCPU. */
void vcpu_refuse_instruction(struct vcpu *vcpu, const char *why, uint64_t where);

/* Advances RIP by the `length` of the instruction that exited, and ends a block by STI or MOV SS.
 */
void vcpu_advance(struct vcpu *vcpu, uint64_t length);

/* Whether an NMI or interrupt ends HLT; the posted ones are in the IRR. */
bool vcpu_is_woken(const struct vcpu *vcpu);

/* Does what vcpu->work asks for; VMX_LEAVE if the scheduler is to decide. */
enum vmx_next vcpu_service(struct vcpu *vcpu);

/* Logs the guest's registers and the exit's fields. */
void vcpu_dump(struct vcpu *vcpu);

#endif
