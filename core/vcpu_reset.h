/* SPDX-License-Identifier: BSD-2-Clause */
/* The initial states of a vCPU, written to its current VMCS on its own pCPU. */
#ifndef POSTERN_CORE_VCPU_RESET_H
#define POSTERN_CORE_VCPU_RESET_H

#include "core/vcpu.h"

/* The state when the VM starts: vCPU 0 at the kernel's entry, the others waiting for a
 * startup IPI. The vCPU becomes runnable, or waits. */
void vcpu_reset(struct vcpu *vcpu);

/* The state after a startup IPI: real mode at `page` << 12. */
void vcpu_start_up(struct vcpu *vcpu, uint32_t page);

/* Sets control registers and EFER to what the guest is to see of them. */
void vcpu_set_mode(uint64_t cr0, uint64_t cr4, uint64_t efer);

#endif
