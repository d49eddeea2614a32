/* SPDX-License-Identifier: BSD-2-Clause */
/* Exits and requests in a row, beside which the victim gets on. */
#include "tests/attack/attack.h"

#define PROGRESS_MS 500u
#define ROUNDS      3000u
#define LIMITED_MS  800u
#define LIMIT_BURST 256u           /* that may be rung at once */
#define BEAT_MS_MAX 20u            /* of the victim, whose ticks are a quarter of it */
#define TURN_MS_MAX 60u            /* of the victim where it shares a CPU, in slices of 10 */
#define CALL_BYTES  "\x0f\x01\xc1" /* VMCALL */

static volatile struct answer *answer;

static void flood_begin(void)
{
    in_bochs_let_others_in();
    answer = (volatile struct answer *)victim_answer();
}

/* The victim's time must go on while `once` is done again and again: it may have to wait for its
 * turn behind this guest's vCPU, but for no longer. */
static void flood(void (*once)(uint32_t), uint32_t rounds)
{
    flood_begin();
    uint64_t beats = answer->beats, begin = rdtsc(), ms;
    uint32_t i = 0;

    do {
        once(i++);
        ms = (rdtsc() - begin) / tsc_per_ms();
    } while (i < rounds || ms < PROGRESS_MS);
    beats = answer->beats - beats;
    if (beats * TURN_MS_MAX < ms) {
        fail("the victim has %llu beats in %llu ms and %u rounds", (unsigned long long)beats,
             (unsigned long long)ms, i);
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
    in_bochs_let_others_in();
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

static void compute_for_ever(void *unused)
{
    (void)unused;
    __asm__ volatile("cli" : : : "memory");
    while (!atomic_load(&stop)) {
    }
}

CLAIM(computing_with_interrupts_off,
      "a loop without exits, interrupts off, leaves a victim in HLT on its CPU its ticks")
{
    need_cpu(1);
    answer = (volatile struct answer *)victim_answer();
    uint64_t beats = answer->beats;

    atomic_store(&stop, false);
    cpu_run(1, compute_for_ever, NULL);
    delay(PROGRESS_MS);
    beats = answer->beats - beats;
    atomic_store(&stop, true);
    CHECK_NO_TRAP(cpu_wait(1, 5000));
    if (beats * TURN_MS_MAX < PROGRESS_MS) {
        fail("the victim has %llu beats in %u ms", (unsigned long long)beats, PROGRESS_MS);
    }
}

/* What a timer's interrupts find while the doorbells ring. */
static uint64_t interrupted_calls;

static void on_timer(struct frame *frame)
{
    interrupted_calls += memcmp((const void *)frame->rip, CALL_BYTES, 3) == 0 ? 1 : 0;
    wrmsr(MSR_IA32_TSC_DEADLINE, rdtsc() + tsc_per_ms() / 3);
    end_of_interrupt();
}

/* Rings for a while, by turns in both ways; how often. */
static uint64_t ring_for(uint64_t ms)
{
    volatile uint32_t *registers = map_physical(nic_bar(nic_of(PORT_OTHER), 0), SIZE_4K);
    uint64_t count = 0;

    for (uint64_t end = rdtsc() + ms * tsc_per_ms(); rdtsc() < end; count += 2) {
        CHECK_EQUAL(hypercall(POSTERN_HC_DOORBELL, PORT_OTHER, 0, 0), 0);
        registers[POSTERN_REG_DOORBELL / 4] = 0;
    }
    return count;
}

CLAIM(doorbells_are_limited,
      "one who rings in a loop waits, interrupted as ever; a victim that masks nothing gets on")
{
    flood_begin();
    victim_unmask();
    vector_handle(TIMEOUT_VECTOR, on_timer);
    wrmsr(MSR_X2APIC_LVT_TIMER, TIMER_DEADLINE | TIMEOUT_VECTOR);
    wrmsr(MSR_IA32_TSC_DEADLINE, rdtsc() + tsc_per_ms());
    interrupted_calls = 0;
    uint64_t rings = answer->rings, beats = answer->beats, begin = rdtsc();
    uint64_t rung = ring_for(LIMITED_MS);
    uint64_t ms = (rdtsc() - begin) / tsc_per_ms() + 1;
    wrmsr(MSR_IA32_TSC_DEADLINE, 0);
    delay(20); /* the victim counts in its ticks */
    rings = answer->rings - rings;
    beats = answer->beats - beats;
    uint64_t limit = LIMIT_BURST + ms * OTHER_LIMIT / 1000 + 2;
    if (rung > limit || rings > limit || rings < limit / 4 || beats * BEAT_MS_MAX < ms) {
        fail("%llu doorbells in %llu ms of which %llu are allowed; the victim: %llu, %llu beats",
             (unsigned long long)rung, (unsigned long long)ms, (unsigned long long)limit,
             (unsigned long long)rings, (unsigned long long)beats);
    }
    CHECK(interrupted_calls > 0);
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
    CHECK_EQUAL(hypercall(POSTERN_HC_GATE_PLACE, 0, page, 0), 0);
    CHECK_EQUAL(hypercall(POSTERN_HC_GATE_PLACE, POSTERN_GATE_REMOVE, page, 0), 0);
}

CLAIM(flood_of_placements, "gates that come and go in a row leave the victim time for its own")
{
    flood(place, 500);
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
