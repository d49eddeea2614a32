/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's way out of a hypervisor: its memory, and what its disks hold, in rounds while it runs;
 * then a pause, what it has written to meanwhile, and its state. Where it goes to is a few
 * functions: a file, another hypervisor, or another VM of the same one.
 */
#ifndef POSTERN_TOOLS_HVCTL_TRANSFER_H
#define POSTERN_TOOLS_HVCTL_TRANSFER_H

#include "tools/hvctl/client.h"
#include "tools/hvctl/progress.h"
#include "tools/hvctl/snapshot_file.h"

/* The hypervisor's word on a VM. */
struct transfer_status {
    char state[16];
    uint64_t memory, state_size, tracking, harvests, paused, hz, disks;
    char hindrance[256]; /* what no snapshot carries; empty: nothing that is known */
};

#define TRANSFER_IMAGE_SIZE 64u

/* A VM's virtio disks; none, of a hypervisor that does not carry what they hold. */
struct transfer_disks {
    unsigned count;
    struct snapshot_file_disk disks[SNAPSHOT_FILE_DISKS_MAX];
    char images[SNAPSHOT_FILE_DISKS_MAX][TRANSFER_IMAGE_SIZE]; /* names, for people */
    bool half[SNAPSHOT_FILE_DISKS_MAX]; /* a restore has left a part of something else there */
};

/* Of a piece: the disk's overlay has no room for all of it now. It is no exit code of hvctl's. */
#define TRANSFER_NO_ROOM 100

/* What is left of a section behind a piece. */
enum transfer_left {
    TRANSFER_LEFT_NONE,
    TRANSFER_LEFT_MORE,
    TRANSFER_LEFT_LATE /* all of the state, which is not whole yet: ask again */
};

/* Each of its functions returns an exit code and has complained if it is not EXIT_DONE. */
struct transfer_sink {
    void *context;
    int (*round)(void *context, uint64_t round); /* NULL: it does not matter to it */
    /* Pieces that were fetched, of RAM or a disk; and all of the state. A piece: TRANSFER_NO_ROOM,
     * and has not complained: what fits of it is there. */
    int (*piece)(void *context, const struct client_piece *piece);
    int (*state)(void *context, const uint8_t *state, size_t size);
    /* Or, instead of both, has the hypervisor itself carry what is from piece->offset on, of the
     * state, too: `covered` is a result. TRANSFER_NO_ROOM: the same. */
    int (*carry)(void *context, struct client_piece *piece, enum transfer_left *left);
};

struct transfer {
    struct client *client;
    const char *vm;
    unsigned stream;
    const struct transfer_sink *sink;
    bool was_running; /* when it all began */
    struct transfer_disks disks;
    struct snapshot_file_place place;       /* where to go on; all 0: from the beginning */
    struct progress progress;               /* for a person */
    uint64_t owed[SNAPSHOT_FILE_DISKS_MAX]; /* regions of disks that found no room so far */
    bool pays;                              /* now they have to */

    /* Results. */
    uint64_t rounds, bytes; /* of tokens and state, on the line */
    uint64_t pause, hz;     /* TSC ticks that it stood still; 0: it still does */
    bool paused;            /* by this transfer, and it still is */
    bool tracked;           /* the same */
};

/* Runs a command on a VM; its output is to be freed after EXIT_DONE. Complains. */
int transfer_output(struct client *client, const char *verb, const char *vm, const char *rest,
                    struct client_output *output);

/* The same for its row of the table of states, if `status` is not NULL. */
int transfer_execute(struct client *client, const char *verb, const char *vm, const char *rest,
                     struct transfer_status *status);

/* The same for the status alone. */
int transfer_get_status(struct client *client, const char *vm, struct transfer_status *status);

/* Finds the disks of a VM that has `count` of them, and has their images summed up, which takes as
 * many commands as it needs. Complains. */
int transfer_find_disks(struct client *client, const char *vm, uint64_t count,
                        struct transfer_disks *disks);

/* Whether those are of the same sizes and over the same images as a snapshot's. Complains. */
int transfer_compare_disks(const struct transfer_disks *ours, const char *vm,
                           const struct snapshot_file_disk *theirs, unsigned count);

/* Says which of those disks a VM writes to, so that what it has there is replaced; and whether that
 * is meant: is_meant(). True where there are none. */
bool transfer_is_meant(const char *verb, const char *vm, const struct snapshot_file_disk *disks,
                       unsigned count);

/* Behind a restore that failed: says which disks of the VM it has left half replaced. */
void transfer_warn_half(struct client *client, const char *vm);

/* Looks at the VM and its disks, and for a tracking that is on and may be gone on with:
 * `tracking`. */
int transfer_begin(struct transfer *transfer, struct transfer_status *status);

/* All of the way. With `stop` the VM stays paused. */
int transfer_run(struct transfer *transfer, bool stop);

/* A part of a section, for transfer_owed.c: [offset, end), or up to the section's end, and what
 * comes with the last piece. */
struct transfer_part {
    uint8_t section, flags;
    uint64_t offset, end;
};
int transfer_send(struct transfer *transfer, const struct transfer_part *part);

/* Judges how a piece went: one without room is to be told again, by transfer_pay(), behind the last
 * harvest of a VM that stands still. What it has discarded has made room by then. */
int transfer_owe(struct transfer *transfer, const struct client_piece *piece, int code);
int transfer_pay(struct transfer *transfer);

/* Has a VM that this transfer has paused go on. */
int transfer_resume(struct transfer *transfer);

/* Begins to track the VM, and ends it if this transfer has begun it. */
int transfer_track(struct transfer *transfer);
int transfer_untrack(struct transfer *transfer);

/* One line about it. */
void transfer_report(const struct transfer *transfer);

#endif
