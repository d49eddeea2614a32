/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rogue: an end that is honest until traffic has gone both ways, then does one wrong thing,
 * and begins again, in the same process or, if that is dead, in another.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/ring_access.h"

#include "tests/soak/end.h"
#include "tests/soak/misbehave.h"
#include "tests/unit/random.h"

#define QUOTA_MAX 1500u
#define FOREVER   (UINT64_MAX >> 1)

static struct end end;
static struct random dice;
static uint64_t die_at; /* at that access to the ring from now on the process dies; 0: at none */

/* Accesses to the ring. */

void rogue_die(void)
{
    (void)raise(SIGKILL);
    abort();
}

static void count_access(void)
{
    if (die_at != 0 && --die_at == 0) {
        rogue_die();
    }
}

/* The accounts know a generation before the victim can. */
static void begin_life(uint32_t generation)
{
    struct soak *soak = end.soak;
    uint32_t count = atomic_load(&soak->life_count);

    if (count == LIVES_MAX) {
        soak_complain(soak, "the rogue has had all its lives");
    }
    atomic_store(&soak->lives[count].generation, generation);
    atomic_store(&soak->life_count, count + 1);
}

static uint64_t access_load(const void *address, size_t size)
{
    count_access();
    switch (size) {
    case 2:
        return __atomic_load_n((const uint16_t *)address, __ATOMIC_ACQUIRE);
    case 4:
        return __atomic_load_n((const uint32_t *)address, __ATOMIC_ACQUIRE);
    default:
        return __atomic_load_n((const uint64_t *)address, __ATOMIC_ACQUIRE);
    }
}

static void access_store(void *address, uint64_t value, size_t size)
{
    count_access();
    if (address == &end.ring.own->generation && value != 0) {
        begin_life((uint32_t)value);
    }
    switch (size) {
    case 2:
        __atomic_store_n((uint16_t *)address, (uint16_t)value, __ATOMIC_RELEASE);
        break;
    case 4:
        __atomic_store_n((uint32_t *)address, (uint32_t)value, __ATOMIC_RELEASE);
        break;
    default:
        __atomic_store_n((uint64_t *)address, value, __ATOMIC_RELEASE);
        break;
    }
}

static void access_barrier(void)
{
    count_access();
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* The victim never lies. */
static bool end_excuses(const struct end *unused)
{
    (void)unused;
    return false;
}

/* What is honest. */

uint32_t rogue_random(uint32_t limit)
{
    return random_below(&dice, limit);
}

void rogue_nap(uint32_t us_below)
{
    uint32_t us = random_below(&dice, us_below);

    if (us > 10) {
        (void)usleep(us);
    } else {
        (void)sched_yield();
    }
}

const struct postern_ring *rogue_ring(void)
{
    return &end.ring;
}

bool rogue_is_believed(void)
{
    return POSTERN_LOAD(&end.ring.peer->seen) == end.ring.generation && end.ring.up;
}

void rogue_open(void)
{
    end_open(&end, random_next(&dice));
}

void rogue_close(void)
{
    postern_ring_close(&end.ring);
    end_ring(&end, random_below(&dice, 2) == 0);
}

void rogue_sync(void)
{
    (void)end_sync(&end);
}

void rogue_receive(void)
{
    (void)end_receive(&end);
}

void rogue_send(unsigned count)
{
    (void)end_send(&end, count);
}

void rogue_publish(void)
{
    end_publish(&end);
}

void rogue_ring_doorbell(void)
{
    soak_ring(end.soak, VICTIM);
}

void rogue_grant(bool granted)
{
    atomic_store(&end.soak->granted, granted);
    (void)kill(end.soak->victim, SIGUSR1);
}

static bool work(void)
{
    bool busy;

    (void)end_sync(&end);
    busy = end_work(&end);
    if (end.ring.fault != POSTERN_FAULT_NONE) {
        soak_complain(end.soak, "the victim is accused of fault %u", end.ring.fault);
    }
    return busy;
}

static void wait_for_work(uint32_t doorbell)
{
    if (end_rest(&end)) {
        soak_wait(end.soak, ROGUE, doorbell, 0);
    }
}

static void settle(void)
{
    uint64_t pending = atomic_exchange(&end.soak->pending, 0);

    for (unsigned kind = 0; kind < KINDS; kind++) {
        if ((pending >> kind & 1) != 0) {
            atomic_fetch_add(&end.soak->resumed[kind], 1);
        }
    }
}

/* Until so many packets have gone each way. */
static void exchange(uint64_t quota)
{
    struct soak *soak = end.soak;
    uint64_t in = atomic_load(&end.in->taken), out = atomic_load(&end.out->taken);

    while (TAKEN_NEXT(atomic_load(&end.in->taken)) < TAKEN_NEXT(in) + quota ||
           TAKEN_NEXT(atomic_load(&end.out->taken)) < TAKEN_NEXT(out) + quota) {
        uint32_t doorbell = atomic_load(&soak->doorbells[ROGUE]);

        if (atomic_load(&soak->quit)) {
            _exit(0);
        }
        if (!work()) {
            wait_for_work(doorbell);
        }
    }
}

void rogue_exchange_for_ever(void)
{
    exchange(FOREVER);
}

/* What is not. */

void rogue_die_within(uint32_t accesses)
{
    die_at = 1 + random_below(&dice, accesses);
}

void rogue_begin_lying(void)
{
    uint32_t life = atomic_load(&end.soak->life_count) - 1;

    atomic_store(&end.soak->lives[life].lying, 1);
}

void rogue_get(size_t offset, void *value, size_t size)
{
    memcpy(value, (const uint8_t *)end.ring.own + offset, size);
}

void rogue_put(size_t offset, const void *value, size_t size)
{
    memcpy((uint8_t *)end.ring.own + offset, value, size);
}

static void do_wrong(void)
{
    struct soak *soak = end.soak;
    unsigned kind = 1 + soak->turns++ % (KINDS - 1);

    atomic_fetch_add(&soak->begun[kind], 1);
    atomic_fetch_or(&soak->pending, 1ull << kind);
    misbehave(kind);
}

void rogue_run(struct soak *soak, uint32_t number)
{
    dice.state = packet_mix(soak->seed + number) | 1;
    end_init(&end, soak, LINK_ROGUE, 1, VICTIM);
    rogue_open();
    for (;;) {
        exchange(1 + random_below(&dice, QUOTA_MAX));
        settle();
        if (atomic_load(&soak->calm)) {
            exchange(FOREVER);
        }
        do_wrong();
    }
}
