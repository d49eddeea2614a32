/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the other CPUs begin: copied to a page below 1 MiB, entered in real mode with
 * CS = page << 8, IP = 0. All addresses are computed from CS, since the page can be any.
 */
	.section .rodata, "a"
	.balign 16
	.globl startup_begin, startup_end, startup_parameters
	.hidden startup_begin, startup_end, startup_parameters
	.code16
startup_begin:
	cli
	cld
	mov %cs, %ax
	mov %ax, %ds
	movzwl %ax, %ebx
	shl $4, %ebx			/* EBX: the page's address from here on */

	/* The pointers in the page's own tables. */
	lea (startup_gdt - startup_begin)(%ebx), %eax
	mov %eax, (startup_gdt_register - startup_begin + 2)
	lea (startup_long - startup_begin)(%ebx), %eax
	mov %eax, (startup_far_pointer - startup_begin)
	lgdtl (startup_gdt_register - startup_begin)

	/* Straight to 64-bit mode: PAE, the tables, LME and NXE, then PE and PG together. */
	mov %cr4, %eax
	or $0x20, %eax
	mov %eax, %cr4
	mov (startup_parameters - startup_begin), %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx
	rdmsr
	or $0x900, %eax
	wrmsr
	mov %cr0, %eax
	and $0x9fffffff, %eax		/* CD and NW off: caches on */
	or $0x80000001, %eax
	mov %eax, %cr0
	ljmpl *(startup_far_pointer - startup_begin)

	.code64
startup_long:
	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov %ebx, %ebx
	lea (startup_parameters - startup_begin)(%rbx), %rbx
	mov 8(%rbx), %rsp
	mov 24(%rbx), %rdi
	xor %ebp, %ebp
	call *16(%rbx)
1:	hlt
	jmp 1b

	.balign 8
startup_gdt:
	.quad 0
	.quad 0x00af9b000000ffff	/* 0x08: 64-bit code */
	.quad 0x00cf93000000ffff	/* 0x10: data */
startup_gdt_register:
	.word . - startup_gdt - 1
	.long 0
	.balign 4
startup_far_pointer:
	.long 0
	.word 0x08
	.balign 8
startup_parameters:
	.quad 0, 0, 0, 0		/* cr3, stack, entry, pcpu */
startup_end:

	.section .note.GNU-stack, "", @progbits
