/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The other layout that a ring may have: descriptors of 16 bytes side by side, and each packet in
 * a buffer of its own that begins a cache line. The same two copies as the ring's, the same checks
 * of what an honest peer writes, nothing else of its protocol.
 */
#include <stdlib.h>

#include "tests/bench/host/host.h"

#define DESCRIPTORS 8192u
#define LINE        64u

struct descriptor {
    uint64_t position; /* in the area; it never wraps */
    uint32_t length;
    uint32_t offloads;
};

struct shared {
    _Alignas(128) uint64_t head; /* descriptors, since the start */
    _Alignas(128) uint64_t tail;
    _Alignas(128) struct descriptor descriptors[DESCRIPTORS];
    _Alignas(128) uint8_t area[];
};

/* The sender's own: what it has written, and what it knows to be read. */
struct writer {
    uint64_t mask, head, position;
    uint64_t tail, freed;
    uint64_t ends[DESCRIPTORS]; /* positions behind the packets */
};

static struct shared *shared;

static void setup(struct host_run *run)
{
    size_t size = sizeof(*shared) + run->window / 2;

    shared = host_map(host_memory(size), size, true);
}

static bool has_room(const struct writer *writer, uint32_t size)
{
    return writer->head - writer->tail < DESCRIPTORS &&
           writer->position + size - writer->freed <= writer->mask + 1;
}

/* Where the next packet goes; NULL while there is no room. */
static uint8_t *reserve(struct writer *writer, uint32_t length)
{
    uint32_t size = (length + LINE - 1) & ~(LINE - 1);
    uint64_t offset = writer->position & writer->mask;

    if (offset + size > writer->mask + 1) {
        writer->position += writer->mask + 1 - offset;
    }
    if (!has_room(writer, size)) {
        /* Partner: the release of the tail: the packets before it have been read. */
        writer->tail = __atomic_load_n(&shared->tail, __ATOMIC_ACQUIRE);
        writer->freed = writer->tail == 0 ? 0 : writer->ends[(writer->tail - 1) % DESCRIPTORS];
        if (!has_room(writer, size)) {
            return NULL;
        }
    }
    shared->descriptors[writer->head % DESCRIPTORS] =
        (struct descriptor){.position = writer->position, .length = length};
    offset = writer->position & writer->mask;
    writer->position += size;
    writer->ends[writer->head++ % DESCRIPTORS] = writer->position;
    return shared->area + offset;
}

static void send(struct host_run *run, struct host_buffers *buffers)
{
    static struct writer writer;
    uint64_t number = 0;

    writer.mask = run->window / 2 - 1;
    while (!host_stopped(run)) {
        for (uint32_t i = 0; i < run->burst; i++) {
            uint8_t *to = reserve(&writer, run->size);

            if (to == NULL) {
                break;
            }
            memcpy(to, host_buffer(buffers, number++), run->size);
        }
        /* The packets before the head. Partner: the acquire in receive. */
        __atomic_store_n(&shared->head, writer.head, __ATOMIC_RELEASE);
    }
}

static void receive(struct host_run *run, struct host_buffers *buffers)
{
    struct host_clock clock = {.run = run};
    uint64_t head = 0, tail = 0, mask = run->window / 2 - 1;
    uint32_t count;

    do {
        if (head == tail) {
            /* Partner: the release in send. */
            head = __atomic_load_n(&shared->head, __ATOMIC_ACQUIRE);
        }
        for (count = 0; count < run->burst && tail != head; count++, tail++) {
            struct descriptor descriptor = shared->descriptors[tail % DESCRIPTORS];
            uint64_t offset = descriptor.position & mask;
            uint8_t *packet = host_buffer(buffers, clock.next);

            if (descriptor.length > HOST_BUFFER_SIZE || descriptor.offloads != 0 ||
                offset + descriptor.length > mask + 1) {
                abort();
            }
            memcpy(packet, shared->area + offset, descriptor.length);
            host_check(&clock, packet);
        }
        /* The copies before the tail. Partner: the acquire in reserve. */
        __atomic_store_n(&shared->tail, tail, __ATOMIC_RELEASE);
    } while (host_tick(&clock, count));
}

const struct host_way host_descriptors = {"descriptors", setup, send, receive};
