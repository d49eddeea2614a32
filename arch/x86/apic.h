/* SPDX-License-Identifier: BSD-2-Clause */
/* The physical local APICs in x2APIC mode, and the one I/O APIC input that Postern uses
 * (SDM "Advanced Programmable Interrupt Controller"). */
#ifndef POSTERN_ARCH_X86_APIC_H
#define POSTERN_ARCH_X86_APIC_H

#include "lib/status.h"

/* Turns this CPU's APIC on in x2APIC mode with everything masked but the TSC-deadline timer. */
void apic_enable(void);

uint32_t apic_id(void);
void apic_eoi(void);

/* Sends `vector` to the CPU with the APIC id `destination`. */
void apic_send(uint32_t destination, unsigned vector);
void apic_send_nmi_to_others(void);
void apic_send_init(uint32_t destination);
/* `page`: physical page number below 0x100 where the CPU is to start, in real mode. */
void apic_send_startup(uint32_t destination, unsigned page);

/* Has VECTOR_TIMER arrive when the TSC reaches `deadline`; 0 disarms. */
void apic_set_timer(uint64_t deadline);

/* The deadline that is set and has not been reached; 0: none. */
uint64_t apic_get_timer(void);

/* Whether VECTOR_TIMER has been requested of this CPU and not been taken yet. */
bool apic_timer_pending(void);

/* Routes the I/O APIC's input `gsi` (edge, active high, as an ISA interrupt) to `vector` on the CPU
 * that calls; all other inputs are masked. */
void ioapic_route(uint64_t base, uint32_t gsi, unsigned vector);

/* Masks every input of the legacy interrupt controllers. */
void pic_disable(void);

/* Has all other CPUs halt for ever. */
void stop_other_cpus(void);

/* For the end: stops the other CPUs and has the log go to the serial line and the screen directly.
 */
void panic_take_outputs(void);

/* The NMI's handler: ends here if another CPU called stop_other_cpus(); else returns. */
void panic_nmi(void);

#endif
