/* SPDX-License-Identifier: BSD-2-Clause */
/* Exits and requests in a row, beside which the victim gets on. */
#include "tests/attack/attack.h"

#define PROGRESS_MS 3000u
#define ROUNDS      3000u

static volatile struct answer *answer;

static void flood_begin(void)
{
    answer = (volatile struct answer *)victim_answer();
}

/* The victim's time must go on while `flood` runs. */
static void flood(void (*once)(uint32_t), uint32_t rounds)
{
    flood_begin();
    uint64_t beats = answer->beats, begin = rdtsc();
    uint32_t i = 0;

    for (; i < rounds || answer->beats < beats + 3; i++) {
        if (rdtsc() > begin + PROGRESS_MS * tsc_per_ms() && answer->beats < beats + 3) {
            fail("the victim stands still: %llu beats after %u rounds",
                 (unsigned long long)(answer->beats - beats), i);
        }
        once(i);
    }
}

static void doorbell(uint32_t i)
{
    CHECK_EQUAL(hypercall(POSTERN_HC_DOORBELL, i % PORTS, 0, 0), 0);
}

CLAIM(flood_of_doorbells,
      "doorbells in a row leave a victim that masks its vector meanwhile time for its own")
{
    flood_begin();
    uint64_t rings = answer->rings;

    flood(doorbell, ROUNDS);
    CHECK(answer->rings > rings);
}

static _Atomic bool stop;

static void ring_for_ever(void *unused)
{
    (void)unused;
    /* In Bochs a guest with interrupts off holds up those of its CPU, and with them the victim's
     * time. */
    __asm__ volatile("sti" : : : "memory");
    for (uint32_t i = 0; !atomic_load(&stop); i++) {
        (void)hypercall(POSTERN_HC_DOORBELL, i % PORTS, 0, 0);
    }
}

CLAIM(flood_of_doorbells_by_two, "the same for doorbells of both vCPUs")
{
    need_cpu(1);
    atomic_store(&stop, false);
    cpu_run(1, ring_for_ever, NULL);
    flood(doorbell, ROUNDS);
    atomic_store(&stop, true);
    CHECK_NO_TRAP(cpu_wait(1, 5000));
}

static void revoke(uint32_t i)
{
    CHECK_EQUAL(hypercall(POSTERN_HC_WINDOW_GRANT, PORT_GATED, i & 1, 0), 0);
}

CLAIM(flood_of_revocations, "revocations in a row leave the victim time for its own")
{
    flood(revoke, 60);
}

static void exit_by_cpuid(uint32_t i)
{
    (void)cpuid(i, i);
}

CLAIM(flood_of_exits, "exits in a row leave the victim time for its own")
{
    flood(exit_by_cpuid, 2 * ROUNDS);
}

static void place(uint32_t i)
{
    static uint64_t page;

    if (i == 0) {
        page = (uint64_t)ram_alloc(SIZE_4K, SIZE_4K);
    }
    CHECK_EQUAL(hypercall(POSTERN_HC_GATE_PLACE, i % 2 == 0 ? 0 : POSTERN_GATE_REMOVE, page, 0), 0);
}

CLAIM(flood_of_placements, "gates that come and go in a row leave the victim time for its own")
{
    flood(place, 1000);
}

static void print_nothing(uint32_t i)
{
    outb(0x80 + (uint16_t)(i & 0x3f), (uint8_t)i);
    (void)inl((uint16_t)i);
}

CLAIM(flood_of_port_io, "port I/O in a row leaves the victim time for its own")
{
    flood(print_nothing, 1000);
}
