/* SPDX-License-Identifier: BSD-2-Clause */
/* The sections of a link, as two VMs see them: the own one writable, the peer's read-only. */
#ifndef POSTERN_TESTS_BENCH_HOST_LINK_H
#define POSTERN_TESTS_BENCH_HOST_LINK_H

#include "abi/ring_ops.h"
#include "tests/bench/host/host.h"

/* For the ways' setup(). */
void host_link_setup(struct host_run *run);

/* Opens `ring` as that end's and waits for the other. `peer_pool` is where the peer's pool of
 * `pool_size` bytes is mapped, NULL if it is not; a size of 0: there are none. */
void host_link_join(const struct host_run *run, struct postern_ring *ring, unsigned end,
                    void *peer_pool, uint64_t pool_size);

#endif
