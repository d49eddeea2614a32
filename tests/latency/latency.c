/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long a packet takes from one VM to another, one packet at a time, by what the receiver does
 * meanwhile: it polls, sleeps by MWAIT, or halts until a doorbell. Not claims but figures: a line
 * "measure NAME VALUE" for each, in thousandths of a tick of the TSC, which in Bochs is an
 * instruction of each CPU. tests/bench/bench.py reads them.
 */
#include "abi/ring_ops.h"
#include "abi/ring_wait.h"
#include "tests/kit/kit.h"

#define PORT         0u
#define SECTION_SIZE 0x10000ull /* as tests/configs/latency.conf has it */
#define RING_VECTOR  0x50u
#define SIZE         64u
#define WARM         8u /* packets that do not count: the first of a generation rings always */
#define PACKETS      200u
#define PAUSE_MS     1u /* the receiver is idle again */
#define MTU          1500u

enum way { POLL, MWAIT, DOORBELL, WAYS };

static const char *const names[WAYS] = {"poll", "mwait", "doorbell"};
static struct postern_ring ring;

static void set_up(void)
{
    uint64_t window = nic_bar(need_nic(), POSTERN_BAR_WINDOW);

    apic_init();
    (void)nic_enable_msix(need_nic(), RING_VECTOR);
    if (!postern_ring_init(&ring, map_physical(window, SECTION_SIZE),
                           map_physical(window + SECTION_SIZE, SECTION_SIZE), SECTION_SIZE)) {
        error("the window has no room for rings");
    }
}

static void open(bool polls)
{
    ring.polls = polls;
    postern_ring_open(&ring, MTU, (uint32_t)rdtsc());
}

/* Both ends look by themselves until they have met. */
static void meet(void)
{
    while (!postern_ring_works(&ring)) {
        (void)postern_ring_sync(&ring);
        cpu_pause();
    }
}

/* Whether a doorbell is due. */
static bool send(void)
{
    const struct postern_ring_meta meta = {.length = SIZE};
    uint64_t stamp = rdtsc();
    uint8_t *payload = postern_ring_reserve(&ring, &meta);

    if (payload == NULL) {
        return false;
    }
    memset(payload, 0, SIZE);
    memcpy(payload, &stamp, sizeof(stamp));
    postern_ring_commit(&ring);
    return postern_ring_publish(&ring);
}

/* Takes a packet, if there is one, and returns how long it took. */
static bool receive(uint64_t *ticks)
{
    struct postern_ring_meta meta;
    const void *payload = postern_ring_peek(&ring, &meta);
    uint64_t stamp = 0;

    if (payload == NULL) {
        return false;
    }
    *ticks = rdtsc();
    memcpy(&stamp, payload, sizeof(stamp));
    *ticks -= stamp;
    postern_ring_consume(&ring);
    (void)postern_ring_release(&ring);
    return true;
}

static void idle(enum way way)
{
    switch (way) {
    case POLL:
        cpu_pause();
        break;
    case MWAIT:
        (void)postern_ring_wait(&ring);
        __asm__ volatile("sti; nop; cli" : : : "memory");
        break;
    default:
        if (postern_ring_arm_rx(&ring)) {
            __asm__ volatile("sti; hlt; cli" : : : "memory");
        }
        break;
    }
}

/* Answers each packet with one, so that the next one is sent. */
static void measure(enum way way)
{
    uint64_t total = 0, ticks = 0;

    open(way == POLL);
    meet();
    for (unsigned count = 0; count < WARM + PACKETS;) {
        if (postern_ring_sync_needed(&ring)) {
            (void)postern_ring_sync(&ring);
        } else if (receive(&ticks)) {
            total += count >= WARM ? ticks : 0;
            count++;
            (void)send();
        } else {
            idle(way);
        }
    }
    print("measure latency.%u.%s %llu\n", SIZE, names[way],
          (unsigned long long)(total * 1000 / PACKETS));
}

/* The other end, which polls. Whatever its peer opens, it follows. */
static NORETURN void send_for_ever(void)
{
    uint64_t ticks = 0;

    open(true);
    for (;;) {
        meet();
        delay(PAUSE_MS);
        if (postern_ring_sync_needed(&ring)) {
            (void)postern_ring_sync(&ring);
            continue;
        }
        if (send()) {
            (void)hypercall(POSTERN_HC_DOORBELL, PORT, 0, 0);
        }
        while (!postern_ring_sync_needed(&ring) && !receive(&ticks)) {
            cpu_pause();
        }
    }
}

void guest_role(void)
{
    set_up();
    if (has_word("sender")) {
        send_for_ever();
    }
    for (enum way way = POLL; way < WAYS; way++) {
        measure(way);
    }
    print("measured\n");
}
