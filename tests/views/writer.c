/* SPDX-License-Identifier: BSD-2-Clause */
/* The peer's part: with the word "writer" on its command line the guest writes a growing count into
 * its section, through the gate, for ever, counts the doorbells that it is rung, and does what
 * claims order. */
#include "tests/views/order.h"

#define PAUSE_MS    1u
#define RING_VECTOR 0x50u

void guest_role(void)
{
    if (!has_word("writer")) {
        return;
    }
    apic_init();
    uint32_t view = open_view();
    volatile uint64_t *rings = (volatile uint64_t *)window_of(QUEUES_PORT);
    (void)nic_enable_msix(nic_of(QUEUES_PORT), RING_VECTOR);
    uint64_t word = window_of(GATED_PORT) + PEER_OFFSET;
    orders_begin();
    for (uint64_t count = 1;; count++) {
        orders_serve();
        (void)gate_store(view, word, PEER_MARK + count);
        __asm__ volatile("sti" : : : "memory");
        delay(PAUSE_MS);
        __asm__ volatile("cli" : : : "memory");
        for (unsigned queue = 0; queue < QUEUES; queue++) {
            rings[queue] = 1 + vector_count(RING_VECTOR + queue);
        }
    }
}
