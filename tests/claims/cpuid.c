/* SPDX-License-Identifier: BSD-2-Clause */
/* What CPUID shows (docs/abi.md, "CPUID"). */
#include "tests/kit/kit.h"

#define LEAF1_MONITOR    BIT32(3)
#define LEAF1_VMX        BIT32(5)
#define LEAF1_SMX        BIT32(6)
#define LEAF1_PDCM       BIT32(15)
#define LEAF1_X2APIC     BIT32(21)
#define LEAF1_DEADLINE   BIT32(24)
#define LEAF1_OSXSAVE    BIT32(27)
#define LEAF1_HYPERVISOR BIT32(31)
#define LEAF7_SGX        BIT32(2)
#define LEAF7_HLE        BIT32(4)
#define LEAF7_RTM        BIT32(11)
#define LEAF7_MPX        BIT32(14)
#define LEAF7_PKU        BIT32(3)
#define LEAF7_WAITPKG    BIT32(5)
#define LEAF7_CET_SS     BIT32(7)
#define LEAF7_LA57       BIT32(16)
#define MAX_BASIC        0x16u
#define MAX_EXTENDED     0x80000008u

static void check_signature(uint32_t leaf, const char text[12])
{
    struct cpuid_result r = cpuid(leaf, 0);
    char name[12];

    memcpy(name, &r.ebx, 4);
    memcpy(name + 4, &r.ecx, 4);
    memcpy(name + 8, &r.edx, 4);
    CHECK(memcmp(name, text, sizeof(name)) == 0);
    CHECK_EQUAL(r.eax, leaf + 1);
}

static void check_zeros(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_result r = cpuid(leaf, subleaf);

    if ((r.eax | r.ebx | r.ecx | r.edx) != 0) {
        fail("leaf 0x%x is %x %x %x %x", leaf, r.eax, r.ebx, r.ecx, r.edx);
    }
}

CLAIM(cpuid_signature, "leaf 0x40000000 spells PosternHyper and tells the range's highest leaf")
{
    check_signature(POSTERN_CPUID_BASE, POSTERN_CPUID_SIGNATURE);
}

CLAIM(cpuid_abi_version, "leaf 0x40000001 tells the version of the contract")
{
    struct cpuid_result r = cpuid(POSTERN_CPUID_ABI, 0);

    CHECK_EQUAL(r.eax, POSTERN_ABI_VERSION);
    CHECK_EQUAL(r.ecx | r.edx, 0);
}

CLAIM(cpuid_kvm_signature, "leaf 0x40000100 has KVM's signature, and no feature behind it")
{
    check_signature(0x40000100, "KVMKVMKVM\0\0");
    check_zeros(0x40000101, 0);
}

CLAIM(cpuid_leaf_1, "leaf 1 shows a hypervisor, x2APIC and TSC-deadline; hides VMX and MONITOR")
{
    uint32_t ecx = cpuid(1, 0).ecx;

    CHECK((ecx & LEAF1_HYPERVISOR) != 0);
    CHECK((ecx & LEAF1_X2APIC) != 0);
    CHECK((ecx & LEAF1_DEADLINE) != 0);
    CHECK_EQUAL(ecx & (LEAF1_VMX | LEAF1_SMX | LEAF1_MONITOR | LEAF1_PDCM), 0);
}

CLAIM(cpuid_osxsave, "leaf 1 shows OSXSAVE as long as CR4 has it set")
{
    CHECK_EQUAL(cpuid(1, 0).ecx & LEAF1_OSXSAVE, 0);
    write_cr4(read_cr4() | CR4_OSXSAVE);
    CHECK_EQUAL(cpuid(1, 0).ecx & LEAF1_OSXSAVE, LEAF1_OSXSAVE);
    write_cr4(read_cr4() & ~CR4_OSXSAVE);
    CHECK_EQUAL(cpuid(1, 0).ecx & LEAF1_OSXSAVE, 0);
}

CLAIM(cpuid_leaf_7, "leaf 7 hides SGX, TSX, MPX, protection keys, WAITPKG, CET and LA57")
{
    struct cpuid_result r = cpuid(7, 0);

    CHECK_EQUAL(r.eax, 0);
    CHECK_EQUAL(r.ebx & (LEAF7_SGX | LEAF7_HLE | LEAF7_RTM | LEAF7_MPX), 0);
    CHECK_EQUAL(r.ecx & (LEAF7_PKU | LEAF7_WAITPKG | LEAF7_CET_SS | LEAF7_LA57), 0);
    check_zeros(7, 1);
}

CLAIM(cpuid_limits, "the highest leaves are 0x16 and 0x80000008")
{
    CHECK_EQUAL(cpuid(0, 0).eax, MAX_BASIC);
    CHECK_EQUAL(cpuid(0x80000000, 0).eax, MAX_EXTENDED);
}

CLAIM(cpuid_unknown_leaves, "leaves without a row read as zeros")
{
    static const uint32_t leaves[] = {3,          5,          8,          9,          0xa,
                                      0xc,        0xe,        0xf,        0x10,       0x12,
                                      0x14,       0x17,       0x1f,       0x20,       0x40000002,
                                      0x400000ff, 0x40000102, 0x80000009, 0x8000001f, 0xffffffff};

    for (unsigned i = 0; i < ARRAY_SIZE(leaves); i++) {
        check_zeros(leaves[i], 0);
    }
}

CLAIM(cpuid_topology, "leaf 0xb has one thread per core and all vCPUs in the package")
{
    struct cpuid_result thread = cpuid(0xb, 0), core = cpuid(0xb, 1);

    CHECK_EQUAL(thread.ebx, 1);
    CHECK_EQUAL(thread.ecx, 0x100);
    CHECK_EQUAL(core.ecx, 0x201);
    CHECK_EQUAL(thread.edx, rdmsr(MSR_X2APIC_ID));
    CHECK_EQUAL(core.ebx, cpuid(1, 0).ebx >> 16 & 0xff);
}

CLAIM(cpuid_upper_halves, "CPUID clears the upper halves of its four registers")
{
    uint64_t rax = ~0ull << 32, rbx = ~0ull, rcx = ~0ull << 32, rdx = ~0ull;

    __asm__ volatile("cpuid" : "+a"(rax), "+b"(rbx), "+c"(rcx), "+d"(rdx));
    CHECK_EQUAL((rax | rbx | rcx | rdx) >> 32, 0);
}

CLAIM(cpuid_tsc_frequency, "the clock that leaf 0x15 tells is the one of leaf 0x16, to 1 MHz")
{
    uint64_t mhz = tsc_per_ms() / 1000;
    uint64_t told = cpuid(0x16, 0).eax;

    CHECK(told + 1 >= mhz && told <= mhz + 1);
    CHECK((cpuid(0x80000007, 0).edx & BIT32(8)) != 0); /* invariant */
}

CLAIM(cpuid_xsave_size, "leaf 0xd tells the size for the XCR0 that is set")
{
    if ((cpuid(1, 0).ecx & BIT32(26)) == 0) {
        skip("no XSAVE");
    }
    write_cr4(read_cr4() | CR4_OSXSAVE);
    xsetbv(0, 1);
    CHECK_EQUAL(cpuid(0xd, 0).ebx, 576);
    if ((cpuid(0xd, 0).eax & 4) != 0) {
        xsetbv(0, 7);
        CHECK_EQUAL(cpuid(0xd, 0).ebx, 832);
        xsetbv(0, 1);
    }
}
