/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest sees of CPUID: an allow-list over the CPU's own answers. A leaf that no row names
 * reads as zeros, a bit that no mask shows is hidden.
 */
#ifndef POSTERN_MACHINE_CPUID_POLICY_H
#define POSTERN_MACHINE_CPUID_POLICY_H

#include "lib/types.h"

struct cpuid_regs {
    uint32_t eax, ebx, ecx, edx;
};

struct cpuid_env {
    uint32_t apic_id;
    uint32_t vcpus;
    uint64_t tsc_hz;
    bool osxsave; /* the guest's CR4.OSXSAVE */
    bool rdtscp, invpcid, xsaves;
    uint64_t xcr0_allowed; /* state components that the guest may turn on */
    uint64_t cr4_hidden;   /* bits of CR4 whose features are hidden: setting them is #GP */
};

/* Whether the answer for `leaf` does not depend on the CPU, so that it need not be asked. */
bool cpuid_is_synthetic(uint32_t leaf);

/* Turns the CPU's answer in `regs` into the guest's. */
void cpuid_emulate(const struct cpuid_env *env, uint32_t leaf, uint32_t subleaf,
                   struct cpuid_regs *regs);

/* Sets xcr0_allowed and cr4_hidden from what the CPU has: `features` is leaf 7's answer, `xcr0` the
 * components of leaf 0xd. */
void cpuid_env_limits(struct cpuid_env *env, const struct cpuid_regs *features, uint64_t xcr0);

#endif
