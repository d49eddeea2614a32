/* SPDX-License-Identifier: BSD-2-Clause */
/* What model-specific registers do. */
#include "tests/kit/kit.h"

#define APIC_ADDRESS 0xfee00000ull

static void check_reads(uint32_t msr, uint64_t expected)
{
    uint64_t value = 0;

    CHECK_NO_TRAP(try_rdmsr(msr, &value));
    if (value != expected) {
        fail("MSR 0x%x is 0x%llx, not 0x%llx", msr, (unsigned long long)value,
             (unsigned long long)expected);
    }
}

CLAIM(msr_unknown, "an MSR that is not offered is #GP(0) for reads and writes")
{
    static const uint32_t msrs[] = {0x0,        0x12345,    0xc1,       0x186,      0x200,
                                    0x38f,      0x480,      0x4000,     0x1fff,     0x2000,
                                    0x9ff,      0x10a,      0x48,       0x40000000, 0x4b564d00,
                                    0xc0000105, 0xc0001000, 0xc0011029, 0xffffffff};

    for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++) {
        uint64_t value = 0;
        struct trap read = try_rdmsr(msrs[i], &value), write = try_wrmsr(msrs[i], 0);
        if (read.vector != EXCEPTION_GP || read.error != 0 || write.vector != EXCEPTION_GP ||
            write.error != 0) {
            fail("MSR 0x%x: %s", msrs[i], trap_text(&read));
        }
    }
}

CLAIM(msr_vmx_hidden, "the MSRs of VMX are #GP, and FEATURE_CONTROL is locked with VMX off")
{
    uint64_t value = 0;

    for (uint32_t msr = MSR_IA32_VMX_BASIC; msr <= MSR_IA32_VMX_VMFUNC; msr++) {
        CHECK_TRAP(try_rdmsr(msr, &value), EXCEPTION_GP, 0);
    }
    check_reads(MSR_IA32_FEATURE_CONTROL, FEATURE_CONTROL_LOCKED);
    CHECK_TRAP(try_wrmsr(MSR_IA32_FEATURE_CONTROL, 5), EXCEPTION_GP, 0);
}

CLAIM(msr_misc_enable, "of MISC_ENABLE the fast strings can be switched; other bits are ignored")
{
    uint64_t value = 0;

    CHECK_NO_TRAP(try_rdmsr(MSR_IA32_MISC_ENABLE, &value));
    CHECK_NO_TRAP(try_wrmsr(MSR_IA32_MISC_ENABLE, value ^ 1));
    check_reads(MSR_IA32_MISC_ENABLE, value ^ 1);
    CHECK_NO_TRAP(try_wrmsr(MSR_IA32_MISC_ENABLE, 0x400c51889)); /* what others have */
    check_reads(MSR_IA32_MISC_ENABLE, value);
    CHECK_NO_TRAP(try_wrmsr(MSR_IA32_MISC_ENABLE, value));
}

CLAIM(msr_apic_base, "the local APIC starts in x2APIC mode; its address and the BSP flag are fixed")
{
    uint64_t base = APIC_ADDRESS | APIC_BASE_BSP | APIC_BASE_X2APIC | APIC_BASE_ENABLE;

    check_reads(MSR_IA32_APIC_BASE, base);
    CHECK_NO_TRAP(try_wrmsr(MSR_IA32_APIC_BASE, base));
    CHECK_TRAP(try_wrmsr(MSR_IA32_APIC_BASE, base + PAGE_SIZE), EXCEPTION_GP, 0);
    CHECK_TRAP(try_wrmsr(MSR_IA32_APIC_BASE, base & ~APIC_BASE_BSP), EXCEPTION_GP, 0);
    CHECK_TRAP(try_wrmsr(MSR_IA32_APIC_BASE, base | 1ull << 60), EXCEPTION_GP, 0);
    check_reads(MSR_IA32_APIC_BASE, base);
}

CLAIM(msr_tsc, "the TSC of RDMSR is the one of RDTSC")
{
    uint64_t before = rdtsc();
    uint64_t value = rdmsr(MSR_IA32_TSC);

    CHECK(before <= value && value <= rdtsc());
}

CLAIM(msr_tsc_adjust, "TSC_ADJUST is 0 and takes no other value")
{
    check_reads(MSR_IA32_TSC_ADJUST, 0);
    CHECK_NO_TRAP(try_wrmsr(MSR_IA32_TSC_ADJUST, 0));
    CHECK_TRAP(try_wrmsr(MSR_IA32_TSC_ADJUST, 1), EXCEPTION_GP, 0);
}

CLAIM(msr_efer_reserved, "reserved bits of EFER are #GP(0)")
{
    uint64_t efer = rdmsr(MSR_IA32_EFER);

    CHECK_TRAP(try_wrmsr(MSR_IA32_EFER, efer | 1ull << 1), EXCEPTION_GP, 0);
    CHECK_TRAP(try_wrmsr(MSR_IA32_EFER, efer | 1ull << 63), EXCEPTION_GP, 0);
    check_reads(MSR_IA32_EFER, efer);
}

CLAIM(msr_efer_lme_with_paging, "EFER.LME cannot be changed while paging is on")
{
    CHECK_TRAP(try_wrmsr(MSR_IA32_EFER, rdmsr(MSR_IA32_EFER) & ~EFER_LME), EXCEPTION_GP, 0);
}

CLAIM(msr_pat, "PAT holds what is written and refuses memory types that do not exist")
{
    uint64_t old = rdmsr(MSR_IA32_PAT);

    CHECK_EQUAL(old, 0x0007040600070406);
    CHECK_NO_TRAP(try_wrmsr(MSR_IA32_PAT, 0x0007010600070106));
    check_reads(MSR_IA32_PAT, 0x0007010600070106);
    CHECK_TRAP(try_wrmsr(MSR_IA32_PAT, 0x0007010600070102), EXCEPTION_GP, 0);
    CHECK_TRAP(try_wrmsr(MSR_IA32_PAT, 0x0807010600070106), EXCEPTION_GP, 0);
    CHECK_NO_TRAP(try_wrmsr(MSR_IA32_PAT, old));
}

CLAIM(msr_syscall, "STAR, LSTAR and FMASK hold what is written")
{
    static const uint32_t msrs[] = {
        MSR_IA32_STAR,         MSR_IA32_LSTAR,          MSR_IA32_CSTAR,
        MSR_IA32_FMASK,        MSR_IA32_SYSENTER_CS,    MSR_IA32_SYSENTER_ESP,
        MSR_IA32_SYSENTER_EIP, MSR_IA32_KERNEL_GS_BASE, MSR_IA32_FS_BASE};

    for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++) {
        uint64_t old = rdmsr(msrs[i]);
        CHECK_NO_TRAP(try_wrmsr(msrs[i], 0x12345678u + i));
        check_reads(msrs[i], 0x12345678u + i);
        CHECK_NO_TRAP(try_wrmsr(msrs[i], old));
    }
}

CLAIM(msr_not_canonical, "an address MSR takes no address that is not canonical")
{
    static const uint32_t msrs[] = {MSR_IA32_LSTAR, MSR_IA32_FS_BASE, MSR_IA32_KERNEL_GS_BASE,
                                    MSR_IA32_SYSENTER_EIP};

    for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++) {
        CHECK_TRAP(try_wrmsr(msrs[i], 0x1000000000000000), EXCEPTION_GP, 0);
    }
}

CLAIM(msr_mtrr, "there are no MTRR ranges; the default type is write-back")
{
    check_reads(MSR_IA32_MTRRCAP, 0);
    CHECK_EQUAL(rdmsr(MSR_IA32_MTRR_DEF_TYPE) & 0xff, 6);
    CHECK_TRAP(try_wrmsr(MSR_IA32_MTRRCAP, 0), EXCEPTION_GP, 0);
    CHECK_TRAP(try_wrmsr(MSR_IA32_MTRR_DEF_TYPE, 1ull << 20), EXCEPTION_GP, 0);
}

CLAIM(msr_xss, "XSS takes no supervisor state")
{
    uint64_t value = 0;

    if ((cpuid(0xd, 1).eax & BIT32(3)) == 0) {
        CHECK_TRAP(try_rdmsr(MSR_IA32_XSS, &value), EXCEPTION_GP, 0);
        return;
    }
    check_reads(MSR_IA32_XSS, 0);
    CHECK_TRAP(try_wrmsr(MSR_IA32_XSS, 1ull << 8), EXCEPTION_GP, 0);
}

static uint64_t read_msr_in_user(uint64_t msr)
{
    uint32_t low = 0, high = 0;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"((uint32_t)msr));
    return low;
}

CLAIM(msr_ring_3, "RDMSR in ring 3 is #GP(0), of an MSR that passes and of one that exits")
{
    CHECK_TRAP(run_user(read_msr_in_user, MSR_IA32_FS_BASE, NULL), EXCEPTION_GP, 0);
    CHECK_TRAP(run_user(read_msr_in_user, MSR_IA32_APIC_BASE, NULL), EXCEPTION_GP, 0);
}

CLAIM(msr_deadline_mode, "IA32_TSC_DEADLINE reads 0 and takes nothing outside of deadline mode")
{
    wrmsr(MSR_X2APIC_LVT_TIMER, TIMER_MASKED);
    wrmsr(MSR_IA32_TSC_DEADLINE, rdtsc() + 1000000000);
    check_reads(MSR_IA32_TSC_DEADLINE, 0);
}
