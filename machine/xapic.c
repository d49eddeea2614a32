/* SPDX-License-Identifier: BSD-2-Clause */
#include "machine/xapic.h"

#include "arch/x86/defs/msr.h"
#include "lib/bits.h"

#define REG_ID       0x020u
#define REG_EOI      0x0b0u
#define REG_DFR      0x0e0u
#define REG_ESR      0x280u
#define REG_ICR      0x300u
#define REG_ICR_HIGH 0x310u
#define REG_SELF_IPI 0x3f0u /* of x2APIC mode alone */

#define ICR_BUSY     BIT32(12)
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
    case REG_DFR:
        return ~0u;
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

bool xapic_base_is_valid(uint64_t old, uint64_t value)
{
    uint64_t from = old & MODE, to = value & MODE;

    if (((old ^ value) & ~MODE) != 0 || to == APIC_BASE_X2APIC) {
        return false;
    }
    /* Into x2APIC mode by xAPIC mode only, out of it by off only. */
    return from == to || (to == MODE ? from == APIC_BASE_ENABLE : from != MODE || to == 0);
}
