/* SPDX-License-Identifier: BSD-2-Clause */
#include "machine/xapic.h"

#include "arch/x86/defs/msr.h"
#include "lib/bits.h"

#define REG_ID       0x020u
#define REG_EOI      0x0b0u
#define REG_LDR      0x0d0u
#define REG_DFR      0x0e0u
#define REG_ESR      0x280u
#define REG_ICR      0x300u
#define REG_ICR_HIGH 0x310u
#define REG_SELF_IPI 0x3f0u /* of x2APIC mode alone */

#define ICR_BUSY     BIT32(12)
#define LDR_WRITABLE 0xff000000u
#define DFR_WRITABLE 0xf0000000u
#define MODE         (APIC_BASE_ENABLE | APIC_BASE_X2APIC)

static bool is_register(uint32_t offset, unsigned size)
{
    return size == 4 && is_aligned(offset, 16) && offset < PAGE_SIZE && offset != REG_SELF_IPI;
}

static uint32_t msr_of(uint32_t offset)
{
    return MSR_X2APIC_FIRST + (offset >> 4);
}

uint32_t xapic_read(struct lapic *lapic, uint32_t offset, unsigned size, uint64_t tsc)
{
    uint64_t value = 0;

    if (!is_register(offset, size)) {
        return ~0u;
    }
    switch (offset) {
    case REG_ID:
        return lapic->id << 24;
    case REG_LDR:
        return atomic_load_explicit(&lapic->ldr, memory_order_relaxed);
    case REG_DFR:
        return atomic_load_explicit(&lapic->dfr, memory_order_relaxed);
    case REG_ICR_HIGH:
        return lapic->icr_destination << 24;
    default:
        return lapic_read_msr(lapic, msr_of(offset), tsc, &value) ? (uint32_t)value : 0;
    }
}

void xapic_write(struct lapic *lapic, uint32_t offset, unsigned size, uint32_t value, uint64_t tsc)
{
    uint64_t destination = lapic_extend_destination(lapic->icr_destination);

    if (!is_register(offset, size)) {
        return;
    }
    /* What is reserved is ignored here, where an MSR would be #GP. */
    switch (offset) {
    case REG_EOI:
    case REG_ESR:
        (void)lapic_write_msr(lapic, msr_of(offset), tsc, 0);
        break;
    case REG_LDR:
        atomic_store_explicit(&lapic->ldr, value & LDR_WRITABLE, memory_order_relaxed);
        break;
    case REG_DFR:
        atomic_store_explicit(&lapic->dfr, value | ~DFR_WRITABLE, memory_order_relaxed);
        break;
    case REG_ICR_HIGH:
        lapic->icr_destination = value >> 24;
        break;
    case REG_ICR:
        (void)lapic_write_msr(lapic, MSR_X2APIC_ICR, tsc, destination << 32 | (value & ~ICR_BUSY));
        break;
    default:
        (void)lapic_write_msr(lapic, msr_of(offset), tsc, value);
        break;
    }
}

enum lapic_mode xapic_base_mode(uint64_t value)
{
    if ((value & APIC_BASE_ENABLE) == 0) {
        return LAPIC_OFF;
    }
    return (value & APIC_BASE_X2APIC) != 0 ? LAPIC_X2APIC : LAPIC_XAPIC;
}

bool xapic_base_is_valid(uint64_t old, uint64_t value)
{
    uint64_t from = old & MODE, to = value & MODE;

    if (((old ^ value) & ~MODE) != 0 || to == APIC_BASE_X2APIC) {
        return false;
    }
    /* Into x2APIC mode by xAPIC mode only, out of it by off only. */
    return from == to || (to == MODE ? from == APIC_BASE_ENABLE : from != MODE || to == 0);
}
