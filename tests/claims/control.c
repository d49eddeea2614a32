/* SPDX-License-Identifier: BSD-2-Clause */
/* Control registers, XCR0 and the debug registers. */
#include "tests/kit/kit.h"

#define CR4_TSD   BIT(2)
#define CR4_UMIP  BIT(11)
#define CR4_FSGS  BIT(16)
#define CR4_SMAP  BIT(21)
#define CR4_PKE   BIT(22)
#define CR4_CET   BIT(23)
#define DR7_RESET 0x400ull
#define DR7_GD    BIT(13)
#define DR6_BD    BIT(13)

static struct trap try_cr0(uint64_t value)
{
    return TRY("mov %0, %%cr0", : : "r"(value) : "memory");
}

static struct trap try_cr4(uint64_t value)
{
    return TRY("mov %0, %%cr4", : : "r"(value) : "memory");
}

static struct trap try_xsetbv(uint32_t index, uint64_t value)
{
    return TRY("xsetbv", : : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

CLAIM(cr0_caches, "CR0.CD and CR0.NW read back as they were written")
{
    uint64_t old = read_cr0();

    CHECK_NO_TRAP(try_cr0(old | CR0_CD));
    CHECK_EQUAL(read_cr0(), old | CR0_CD);
    CHECK_NO_TRAP(try_cr0(old | CR0_CD | CR0_NW));
    CHECK_EQUAL(read_cr0(), old | CR0_CD | CR0_NW);
    CHECK_NO_TRAP(try_cr0(old));
    CHECK_EQUAL(read_cr0(), old);
}

CLAIM(cr0_ne, "CR0.NE can be cleared, as far as the guest sees")
{
    uint64_t old = read_cr0();

    CHECK_NO_TRAP(try_cr0(old & ~CR0_NE));
    CHECK_EQUAL(read_cr0(), old & ~CR0_NE);
}

CLAIM(cr0_invalid, "invalid combinations of CR0 are #GP(0)")
{
    uint64_t old = read_cr0();

    CHECK_TRAP(try_cr0(old | CR0_NW), EXCEPTION_GP, 0);
    CHECK_TRAP(try_cr0(old & ~CR0_PE), EXCEPTION_GP, 0);
    CHECK_TRAP(try_cr0(old | 1ull << 32), EXCEPTION_GP, 0);
    CHECK_EQUAL(read_cr0(), old);
}

CLAIM(cr0_paging_off_in_long_mode, "paging cannot be turned off in 64-bit mode")
{
    CHECK_TRAP(try_cr0(read_cr0() & ~CR0_PG), EXCEPTION_GP, 0);
    /* And not either by a write that changes a bit which exits. */
    CHECK_TRAP(try_cr0((read_cr0() & ~CR0_PG) | CR0_CD), EXCEPTION_GP, 0);
}

CLAIM(cr4_hidden_bits, "bits of CR4 whose features are hidden are #GP(0)")
{
    static const uint64_t bits[] = {CR4_LA57, CR4_VMXE, CR4_SMXE, CR4_PKE, CR4_CET,
                                    BIT(15),  BIT(24),  BIT(31),  BIT(32), BIT(63)};
    uint64_t old = read_cr4();

    for (unsigned i = 0; i < ARRAY_SIZE(bits); i++) {
        struct trap trap = try_cr4(old | bits[i]);
        if (trap.vector != EXCEPTION_GP || trap.error != 0 || read_cr4() != old) {
            fail("CR4 bit 0x%llx: %s", (unsigned long long)bits[i], trap_text(&trap));
        }
    }
}

CLAIM(cr4_reads_as_written, "VMXE and MCE do not show, whatever is set underneath")
{
    uint64_t old = read_cr4();

    CHECK_EQUAL(old & (CR4_VMXE | CR4_MCE), 0);
    CHECK_NO_TRAP(try_cr4(old | CR4_MCE));
    CHECK_EQUAL(read_cr4(), old | CR4_MCE);
    CHECK_NO_TRAP(try_cr4(old));
    CHECK_EQUAL(read_cr4(), old);
}

CLAIM(cr4_pae_in_long_mode, "CR4.PAE cannot be cleared in 64-bit mode")
{
    CHECK_TRAP(try_cr4(read_cr4() & ~CR4_PAE), EXCEPTION_GP, 0);
    CHECK_TRAP(try_cr4((read_cr4() & ~CR4_PAE) | CR4_MCE), EXCEPTION_GP, 0);
}

CLAIM(cr4_pcide, "CR4.PCIDE wants CR3's low bits clear, and works")
{
    uint64_t cr3 = read_cr3();

    if ((cpuid(1, 0).ecx & BIT32(17)) == 0) {
        CHECK_TRAP(try_cr4(read_cr4() | CR4_PCIDE), EXCEPTION_GP, 0);
        return;
    }
    CHECK_NO_TRAP(try_cr4(read_cr4() | CR4_PCIDE));
    write_cr3(cr3 | 5);
    CHECK_EQUAL(read_cr3(), cr3 | 5);
    write_cr3(cr3);
}

static void touch(void *at)
{
    *(volatile uint8_t *)at = 1;
}

CLAIM(cr0_wp, "CR0.WP decides whether the supervisor may write to read-only pages")
{
    uint64_t page = (uint64_t)ram_alloc(SIZE_4K, SIZE_4K);

    page_map(CLAIM_BASE, page, SIZE_4K, 0);
    CHECK_TRAP(trap_of(touch, (void *)CLAIM_BASE), EXCEPTION_PF, 3);
    write_cr0(read_cr0() & ~CR0_WP);
    CHECK_NO_TRAP(trap_of(touch, (void *)CLAIM_BASE));
}

CLAIM(cr4_smap, "with CR4.SMAP the supervisor does not reach pages of ring 3")
{
    uint64_t page = (uint64_t)ram_alloc(SIZE_4K, SIZE_4K);

    if ((cpuid(7, 0).ebx & BIT32(20)) == 0) {
        CHECK_TRAP(try_cr4(read_cr4() | CR4_SMAP), EXCEPTION_GP, 0);
        return;
    }
    page_map(CLAIM_BASE, page, SIZE_4K, PTE_WRITE | PTE_USER);
    CHECK_NO_TRAP(trap_of(touch, (void *)CLAIM_BASE));
    write_cr4(read_cr4() | CR4_SMAP);
    CHECK_TRAP(trap_of(touch, (void *)CLAIM_BASE), EXCEPTION_PF, 3);
}

static void call(void *at)
{
    ((void (*)(void))at)();
}

CLAIM(cr4_smep, "with CR4.SMEP the supervisor does not execute pages of ring 3")
{
    uint8_t *page = ram_alloc(SIZE_4K, SIZE_4K);

    if ((cpuid(7, 0).ebx & BIT32(7)) == 0) {
        CHECK_TRAP(try_cr4(read_cr4() | CR4_SMEP), EXCEPTION_GP, 0);
        return;
    }
    page[0] = 0xc3; /* ret */
    page_map(CLAIM_BASE, (uint64_t)page, SIZE_4K, PTE_WRITE | PTE_USER);
    CHECK_NO_TRAP(trap_of(call, (void *)CLAIM_BASE));
    write_cr4(read_cr4() | CR4_SMEP);
    CHECK_TRAP(trap_of(call, (void *)CLAIM_BASE), EXCEPTION_PF, 0x11);
}

static uint64_t sidt_in_user(uint64_t unused)
{
    uint8_t pointer[10];

    __asm__ volatile("sidt %0" : "=m"(pointer));
    return unused;
}

CLAIM(cr4_umip, "with CR4.UMIP SIDT in ring 3 is #GP(0)")
{
    CHECK_NO_TRAP(run_user(sidt_in_user, 0, NULL));
    if ((cpuid(7, 0).ecx & BIT32(2)) == 0) {
        CHECK_TRAP(try_cr4(read_cr4() | CR4_UMIP), EXCEPTION_GP, 0);
        return;
    }
    write_cr4(read_cr4() | CR4_UMIP);
    CHECK_TRAP(run_user(sidt_in_user, 0, NULL), EXCEPTION_GP, 0);
}

static uint64_t rdtsc_in_user(uint64_t unused)
{
    return rdtsc() + unused;
}

CLAIM(cr4_tsd, "with CR4.TSD RDTSC in ring 3 is #GP(0), and works otherwise")
{
    uint64_t before = rdtsc(), value = 0;

    CHECK_NO_TRAP(run_user(rdtsc_in_user, 0, &value));
    CHECK(before < value && value < rdtsc());
    write_cr4(read_cr4() | CR4_TSD);
    CHECK_TRAP(run_user(rdtsc_in_user, 0, NULL), EXCEPTION_GP, 0);
}

CLAIM(xcr0_reserved, "XSETBV refuses what CPUID does not show and what makes no sense")
{
    uint64_t shown = cpuid(0xd, 0).eax | (uint64_t)cpuid(0xd, 0).edx << 32;

    if ((cpuid(1, 0).ecx & BIT32(26)) == 0) {
        skip("no XSAVE");
    }
    CHECK_TRAP(try_xsetbv(0, 1), EXCEPTION_UD, 0); /* CR4.OSXSAVE is clear */
    write_cr4(read_cr4() | CR4_OSXSAVE);
    CHECK_NO_TRAP(try_xsetbv(0, shown));
    CHECK_TRAP(try_xsetbv(0, 0), EXCEPTION_GP, 0);
    CHECK_TRAP(try_xsetbv(0, 5), EXCEPTION_GP, 0); /* AVX without SSE */
    CHECK_TRAP(try_xsetbv(0, shown | BIT(9)), EXCEPTION_GP, 0);
    CHECK_TRAP(try_xsetbv(0, shown | BIT(63)), EXCEPTION_GP, 0);
    CHECK_TRAP(try_xsetbv(1, 1), EXCEPTION_GP, 0);
    CHECK_NO_TRAP(try_xsetbv(0, 1));
}

static uint64_t xsetbv_in_user(uint64_t value)
{
    xsetbv(0, value);
    return 0;
}

CLAIM(xcr0_ring_3, "XSETBV in ring 3 is #GP(0)")
{
    write_cr4(read_cr4() | CR4_OSXSAVE);
    CHECK_TRAP(run_user(xsetbv_in_user, 1, NULL), EXCEPTION_GP, 0);
}

CLAIM(dr7_general_detect, "DR7.GD makes an access to a debug register #DB, and is cleared by it")
{
    uint64_t value = 0;

    __asm__ volatile("mov %0, %%dr7" : : "r"(DR7_RESET | DR7_GD));
    CHECK_TRAP(TRY("mov %%dr0, %0", : "=r"(value)), EXCEPTION_DB, 0);
    __asm__ volatile("mov %%dr7, %0" : "=r"(value));
    CHECK_EQUAL(value, DR7_RESET);
    CHECK((read_dr6() & DR6_BD) != 0);
}

CLAIM(dr_values, "DR0 to DR3 hold what is written; DR6 and DR7 their fixed bits too")
{
    uint64_t value = 0;

    write_dr0(0x1111);
    write_dr1(0x2222);
    write_dr2(0x3333);
    write_dr3(0x4444);
    CHECK_EQUAL(read_dr0(), 0x1111);
    CHECK_EQUAL(read_dr1(), 0x2222);
    CHECK_EQUAL(read_dr2(), 0x3333);
    CHECK_EQUAL(read_dr3(), 0x4444);
    CHECK_EQUAL(read_dr6() & 0xffff0ff0, 0xffff0ff0);
    __asm__ volatile("mov %%dr7, %0" : "=r"(value));
    CHECK_EQUAL(value, DR7_RESET);
    CHECK_TRAP(TRY("mov %0, %%dr7", : : "r"(1ull << 32)), EXCEPTION_GP, 0);
}
