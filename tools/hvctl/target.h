/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM's way into a hypervisor, from a file, another hypervisor or another VM. All of these return
 * an exit code, and have complained if it is not EXIT_DONE. */
#ifndef POSTERN_TOOLS_HVCTL_TARGET_H
#define POSTERN_TOOLS_HVCTL_TARGET_H

#include "tools/hvctl/transfer.h"

struct target {
    struct client *client;
    const char *vm;
    unsigned stream;
    size_t room;              /* for tokens in a frame; CLIENT_TOKENS_MAX at first */
    const char *asks;         /* the verb that asks before `rw` disks are replaced; NULL: none */
    uint64_t bytes;           /* a result: of tokens */
    struct progress progress; /* of a file that is stored, for a person */
};

/* Begins to restore a VM, if it has the shape of what is to come: memory, and disks over the same
 * images. */
int target_begin(struct target *target, const struct snapshot_file_head *head);

/* Stores a piece as it is. TRANSFER_NO_ROOM, and has not complained: as a sink of transfers. */
int target_store(struct target *target, const struct client_piece *piece);

/* Stores all of a file; and a state alone. */
int target_store_image(struct target *target, const struct snapshot_image_in *image);
int target_store_state(struct target *target, const uint8_t *state, size_t size);

/* Ends it with the exit code of all before: the VM is paused, as it was, or off. */
int target_finish(struct target *target, int code);

/* All of the way from a VM that is up into this one, which is paused then. The first one is still
 * tracked; with `stop`, or if it fails, it may be paused by the transfer. */
int target_take(struct target *target, struct transfer *transfer, bool stop);

#endif
