/* SPDX-License-Identifier: BSD-2-Clause */
/* Exceptions are the guest's own, also those that the hypervisor sees first. */
#include "tests/kit/kit.h"

#define DR7_LOCAL_0   1ull
#define DR7_WRITE_4   (0xdull << 16) /* four bytes, on writes */
#define DR7_EXECUTE   0ull
#define DR6_HIT_0     BIT(0)
#define DR6_STEP      BIT(14)
#define RFLAGS_AC     BIT(18)
#define CR0_AM_BIT    BIT(18)
#define NOT_CANONICAL 0x1000000000000000ull

static void set_dr7(uint64_t value)
{
    __asm__ volatile("mov %0, %%dr7" : : "r"(0x400 | value));
}

CLAIM(divide_error, "a division by zero is #DE at its instruction")
{
    CHECK_TRAP(TRY("div %0", : : "r"(0), "a"(1), "d"(0)), EXCEPTION_DE, 0);
}

CLAIM(undefined_instruction, "UD2 is #UD")
{
    CHECK_TRAP(TRY("ud2", : :), EXCEPTION_UD, 0);
}

CLAIM(breakpoint, "INT3 is #BP behind its instruction, also in ring 3")
{
    CHECK_TRAP(TRY("int3", : :), EXCEPTION_BP, 0);
}

static void load_by_rbp(void *address)
{
    __asm__ volatile("mov %0, %%rbp\n mov (%%rbp), %%rax" : : "r"(address) : "rax");
}

CLAIM(not_canonical, "an access to an address that is not canonical is #GP(0), by RBP #SS(0)")
{
    uint64_t value = 0;

    CHECK_TRAP(TRY("mov (%1), %0", : "=r"(value) : "r"(NOT_CANONICAL)), EXCEPTION_GP, 0);
    CHECK_TRAP(trap_of(load_by_rbp, (void *)NOT_CANONICAL), EXCEPTION_SS, 0);
}

CLAIM(selector_error_code, "a selector beyond the GDT is #GP with the selector as error code")
{
    CHECK_TRAP(TRY("mov %0, %%es", : : "r"(0x1230)), EXCEPTION_GP, 0x1230);
}

static uint64_t unaligned_in_user(uint64_t unused)
{
    uint64_t words[2] = {0, 0};
    uint64_t result;

    __asm__ volatile("pushfq\n orl $0x40000, (%%rsp)\n popfq\n"
                     "mov 1(%1), %0\n"
                     "pushfq\n andl $~0x40000, (%%rsp)\n popfq"
                     : "=&r"(result)
                     : "r"(words)
                     : "memory");
    return result + unused;
}

CLAIM(alignment_check, "an unaligned access in ring 3 with AM and AC is #AC(0)")
{
    CHECK_NO_TRAP(run_user(unaligned_in_user, 0, NULL));
    write_cr0(read_cr0() | CR0_AM_BIT);
    CHECK_TRAP(run_user(unaligned_in_user, 0, NULL), EXCEPTION_AC, 0);
}

CLAIM(single_step, "a single step is #DB behind the instruction, and DR6 tells it")
{
    uint64_t behind;

    trap_clear();
    __asm__ volatile("pushfq\n orq $0x100, (%%rsp)\n popfq\n"
                     "nop\n"
                     "1: nop\n"
                     ".pushsection .fixups, \"a\"\n .quad 1b, 1b\n .popsection\n"
                     "lea 1b(%%rip), %0"
                     : "=r"(behind)
                     :
                     : "memory");
    CHECK_TRAP(trap_get(), EXCEPTION_DB, 0);
    CHECK_EQUAL(trap_get().rip, behind);
    CHECK_EQUAL(read_dr6() & (DR6_STEP | 0xf), DR6_STEP);
}

CLAIM(data_breakpoint, "a write to a watched address is #DB behind the write, and DR6 tells it")
{
    static uint32_t watched;

    write_dr0((uint64_t)&watched);
    set_dr7(DR7_LOCAL_0 | DR7_WRITE_4);
    write_dr6(0xffff0ff0);
    CHECK_TRAP(TRY("movl $5, %0", : "=m"(watched)), EXCEPTION_DB, 0);
    CHECK_EQUAL(read_dr6() & 0xf, DR6_HIT_0);
    CHECK_EQUAL(watched, 5);
}

static void watched_function(void *unused)
{
    (void)unused;
    __asm__ volatile("nop");
}

CLAIM(instruction_breakpoint, "a breakpoint on an instruction is #DB before it")
{
    write_dr0((uint64_t)watched_function);
    set_dr7(DR7_LOCAL_0 | DR7_EXECUTE);
    write_dr6(0xffff0ff0);
    struct trap trap = trap_of(watched_function, NULL);
    CHECK_TRAP(trap, EXCEPTION_DB, 0);
    CHECK_EQUAL(trap.rip, (uint64_t)watched_function);
    CHECK_EQUAL(read_dr6() & 0xf, DR6_HIT_0);
}

static void push_without_stack(void *unused)
{
    (void)unused;
    /* The #PF of the push cannot be delivered: its frame has no stack either. */
    __asm__ volatile("mov %0, %%rsp\n push %%rax" : : "r"(CLAIM_BASE + 64));
}

CLAIM(double_fault, "an exception whose frame cannot be pushed is #DF(0), on its own stack")
{
    CHECK_TRAP(trap_of(push_without_stack, NULL), EXCEPTION_DF, 0);
}

static void push_to_hole(void *unused)
{
    (void)unused;
    __asm__ volatile("mov %0, %%rsp\n ud2" : : "r"(CLAIM_BASE + 64));
}

CLAIM(double_fault_by_hole, "an exception whose stack is where nothing is, is #DF too")
{
    page_map(CLAIM_BASE, 0xd0000000, SIZE_4K, PTE_WRITE);
    CHECK_TRAP(trap_of(push_to_hole, NULL), EXCEPTION_DF, 0);
}

static uint64_t ist_rsp;

static void note_rsp(struct frame *frame)
{
    ist_rsp = (uint64_t)frame;
    frame->rip += 2; /* over UD2 */
}

CLAIM(ist, "a vector with an IST entry runs on that stack")
{
    uint64_t rsp = 0;

    vector_use_ist(EXCEPTION_UD);
    vector_handle(EXCEPTION_UD, note_rsp);
    __asm__ volatile("mov %%rsp, %0\n ud2" : "=r"(rsp) : : "memory");
    CHECK(ist_rsp != 0);
    CHECK(ist_rsp > rsp + 0x1000 || ist_rsp + 0x1000 < rsp);
}

static void pop_ss_shadow(void *watched)
{
    __asm__ volatile("mov %%ss, %%eax\n mov (%0), %%ss\n int3" : : "r"(watched) : "rax", "memory");
}

CLAIM(mov_ss_breakpoint, "a breakpoint on MOV SS before INT3 ends in the guest, not in a loop")
{
    static uint16_t selector = 0x10;

    write_dr0((uint64_t)&selector);
    set_dr7(DR7_LOCAL_0 | 0xfull << 16); /* reads and writes of four bytes */
    struct trap trap = trap_of(pop_ss_shadow, &selector);
    CHECK(trap.vector == EXCEPTION_BP || trap.vector == EXCEPTION_DB);
}

static uint64_t user_syscall(uint64_t unused)
{
    __asm__ volatile("syscall" : : : "rcx", "r11", "memory");
    return unused;
}

static void syscall_entry(void)
{
    /* RCX holds the return address: it is told by an exception. */
    __asm__ volatile("int3");
}

CLAIM(syscall, "SYSCALL in ring 3 goes to LSTAR with no exit")
{
    wrmsr(MSR_IA32_STAR, 0x0013000800000000);
    wrmsr(MSR_IA32_LSTAR, (uint64_t)syscall_entry);
    wrmsr(MSR_IA32_FMASK, RFLAGS_IF | RFLAGS_TF);
    struct trap trap = run_user(user_syscall, 0, NULL);
    CHECK_TRAP(trap, EXCEPTION_BP, 0);
    CHECK(!trap.user);
}
