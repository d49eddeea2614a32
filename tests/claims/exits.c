/* SPDX-License-Identifier: BSD-2-Clause */
/* Instructions that exit, and those that a guest does not get. */
#include "tests/kit/kit.h"

#define BACKUP_VECTOR 0x50u

/* A timer that ends a HLT which nothing else ends. */
static void arm(uint64_t ms)
{
    wrmsr(MSR_X2APIC_LVT_TIMER, TIMER_DEADLINE | BACKUP_VECTOR);
    wrmsr(MSR_IA32_TSC_DEADLINE, rdtsc() + ms * tsc_per_ms());
}

CLAIM(hlt_wakes_by_timer, "HLT ends by the timer's interrupt, at its time")
{
    uint64_t start = rdtsc();

    arm(2);
    __asm__ volatile("sti; hlt; cli");
    CHECK_EQUAL(vector_count(BACKUP_VECTOR), 1);
    CHECK(rdtsc() - start >= 2 * tsc_per_ms());
}

CLAIM(hlt_pending, "HLT does not sleep if STI has just let a pending interrupt in")
{
    arm(100);
    wrmsr(MSR_X2APIC_SELF_IPI, 0x60);
    __asm__ volatile("sti; hlt; cli");
    CHECK_EQUAL(vector_count(0x60), 1);
    CHECK_EQUAL(vector_count(BACKUP_VECTOR), 0);
}

static uint64_t hlt_in_user(uint64_t unused)
{
    __asm__ volatile("hlt");
    return unused;
}

CLAIM(hlt_ring_3, "HLT in ring 3 is #GP(0)")
{
    CHECK_TRAP(run_user(hlt_in_user, 0, NULL), EXCEPTION_GP, 0);
}

CLAIM(wbinvd, "WBINVD and INVD do nothing that the guest sees")
{
    volatile uint64_t *ram = ram_alloc(SIZE_4K, SIZE_4K);

    *ram = 0x55;
    CHECK_NO_TRAP(TRY("wbinvd", : : : "memory"));
    CHECK_EQUAL(*ram, 0x55);
    CHECK_NO_TRAP(TRY("invd", : : : "memory"));
    CHECK_EQUAL(*ram, 0x55);
}

static uint64_t wbinvd_in_user(uint64_t unused)
{
    __asm__ volatile("wbinvd");
    return unused;
}

CLAIM(wbinvd_ring_3, "WBINVD in ring 3 is #GP(0)")
{
    CHECK_TRAP(run_user(wbinvd_in_user, 0, NULL), EXCEPTION_GP, 0);
}

CLAIM(vmx_instructions, "the instructions of VMX are #UD, but for VMCALL")
{
    uint64_t operand[2] = {0, 0};

    CHECK_TRAP(TRY("vmxon %0", : : "m"(operand)), EXCEPTION_UD, 0);
    CHECK_TRAP(TRY("vmxoff", : :), EXCEPTION_UD, 0);
    CHECK_TRAP(TRY("vmptrld %0", : : "m"(operand)), EXCEPTION_UD, 0);
    CHECK_TRAP(TRY("vmptrst %0", : "=m"(operand)), EXCEPTION_UD, 0);
    CHECK_TRAP(TRY("vmclear %0", : : "m"(operand)), EXCEPTION_UD, 0);
    CHECK_TRAP(TRY("vmlaunch", : :), EXCEPTION_UD, 0);
    CHECK_TRAP(TRY("vmresume", : :), EXCEPTION_UD, 0);
    CHECK_TRAP(TRY("vmread %%rax, %%rcx", : : : "rcx"), EXCEPTION_UD, 0);
    CHECK_TRAP(TRY("vmwrite %%rax, %%rcx", : :), EXCEPTION_UD, 0);
    CHECK_TRAP(TRY("invept %0, %1", : : "m"(operand), "r"(1ull)), EXCEPTION_UD, 0);
    CHECK_TRAP(TRY("invvpid %0, %1", : : "m"(operand), "r"(1ull)), EXCEPTION_UD, 0);
}

CLAIM(monitor_mwait, "MONITOR and MWAIT, which CPUID hides, are #UD")
{
    CHECK_TRAP(TRY("monitor", : : "a"(ram_alloc(64, 64)), "c"(0), "d"(0)), EXCEPTION_UD, 0);
    CHECK_TRAP(TRY("mwait", : : "a"(0), "c"(0)), EXCEPTION_UD, 0);
}

CLAIM(getsec, "GETSEC, which CPUID hides, is #UD")
{
    uint32_t eax = 0;

    CHECK_TRAP(TRY("getsec", : "+a"(eax) : "b"(0)), EXCEPTION_UD, 0);
}

CLAIM(rdpmc, "RDPMC is #GP(0): there is no performance counter")
{
    CHECK_TRAP(TRY("rdpmc", : : "c"(0) : "rax", "rdx"), EXCEPTION_GP, 0);
}

CLAIM(rdtscp, "RDTSCP tells TSC and TSC_AUX if CPUID shows it, and is #UD otherwise")
{
    uint32_t low = 0, high = 0, aux = 0;
    bool shown = (cpuid(0x80000001, 0).edx & BIT32(27)) != 0;

    if (!shown) {
        CHECK_TRAP(TRY("rdtscp", : : : "rax", "rcx", "rdx"), EXCEPTION_UD, 0);
        return;
    }
    wrmsr(MSR_IA32_TSC_AUX, 0x4321);
    CHECK_NO_TRAP(TRY("rdtscp", : "=a"(low), "=d"(high), "=c"(aux)));
    CHECK_EQUAL(aux, 0x4321);
}

CLAIM(invpcid, "INVPCID works if CPUID shows it, and is #UD otherwise")
{
    uint64_t descriptor[2] = {0, 0};
    bool shown = (cpuid(7, 0).ebx & BIT32(10)) != 0;
    struct trap trap = TRY("invpcid %0, %1", : : "m"(descriptor), "r"(2ull) : "memory");

    CHECK_EQUAL(trap.vector, shown ? TRAP_NONE : EXCEPTION_UD);
}

CLAIM(ports_unbacked, "ports without a device read as all ones, in each size")
{
    static const uint16_t ports[] = {0x20,  0x21,  0x40,  0x61,  0x64,  0x80,  0xa1,
                                     0x2f8, 0x3d4, 0x510, 0x603, 0xcd6, 0xffff};

    for (unsigned i = 0; i < ARRAY_SIZE(ports); i++) {
        outb(ports[i], 0);
        CHECK_EQUAL(inb(ports[i]), 0xff);
    }
    CHECK_EQUAL(inl(0xd000), 0xffffffff);
}

CLAIM(ports_partial_registers, "IN writes the bytes that it reads, and no others")
{
    uint64_t value = 0x1122334455667788;

    __asm__ volatile("inb $0x80, %%al" : "+a"(value));
    CHECK_EQUAL(value, 0x11223344556677ff);
    value = 0x1122334455667788;
    __asm__ volatile("inw $0x80, %%ax" : "+a"(value));
    CHECK_EQUAL(value, 0x112233445566ffff);
    value = 0x1122334455667788;
    __asm__ volatile("inl $0x80, %%eax" : "+a"(value));
    CHECK_EQUAL(value, 0xffffffff);
}

static uint64_t port_in_user(uint64_t port)
{
    return inb((uint16_t)port);
}

CLAIM(ports_ring_3, "IN in ring 3 without permission is #GP(0), with a device or without")
{
    CHECK_TRAP(run_user(port_in_user, 0x80, NULL), EXCEPTION_GP, 0);
    CHECK_TRAP(run_user(port_in_user, GUEST_PORT_UART, NULL), EXCEPTION_GP, 0);
}

CLAIM(single_step_over_exit, "a single step over an instruction that exits is one #DB behind it")
{
    uint64_t before, after;
    struct trap trap;

    /* TF is set by POPF; the trap comes after the instruction behind it. */
    trap_clear();
    __asm__ volatile("pushfq\n orq $0x100, (%%rsp)\n popfq\n"
                     "1: cpuid\n"
                     "2: nop\n"
                     "3: nop\n"
                     ".pushsection .fixups, \"a\"\n .quad 2b, 2b\n .quad 3b, 3b\n .popsection\n"
                     "lea 2b(%%rip), %0\n lea 3b(%%rip), %1"
                     : "=&r"(before), "=&r"(after)
                     : "a"(0)
                     : "rbx", "rcx", "rdx", "memory");
    trap = trap_get();
    CHECK_TRAP(trap, EXCEPTION_DB, 0);
    if (trap.rip != before) {
        fail("it came %s", trap.rip == after ? "one instruction too late" : "elsewhere");
    }
    CHECK((read_dr6() & BIT(14)) != 0);
}
