/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything of the kit that is assembler: the multiboot entry and the way to 64-bit mode, the
 * start of the other CPUs, the interrupt vectors, and the ways back from an exception.
 */
#include "tests/kit/layout.h"

#define CR0_PE_PG_WP_NE_MP 0x80010023
#define CR4_PAE_FXSR       0x620
#define MULTIBOOT_MAGIC    0x1badb002
#define MULTIBOOT_FLAGS    3 /* modules on pages, memory information */

    .section .multiboot, "a"
    .balign 4
    .long MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

    .text
    .code32
    .global kit_start
kit_start:
    cld
    movl $kit_boot_stack_end, %esp
    movl %eax, %esi /* the magic */
    movl %ebx, %edi /* the information */
    /* Tables: PML4, PDPT, four directories of 2 MiB pages. The low 4 GiB are at 0 for the
     * supervisor and at USER_BASE, the second PML4 entry, for ring 3. */
    movl $kit_pdpt + 7, kit_pml4
    movl $kit_pdpt + 7, kit_pml4 + 8
    andl $~4, kit_pml4
    xorl %ecx, %ecx
1:  movl %ecx, %eax
    shll $12, %eax
    addl $kit_directories + 7, %eax
    movl %eax, kit_pdpt(, %ecx, 8)
    incl %ecx
    cmpl $4, %ecx
    jb 1b
    xorl %ecx, %ecx
2:  movl %ecx, %eax
    shll $21, %eax
    orl $0x87, %eax
    cmpl $0x600, %ecx /* 0xc0000000 and up: devices */
    jb 3f
    orl $0x18, %eax
3:  movl %eax, kit_directories(, %ecx, 8)
    incl %ecx
    cmpl $2048, %ecx
    jb 2b
    call enter_long_mode
    ljmp $8, $4f
    .code64
4:  movl %esi, %esi
    movl %edi, %edi
    call kit_main
5:  hlt
    jmp 5b

    /* Paging on with the kit's tables, in compatibility mode; a GDT with 64-bit code at 8. */
    .code32
enter_long_mode:
    movl $CR4_PAE_FXSR, %eax
    movl %eax, %cr4
    movl $kit_pml4, %eax
    movl %eax, %cr3
    movl $MSR_EFER_NUMBER, %ecx
    movl $EFER_START, %eax
    xorl %edx, %edx
    wrmsr
    lgdt boot_gdt_pointer
    movl $CR0_PE_PG_WP_NE_MP, %eax
    movl %eax, %cr0
    ret

    .balign 8
boot_gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff
boot_gdt_pointer:
    .word . - boot_gdt - 1
    .long boot_gdt

    /* Copied to AP_START, where a startup IPI begins in real mode. */
    .code16
    .global kit_ap_start, kit_ap_start_end
kit_ap_start:
    cli
    xorw %ax, %ax
    movw %ax, %ds
    lgdtl AP_START + ap_gdt_pointer - kit_ap_start
    movl $1, %eax
    movl %eax, %cr0
    ljmpl $0x18, $ap_start_32
ap_gdt_pointer:
    .word 31
    .long boot_gdt
kit_ap_start_end:
    .code32
ap_start_32:
    movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %ss
    movl kit_ap_stack, %esp
    call enter_long_mode
    ljmp $8, $6f
    .code64
6:  movl kit_ap_index(%rip), %edi
    call kit_ap_main
7:  hlt
    jmp 7b

    /* The interrupt vectors, 16 bytes each. */
    .balign 16
    .global kit_vectors
kit_vectors:
    .set vector, 0
    .rept 256
    .balign 16
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
    pushq $0
    .endif
    pushq $vector
    jmp on_vector
    .set vector, vector + 1
    .endr

    .balign 16
on_vector:
    push %rax
    push %rcx
    push %rdx
    push %rbx
    push %rbp
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
    cld
    movq %rsp, %rdi
    movq %rsp, %rbp
    andq $-16, %rsp
    call kit_interrupt
    movq %rbp, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rbp
    pop %rbx
    pop %rdx
    pop %rcx
    pop %rax
    addq $16, %rsp
    iretq

    /* uint64_t kit_protect(recovery, function, argument): 0 if the function returned, 1 if
     * kit_unwind(recovery) was called. */
    .global kit_protect
kit_protect:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    pushfq
    pop %rax
    movq %rax, 8(%rdi)
    pushq $0 /* aligns the stack */
    movq %rsp, (%rdi)
    movq %rdx, %rdi
    call *%rsi
    xorl %eax, %eax
protect_return:
    addq $8, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret

    /* By IRET, which also ends the blocking of NMIs. */
    .global kit_unwind
kit_unwind:
    movq (%rdi), %rax
    movq 8(%rdi), %rcx
    pushq $0x10
    pushq %rax
    pushq %rcx
    pushq $8
    leaq protect_unwound(%rip), %rax
    pushq %rax
    iretq
protect_unwound:
    movl $1, %eax
    jmp protect_return

    /* kit_enter_user(rip, rsp, argument) */
    .global kit_enter_user
kit_enter_user:
    pushq $0x1b
    pushq %rsi
    pushq $2
    pushq $0x23
    pushq %rdi
    movq %rdx, %rdi
    iretq

    /* Where a function of ring 3 returns to. */
    .global kit_user_return
kit_user_return:
    int $0x81
    ud2

    .bss
    .balign 4096
    .global kit_pml4
kit_pml4:
    .skip 4096
kit_pdpt:
    .skip 4096
kit_directories:
    .skip 4 * 4096
    .skip 16384
kit_boot_stack_end:

    .section .note.GNU-stack, "", @progbits
