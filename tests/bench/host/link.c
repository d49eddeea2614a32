/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>

#include "tests/bench/host/link.h"

static int sections[2];

void host_link_setup(struct host_run *run)
{
    sections[0] = host_memory(run->window);
    sections[1] = host_memory(run->window);
}

void host_link_join(const struct host_run *run, struct postern_ring *ring, unsigned end,
                    void *peer_pool, uint64_t pool_size)
{
    void *own = host_map(sections[end], run->window, true);
    const void *peer = host_map(sections[1 - end], run->window, false);

    if (!postern_ring_init(ring, own, peer, run->window)) {
        abort();
    }
    if (pool_size != 0) {
        postern_ring_set_pool(ring, peer_pool, pool_size);
    }
    ring->polls = true;
    postern_ring_open(ring, 9000, 7);
    while (!ring->up) {
        (void)postern_ring_sync(ring);
    }
}
