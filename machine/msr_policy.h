/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest may do with each model-specific register: a table of ranges. A register that no row
 * names is #GP, as on a CPU that lacks it.
 */
#ifndef POSTERN_MACHINE_MSR_POLICY_H
#define POSTERN_MACHINE_MSR_POLICY_H

#include "lib/types.h"

#define MSR_BITMAP_SIZE 4096u

/* The registers' values that are emulated as memory, per vCPU. */
struct msr_state {
    uint64_t apic_base;
    uint64_t misc_enable;
    uint64_t mtrr_def_type;
    uint64_t tsc_adjust;
};

/* The state after reset; `first`: of the vCPU that boots; `mwait`: CPUID shows MONITOR. */
void msr_state_reset(struct msr_state *state, bool first, bool mwait);

/* Whether a guest can have brought its registers to these values, but for the mode of the local
 * APIC in `apic_base`. */
bool msr_state_is_valid(const struct msr_state *state, bool first, bool mwait) MUST_CHECK;

/* RDMSR and WRMSR of what is emulated by value. False: #GP. The x2APIC range, IA32_TSC_DEADLINE and
 * IA32_XSS are the vCPU's and #GP here. */
bool msr_emulate_read(const struct msr_state *state, uint32_t msr, uint64_t *value);
bool msr_emulate_write(struct msr_state *state, uint32_t msr, uint64_t value);

/* Fills the MSR bitmap of the VMCS (SDM "MSR-Bitmap Address"): a set bit exits. Registers that the
 * guest owns pass; with `virtual_x2apic`, so do those that the CPU virtualises. */
void msr_policy_fill_bitmap(uint8_t bitmap[MSR_BITMAP_SIZE], bool virtual_x2apic, bool tsc_aux);

/* Lets IA32_TSC_DEADLINE pass too: for a vCPU that has its CPU's timer to itself. */
void msr_policy_pass_timer(uint8_t bitmap[MSR_BITMAP_SIZE]);

#endif
