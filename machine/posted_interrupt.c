/* SPDX-License-Identifier: BSD-2-Clause */
#include "machine/posted_interrupt.h"

#include "lib/bits.h"

#define CONTROL_ON         BIT(0)
#define CONTROL_SN         BIT(1)
#define CONTROL_NV_SHIFT   16u
#define CONTROL_NDST_SHIFT 32u

/* The CPU reads it at these places. */
_Static_assert(sizeof(struct posted_interrupts) == 64 && _Alignof(struct posted_interrupts) == 64,
               "the descriptor is 64 bytes, aligned to them");
_Static_assert(offsetof(struct posted_interrupts, control) == 32, "ON is bit 256");

void posted_set_target(struct posted_interrupts *posted, uint8_t vector, uint32_t apic_id)
{
    atomic_store(&posted->control, (uint64_t)apic_id << CONTROL_NDST_SHIFT |
                                       (uint64_t)vector << CONTROL_NV_SHIFT | CONTROL_SN);
}

void posted_clear(struct posted_interrupts *posted)
{
    for (unsigned i = 0; i < POSTED_WORDS; i++) {
        atomic_store(&posted->requests[i], 0);
    }
}

bool posted_request(struct posted_interrupts *posted, uint8_t vector)
{
    uint64_t bit = BIT(vector % 64);

    /* Release, partner: the acquire in take_word(), so that the device's state is seen with the
     * interrupt. And sequentially consistent, before the look at SN and ON in posted_notify().
     * Partners: posted_suppress() and posted_take(), which change those and then look here:
     * either this CPU sees their change, or they see this request. */
    return (atomic_fetch_or(&posted->requests[vector / 64], bit) & bit) == 0;
}

enum posted_next posted_notify(struct posted_interrupts *posted)
{
    uint64_t control = atomic_load(&posted->control);

    do {
        if ((control & CONTROL_SN) != 0) {
            return POSTED_REQUEST;
        }
        if ((control & CONTROL_ON) != 0) {
            return POSTED_NOTHING;
        }
    } while (!atomic_compare_exchange_weak(&posted->control, &control, control | CONTROL_ON));
    return POSTED_NOTIFY;
}

void posted_allow(struct posted_interrupts *posted)
{
    /* Nobody sets ON while SN is set, and posted_suppress() has cleared it: an ON that were left
     * would keep others from ever notifying. */
    atomic_fetch_and(&posted->control, ~CONTROL_SN);
}

bool posted_suppress(struct posted_interrupts *posted)
{
    uint64_t control = atomic_load_explicit(&posted->control, memory_order_relaxed);

    /* ON may be set between the load and the exchange: it is overwritten, and the request that it
     * was set for is seen below. Before the look at the requests; partner: posted_request(). */
    (void)atomic_exchange(&posted->control, (control & ~CONTROL_ON) | CONTROL_SN);
    for (unsigned i = 0; i < POSTED_WORDS; i++) {
        if (atomic_load(&posted->requests[i]) != 0) {
            return true;
        }
    }
    return false;
}

static uint64_t take_word(_Atomic uint64_t *word)
{
    /* Most are empty, and a locked instruction is dear. */
    if (atomic_load_explicit(word, memory_order_relaxed) == 0) {
        return 0;
    }
    /* Acquire, partner: the release in posted_request(). */
    return atomic_exchange(word, 0);
}

void posted_take(struct posted_interrupts *posted, uint64_t taken[POSTED_WORDS])
{
    /* Before the requests are taken, and as a full barrier: one that comes too late to be taken
     * finds ON clear and notifies. Partner: posted_request(). The CPU does the same. */
    if ((atomic_load_explicit(&posted->control, memory_order_relaxed) & CONTROL_ON) != 0) {
        atomic_fetch_and(&posted->control, ~CONTROL_ON);
    }
    for (unsigned i = 0; i < POSTED_WORDS; i++) {
        taken[i] = take_word(&posted->requests[i]);
    }
}
