/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entry into a guest and the way back. The shortest path that there is: HOST_RSP is the end of the
 * vCPU's register array, so that an exit pushes the guest's registers where they belong, and a
 * resume pops them from there. Only the handler in between uses the CPU's stack.
 *
 * struct vmx_vcpu: 15 registers (120 bytes), host_stack, on_exit, launched.
 */
#define HOST_STACK 120
#define ON_EXIT    128
#define LAUNCHED   136

	.macro load_registers
	.irp name, r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax
	pop %\name
	.endr
	.endm

	.text

/* int vmx_enter_guest(struct vmx_vcpu *): 1 after VMX_LEAVE, 0 if the entry failed. */
	.balign 16
	.globl vmx_enter_guest
	.hidden vmx_enter_guest
vmx_enter_guest:
	push %rbp
	push %rbx
	push %r12
	push %r13
	push %r14
	push %r15
	sub $8, %rsp			/* the handler's call finds the stack aligned */
	mov %rsp, HOST_STACK(%rdi)
	cmpq $0, LAUNCHED(%rdi)
	mov %rdi, %rsp			/* the array of registers is the stack */
	jne vmx_resume
	movq $1, LAUNCHED(%rdi)
	load_registers
	vmlaunch
	jmp vmx_entry_failed

	.balign 16
vmx_resume:
	load_registers
	vmresume

vmx_entry_failed:
	lea -HOST_STACK(%rsp), %rdi	/* RSP is the end of the registers again */
	mov HOST_STACK(%rdi), %rsp
	xor %eax, %eax
	jmp leave

/* HOST_RIP */
	.balign 16
	.globl vmx_exit
	.hidden vmx_exit
vmx_exit:
	.irp name, rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
	push %\name
	.endr
	mov %rsp, %rbx			/* survives the call: callee-saved */
	mov %rsp, %rdi
	mov HOST_STACK(%rsp), %rsp
	call *ON_EXIT(%rdi)
	test %eax, %eax
	mov %rbx, %rsp
	jz vmx_resume
	mov HOST_STACK(%rbx), %rsp
	mov $1, %eax
leave:
	add $8, %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbx
	pop %rbp
	ret

	.section .note.GNU-stack, "", @progbits
