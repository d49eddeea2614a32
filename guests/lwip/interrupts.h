/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts and time. Interrupts are on only while the CPU halts and when the main loop lets them
 * in: a handler counts and acknowledges, and the main loop looks after everything.
 */
#ifndef POSTERN_GUESTS_LWIP_INTERRUPTS_H
#define POSTERN_GUESTS_LWIP_INTERRUPTS_H

#include <stdint.h>

#define VECTOR_TIMER    32u
#define VECTOR_RING     33u
#define VECTOR_LINK     34u
#define VECTOR_SPURIOUS 63u
#define VECTORS         64u

#define WAIT_FOREVER    0xffffffffu

/* Loads the IDT, and puts the local APIC into x2APIC mode. */
void interrupts_init(void);

/* How often the vector has come. */
uint64_t interrupt_count(unsigned vector);

/* Has VECTOR_TIMER come after `ms`; WAIT_FOREVER: not. */
void set_alarm(uint32_t ms);

/* Halts until an interrupt comes. One that pends already counts. */
void wait_for_interrupt(void);

/* Takes the interrupts that pend. */
void take_interrupts(void);

/* Since the start. */
uint64_t milliseconds(void);

#endif
