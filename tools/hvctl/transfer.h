/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's way out of a hypervisor: its memory in rounds while it runs, then a pause, what it has
 * written to meanwhile, and its state. Where it goes to is a few functions: a file, or another
 * hypervisor.
 */
#ifndef POSTERN_TOOLS_HVCTL_TRANSFER_H
#define POSTERN_TOOLS_HVCTL_TRANSFER_H

#include "tools/hvctl/client.h"
#include "tools/hvctl/snapshot_file.h"

/* The hypervisor's word on a VM. */
struct transfer_status {
    char state[16];
    uint64_t memory, state_size, tracking, harvests, paused, hz;
};

struct transfer_sink {
    void *context;
    /* Each returns an exit code and has complained if it is not EXIT_DONE. */
    int (*round)(void *context, uint64_t round);
    int (*ram)(void *context, const struct client_piece *piece);
    int (*state)(void *context, const uint8_t *state, size_t size);
};

struct transfer {
    struct client *client;
    const char *vm;
    unsigned stream;
    const struct transfer_sink *sink;
    bool was_running;                 /* when it all began */
    struct snapshot_file_place place; /* where to go on; all 0: from the beginning */

    /* Results. */
    uint64_t rounds, bytes; /* of tokens and state */
    uint64_t pause, hz;     /* TSC ticks that it stood still; 0: it still does */
    bool paused;            /* by this transfer, and it still is */
};

/* Runs a command on a VM; its row of the table of states if `status` is not NULL. Complains. */
int transfer_execute(struct client *client, const char *verb, const char *vm, const char *rest,
                     struct transfer_status *status);

/* Begins to track, or finds the tracking that is on and may be gone on with: `tracking`. */
int transfer_begin(struct transfer *transfer, struct transfer_status *status);

/* All of the way. With `stop` the VM stays paused. */
int transfer_run(struct transfer *transfer, bool stop);

/* Has a VM that this transfer has paused go on. */
int transfer_resume(struct transfer *transfer);

/* One line about it. */
void transfer_report(const struct transfer *transfer);

#endif
