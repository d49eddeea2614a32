/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the local APIC share: its registers' page. */
#ifndef POSTERN_MACHINE_LAPIC_PARTS_H
#define POSTERN_MACHINE_LAPIC_PARTS_H

#include "lib/bits.h"
#include "machine/lapic.h"

/* Register offsets in the page: the xAPIC's. */
#define REG_ID             0x020u
#define REG_VERSION        0x030u
#define REG_TPR            0x080u
#define REG_PPR            0x0a0u
#define REG_EOI            0x0b0u
#define REG_LDR            0x0d0u
#define REG_SVR            0x0f0u
#define REG_ISR            0x100u
#define REG_TMR            0x180u
#define REG_IRR            0x200u
#define REG_ESR            0x280u
#define REG_ICR            0x300u
#define REG_ICR_HIGH       0x310u
#define REG_LVT_CMCI       0x2f0u
#define REG_LVT_TIMER      0x320u
#define REG_LVT_THERMAL    0x330u
#define REG_LVT_PERF       0x340u
#define REG_LVT_LINT0      0x350u
#define REG_LVT_LINT1      0x360u
#define REG_LVT_ERROR      0x370u
#define REG_INITIAL        0x380u
#define REG_CURRENT        0x390u
#define REG_DIVIDE         0x3e0u
#define REG_SELF_IPI       0x3f0u

#define VERSION            0x00050014u /* six LVT entries */
#define LVT_MASKED         BIT32(16)
#define LVT_VECTOR         0xffu
#define TIMER_MODE         (3u << 17)
#define TIMER_PERIODIC     (1u << 17)
#define TIMER_TSC_DEADLINE (2u << 17)
#define SVR_ENABLED        BIT32(8)
#define FIRST_VALID_VECTOR 16u
#define ESR_SEND_ILLEGAL   BIT32(5)
#define ICR_RESERVED       0xfff32000ull /* of the low half: 13, 16, 17, 20 to 31 */
#define NEVER              UINT64_MAX
#define BROADCAST          0xffffffffu
#define DFR_FLAT           0xffffffffu

/* Of the LVT, in the order of lapic_image's. */
extern const uint16_t lapic_lvt_registers[LAPIC_LVTS];

static inline uint32_t *lapic_reg(const struct lapic *lapic, uint32_t offset)
{
    return (uint32_t *)(void *)((uint8_t *)lapic->page + offset);
}

/* Bits that may be written in each register; 0 for those that are read-only or do not exist. */
uint32_t lapic_writable(uint32_t offset);

/* Makes PPR of TPR and what is in service. */
void lapic_update_ppr(struct lapic *lapic);

/* Has the timer count from `tsc` on, as its registers say; in the deadline mode nothing. */
void lapic_start_timer(struct lapic *lapic, uint64_t tsc);

#endif
