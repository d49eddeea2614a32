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
    bool osxsave;  /* the guest's CR4.OSXSAVE */
    bool apic_off; /* the local APIC is off by IA32_APIC_BASE */
    bool rdtscp, invpcid, xsaves;
    bool mwait;            /* MONITOR and MWAIT, where the CPU has them */
    uint32_t native;       /* POSTERN_NATIVE_ bits: what of the views the CPU does itself */
    uint64_t xcr0_allowed; /* state components that the guest may turn on */
    uint64_t cr4_hidden;   /* bits of CR4 whose features are hidden: setting them is #GP */
};

/* TSC ticks per tick of the crystal that leaf 0x15 tells, which is the local APIC timer's clock. */
uint32_t cpuid_tsc_per_crystal(uint64_t tsc_hz);

/* Whether the answer for `leaf` does not depend on the CPU, so that it need not be asked. */
bool cpuid_is_synthetic(uint32_t leaf);

/* Turns the CPU's answer in `regs` into the guest's. */
void cpuid_emulate(const struct cpuid_env *env, uint32_t leaf, uint32_t subleaf,
                   struct cpuid_regs *regs);

/*
 * Answers that are always the same for a VM, found by one look: CPUID is how programs serialise and
 * how a kernel asks for its hypervisor.
 */
#define CPUID_RANGES       3u
#define CPUID_RANGE_LEAVES 32u

struct cpuid_cache {
    struct {
        bool valid;
        struct cpuid_regs regs;
    } rows[CPUID_RANGES][CPUID_RANGE_LEAVES];
};

/* Fills the cache for a VM; `ask` gives the CPU's own answer for a leaf. */
void cpuid_cache_fill(struct cpuid_cache *cache, const struct cpuid_env *env,
                      struct cpuid_regs (*ask)(uint32_t leaf));

/* The guest's answer for `leaf`, whatever the subleaf; NULL: cpuid_emulate() is to be asked. */
static inline const struct cpuid_regs *cpuid_cached(const struct cpuid_cache *cache, uint32_t leaf)
{
    /* 0x00000000, 0x40000000 and 0x80000000 begin the ranges. */
    uint32_t range = leaf >> 30;
    uint32_t index = leaf & 0x3fffffff;

    if (range >= CPUID_RANGES || index >= CPUID_RANGE_LEAVES || !cache->rows[range][index].valid) {
        return NULL;
    }
    return &cache->rows[range][index].regs;
}

/* Sets xcr0_allowed and cr4_hidden from what the CPU has: `features` is leaf 7's answer, `xcr0` the
 * components of leaf 0xd. */
void cpuid_env_limits(struct cpuid_env *env, const struct cpuid_regs *features, uint64_t xcr0);

#endif
