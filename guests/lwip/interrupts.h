/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts and time. Interrupts are on only while the CPU halts: a handler counts and
 * acknowledges, and the main loop looks after everything once it has been woken.
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

/* Halts until an interrupt comes, at the latest after `ms`. One that pends already counts. */
void wait_for_interrupt(uint32_t ms);

/* Since the start. */
uint64_t milliseconds(void);

#endif
