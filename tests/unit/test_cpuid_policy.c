/* SPDX-License-Identifier: BSD-2-Clause */
/* What a guest sees of a CPU that has everything (all bits set) and of one that has nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "abi/hypercall.h"
#include "lib/bits.h"
#include "machine/cpuid_policy.h"
#include "tests/unit/random.h"

#define ALL 0xffffffffu

static struct cpuid_env full_env(void)
{
    return (struct cpuid_env){
        .apic_id = 2,
        .vcpus = 4,
        .tsc_hz = 2100000000,
        .rdtscp = true,
        .invpcid = true,
        .xsaves = true,
        .xcr0_allowed = 0xe7,
    };
}

static struct cpuid_regs ask(const struct cpuid_env *env, uint32_t leaf, uint32_t subleaf,
                             uint32_t fill)
{
    struct cpuid_regs regs = {fill, fill, fill, fill};

    cpuid_emulate(env, leaf, subleaf, &regs);
    return regs;
}

static uint32_t bits(const uint8_t *list, unsigned count)
{
    uint32_t mask = 0;

    for (unsigned i = 0; i < count; i++) {
        mask |= BIT32(list[i]);
    }
    return mask;
}

static void expect_regs(struct cpuid_regs r, uint32_t eax, uint32_t ebx, uint32_t ecx, uint32_t edx)
{
    assert_int_equal(r.eax, eax);
    assert_int_equal(r.ebx, ebx);
    assert_int_equal(r.ecx, ecx);
    assert_int_equal(r.edx, edx);
}

/* Every bit of leaf 1, under the SDM's names. What is not in the lists is hidden: DTES64, MONITOR,
 * DS-CPL, VMX, SMX, EIST, TM2, PDCM, DCA ... */
static void test_leaf_1(void **state)
{
    static const uint8_t ecx[] = {0 /* SSE3 */,    1 /* PCLMULQDQ */,   9 /* SSSE3 */,
                                  12 /* FMA */,    13 /* CMPXCHG16B */, 17 /* PCID */,
                                  19 /* SSE4.1 */, 20 /* SSE4.2 */,     21 /* x2APIC */,
                                  22 /* MOVBE */,  23 /* POPCNT */,     24 /* TSC-deadline */,
                                  25 /* AES */,    26 /* XSAVE */,      28 /* AVX */,
                                  29 /* F16C */,   30 /* RDRAND */,     31 /* hypervisor */};
    static const uint8_t edx[] = {0 /* FPU */,    1 /* VME */,   2 /* DE */,
                                  3 /* PSE */,    4 /* TSC */,   5 /* MSR */,
                                  6 /* PAE */,    8 /* CX8 */,   9 /* APIC */,
                                  11 /* SEP */,   12 /* MTRR */, 13 /* PGE */,
                                  15 /* CMOV */,  16 /* PAT */,  17 /* PSE-36 */,
                                  19 /* CLFSH */, 23 /* MMX */,  24 /* FXSR */,
                                  25 /* SSE */,   26 /* SSE2 */, 28 /* HTT */};
    struct cpuid_env env = full_env();
    struct cpuid_regs r = ask(&env, 1, 0, ALL);

    (void)state;
    assert_int_equal(r.ecx, bits(ecx, sizeof(ecx)));
    assert_int_equal(r.edx, bits(edx, sizeof(edx)));
    assert_int_equal(r.ebx, 2u << 24 | 4 << 16 | 0xff00);
    env.osxsave = true;
    assert_int_equal(ask(&env, 1, 0, ALL).ecx, bits(ecx, sizeof(ecx)) | BIT32(27));
    /* A CPU that lacks them all: the hypervisor's bit, and what follows from the guest. */
    r = ask(&env, 1, 0, 0);
    assert_int_equal(r.ecx, BIT32(31) | BIT32(27));
    assert_int_equal(r.edx, BIT32(28));
    env.vcpus = 1;
    assert_int_equal(ask(&env, 1, 0, 0).edx, 0);
    env.apic_off = true;
    assert_int_equal(ask(&env, 1, 0, ALL).edx, bits(edx, sizeof(edx) - 1) & ~BIT32(9));
}

/* What must never show, whatever else changes. */
static void test_hidden(void **state)
{
    static const struct {
        uint32_t leaf, subleaf;
        char reg;
        uint8_t bit;
    } hidden[] = {
        {1, 0, 'c', 5},  /* VMX */
        {1, 0, 'c', 6},  /* SMX */
        {1, 0, 'c', 3},  /* MONITOR */
        {1, 0, 'c', 7},  /* EIST */
        {1, 0, 'c', 15}, /* PDCM */
        {1, 0, 'd', 7},  /* MCE */
        {1, 0, 'd', 14}, /* MCA */
        {1, 0, 'd', 21}, /* DS */
        {1, 0, 'd', 22}, /* ACPI, thermal control by MSRs */
        {1, 0, 'd', 29}, /* TM */
        {6, 0, 'a', 0},  /* digital thermal sensor */
        {6, 0, 'a', 1},  /* turbo */
        {6, 0, 'a', 7},  /* HWP */
        {6, 0, 'c', 3},  /* EPB */
        {7, 0, 'b', 2},  /* SGX */
        {7, 0, 'b', 4},  /* HLE */
        {7, 0, 'b', 11}, /* RTM */
        {7, 0, 'b', 12}, /* RDT monitoring */
        {7, 0, 'b', 14}, /* MPX */
        {7, 0, 'b', 15}, /* RDT allocation */
        {7, 0, 'b', 25}, /* Intel PT */
        {7, 0, 'c', 3},  /* PKU */
        {7, 0, 'c', 4},  /* OSPKE */
        {7, 0, 'c', 5},  /* WAITPKG */
        {7, 0, 'c', 7},  /* CET SS */
        {7, 0, 'c', 16}, /* LA57 */
        {7, 0, 'c', 23}, /* key locker */
        {7, 0, 'c', 29}, /* ENQCMD */
        {7, 0, 'd', 5},  /* UINTR */
        {7, 0, 'd', 20}, /* CET IBT */
        {7, 0, 'd', 24}, /* AMX tiles */
        {7, 0, 'd', 26}, /* IBRS and IBPB */
        {7, 0, 'd', 27}, /* STIBP */
        {7, 0, 'd', 29}, /* ARCH_CAPABILITIES */
        {7, 0, 'd', 31}, /* SSBD */
    };
    struct cpuid_env env = full_env();

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(hidden); i++) {
        struct cpuid_regs r = ask(&env, hidden[i].leaf, hidden[i].subleaf, ALL);
        uint32_t value = hidden[i].reg == 'a'   ? r.eax
                         : hidden[i].reg == 'b' ? r.ebx
                         : hidden[i].reg == 'c' ? r.ecx
                                                : r.edx;
        assert_int_equal(value & BIT32(hidden[i].bit), 0);
    }
    /* Leaves that are not offered at all: performance monitoring, SGX, RDT, PT, ... */
    static const uint32_t none[] = {3,          8,          9,          0xa,        0xc,
                                    0xe,        0xf,        0x10,       0x11,       0x12,
                                    0x14,       0x17,       0x18,       0x19,       0x1a,
                                    0x1f,       0x20,       0x40000002, 0x400000ff, 0x40000102,
                                    0x80000009, 0x8000001f, 0x8fffffff, 0xc0000000, 0xffffffff};
    for (unsigned i = 0; i < ARRAY_SIZE(none); i++) {
        for (uint32_t subleaf = 0; subleaf < 4; subleaf++) {
            expect_regs(ask(&env, none[i], subleaf, ALL), 0, 0, 0, 0);
        }
        assert_true(cpuid_is_synthetic(none[i]));
    }
}

static void test_leaf_7(void **state)
{
    static const uint8_t ebx[] = {0 /* FSGSBASE */,    1 /* TSC_ADJUST */,
                                  3 /* BMI1 */,        5 /* AVX2 */,
                                  6 /* FDP */,         7 /* SMEP */,
                                  8 /* BMI2 */,        9 /* ERMS */,
                                  10 /* INVPCID */,    13 /* FCS/FDS */,
                                  16 /* AVX512F */,    17 /* AVX512DQ */,
                                  18 /* RDSEED */,     19 /* ADX */,
                                  20 /* SMAP */,       21 /* AVX512_IFMA */,
                                  23 /* CLFLUSHOPT */, 24 /* CLWB */,
                                  28 /* AVX512CD */,   29 /* SHA */,
                                  30 /* AVX512BW */,   31 /* AVX512VL */};
    static const uint8_t ecx[] = {
        1 /* VBMI */,        2 /* UMIP */,  6 /* VBMI2 */,   8 /* GFNI */,       9 /* VAES */,
        10 /* VPCLMULQDQ */, 11 /* VNNI */, 12 /* BITALG */, 14 /* VPOPCNTDQ */, 22 /* RDPID */};
    struct cpuid_env env = full_env();

    (void)state;
    expect_regs(ask(&env, 7, 0, ALL), 0, bits(ebx, sizeof(ebx)), bits(ecx, sizeof(ecx)), BIT32(4));
    expect_regs(ask(&env, 7, 0, 0), 0, 0, 0, 0);
    expect_regs(ask(&env, 7, 1, ALL), 0, 0, 0, 0);
    expect_regs(ask(&env, 7, 0x7fffffff, ALL), 0, 0, 0, 0);
    env.invpcid = false;
    env.rdtscp = false;
    struct cpuid_regs r = ask(&env, 7, 0, ALL);
    assert_int_equal(r.ebx & BIT32(10), 0);
    assert_int_equal(r.ecx & BIT32(22), 0);
    /* No AVX-512 state, no AVX-512 instructions. */
    env.xcr0_allowed = 7;
    r = ask(&env, 7, 0, ALL);
    assert_int_equal(r.ebx & (BIT32(16) | BIT32(17) | BIT32(21) | MASK(31, 30) | BIT32(28)), 0);
    assert_int_equal(r.ecx & (BIT32(1) | BIT32(6) | BIT32(11) | BIT32(12) | BIT32(14)), 0);
    assert_int_equal(r.ebx & BIT32(5), BIT32(5));
}

/* With masked interrupts as events, and no state deeper than C1. */
static void test_monitor(void **state)
{
    struct cpuid_env env = full_env();
    struct cpuid_regs cpu = {0xffff0040, 0xffff0080, ALL, 0x11142120};

    (void)state;
    expect_regs(ask(&env, 5, 0, ALL), 0, 0, 0, 0);
    assert_int_equal(ask(&env, 1, 0, ALL).ecx & BIT32(3), 0);
    env.mwait = true;
    assert_int_equal(ask(&env, 1, 0, ALL).ecx & BIT32(3), BIT32(3));
    assert_int_equal(ask(&env, 1, 0, 0).ecx & BIT32(3), 0); /* the CPU has none */
    cpuid_emulate(&env, 5, 0, &cpu);
    expect_regs(cpu, 0x40, 0x80, 3, 0x10);
    expect_regs(ask(&env, 5, 0, 0), 0, 0, 0, 0);
}

static void test_extended(void **state)
{
    struct cpuid_env env = full_env();
    struct cpuid_regs r = ask(&env, 0x80000001, 0, ALL);

    (void)state;
    assert_int_equal(ask(&env, 0x80000000, 0, 0).eax, 0x80000008);
    /* LAHF, LZCNT, PREFETCHW; SYSCALL, NX, 1 GiB pages, RDTSCP, 64 bits. */
    assert_int_equal(r.ecx, BIT32(0) | BIT32(5) | BIT32(8));
    assert_int_equal(r.edx, BIT32(11) | BIT32(20) | BIT32(26) | BIT32(27) | BIT32(29));
    env.rdtscp = false;
    assert_int_equal(ask(&env, 0x80000001, 0, ALL).edx & BIT32(27), 0);
    expect_regs(ask(&env, 0x80000007, 0, 0), 0, 0, 0, BIT32(8)); /* invariant TSC */
    expect_regs(ask(&env, 0x80000008, 0, 0x12343028), 0x3028, 0, 0, 0);
    expect_regs(ask(&env, 0x80000003, 0, 0x6c65746e), 0x6c65746e, 0x6c65746e, 0x6c65746e,
                0x6c65746e);
}

static void expect_signature(struct cpuid_regs r, uint32_t max, const char *text)
{
    char found[13] = "";

    memcpy(found, &r.ebx, 4);
    memcpy(found + 4, &r.ecx, 4);
    memcpy(found + 8, &r.edx, 4);
    assert_int_equal(r.eax, max);
    assert_string_equal(found, text);
}

static void test_hypervisor_leaves(void **state)
{
    struct cpuid_env env = full_env();

    (void)state;
    expect_signature(ask(&env, 0x40000000, 0, ALL), 0x40000001, "PosternHyper");
    expect_regs(ask(&env, 0x40000001, 0, ALL), POSTERN_ABI_VERSION, 0, 0, 0);
    env.native = POSTERN_NATIVE_VMFUNC | POSTERN_NATIVE_VE;
    expect_regs(ask(&env, 0x40000001, 0, ALL), POSTERN_ABI_VERSION, 3, 0, 0);
    expect_signature(ask(&env, 0x40000100, 0, ALL), 0x40000101, "KVMKVMKVM");
    expect_regs(ask(&env, 0x40000101, 0, ALL), 0, 0, 0, 0); /* none of KVM's features */
}

static void test_clocks(void **state)
{
    static const uint64_t rates[] = {1000000, 19200000, 2099999999, 4294967295, 5000000000};
    struct cpuid_env env = full_env();

    (void)state;
    assert_true(ask(&env, 0, 0, 0xd).eax >= 0x16); /* shown where the CPU ends before */
    for (unsigned i = 0; i < ARRAY_SIZE(rates); i++) {
        env.tsc_hz = rates[i];
        struct cpuid_regs r = ask(&env, 0x15, 0, ALL);
        assert_int_not_equal(r.eax, 0);
        assert_int_equal((uint64_t)r.ecx * r.ebx / r.eax, rates[i]);
        r = ask(&env, 0x16, 0, ALL);
        assert_int_equal(r.eax, (rates[i] + 500000) / 1000000);
    }
}

/* The x2APIC id and how many of its bits tell the vCPU within the package. */
static void test_topology(void **state)
{
    (void)state;
    for (uint32_t vcpus = 1; vcpus <= 8; vcpus++) {
        struct cpuid_env env = full_env();
        env.vcpus = vcpus;
        env.apic_id = vcpus - 1;
        struct cpuid_regs thread = ask(&env, 0xb, 0, ALL), core = ask(&env, 0xb, 1, ALL);
        expect_regs(thread, 0, 1, 1 << 8, vcpus - 1);
        assert_int_equal(core.ebx, vcpus);
        assert_int_equal(core.ecx, 2 << 8 | 1);
        assert_int_equal(core.edx, vcpus - 1);
        assert_true(1u << core.eax >= vcpus && 1u << core.eax < 2 * vcpus);
        expect_regs(ask(&env, 0xb, 2, ALL), 0, 0, 2, vcpus - 1); /* no further level */
        assert_int_equal(ask(&env, 1, 0, ALL).ebx >> 16, (vcpus - 1) << 8 | vcpus);
        /* Leaf 4: an own L1, a shared L3, and as many cores in the package. */
        struct cpuid_regs cache = ask(&env, 4, 0, 1u << 5 | 1);
        assert_int_equal(cache.eax >> 14 & 0xfff, 0);
        assert_int_equal(cache.eax >> 26, vcpus - 1);
        assert_int_equal(ask(&env, 4, 3, 0xfffffc00 | 3u << 5 | 3).eax >> 14 & 0xfff, vcpus - 1);
        expect_regs(ask(&env, 4, 4, 0xffffffe0), 0, 0, 0, 0); /* no more caches */
    }
}

static void test_xsave(void **state)
{
    struct cpuid_env env = full_env();
    struct cpuid_regs r = ask(&env, 0xd, 0, ALL);

    (void)state;
    assert_int_equal(r.eax, 0xe7);
    assert_int_equal(r.edx, 0);
    assert_int_equal(ask(&env, 0xd, 1, ALL).eax, 0xf);
    assert_int_equal(ask(&env, 0xd, 1, ALL).ecx, 0); /* no supervisor states */
    env.xsaves = false;
    assert_int_equal(ask(&env, 0xd, 1, ALL).eax, 0x7);
    for (uint32_t i = 2; i < 80; i++) {
        bool shown = i < 64 && (0xe7ull >> i & 1) != 0;
        assert_int_equal(ask(&env, 0xd, i, 0x123).eax, shown ? 0x123 : 0);
    }
    expect_regs(ask(&env, 0xd, ALL, ALL), 0, 0, 0, 0);
}

static void test_limits(void **state)
{
    const struct cpuid_regs everything = {ALL, ALL, ALL, ALL}, nothing = {0, 0, 0, 0};
    struct cpuid_env env = full_env();

    (void)state;
    cpuid_env_limits(&env, &everything, ~0ull);
    assert_int_equal(env.xcr0_allowed, 0xe7); /* no MPX, PKRU, AMX, ... */
    /* VME to OSXMMEXCPT, UMIP, FSGSBASE, PCIDE, OSXSAVE, SMEP and SMAP; nothing that a later CPU
     * brings: VMXE, SMXE, KL, PKE, CET, PKS, UINTR, LASS, LAM_SUP, FRED. */
    uint64_t shown = MASK(11, 0) | MASK(18, 16) | MASK(21, 20);
    assert_true(env.cr4_hidden == ~shown);
    cpuid_env_limits(&env, &nothing, 3);
    assert_int_equal(env.xcr0_allowed, 3);
    assert_true(env.cr4_hidden == (~shown | BIT(11) | BIT(20) | BIT(21)));
}

/* A synthetic leaf owes nothing to the CPU; no leaf shows a bit that the CPU lacks, but for those
 * that are made up. */
static void test_synthetic(void **state)
{
    struct cpuid_env env = full_env();
    struct random random = {0x15};

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        static const uint32_t bases[] = {0, 0x40000000, 0x40000100, 0x80000000};
        uint32_t leaf = bases[random_below(&random, 4)] + random_below(&random, 0x28);
        uint32_t subleaf = random_below(&random, 3);
        struct cpuid_regs a = ask(&env, leaf, subleaf, random_next(&random));
        struct cpuid_regs b = ask(&env, leaf, subleaf, random_next(&random));
        if (cpuid_is_synthetic(leaf)) {
            assert_memory_equal(&a, &b, sizeof(a));
        }
    }
    static const uint32_t from_cpu[] = {0, 1, 2, 4, 5, 7, 0xd, 0x80000001, 0x80000002, 0x80000008};
    for (unsigned i = 0; i < ARRAY_SIZE(from_cpu); i++) {
        assert_false(cpuid_is_synthetic(from_cpu[i]));
    }
}

static struct cpuid_regs ask_cpu(uint32_t leaf)
{
    return (struct cpuid_regs){leaf * 3 + 1, ~leaf, leaf ^ 0x55555555, 0xffff0000 | leaf};
}

/* A cached answer is the one that would be made, on each vCPU and at any moment. */
static void test_cache(void **state)
{
    struct cpuid_env env = full_env();
    static struct cpuid_cache cache;
    unsigned cached = 0;

    (void)state;
    memset(&cache, 0xee, sizeof(cache));
    cpuid_cache_fill(&cache, &env, ask_cpu);
    for (uint64_t leaf = 0; leaf <= UINT32_MAX; leaf += leaf % 0x40000000 < 100 ? 1 : 0x3fffff9c) {
        const struct cpuid_regs *regs = cpuid_cached(&cache, (uint32_t)leaf);
        for (unsigned i = 0; regs != NULL && i < 32; i++) {
            struct cpuid_regs want = ask_cpu((uint32_t)leaf);
            env.apic_id = i & 3;
            env.osxsave = (i & 4) != 0;
            env.apic_off = (i & 8) != 0;
            cpuid_emulate(&env, (uint32_t)leaf, i >> 3, &want);
            assert_memory_equal(regs, &want, sizeof(want));
        }
        cached += regs != NULL;
    }
    assert_in_range(cached, 20, CPUID_RANGES * CPUID_RANGE_LEAVES);
    assert_non_null(cpuid_cached(&cache, 0));
    assert_non_null(cpuid_cached(&cache, 0x40000000));
    assert_null(cpuid_cached(&cache, 1)); /* the vCPU's number is in it */
    assert_null(cpuid_cached(&cache, CPUID_RANGE_LEAVES));
    assert_null(cpuid_cached(&cache, 0x40000100));
    assert_null(cpuid_cached(&cache, 0xc0000000));
    assert_null(cpuid_cached(&cache, UINT32_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leaf_1),    cmocka_unit_test(test_hidden),
        cmocka_unit_test(test_leaf_7),    cmocka_unit_test(test_monitor),
        cmocka_unit_test(test_extended),  cmocka_unit_test(test_hypervisor_leaves),
        cmocka_unit_test(test_clocks),    cmocka_unit_test(test_topology),
        cmocka_unit_test(test_xsave),     cmocka_unit_test(test_limits),
        cmocka_unit_test(test_synthetic), cmocka_unit_test(test_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
