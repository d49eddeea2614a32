/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC as a page of memory at GUEST_LAPIC_BASE (SDM "Local APIC"), for kernels that
 * use it so before they change to x2APIC mode: a translation to the model of lapic.h.
 */
#ifndef POSTERN_MACHINE_XAPIC_H
#define POSTERN_MACHINE_XAPIC_H

#include "machine/lapic.h"

/* The timer's entry of the local vector table. */
#define XAPIC_LVT_TIMER 0x320u

/* A 32-bit access at `offset` of the page; `tsc` is now. Others read all ones and write nothing. */
uint32_t xapic_read(struct lapic *lapic, uint32_t offset, unsigned size, uint64_t tsc);
void xapic_write(struct lapic *lapic, uint32_t offset, unsigned size, uint32_t value, uint64_t tsc);

/* The mode that a value of IA32_APIC_BASE stands for. */
enum lapic_mode xapic_base_mode(uint64_t value);

/* Whether IA32_APIC_BASE may go from `old` to `value`: off, xAPIC mode, x2APIC mode and back by off
 * (SDM "x2APIC State Transitions"), at the same address. */
bool xapic_base_is_valid(uint64_t old, uint64_t value);

#endif
