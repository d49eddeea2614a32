/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupt messages inside a VM: from its I/O APIC, its devices' MSI-X and its local APICs to the
 * vCPUs that they name. Any CPU may call; no lock is needed. */
#ifndef POSTERN_CORE_INTERRUPTS_H
#define POSTERN_CORE_INTERRUPTS_H

#include "core/vm.h"

/* Sends an NMI to `vcpu`. Any CPU. */
void interrupts_nmi(struct vcpu *vcpu);

/* The op that the I/O APIC delivers through; `context` is the VM. */
void interrupts_from_ioapic(void *context, uint32_t destination, bool logical, uint8_t vector,
                            uint8_t mode, bool level);

/* Delivers an MSI message of one of the VM's functions. */
void interrupts_from_msi(struct vm *vm, const struct msi_message *message);

/* The op that a local APIC sends its IPIs through; `context` is the vCPU. */
void interrupts_send_ipi(void *context, const struct lapic_ipi *ipi);

#endif
