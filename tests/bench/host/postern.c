/* SPDX-License-Identifier: BSD-2-Clause */
/* A link's ring: the window as two VMs see it, the peer's section read-only, used as a poll-mode
 * driver does. */
#include <stdlib.h>

#include "abi/ring_ops.h"
#include "tests/bench/host/host.h"

static int sections[2];

static void setup(struct host_run *run)
{
    sections[0] = host_memory(run->window);
    sections[1] = host_memory(run->window);
}

static void join(const struct host_run *run, struct postern_ring *ring, unsigned end)
{
    void *own = host_map(sections[end], run->window, true);
    const void *peer = host_map(sections[1 - end], run->window, false);

    if (!postern_ring_init(ring, own, peer, run->window)) {
        abort();
    }
    ring->polls = true;
    postern_ring_open(ring, 9000, 7);
    while (!ring->up) {
        (void)postern_ring_sync(ring);
    }
}

static void send(struct host_run *run, struct host_buffers *buffers)
{
    static struct postern_ring ring;
    const struct postern_ring_meta meta = {.length = run->size};
    uint64_t number = 0;

    join(run, &ring, 0);
    while (!host_stopped(run)) {
        struct postern_ring_writer writer = postern_ring_write_begin(&ring);
        for (uint32_t i = 0; i < run->burst; i++) {
            void *payload = postern_ring_write_next(&ring, &writer, &meta);

            if (payload == NULL) {
                break;
            }
            memcpy(payload, host_buffer(buffers, number++), run->size);
        }
        postern_ring_write_end(&ring, &writer);
        (void)postern_ring_publish(&ring);
    }
}

static void receive(struct host_run *run, struct host_buffers *buffers)
{
    static struct postern_ring ring;
    struct host_clock clock = {.run = run};
    struct postern_ring_meta meta;
    uint32_t count;

    join(run, &ring, 1);
    do {
        struct postern_ring_reader reader = postern_ring_read_begin(&ring);
        for (count = 0; count < run->burst; count++) {
            const void *payload = postern_ring_read_next(&reader, &meta);
            uint8_t *packet = host_buffer(buffers, clock.next);

            if (payload == NULL) {
                break;
            }
            memcpy(packet, payload, meta.length);
            host_check(&clock, packet);
        }
        postern_ring_read_end(&ring, &reader);
        (void)postern_ring_release(&ring);
    } while (host_tick(&clock, count));
}

const struct host_way host_postern = {"postern", setup, send, receive};
