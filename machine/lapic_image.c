/* SPDX-License-Identifier: BSD-2-Clause */
/* The local APIC in snapshots of VMs. */
#include "machine/lapic_parts.h"

static uint64_t guest_deadline(const struct lapic *lapic, uint64_t tsc_offset)
{
    return lapic->deadline == NEVER ? NEVER : lapic->deadline + tsc_offset;
}

void lapic_release_timer(struct lapic *lapic, uint64_t tsc_offset, uint64_t deadline)
{
    lapic->deadline = deadline == NEVER ? NEVER : deadline - tsc_offset;
}

uint64_t lapic_hold_timer(struct lapic *lapic, uint64_t tsc_offset)
{
    uint64_t deadline = guest_deadline(lapic, tsc_offset);

    lapic->deadline = NEVER;
    return deadline;
}

void lapic_save(struct lapic *lapic, uint64_t tsc_offset, struct lapic_image *image)
{
    lapic_sync_posted(lapic);
    *image = (struct lapic_image){
        .mode = lapic_mode(lapic),
        .tpr = *lapic_reg(lapic, REG_TPR),
        .svr = *lapic_reg(lapic, REG_SVR),
        .esr = *lapic_reg(lapic, REG_ESR),
        .errors = lapic->errors,
        .icr = *lapic_reg(lapic, REG_ICR),
        .icr_high = *lapic_reg(lapic, REG_ICR_HIGH),
        .icr_destination = lapic->icr_destination,
        .ldr = atomic_load_explicit(&lapic->ldr, memory_order_relaxed),
        .dfr = atomic_load_explicit(&lapic->dfr, memory_order_relaxed),
        .initial = *lapic_reg(lapic, REG_INITIAL),
        .divide = *lapic_reg(lapic, REG_DIVIDE),
        .deadline = guest_deadline(lapic, tsc_offset),
    };
    for (unsigned i = 0; i < LAPIC_LVTS; i++) {
        image->lvts[i] = *lapic_reg(lapic, lapic_lvt_registers[i]);
    }
    for (unsigned i = 0; i < 8; i++) {
        image->isr[i] = *lapic_reg(lapic, REG_ISR + 16 * i);
        image->tmr[i] = *lapic_reg(lapic, REG_TMR + 16 * i);
        image->irr[i] = *lapic_reg(lapic, REG_IRR + 16 * i);
    }
}

bool lapic_image_is_valid(const struct lapic_image *image)
{
    const uint32_t no_vectors = BIT32(FIRST_VALID_VECTOR) - 1;

    for (unsigned i = 0; i < LAPIC_LVTS; i++) {
        if ((image->lvts[i] & ~lapic_writable(lapic_lvt_registers[i])) != 0) {
            return false;
        }
    }
    return image->mode <= LAPIC_X2APIC && (image->tpr & ~lapic_writable(REG_TPR)) == 0 &&
           (image->svr & ~lapic_writable(REG_SVR)) == 0 && (image->icr & ICR_RESERVED) == 0 &&
           (image->divide & ~lapic_writable(REG_DIVIDE)) == 0 &&
           ((image->isr[0] | image->irr[0]) & no_vectors) == 0;
}

/* The period of a timer is what its registers say. */
static void load_timer(struct lapic *lapic, uint64_t tsc_offset, uint64_t deadline)
{
    lapic_start_timer(lapic, 0);
    lapic_release_timer(lapic, tsc_offset, deadline);
}

void lapic_load(struct lapic *lapic, uint64_t tsc_offset, const struct lapic_image *image)
{
    lapic_set_mode(lapic, (enum lapic_mode)image->mode);
    *lapic_reg(lapic, REG_TPR) = image->tpr;
    *lapic_reg(lapic, REG_SVR) = image->svr;
    *lapic_reg(lapic, REG_ESR) = image->esr;
    *lapic_reg(lapic, REG_ICR) = image->icr;
    *lapic_reg(lapic, REG_ICR_HIGH) = image->icr_high;
    *lapic_reg(lapic, REG_INITIAL) = image->initial;
    *lapic_reg(lapic, REG_DIVIDE) = image->divide;
    for (unsigned i = 0; i < LAPIC_LVTS; i++) {
        *lapic_reg(lapic, lapic_lvt_registers[i]) = image->lvts[i];
    }
    for (unsigned i = 0; i < 8; i++) {
        *lapic_reg(lapic, REG_ISR + 16 * i) = image->isr[i];
        *lapic_reg(lapic, REG_TMR + 16 * i) = image->tmr[i];
        *lapic_reg(lapic, REG_IRR + 16 * i) = image->irr[i];
    }
    atomic_store_explicit(&lapic->ldr, image->ldr, memory_order_relaxed);
    atomic_store_explicit(&lapic->dfr, image->dfr, memory_order_relaxed);
    lapic->icr_destination = image->icr_destination;
    lapic->errors = image->errors;
    load_timer(lapic, tsc_offset, image->deadline);
    lapic_update_ppr(lapic);
}
