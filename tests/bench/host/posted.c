/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A link in mode direct: the receiver posts buffers, and the sender copies each packet into one.
 * That is the only copy. For packets of POSTERN_POSTED_MIN bytes and more.
 */
#include <stdlib.h>

#include "abi/gate_ring_ops.h"
#include "tests/bench/host/link.h"

#define POSTED_BUFFERS 256u /* as many as a NIC's receive queue often has */
#define POOL_SIZE      (POSTED_BUFFERS * HOST_BUFFER_SIZE)

static int pool;

static void setup(struct host_run *run)
{
    host_link_setup(run);
    pool = host_memory(POOL_SIZE);
}

static void send(struct host_run *run, struct host_buffers *buffers)
{
    static struct postern_ring ring;
    struct postern_gate_piece pieces[HOST_BURST_MAX];
    struct postern_gate_packet packets[HOST_BURST_MAX];
    struct postern_gate_batch batch = {.ring = &ring, .packets = packets, .count = run->burst};
    uint64_t number = 0;

    host_link_join(run, &ring, 0, host_map(pool, POOL_SIZE, true), POOL_SIZE);
    while (!host_stopped(run)) {
        uint64_t posted = postern_ring_outstanding(&ring);

        /* A sender that finds no buffer copies into the ring; this one waits, so that what is
         * measured is one copy. */
        batch.count = posted < run->burst ? (uint32_t)posted : run->burst;
        for (uint32_t i = 0; i < batch.count; i++) {
            pieces[i] = (struct postern_gate_piece){host_buffer(buffers, number + i), run->size};
            packets[i] = (struct postern_gate_packet){{.length = run->size}, &pieces[i], 1};
        }
        if (postern_gate_ring_function(POSTERN_GATE_RING_SEND, &batch) < 0) {
            abort();
        }
        number += batch.done;
    }
}

/* Posts the buffers from number `first` up to `end`. */
static void post(struct postern_ring *ring, uint64_t first, uint64_t end)
{
    struct postern_posted buffers[POSTED_BUFFERS];
    struct postern_gate_post arguments = {.ring = ring, .buffers = buffers};

    for (uint64_t number = first; number < end; number++) {
        buffers[arguments.count++] = (struct postern_posted){
            .offset = (uint32_t)(number % POSTED_BUFFERS * HOST_BUFFER_SIZE),
            .size = HOST_BUFFER_SIZE,
        };
    }
    if (postern_gate_ring_function(POSTERN_GATE_RING_POST, &arguments) != 0 ||
        arguments.done != arguments.count) {
        abort();
    }
}

static void receive(struct host_run *run, struct host_buffers *buffers)
{
    static struct postern_ring ring;
    const uint8_t *own = host_map(pool, POOL_SIZE, true);
    struct host_clock clock = {.run = run};
    struct postern_gate_packet packets[HOST_BURST_MAX];
    struct postern_gate_batch batch = {.ring = &ring, .packets = packets, .count = run->burst};

    (void)buffers;
    host_link_join(run, &ring, 1, NULL, POOL_SIZE);
    post(&ring, 0, POSTED_BUFFERS);
    do {
        uint64_t first = clock.next;

        memset(packets, 0, run->burst * sizeof(packets[0]));
        if (postern_gate_ring_function(POSTERN_GATE_RING_TAKE, &batch) < 0 || batch.dropped != 0) {
            abort();
        }
        for (uint32_t i = 0; i < batch.done; i++) {
            host_check(&clock, own + clock.next % POSTED_BUFFERS * HOST_BUFFER_SIZE);
        }
        if (batch.done != 0) {
            post(&ring, first + POSTED_BUFFERS, clock.next + POSTED_BUFFERS);
        }
    } while (host_tick(&clock, batch.done));
}

const struct host_way host_posted = {"posted", setup, send, receive};
