/* SPDX-License-Identifier: BSD-2-Clause */
/* The gate and VMFUNC from code that is not 64-bit code. */
#include "tests/attack/enter.h"
#include "tests/kit/percpu.h"

#define SELECTOR_COMPAT 0x38u /* the kit's GDT has room for one more */
#define COMPAT_CODE     0x00cf9b000000ffffull
#define COMPAT_USER     0x00cffb000000ffffull
#define CODE_PAGE       0x9000u
#define STATUS          0xa000u /* what code of CPU 1 has come to */
#define STATUS_RAN      0x11111111u
#define STATUS_TRAP     0x22222222u

static struct trap enter_compat(unsigned ring, uint64_t rip, uint64_t view)
{
    struct registers r = {0};

    this_cpu()->gdt[SELECTOR_COMPAT / 8] = ring == 0 ? COMPAT_CODE : COMPAT_USER;
    registers_set_ring(&r, ring);
    r.cs = SELECTOR_COMPAT | ring;
    r.rflags = RFLAGS_START;
    r.rip = rip;
    r.rcx = r.rdi = r.r15 = view;
    r.rsp = (uint64_t)ram_alloc(SIZE_4K, SIZE_4K) + 0x800;
    return enter(&r);
}

CLAIM(compat_mode, "compatibility mode enters no view by itself, and crosses nowhere")
{
    uint64_t view = view_open(PORT_GATED);
    static const uint8_t vmfunc[] = {0x31, 0xc0, 0x0f, 0x01, 0xd4, 0xf4};
    static const uint8_t vmcall[] = {0xb8, 2, 0, 0, 0, 0x0f, 0x01, 0xc1, 0xf4};
    uint8_t *code = ram_alloc(SIZE_4K, SIZE_4K);

    exceptions_use_ist();
    memcpy(code, native_vmfunc() ? vmfunc : vmcall,
           native_vmfunc() ? sizeof(vmfunc) : sizeof(vmcall));
    CHECK_TRAP(enter_compat(0, (uint64_t)code, view), EXCEPTION_GP, 0);
    CHECK_TRAP(enter_compat(0, (uint64_t)code, view + 1), EXCEPTION_UD, 0);
    for (uint32_t offset = 0; offset < GATE_PAGES * SIZE_4K; offset++) {
        struct trap trap = enter_compat(0, GATE_BASE + offset, offset % 2 == 0 ? view : 0);
        CHECK(trap.vector < 32 || trap.vector == TIMEOUT_VECTOR || trap.vector == TRAP_NONE);
        if (offset % 64 == 0) {
            memory_reset();
            exceptions_use_ist();
        }
    }
    check_crossing(PORT_GATED);
    check_victim_section(PORT_GATED);
}

CLAIM(exit_at_4g_edge, "an instruction that exits at the end of 4 GiB goes on at 0 in 32-bit code")
{
    uint8_t *code = ram_alloc(SIZE_4K, SIZE_4K);
    uint64_t pdpt = *(uint64_t *)(read_cr3() & ~0xfffull) & 0x000ffffffffff000ull;
    uint64_t directory = ((uint64_t *)pdpt)[3] & 0x000ffffffffff000ull;
    uint64_t *entry = &((uint64_t *)directory)[511];
    uint64_t old = *entry;
    uint64_t *table = ram_alloc(SIZE_4K, SIZE_4K);

    exceptions_use_ist();
    code[0xffe] = 0x0f;
    code[0xfff] = 0xa2; /* CPUID, at 0xfffffffe */
    table[511] = (uint64_t)code | PTE_PRESENT | PTE_WRITE;
    *entry = (uint64_t)table | PTE_PRESENT | PTE_WRITE;
    flush_tlb();
    struct trap trap;
    unsigned tries = 0;
    do {
        trap = enter_compat(0, 0xfffffffe, 0);
        /* The hypervisor may have taken all of the time before the first instruction. */
    } while (trap.vector == TIMEOUT_VECTOR && trap.rip == 0xfffffffe && ++tries < 100);
    *entry = old;
    flush_tlb();
    /* At 0 there are zeros, which are instructions: whatever ends them, it is the guest's. */
    CHECK(trap.vector < 32 || trap.vector == TIMEOUT_VECTOR);
    CHECK(trap.rip < SIZE_1G);
}

/* Code for CPU 1, where a startup IPI begins: real mode, then protected mode without paging, then
 * PAE paging. Interrupts 6, 13 and so on lead to the trap handlers. Assembled to run at CODE_PAGE.
 */
extern const uint8_t modes_code[], modes_code_end[], modes_pdpt[];
__asm__(
    ".pushsection .rodata\n"
    ".balign 16\n"
    "modes_code:\n"
    ".code16\n"
    "cli\n xorw %ax, %ax\n movw %ax, %ds\n movw %ax, %ss\n movw $0x9000, %sp\n"
    "movw 0xa010, %bx\n"  /* which mode */
    "movl 0xa014, %ecx\n" /* the view */
    "cmpw $0, %bx\n jne 1f\n"
    "movl 0xa018, %eax\n"
    "cmpl $0, %eax\n jne 2f\n"
    ".byte 0x0f, 0x01, 0xd4\n jmp 3f\n"
    "2: .byte 0x0f, 0x01, 0xc1\n"
    "3: movl $0x11111111, 0xa000\n"
    "4: hlt\n jmp 4b\n"
    ".globl modes_real_trap\n"
    "modes_real_trap: movw $0, %ax\n movw %ax, %ds\n movl $0x22222222, 0xa000\n"
    "5: hlt\n jmp 5b\n"
    "1: lgdtl 0x9000 + modes_gdtr - modes_code\n"
    "lidtl 0x9000 + modes_idtr - modes_code\n"
    "movl $0x21, %eax\n movl %eax, %cr0\n"
    "ljmpl $8, $(0x9000 + modes_32 - modes_code)\n"
    ".code32\n"
    "modes_32: movw $16, %ax\n movw %ax, %ds\n movw %ax, %ss\n movw %ax, %es\n movl $0x9000, %esp\n"
    "movl 0xa010, %ebx\n"
    "testl $4, %ebx\n jz 6f\n"
    "movl %cr4, %eax\n orl $0x20, %eax\n movl %eax, %cr4\n"
    "movl 0xa01c, %eax\n movl %eax, %cr3\n"
    "movl %cr0, %eax\n orl $0x80000000, %eax\n movl %eax, %cr0\n"
    "6: movl 0xa014, %ecx\n movl 0xa018, %eax\n movl %ecx, %edi\n"
    "testl $2, %ebx\n jnz 8f\n"
    "cmpl $0, %eax\n jne 7f\n"
    ".byte 0x0f, 0x01, 0xd4\n jmp 9f\n"
    "7: .byte 0x0f, 0x01, 0xc1\n jmp 9f\n"
    "8: movl 0xa020, %edx\n call *%edx\n" /* the gate, at some offset */
    "9: movl $0x11111111, 0xa000\n"
    "10: hlt\n jmp 10b\n"
    ".globl modes_trap\n"
    "modes_trap: movl $0x22222222, 0xa000\n"
    "11: hlt\n jmp 11b\n"
    ".balign 8\n"
    "modes_gdt: .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff\n"
    "modes_gdtr: .word 23\n .long 0x9000 + modes_gdt - modes_code\n"
    "modes_idtr: .word 0x7ff\n .long 0xb000\n"
    "modes_code_end:\n"
    ".code64\n"
    ".popsection\n");
extern const uint8_t modes_trap[], modes_real_trap[];

#define MODE_REAL 0u
#define MODE_FLAT 1u /* protected, no paging */
#define MODE_GATE 2u /* with MODE_FLAT: the gate is called in place of VMFUNC */
#define MODE_PAE  4u

static volatile uint32_t *status(uint32_t offset)
{
    return (volatile uint32_t *)(uint64_t)(STATUS + offset);
}

static void prepare_cpu(void)
{
    uint64_t *idt = (uint64_t *)0xb000;
    uint64_t *tables = ram_alloc(6 * SIZE_4K, SIZE_4K);
    uint64_t trap = CODE_PAGE + (uint64_t)(modes_trap - modes_code);

    memcpy((void *)CODE_PAGE, modes_code, (size_t)(modes_code_end - modes_code));
    for (unsigned i = 0; i < 256; i++) {
        idt[i] = (trap & 0xffff) | 8ull << 16 | 0x8e00ull << 32 | (trap >> 16) << 48;
    }
    for (unsigned i = 0; i < 32; i++) {
        /* Zero is an address like others, and here the kit has nothing there. */
        volatile uint32_t *vectors = (volatile uint32_t *)0x400 - 256;
        __asm__ volatile("movl %0, (%1)"
                         :
                         : "r"(CODE_PAGE + (uint32_t)(modes_real_trap - modes_code)),
                           "r"(vectors + i)
                         : "memory");
    }
    for (uint64_t i = 0; i < 4; i++) {
        tables[i] = ((uint64_t)tables + (i + 1) * SIZE_4K) | PTE_PRESENT;
    }
    for (uint64_t i = 0; i < 2048; i++) {
        tables[512 + i] = i * SIZE_2M | PTE_LARGE | PTE_WRITE | PTE_PRESENT;
    }
    *status(0x1c) = (uint32_t)(uint64_t)tables;
}

static uint32_t run_mode(uint32_t mode, uint64_t view, uint64_t gate)
{
    uint64_t icr = 1ull << 32;

    *status(0) = 0;
    *status(0x10) = mode;
    *status(0x14) = (uint32_t)view;
    *status(0x18) = native_vmfunc() ? 0 : POSTERN_HC_VIEW_SWITCH;
    *status(0x20) = (uint32_t)gate;
    atomic_store(&kit_cpus[1].online, false); /* the next claim that needs it starts it */
    wrmsr(MSR_X2APIC_ICR, icr | ICR_INIT | ICR_ASSERT);
    delay(1);
    wrmsr(MSR_X2APIC_ICR, icr | ICR_STARTUP | ICR_ASSERT | CODE_PAGE >> 12);
    for (uint64_t end = rdtsc() + 100 * tsc_per_ms(); *status(0) == 0 && rdtsc() < end;) {
        cpu_pause();
    }
    return *status(0);
}

CLAIM(real_mode, "real mode enters no view by itself")
{
    need_cpu(1);
    uint64_t view = view_open(PORT_GATED);
    prepare_cpu();
    CHECK_EQUAL(run_mode(MODE_REAL, 0, 0), STATUS_RAN);
    CHECK_EQUAL(run_mode(MODE_REAL, view, 0), STATUS_TRAP);
    CHECK_EQUAL(run_mode(MODE_REAL, view + 1, 0), STATUS_TRAP);
    CHECK_EQUAL(run_mode(MODE_REAL, 600, 0), STATUS_TRAP);
}

CLAIM(mode_without_paging,
      "protected mode without paging enters no view by itself, and crosses nowhere")
{
    need_cpu(1);
    uint64_t view = view_open(PORT_GATED);
    prepare_cpu();
    CHECK_EQUAL(run_mode(MODE_FLAT, 0, 0), STATUS_RAN);
    CHECK_EQUAL(run_mode(MODE_FLAT, view, 0), STATUS_TRAP);
    CHECK_EQUAL(run_mode(MODE_FLAT, 600, 0), STATUS_TRAP);
    for (uint32_t offset = 0; offset < 0x28; offset++) {
        (void)run_mode(MODE_FLAT | MODE_GATE, view, GATE_BASE + offset);
        (void)run_mode(MODE_FLAT | MODE_GATE, view, GATE_BASE + SIZE_4K + offset);
    }
    check_crossing(PORT_GATED);
}

CLAIM(mode_with_pae, "PAE paging enters no view by itself, and crosses nowhere")
{
    need_cpu(1);
    uint64_t view = view_open(PORT_GATED);
    prepare_cpu();
    CHECK_EQUAL(run_mode(MODE_FLAT | MODE_PAE, 0, 0), STATUS_RAN);
    CHECK_EQUAL(run_mode(MODE_FLAT | MODE_PAE, view, 0), STATUS_TRAP);
    CHECK_EQUAL(run_mode(MODE_FLAT | MODE_PAE, 600, 0), STATUS_TRAP);
    for (uint32_t offset = 0; offset < 0x28; offset++) {
        (void)run_mode(MODE_FLAT | MODE_PAE | MODE_GATE, view, GATE_BASE + offset);
        (void)run_mode(MODE_FLAT | MODE_PAE | MODE_GATE, view, GATE_BASE + SIZE_4K + offset);
    }
    check_crossing(PORT_GATED);
}
