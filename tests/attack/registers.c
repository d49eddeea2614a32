/* SPDX-License-Identifier: BSD-2-Clause */
/* MSRs and control registers with values that no CPU takes, and some that it does. */
#include "tests/attack/attack.h"

#define MSR_PAT       0x277u
#define MSR_X2_ICR    0x830u
#define X2_FIRST      0x800u
#define X2_LAST       0x8ffu
#define CR0_CD_BIT    (1ull << 30)
#define CR0_DEFINED   0xe005003full
#define CR0_ET_NUMBER 4u /* always 1 */
#define CR4_MCE_BIT   (1ull << 6)

/* Of what the kit itself stands on. */
static bool is_own(uint32_t msr)
{
    return msr == MSR_IA32_EFER || msr == MSR_IA32_GS_BASE || msr == MSR_IA32_FS_BASE ||
           (msr >= X2_FIRST && msr <= X2_LAST);
}

static void try_msr(uint32_t msr)
{
    uint64_t old = 0, back = 0;
    struct trap read = try_rdmsr(msr, &old);

    CHECK(read.vector == TRAP_NONE || (read.vector == EXCEPTION_GP && read.error == 0));
    if (is_own(msr)) {
        return;
    }
    for (unsigned i = 0; i < 2; i++) {
        struct trap write = try_wrmsr(msr, i == 0 ? random_next() : ~0ull);
        CHECK(write.vector == TRAP_NONE || (write.vector == EXCEPTION_GP && write.error == 0));
        CHECK(try_rdmsr(msr, &back).vector == read.vector);
    }
    if (read.vector == TRAP_NONE) {
        (void)try_wrmsr(msr, old);
    }
}

CLAIM(msr_fuzz, "each MSR of the ranges that CPUs have reads, is #GP or takes what is written")
{
    in_bochs_let_others_in();
    random_seed(4);
    for (uint32_t msr = 0; msr < 0x1000; msr++) {
        try_msr(msr);
    }
    for (uint32_t msr = 0x1000; msr < 0x2000; msr += 7) {
        try_msr(msr);
    }
    for (uint32_t msr = 0xc0000000; msr < 0xc0000400; msr++) {
        try_msr(msr);
    }
    for (unsigned i = 0; i < 2000; i++) {
        try_msr(0x2000 + (uint32_t)(random_next() % 0xbfff0000));
    }
    for (uint32_t msr = 0x40000000; msr < 0x40000100; msr++) {
        try_msr(msr);
    }
}

CLAIM(msr_x2apic_fuzz, "the local APIC's MSRs take random values, or are #GP")
{
    static const uint32_t skipped[] = {MSR_X2_ICR};

    random_seed(5);
    for (uint32_t msr = X2_FIRST; msr <= X2_LAST; msr++) {
        for (unsigned i = 0; i < 4 && msr != skipped[0]; i++) {
            struct trap trap = try_wrmsr(msr, random_next() >> (16 * i));
            CHECK(trap.vector == TRAP_NONE || trap.vector == EXCEPTION_GP);
        }
    }
    /* IPIs of all kinds to vCPUs that are not there. */
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t destination = 2 + random_next() % 0xfffffffd;
        (void)try_wrmsr(MSR_X2_ICR, destination << 32 | (random_next() & 0x7ff));
    }
}

static struct trap try_cr0(uint64_t value)
{
    return TRY("mov %0, %%cr0", : : "r"(value) : "memory");
}

static struct trap try_cr4(uint64_t value)
{
    return TRY("mov %0, %%cr4", : : "r"(value) : "memory");
}

CLAIM(cr0_every_bit,
      "each bit of CR0 changes, or its change is #GP, by itself or with one that exits")
{
    uint64_t old = read_cr0();

    for (unsigned bit = 0; bit < 64; bit++) {
        bool kept = bit == CR0_ET_NUMBER || (bit < 32 && (CR0_DEFINED >> bit & 1) == 0);
        for (unsigned with = 0; with < 2 && !kept; with++) {
            uint64_t value = (old ^ 1ull << bit) ^ (with != 0 ? CR0_CD_BIT : 0);
            struct trap trap = try_cr0(value);
            uint64_t now = read_cr0();
            CHECK_NO_TRAP(try_cr0(old));
            CHECK(trap.vector == TRAP_NONE || trap.vector == EXCEPTION_GP);
            CHECK_EQUAL(now, trap.vector == TRAP_NONE ? value : old);
        }
    }
}

CLAIM(cr4_every_bit,
      "each bit of CR4 changes, or its change is #GP, by itself or with one that exits")
{
    uint64_t old = read_cr4();

    for (unsigned bit = 0; bit < 64; bit++) {
        for (unsigned with = 0; with < 2; with++) {
            uint64_t value = (old ^ 1ull << bit) ^ (with != 0 ? CR4_MCE_BIT : 0);
            struct trap trap = try_cr4(value);
            uint64_t now = read_cr4();
            CHECK_NO_TRAP(try_cr4(old));
            CHECK(trap.vector == TRAP_NONE || trap.vector == EXCEPTION_GP);
            CHECK_EQUAL(now, trap.vector == TRAP_NONE ? value : old);
        }
    }
}

CLAIM(control_register_fuzz, "random values of CR0, CR4 and XCR0 are taken whole, or are #GP")
{
    uint64_t cr0 = read_cr0(), cr4 = read_cr4();

    in_bochs_let_others_in();
    random_seed(6);
    for (unsigned i = 0; i < 1500; i++) {
        uint64_t flips = random_next() & random_next() & random_next();
        struct trap trap = try_cr0(cr0 ^ (i % 2 == 0 ? (uint32_t)flips : flips));
        CHECK_NO_TRAP(try_cr0(cr0));
        CHECK(trap.vector == TRAP_NONE || trap.vector == EXCEPTION_GP);
        trap = try_cr4(cr4 ^ (i % 2 == 0 ? flips & 0x3fffff : flips));
        CHECK_NO_TRAP(try_cr4(cr4));
        CHECK(trap.vector == TRAP_NONE || trap.vector == EXCEPTION_GP);
    }
    if ((cpuid(1, 0).ecx & (1u << 26)) == 0) {
        return;
    }
    CHECK_NO_TRAP(try_cr4(cr4 | 1ull << 18)); /* OSXSAVE */
    for (unsigned i = 0; i < 1500; i++) {
        uint64_t value = i < 64 ? 1ull << i | 1 : random_next() >> random_next() % 64;
        struct trap trap =
            TRY("xsetbv",
                :
                : "c"(i % 64 == 63 ? 1 : 0), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
        CHECK(trap.vector == TRAP_NONE || trap.vector == EXCEPTION_GP);
    }
}
