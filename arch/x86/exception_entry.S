/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IDT stubs: one of 16 bytes for each vector, all of which lead to exception_common with the same
 * frame (struct exception_frame in exceptions.c). The *_safe instructions and their fix-ups are
 * here too, since a fix-up is the address of an instruction.
 */
	.text
	.balign 16
	.globl exception_stubs
	.hidden exception_stubs
exception_stubs:
	vector = 0
	.rept 256
	.balign 16
	/* #DF, #TS, #NP, #SS, #GP, #PF, #AC, #CP push an error code. */
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
	push $0
	.endif
	push $vector
	jmp exception_common
	vector = vector + 1
	.endr

exception_common:
	cld
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
	mov %rsp, %rdi
	mov %rsp, %rbp
	and $-16, %rsp
	call exception_handle
	mov %rbp, %rsp
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
	add $16, %rsp
	iretq

/* int rdmsr_try(uint32_t msr, uint64_t *value): 0, or 1 after an exception. */
	.globl rdmsr_try
	.hidden rdmsr_try
rdmsr_try:
	mov %edi, %ecx
rdmsr_may_fault:
	rdmsr
	shl $32, %rdx
	or %rdx, %rax
	mov %rax, (%rsi)
	xor %eax, %eax
	ret

/* int wrmsr_try(uint32_t msr, uint64_t value) */
	.globl wrmsr_try
	.hidden wrmsr_try
wrmsr_try:
	mov %edi, %ecx
	mov %esi, %eax
	mov %rsi, %rdx
	shr $32, %rdx
wrmsr_may_fault:
	wrmsr
	xor %eax, %eax
	ret

/* int xsetbv_try(uint32_t index, uint64_t value) */
	.globl xsetbv_try
	.hidden xsetbv_try
xsetbv_try:
	mov %edi, %ecx
	mov %esi, %eax
	mov %rsi, %rdx
	shr $32, %rdx
xsetbv_may_fault:
	xsetbv
	xor %eax, %eax
	ret

/* int xrstor_try(const void *area, uint64_t mask) */
	.globl xrstor_try
	.hidden xrstor_try
xrstor_try:
	mov %esi, %eax
	mov %rsi, %rdx
	shr $32, %rdx
xrstor_may_fault:
	xrstor64 (%rdi)
	xor %eax, %eax
	ret

fixup_return_1:
	mov $1, %eax
	ret

/* Pairs of (instruction that may fault, where to go on), relative to themselves so that the image
 * can lie anywhere. */
	.section .rodata, "a"
	.balign 4
	.globl exception_fixups
	.hidden exception_fixups
exception_fixups:
	.long rdmsr_may_fault - ., fixup_return_1 - .
	.long wrmsr_may_fault - ., fixup_return_1 - .
	.long xsetbv_may_fault - ., fixup_return_1 - .
	.long xrstor_may_fault - ., fixup_return_1 - .
	.globl exception_fixups_end
	.hidden exception_fixups_end
exception_fixups_end:

	.section .note.GNU-stack, "", @progbits
