/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The multiboot entry and the way to 64-bit mode, and the interrupt vectors. One page table maps the
 * low 4 GiB one to one; paging.c adds the window, which lies higher.
 */
#define CR0_PE_MP_NE_WP_PG 0x80010023
#define CR4_PAE            0x20
#define MSR_EFER           0xc0000080
#define EFER_LME_NXE       0x900
#define MULTIBOOT_MAGIC    0x1badb002
#define MULTIBOOT_FLAGS    2 /* memory information */
#define CODE_SELECTOR      0x08
#define DATA_SELECTOR      0x10
#define PAGE_TABLE         7 /* present, writable, user */
#define PAGE_2M            0x83
#define PAGE_2M_DEVICE     0x9b
/* Directory entries, 2 MiB each: the PCI devices' window, 0xc0000000 to 0xfec00000. What is above
 * it, the gate's code among it, is cached. */
#define FIRST_DEVICE       0x600
#define END_OF_DEVICES     0x7f6
#define STACK_SIZE         0x10000

    .section .multiboot, "a"
    .balign 4
    .long MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

    .text
    .code32
    .global start
start:
    cld
    movl %ebx, %edi /* the multiboot information */
    movl $page_directory_pointers + PAGE_TABLE, page_map
    xorl %ecx, %ecx
1:  movl %ecx, %eax
    shll $12, %eax
    addl $directories + PAGE_TABLE, %eax
    movl %eax, page_directory_pointers(, %ecx, 8)
    incl %ecx
    cmpl $4, %ecx
    jb 1b
    xorl %ecx, %ecx
2:  movl %ecx, %eax
    shll $21, %eax
    orl $PAGE_2M, %eax
    cmpl $FIRST_DEVICE, %ecx
    jb 3f
    cmpl $END_OF_DEVICES, %ecx
    jae 3f
    orl $PAGE_2M_DEVICE, %eax
3:  movl %eax, directories(, %ecx, 8)
    incl %ecx
    cmpl $4 * 512, %ecx
    jb 2b
    movl $CR4_PAE, %eax
    movl %eax, %cr4
    movl $page_map, %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    movl $EFER_LME_NXE, %eax
    xorl %edx, %edx
    wrmsr
    movl $CR0_PE_MP_NE_WP_PG, %eax
    movl %eax, %cr0
    lgdt gdt_pointer
    ljmp $CODE_SELECTOR, $4f
    .code64
4:  movl $DATA_SELECTOR, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $stack_end, %esp
    movl %edi, %edi
    call main
5:  cli
    hlt
    jmp 5b

    .balign 8
gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
    .word . - gdt - 1
    .long gdt

    /* 64 vectors, 16 bytes each. The CPU pushes an error code for some exceptions only. */
    .balign 16
    .global interrupt_vectors
interrupt_vectors:
    .set vector, 0
    .rept 64
    .balign 16
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
    pushq $0
    .endif
    pushq $vector
    jmp on_vector
    .set vector, vector + 1
    .endr

    /* Saves what C functions do not keep. With that the stack is a multiple of 16 again, as the CPU
     * has aligned it. */
    .balign 16
on_vector:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    cld
    movq %rsp, %rdi
    call on_interrupt
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rax
    addq $16, %rsp
    iretq

    .bss
    .balign 4096
page_map:
    .skip 4096
    .global page_directory_pointers
page_directory_pointers:
    .skip 4096
directories:
    .skip 4 * 4096
    .skip STACK_SIZE
stack_end:

    .section .note.GNU-stack, "", @progbits
