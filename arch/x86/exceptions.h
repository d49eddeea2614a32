/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exceptions, NMIs and interrupts that arrive while the hypervisor itself runs. An exception that
 * no fix-up foresaw is the hypervisor's own fault: it is decoded and the machine stops.
 */
#ifndef POSTERN_ARCH_X86_EXCEPTIONS_H
#define POSTERN_ARCH_X86_EXCEPTIONS_H

#include "lib/status.h"

/* Interrupt vectors of the hypervisor's own. */
#define VECTOR_KICK     0xf0u
#define VECTOR_TIMER    0xf1u
#define VECTOR_UART     0xf2u
#define VECTOR_POSTED   0xf3u /* notifies of posted interrupts: a guest's CPU takes it itself */
#define VECTOR_SPURIOUS 0xffu

typedef void (*interrupt_handler_t)(void);

/* The address of the IDT stub of `vector`. */
uint64_t exception_stub(unsigned vector);

/* Sets what runs, with interrupts off, when `vector` (32 to 255) arrives on any CPU. Before the
 * other CPUs start. */
void interrupt_set_handler(unsigned vector, interrupt_handler_t handler);

/* Runs the handler of `vector` and acknowledges it to the local APIC: for the IDT, and for VM exits
 * that acknowledged an interrupt. */
void interrupt_dispatch(unsigned vector);

/* The instruction, with STATUS_DENIED in place of a #GP or #UD. For values that come from a guest
 * or MSRs that may be missing. */
status_t rdmsr_safe(uint32_t msr, uint64_t *value) MUST_CHECK;
status_t wrmsr_safe(uint32_t msr, uint64_t value) MUST_CHECK;
status_t xsetbv_safe(uint32_t index, uint64_t value) MUST_CHECK;
status_t xrstor_safe(const void *area, uint64_t mask) MUST_CHECK;

#endif
