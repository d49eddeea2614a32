/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gate's way in and out: int64_t gate(uint32_t view, uint32_t function, void *arguments).
 *
 * From before the view is entered until after it is left, R15 holds the view and R14 the stack
 * pointer as it was then. Everything that runs in between leaves R14, R15 and all registers of the
 * caller's as they are. So a crossing can be given up at any instruction: what the caller needs
 * back is in the registers, and in the two words at R14.
 *
 * An event that comes in mid-crossing is handled in the default view. Each instruction of the
 * trampoline is right when it goes on there: the call of the protected code makes the hypervisor
 * enter the view R15 again, and to leave a view when in the default view changes nothing.
 */
#include "abi/gate.h"
#include "abi/hypercall.h"
#include "vmfunc/gate.h"
#include "vmfunc/gate/layout.h"

/* Enters the view in ECX. Changes EAX only. */
    .macro switch_view
#ifdef GATE_FALLBACK
    movl    $POSTERN_HC_VIEW_SWITCH, %eax
    vmcall
#else
    xorl    %eax, %eax
    vmfunc
#endif
    .endm

    .section .trampoline, "ax", @progbits
    .globl  gate_entry
    .hidden gate_entry
gate_entry:
    pushq   %r15
    pushq   %r14
    movl    %edi, %r15d
    movq    %rsp, %r14
    movl    %edi, %ecx
    switch_view
    call    gate_body
    movq    %rax, %rdx
    xorl    %ecx, %ecx
    switch_view
    movq    %rdx, %rax
    popq    %r14
    popq    %r15
    ret

/* The hypervisor's way out: the view is left, RAX is an error. The protected code may have used any
 * amount of stack; only RSP has to be brought back. */
    .org    GATE_ABORT_OFFSET, 0xcc
    movq    %r14, %rsp
    popq    %r14
    popq    %r15
    cld
    ret
    .org    GATE_PAGE_SIZE, 0xcc

/* The protected code begins. A caller of ring 3 chooses the flags: the direction of copies is the
 * one that matters. */
    .section .text.first, "ax", @progbits
gate_body:
    testl   %esi, %esi /* POSTERN_GATE_NOTHING */
    jnz     1f
    xorl    %eax, %eax
    ret
1:  cld
    movl    %esi, %edi
    movq    %rdx, %rsi
    jmp     gate_function

    .section .note.GNU-stack, "", @progbits
