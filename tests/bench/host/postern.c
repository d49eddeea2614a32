/* SPDX-License-Identifier: BSD-2-Clause */
/* A link's ring: the window as two VMs see it, used as a program with a poll-mode driver does in
 * mode open. */
#include "abi/gate_burst_ops.h"
#include "tests/bench/host/link.h"

static void send(struct host_run *run, struct host_buffers *buffers)
{
    static struct postern_ring ring;
    struct postern_gate_frame frames[HOST_BURST_MAX];
    struct postern_gate_burst burst = {.ring = &ring, .frames = frames, .count = run->burst};
    uint64_t number = 0;

    host_link_join(run, &ring, 0, NULL, 0);
    while (!host_stopped(run)) {
        for (uint32_t i = 0; i < run->burst; i++) {
            frames[i].record = (struct postern_record){.length = run->size};
            frames[i].address = host_buffer(buffers, number + i);
        }
        (void)postern_gate_burst_function(POSTERN_GATE_BURST_SEND, &burst);
        number += burst.done;
    }
}

static void receive(struct host_run *run, struct host_buffers *buffers)
{
    static struct postern_ring ring;
    struct host_clock clock = {.run = run};
    struct postern_gate_frame frames[HOST_BURST_MAX];
    struct postern_gate_burst burst = {
        .ring = &ring, .frames = frames, .count = run->burst, .room = HOST_BUFFER_SIZE};

    host_link_join(run, &ring, 1, NULL, 0);
    do {
        for (uint32_t i = 0; i < run->burst; i++) {
            frames[i].address = host_buffer(buffers, clock.next + i);
        }
        (void)postern_gate_burst_function(POSTERN_GATE_BURST_TAKE, &burst);
        for (uint32_t i = 0; i < burst.done; i++) {
            host_check(&clock, frames[i].address);
        }
    } while (host_tick(&clock, burst.done));
}

const struct host_way host_postern = {"postern", host_link_setup, send, receive};
