/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What two copies between these cores can do at best: the same copies as the ring's, with next to
 * no protocol. `stream` fills an eighth of a data area with packets side by side and gives it over
 * with one store; `flags` has a word per packet, for full and empty. Bursts mean nothing to them.
 */
#include "tests/bench/host/host.h"

#define PIECES 8u

struct shared {
    _Alignas(128) uint64_t filled; /* pieces, since the start */
    _Alignas(128) uint64_t emptied;
    _Alignas(128) uint8_t area[];
};

static struct shared *shared;

static void setup(struct host_run *run)
{
    size_t size = sizeof(*shared) + run->window / 2;

    shared = host_map(host_memory(size), size, true);
}

static void send(struct host_run *run, struct host_buffers *buffers)
{
    uint32_t stride = (run->size + 15) & ~15u, bytes = run->window / 2 / PIECES;
    uint64_t number = 0;

    for (uint64_t piece = 0;; piece++) {
        uint8_t *to = shared->area + piece % PIECES * bytes;
        /* Partner: the release of `emptied`: the piece has been read. */
        while (piece - __atomic_load_n(&shared->emptied, __ATOMIC_ACQUIRE) == PIECES) {
            if (host_stopped(run)) {
                return;
            }
        }
        for (uint32_t i = 0; i < bytes / stride; i++) {
            memcpy(to + i * stride, host_buffer(buffers, number++), run->size);
        }
        __atomic_store_n(&shared->filled, piece + 1, __ATOMIC_RELEASE);
    }
}

static void receive(struct host_run *run, struct host_buffers *buffers)
{
    uint32_t stride = (run->size + 15) & ~15u, bytes = run->window / 2 / PIECES;
    struct host_clock clock = {.run = run};

    for (uint64_t piece = 0;; piece++) {
        const uint8_t *from = shared->area + piece % PIECES * bytes;
        /* Partner: the release of `filled`: the packets are there. */
        while (__atomic_load_n(&shared->filled, __ATOMIC_ACQUIRE) == piece) {
        }
        for (uint32_t i = 0; i < bytes / stride; i++) {
            uint8_t *packet = host_buffer(buffers, clock.next);
            memcpy(packet, from + i * stride, run->size);
            host_check(&clock, packet);
        }
        __atomic_store_n(&shared->emptied, piece + 1, __ATOMIC_RELEASE);
        if (!host_tick(&clock, bytes / stride)) {
            return;
        }
    }
}

const struct host_way host_stream = {"stream", setup, send, receive};

/* A packet's place: its flag is before it. */
static uint64_t *flag_at(const struct host_run *run, uint64_t number)
{
    uint32_t stride = (run->size + 8 + 63) & ~63u;

    return (uint64_t *)(void *)(shared->area + number % (run->window / 2 / stride) * stride);
}

static void send_by_flags(struct host_run *run, struct host_buffers *buffers)
{
    for (uint64_t number = 0;; number++) {
        uint64_t *flag = flag_at(run, number);

        /* Partner: the release by which the receiver empties it. */
        while (__atomic_load_n(flag, __ATOMIC_ACQUIRE) != 0) {
            if (host_stopped(run)) {
                return;
            }
        }
        memcpy(flag + 1, host_buffer(buffers, number), run->size);
        __atomic_store_n(flag, 1, __ATOMIC_RELEASE);
    }
}

static void receive_by_flags(struct host_run *run, struct host_buffers *buffers)
{
    struct host_clock clock = {.run = run};

    do {
        uint8_t *packet = host_buffer(buffers, clock.next);
        uint64_t *flag = flag_at(run, clock.next);

        /* Partner: the release by which the sender fills it. */
        while (__atomic_load_n(flag, __ATOMIC_ACQUIRE) == 0) {
        }
        memcpy(packet, flag + 1, run->size);
        __atomic_store_n(flag, 0, __ATOMIC_RELEASE);
        host_check(&clock, packet);
    } while (host_tick(&clock, 1));
}

const struct host_way host_flags = {"flags", setup, send_by_flags, receive_by_flags};
