/* SPDX-License-Identifier: BSD-2-Clause */
#include "machine/cpuid_policy.h"

#include "abi/hypercall.h"
#include "arch/x86/defs/registers.h"
#include "lib/bits.h"
#include "lib/string.h"

#define ALL 0xffffffffu

/* What a guest may set in CR4: VME to OSXMMEXCPT, and the bits whose features are shown below. */
#define CR4_UMIP     BIT(11)
#define CR4_FSGSBASE BIT(16)
#define CR4_SMAP     BIT(21)
#define CR4_SHOWN \
    (MASK(10, 0) | CR4_UMIP | CR4_FSGSBASE | CR4_PCIDE | CR4_OSXSAVE | CR4_SMEP | CR4_SMAP)

/* Leaf 1. MONITOR is shown to who may use it. Hidden in ECX: DTES64, DS-CPL, VMX, SMX, EIST, TM2,
 * CNXT-ID, SDBG, xTPR, PDCM, DCA. In EDX: MCE, MCA, PSN, DS, ACPI thermal, SS, TM, PBE. */
#define LEAF1_ECX                                                                                 \
    (BIT32(0) | BIT32(1) | BIT32(9) | BIT32(12) | BIT32(13) | BIT32(17) | BIT32(19) | BIT32(20) | \
     BIT32(21) | BIT32(22) | BIT32(23) | BIT32(24) | BIT32(25) | BIT32(26) | BIT32(28) |          \
     BIT32(29) | BIT32(30))
#define LEAF1_ECX_MONITOR    BIT32(3)
#define LEAF1_ECX_OSXSAVE    BIT32(27)
#define LEAF1_ECX_HYPERVISOR BIT32(31)
#define LEAF1_EDX            (0x078bfbffu & ~(BIT32(7) | BIT32(14)))
#define LEAF1_EDX_APIC       BIT32(9)
#define LEAF1_EDX_HTT        BIT32(28)

/* Leaf 7. Shown in EBX: FSGSBASE, TSC_ADJUST, BMI1, AVX2, FDP, SMEP, BMI2, ERMS, FCS/FDS, AVX-512
 * foundation and friends, RDSEED, ADX, SMAP, CLFLUSHOPT, CLWB, SHA. Hidden: SGX, HLE, RTM (aborts
 * are a side channel), RDT, MPX, PT. */
#define LEAF7_EBX                                                                            \
    (BIT32(0) | BIT32(1) | BIT32(3) | BIT32(5) | BIT32(6) | BIT32(7) | BIT32(8) | BIT32(9) | \
     BIT32(13) | BIT32(16) | BIT32(17) | BIT32(18) | BIT32(19) | BIT32(20) | BIT32(21) |     \
     BIT32(23) | BIT32(24) | BIT32(28) | BIT32(29) | BIT32(30) | BIT32(31))
#define LEAF7_EBX_INVPCID BIT32(10)
/* VBMI, UMIP, VBMI2, GFNI, VAES, VPCLMULQDQ, VNNI, BITALG, VPOPCNTDQ, RDPID (with RDTSCP). Hidden:
 * PKU, OSPKE, WAITPKG, CET, LA57. */
#define LEAF7_ECX                                                                               \
    (BIT32(1) | BIT32(2) | BIT32(6) | BIT32(8) | BIT32(9) | BIT32(10) | BIT32(11) | BIT32(12) | \
     BIT32(14))
#define LEAF7_ECX_RDPID BIT32(22)
/* FSRM. Hidden: the speculation controls, whose MSRs are not offered. */
#define LEAF7_EDX     BIT32(4)

#define LEAF5_LINE    0xffffu /* bytes of a monitored line, in EAX and EBX */
#define LEAF5_BREAKS  0x3u    /* extensions are told; masked interrupts may break */
#define LEAF5_C1      0xf0u   /* in EDX: the sub-states of C1 */
#define LEAF5_ONE_C1  0x10u
#define LEAF6_ARAT    BIT32(2)
#define XSAVE_XSAVEC  0x7u /* XSAVEOPT, XSAVEC, XGETBV1 */
#define XSAVE_XSAVES  BIT32(3)
#define EXT_RDTSCP    BIT32(27)
#define INVARIANT_TSC BIT32(8)
#define MAX_BASIC     0x16u
#define MAX_EXTENDED  0x80000008u
#define KVM_BASE      0x40000100u

static void set(struct cpuid_regs *r, uint32_t eax, uint32_t ebx, uint32_t ecx, uint32_t edx)
{
    *r = (struct cpuid_regs){eax, ebx, ecx, edx};
}

static void set_signature(struct cpuid_regs *r, uint32_t max, const char text[12])
{
    r->eax = max;
    memcpy(&r->ebx, text, 4);
    memcpy(&r->ecx, text + 4, 4);
    memcpy(&r->edx, text + 8, 4);
}

static void max_basic(const struct cpuid_env *env, uint32_t subleaf, struct cpuid_regs *r)
{
    (void)env;
    (void)subleaf;
    r->eax = MAX_BASIC; /* 0x15 and 0x16 are made up even where the CPU ends before */
}

static void features(const struct cpuid_env *env, uint32_t subleaf, struct cpuid_regs *r)
{
    (void)subleaf;
    r->ebx = (r->ebx & 0x0000ff00u) | env->vcpus << 16 | env->apic_id << 24;
    r->ecx = (r->ecx & (LEAF1_ECX | (env->mwait ? LEAF1_ECX_MONITOR : 0))) | LEAF1_ECX_HYPERVISOR |
             (env->osxsave ? LEAF1_ECX_OSXSAVE : 0);
    r->edx = (r->edx & LEAF1_EDX & ~(env->apic_off ? LEAF1_EDX_APIC : 0)) |
             (env->vcpus > 1 ? LEAF1_EDX_HTT : 0);
}

/* Caches: as they are, each core's own, the last level shared by the package. */
static void caches(const struct cpuid_env *env, uint32_t subleaf, struct cpuid_regs *r)
{
    (void)subleaf;
    if ((r->eax & 0x1f) == 0) {
        set(r, 0, 0, 0, 0);
        return;
    }
    uint32_t sharing = (r->eax >> 5 & 7) >= 3 ? env->vcpus - 1 : 0;
    r->eax = (r->eax & 0x3fff) | sharing << 14 | (env->vcpus - 1) << 26;
}

/* Deeper states than C1 are hidden: there the VMX-preemption timer stands still. */
static void monitor(const struct cpuid_env *env, uint32_t subleaf, struct cpuid_regs *r)
{
    (void)subleaf;
    if (env->mwait) {
        set(r, r->eax & LEAF5_LINE, r->ebx & LEAF5_LINE, r->ecx & LEAF5_BREAKS,
            (r->edx & LEAF5_C1) != 0 ? LEAF5_ONE_C1 : 0);
    } else {
        set(r, 0, 0, 0, 0);
    }
}

static void thermal(const struct cpuid_env *env, uint32_t subleaf, struct cpuid_regs *r)
{
    (void)env;
    (void)subleaf;
    set(r, LEAF6_ARAT, 0, 0, 0);
}

static void structured(const struct cpuid_env *env, uint32_t subleaf, struct cpuid_regs *r)
{
    if (subleaf != 0) {
        set(r, 0, 0, 0, 0);
        return;
    }
    uint32_t ebx = LEAF7_EBX | (env->invpcid ? LEAF7_EBX_INVPCID : 0);
    uint32_t ecx = LEAF7_ECX | (env->rdtscp ? LEAF7_ECX_RDPID : 0);
    if ((env->xcr0_allowed & 0xe0) == 0) {
        ebx &= ~(BIT32(16) | BIT32(17) | BIT32(21) | BIT32(28) | BIT32(30) | BIT32(31));
        ecx &= ~(BIT32(1) | BIT32(6) | BIT32(11) | BIT32(12) | BIT32(14));
    }
    set(r, 0, r->ebx & ebx, r->ecx & ecx, r->edx & LEAF7_EDX);
}

/* One thread per core, all vCPUs in one package. */
static void topology(const struct cpuid_env *env, uint32_t subleaf, struct cpuid_regs *r)
{
    uint32_t shift = env->vcpus > 1 ? highest_bit(env->vcpus - 1) + 1 : 0;

    if (subleaf == 0) {
        set(r, 0, 1, 1 << 8, env->apic_id);
    } else if (subleaf == 1) {
        set(r, shift, env->vcpus, 2 << 8 | 1, env->apic_id);
    } else {
        set(r, 0, 0, subleaf & 0xff, env->apic_id);
    }
}

static void xsave_state(const struct cpuid_env *env, uint32_t subleaf, struct cpuid_regs *r)
{
    if (subleaf == 0) {
        /* EBX is the CPU's answer for the guest's XCR0, which is loaded. */
        r->eax = (uint32_t)env->xcr0_allowed;
        r->edx = (uint32_t)(env->xcr0_allowed >> 32);
    } else if (subleaf == 1) {
        set(r, r->eax & (XSAVE_XSAVEC | (env->xsaves ? XSAVE_XSAVES : 0)), r->ebx, 0, 0);
    } else if (subleaf >= 64 || (env->xcr0_allowed & BIT(subleaf)) == 0) {
        set(r, 0, 0, 0, 0);
    }
}

/* TSC = crystal * EBX / EAX. A crystal of 1 MHz would lose what is below; the TSC itself as the
 * crystal is exact. */
uint32_t cpuid_tsc_per_crystal(uint64_t tsc_hz)
{
    return tsc_hz > ALL ? 8 : 1; /* ECX has 32 bits */
}

static void tsc_clock(const struct cpuid_env *env, uint32_t subleaf, struct cpuid_regs *r)
{
    uint32_t ratio = cpuid_tsc_per_crystal(env->tsc_hz);

    (void)subleaf;
    set(r, 1, ratio, (uint32_t)(env->tsc_hz / ratio), 0);
}

static void frequencies(const struct cpuid_env *env, uint32_t subleaf, struct cpuid_regs *r)
{
    uint32_t mhz = (uint32_t)((env->tsc_hz + 500000) / 1000000);

    (void)subleaf;
    set(r, mhz, mhz, 100, 0);
}

static void signature(const struct cpuid_env *env, uint32_t subleaf, struct cpuid_regs *r)
{
    (void)env;
    (void)subleaf;
    set_signature(r, POSTERN_CPUID_ABI, POSTERN_CPUID_SIGNATURE);
}

static void abi_version(const struct cpuid_env *env, uint32_t subleaf, struct cpuid_regs *r)
{
    (void)subleaf;
    set(r, POSTERN_ABI_VERSION, env->native, 0, 0);
}

/* KVM's signature with no features: under it Linux takes the x2APIC without interrupt remapping. */
static void kvm_signature(const struct cpuid_env *env, uint32_t subleaf, struct cpuid_regs *r)
{
    (void)env;
    (void)subleaf;
    set_signature(r, KVM_BASE + 1, "KVMKVMKVM\0\0");
}

static void nothing(const struct cpuid_env *env, uint32_t subleaf, struct cpuid_regs *r)
{
    (void)env;
    (void)subleaf;
    set(r, 0, 0, 0, 0);
}

static void max_extended(const struct cpuid_env *env, uint32_t subleaf, struct cpuid_regs *r)
{
    (void)env;
    (void)subleaf;
    set(r, MAX_EXTENDED, 0, 0, 0);
}

static void extended_features(const struct cpuid_env *env, uint32_t subleaf, struct cpuid_regs *r)
{
    (void)subleaf;
    /* LAHF, LZCNT, PREFETCHW; SYSCALL, NX, 1 GiB pages, RDTSCP, long mode. */
    set(r, 0, 0, r->ecx & (BIT32(0) | BIT32(5) | BIT32(8)),
        r->edx & (BIT32(11) | BIT32(20) | BIT32(26) | BIT32(29) | (env->rdtscp ? EXT_RDTSCP : 0)));
}

static void invariant_tsc(const struct cpuid_env *env, uint32_t subleaf, struct cpuid_regs *r)
{
    (void)env;
    (void)subleaf;
    set(r, 0, 0, 0, INVARIANT_TSC);
}

static void address_sizes(const struct cpuid_env *env, uint32_t subleaf, struct cpuid_regs *r)
{
    (void)env;
    (void)subleaf;
    set(r, r->eax & 0xffff, 0, 0, 0);
}

static void as_it_is(const struct cpuid_env *env, uint32_t subleaf, struct cpuid_regs *r)
{
    (void)env;
    (void)subleaf;
    (void)r;
}

static const struct row {
    uint32_t first, last;
    bool synthetic; /* does not depend on the CPU */
    bool fixed;     /* nor on the subleaf, the vCPU and its registers */
    void (*apply)(const struct cpuid_env *env, uint32_t subleaf, struct cpuid_regs *r);
} rows[] = {
    {0x0, 0x0, false, true, max_basic},
    {0x1, 0x1, false, false, features},
    {0x2, 0x2, false, false, as_it_is},
    {0x4, 0x4, false, false, caches},
    {0x5, 0x5, false, true, monitor},
    {0x6, 0x6, true, true, thermal},
    {0x7, 0x7, false, false, structured},
    {0xb, 0xb, true, false, topology},
    {0xd, 0xd, false, false, xsave_state},
    {0x15, 0x15, true, true, tsc_clock},
    {0x16, 0x16, true, true, frequencies},
    {POSTERN_CPUID_BASE, POSTERN_CPUID_BASE, true, true, signature},
    {POSTERN_CPUID_ABI, POSTERN_CPUID_ABI, true, true, abi_version},
    {KVM_BASE, KVM_BASE, true, false, kvm_signature},
    {KVM_BASE + 1, KVM_BASE + 1, true, false, nothing},
    {0x80000000, 0x80000000, true, true, max_extended},
    {0x80000001, 0x80000001, false, true, extended_features},
    {0x80000002, 0x80000006, false, true, as_it_is}, /* the brand, caches */
    {0x80000007, 0x80000007, true, true, invariant_tsc},
    {0x80000008, 0x80000008, false, true, address_sizes},
};

static const struct row *find_row(uint32_t leaf)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        if (leaf >= rows[i].first && leaf <= rows[i].last) {
            return &rows[i];
        }
    }
    return NULL;
}

bool cpuid_is_synthetic(uint32_t leaf)
{
    const struct row *row = find_row(leaf);

    return row == NULL || row->synthetic;
}

void cpuid_emulate(const struct cpuid_env *env, uint32_t leaf, uint32_t subleaf,
                   struct cpuid_regs *regs)
{
    const struct row *row = find_row(leaf);

    if (row == NULL) {
        set(regs, 0, 0, 0, 0);
    } else {
        row->apply(env, subleaf, regs);
    }
}

void cpuid_cache_fill(struct cpuid_cache *cache, const struct cpuid_env *env,
                      struct cpuid_regs (*ask)(uint32_t leaf))
{
    for (uint32_t range = 0; range < CPUID_RANGES; range++) {
        for (uint32_t index = 0; index < CPUID_RANGE_LEAVES; index++) {
            uint32_t leaf = range << 30 | index;
            const struct row *row = find_row(leaf);
            bool fixed = row == NULL || row->fixed;
            cache->rows[range][index].valid = fixed;
            if (fixed) {
                struct cpuid_regs regs =
                    row == NULL || row->synthetic ? (struct cpuid_regs){0} : ask(leaf);
                cpuid_emulate(env, leaf, 0, &regs);
                cache->rows[range][index].regs = regs;
            }
        }
    }
}

void cpuid_env_limits(struct cpuid_env *env, const struct cpuid_regs *structured_features,
                      uint64_t xcr0)
{
    /* x87, SSE, AVX, AVX-512: the components whose features are shown. */
    env->xcr0_allowed = xcr0 & 0xe7;
    /* All others, those of later CPUs too: a guest must not reach state that is not switched. */
    env->cr4_hidden = ~CR4_SHOWN;
    if ((structured_features->ebx & BIT32(7)) == 0) {
        env->cr4_hidden |= CR4_SMEP;
    }
    if ((structured_features->ebx & BIT32(20)) == 0) {
        env->cr4_hidden |= CR4_SMAP;
    }
    if ((structured_features->ecx & BIT32(2)) == 0) {
        env->cr4_hidden |= CR4_UMIP;
    }
}
