/* SPDX-License-Identifier: BSD-2-Clause */
/* Protected mode without long mode, as kernels of 32 bits use it: a claim leaves 64-bit mode for a
 * function in assembler and comes back at its end, or at the first exception. */
#include "tests/kit/kit.h"
#include "tests/kit/percpu.h"

#define SELECTOR_CODE32  0x18u
#define SELECTOR_TSS_OWN 0x20u
#define SELECTOR_TSS_NEW 0x28u
#define VECTORS          64u
#define TASK_VECTOR      0x30u
#define TSS32_SIZE       104u
#define FAR_AWAY         0xc0000000u /* what the fourth PDPTE leads to */
#define FIRST            0x11111111u
#define SECOND           0x22222222u

struct PACKED table_pointer {
    uint16_t limit;
    uint64_t base;
};

/* For the assembler. */
extern const uint8_t legacy_vectors[]; /* 16 bytes each */
void legacy_run(void (*function)(void));
void legacy_far_call(void);
void legacy_task_gate(void);
void legacy_pae(void);
uint64_t legacy_rsp, legacy_cr3, legacy_cr4, legacy_gdt[6], legacy_idt[VECTORS];
struct table_pointer legacy_gdt_pointer, legacy_idt_pointer;
uint32_t legacy_vector, legacy_error, legacy_values[2];
uint64_t legacy_pdpt[4] __attribute__((aligned(32)));
uint64_t legacy_second_pdpte;
uint8_t legacy_stack[SIZE_4K] __attribute__((aligned(16)));

__asm__(".text\n"
        "legacy_run:\n"
        "    push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "    movq %rsp, legacy_rsp(%rip)\n"
        "    movq %cr3, %rax\n movq %rax, legacy_cr3(%rip)\n"
        "    movq %cr4, %rax\n movq %rax, legacy_cr4(%rip)\n"
        "    lgdt legacy_gdt_pointer(%rip)\n"
        "    lidt legacy_idt_pointer(%rip)\n"
        "    movq %rdi, %rbx\n"
        "    pushq $0x18\n"
        "    leaq 1f(%rip), %rax\n"
        "    pushq %rax\n"
        "    lretq\n"
        "    .code32\n"
        "1:  movl $0x10, %eax\n"
        "    movw %ax, %ds\n movw %ax, %es\n movw %ax, %ss\n"
        "    movl $legacy_stack + 4096, %esp\n"
        "    movl %cr0, %eax\n andl $0x7fffffff, %eax\n movl %eax, %cr0\n"
        "    movl $0xc0000080, %ecx\n"
        "    rdmsr\n andl $~0x100, %eax\n wrmsr\n" /* EFER.LME */
        "    movl $0x20, %eax\n ltr %ax\n"
        "    call *%ebx\n"
        "legacy_back:\n"
        "    movl %cr0, %eax\n andl $0x1fffffff, %eax\n movl %eax, %cr0\n"
        "    movl legacy_cr4, %eax\n movl %eax, %cr4\n"
        "    movl legacy_cr3, %eax\n movl %eax, %cr3\n"
        "    movl $0xc0000080, %ecx\n"
        "    rdmsr\n orl $0x100, %eax\n wrmsr\n"
        "    movl %cr0, %eax\n orl $0x80000000, %eax\n movl %eax, %cr0\n"
        "    ljmp $8, $2f\n"
        "    .code64\n"
        "2:  movq legacy_rsp(%rip), %rsp\n"
        "    pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
        "    ret\n"

        "    .code32\n"
        "    .balign 16\n"
        "legacy_vectors:\n"
        "    .set vector, 0\n"
        "    .rept 64\n"
        "    .balign 16\n"
        "    pushl $vector\n"
        "    jmp legacy_trap\n"
        "    .set vector, vector + 1\n"
        "    .endr\n"
        "legacy_trap:\n" /* of those without an error code, its place has EIP */
        "    popl legacy_vector\n"
        "    popl legacy_error\n"
        "    jmp legacy_back\n"

        "legacy_far_call:\n"
        "    lcall $0x28, $0\n"
        "    ret\n"
        "legacy_task_gate:\n"
        "    int $0x30\n"
        "    ret\n"

        /* The writes change bits that are not the guest's own, CD and MCE: they exit. */
        "legacy_pae:\n"
        "    movl $legacy_pdpt, %eax\n movl %eax, %cr3\n"
        "    movl %cr0, %eax\n orl $0xc0000000, %eax\n movl %eax, %cr0\n" /* PG, CD */
        "    movl 0xc0000000, %eax\n movl %eax, legacy_values\n"
        "    movl legacy_second_pdpte, %eax\n movl %eax, legacy_pdpt + 24\n"
        "    movl %cr4, %eax\n xorl $0xc0, %eax\n movl %eax, %cr4\n" /* PGE, MCE */
        "    movl 0xc0000000, %eax\n movl %eax, legacy_values + 4\n"
        "    orl $2, legacy_pdpt + 24\n" /* reserved */
        "    movl %cr4, %eax\n xorl $0xc0, %eax\n movl %eax, %cr4\n"
        "    ret\n"
        "    .code64\n");

static uint8_t tss_own[TSS32_SIZE], tss_new[TSS32_SIZE];

static uint64_t tss_descriptor(const uint8_t *tss)
{
    uint64_t base = (uint64_t)tss;

    return (TSS32_SIZE - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24) << 56;
}

/* What ended the function: LEGACY_RETURNED or an exception. */
#define LEGACY_RETURNED 0xffffffffu

static void run_legacy(void (*function)(void))
{
    legacy_gdt[SELECTOR_CODE / 8] = 0x00af9b000000ffff;
    legacy_gdt[SELECTOR_DATA / 8] = 0x00cf93000000ffff;
    legacy_gdt[SELECTOR_CODE32 / 8] = 0x00cf9b000000ffff;
    legacy_gdt[SELECTOR_TSS_OWN / 8] = tss_descriptor(tss_own);
    legacy_gdt[SELECTOR_TSS_NEW / 8] = tss_descriptor(tss_new);
    for (unsigned i = 0; i < VECTORS; i++) {
        uint64_t at = (uint64_t)legacy_vectors + 16ull * i;
        legacy_idt[i] = (at & 0xffff) | SELECTOR_CODE32 << 16 | 0x8e00ull << 32 | (at >> 16) << 48;
    }
    legacy_idt[TASK_VECTOR] = SELECTOR_TSS_NEW << 16 | 0x8500ull << 32;
    legacy_gdt_pointer = (struct table_pointer){sizeof(legacy_gdt) - 1, (uint64_t)legacy_gdt};
    legacy_idt_pointer = (struct table_pointer){sizeof(legacy_idt) - 1, (uint64_t)legacy_idt};
    legacy_vector = LEGACY_RETURNED;
    legacy_run(function);
    descriptors_reset();
}

CLAIM(task_switch_call, "a far call to a TSS is #GP(its selector): there are no task switches")
{
    run_legacy(legacy_far_call);
    CHECK_EQUAL(legacy_vector, EXCEPTION_GP);
    CHECK_EQUAL(legacy_error, SELECTOR_TSS_NEW);
}

CLAIM(task_switch_gate, "INT by a task gate is #GP(its vector in the IDT)")
{
    run_legacy(legacy_task_gate);
    CHECK_EQUAL(legacy_vector, EXCEPTION_GP);
    CHECK_EQUAL(legacy_error, TASK_VECTOR << 3 | 2);
}

/* A page directory that shows `value` at its first address. */
static uint64_t directory_with(uint32_t value)
{
    uint64_t *directory = ram_alloc(SIZE_4K, SIZE_4K), *table = ram_alloc(SIZE_4K, SIZE_4K);
    uint32_t *page = ram_alloc(SIZE_4K, SIZE_4K);

    page[0] = value;
    table[0] = (uint64_t)page | PTE_PRESENT;
    directory[0] = (uint64_t)table | PTE_PRESENT;
    return (uint64_t)directory;
}

CLAIM(pae_registers, "in PAE paging writes of CR0 and CR4 load the four PDPTEs, or are #GP")
{
    uint64_t *low = ram_alloc(SIZE_4K, SIZE_4K);

    for (uint64_t i = 0; i < 512; i++) {
        low[i] = i * SIZE_2M | PTE_LARGE | PTE_WRITE | PTE_PRESENT;
    }
    legacy_pdpt[0] = (uint64_t)low | PTE_PRESENT;
    legacy_pdpt[FAR_AWAY >> 30] = directory_with(FIRST) | PTE_PRESENT;
    legacy_second_pdpte = directory_with(SECOND) | PTE_PRESENT;
    run_legacy(legacy_pae);
    CHECK_EQUAL(legacy_values[0], FIRST);
    CHECK_EQUAL(legacy_values[1], SECOND);
    CHECK_EQUAL(legacy_vector, EXCEPTION_GP);
    CHECK_EQUAL(legacy_error, 0);
}
