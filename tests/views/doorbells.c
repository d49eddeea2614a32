/* SPDX-License-Identifier: BSD-2-Clause */
/* Doorbells of a port with several queues, whose peer counts them (writer.c). */
#include "tests/views/views.h"

#define ANSWER_MS 2000u

/* Rings by `ring` until the peer has seen it; only the vector of `queue` may have come. */
static void check_ring(void (*ring)(uint32_t queue), uint32_t queue)
{
    const volatile uint64_t *rings = peer_rings();
    uint64_t before = rings[queue], other = rings[1 - queue];
    uint64_t end = rdtsc() + ANSWER_MS * tsc_per_ms();

    ring(queue);
    while (rings[queue] == before && rdtsc() < end) {
        cpu_pause();
    }
    CHECK_EQUAL(rings[queue], before + 1);
    CHECK_EQUAL(rings[1 - queue], other);
}

static void ring_by_hypercall(uint32_t queue)
{
    CHECK_EQUAL(hypercall(POSTERN_HC_DOORBELL, QUEUES_PORT, queue, 0), 0);
}

static void ring_by_register(uint32_t queue)
{
    volatile uint32_t *registers = map_physical(nic_bar(nic_of(QUEUES_PORT), 0), SIZE_4K);

    registers[POSTERN_REG_DOORBELL / 4] = queue;
}

CLAIM(doorbell_of_each_queue, "each queue's doorbell comes once, on the queue's own vector")
{
    CHECK_EQUAL(hypercall(POSTERN_HC_DOORBELL, QUEUES_PORT, QUEUES, 0), POSTERN_ERR_ARGUMENT);
    for (uint32_t i = 0; i < 2 * QUEUES; i++) {
        check_ring(ring_by_hypercall, i % QUEUES);
        check_ring(ring_by_register, i % QUEUES);
    }
}
