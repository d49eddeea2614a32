/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Snapshots of VMs: what the host fetches of one, and stores into another, a piece at a time. The
 * host decides on the order (docs/snapshot.md): RAM while the VM runs, by dirty tracking; then the
 * VM is paused, snapshot_save(), what is left of RAM, and the state. What disks hold goes with RAM.
 * All of this runs on the monitor's CPU, and what comes from the host may be anything.
 */
#ifndef POSTERN_CORE_SNAPSHOT_H
#define POSTERN_CORE_SNAPSHOT_H

#include "abi/snapshot.h"
#include "core/snapshot_image.h"
#include "core/vm.h"

/* Whether the VM has something now that no snapshot carries; `error` says what. Takes its lock. */
bool snapshot_is_hindered(struct vm *vm, char error[SNAPSHOT_ERROR_SIZE]);

/* Has a VM that is paused and still put its state into records, of which its vCPUs write theirs
 * soon after: snapshot_is_saved(). Until it goes on nobody sends it anything. `disks`: the host
 * carries what they hold. STATUS_BUSY: it is in no state for it; STATUS_UNSUPPORTED: it has
 * something that no snapshot carries. `error` says what it is. */
status_t snapshot_save(struct vm *vm, bool disks, char error[SNAPSHOT_ERROR_SIZE]) MUST_CHECK;
bool snapshot_is_saved(const struct vm *vm);

/* Begins to restore a VM that is down; as vm_begin_restore(). */
status_t snapshot_begin(struct vm *vm, char error[SNAPSHOT_ERROR_SIZE]) MUST_CHECK;

/* Whether the state that was stored fits the VM, as far as that can be told before its disks came:
 * nothing changes. STATUS_INVALID: no; `error` says why. */
status_t snapshot_check(struct vm *vm, char error[SNAPSHOT_ERROR_SIZE]) MUST_CHECK;

/* Takes the state that was stored: the VM is paused then, as it was when it was saved.
 * STATUS_INVALID, and it is off: the state fits no such VM; `error` says why. An image that the VM
 * writes to may have been replaced by then: virtio_disks_are_whole(). */
status_t snapshot_restore(struct vm *vm, char error[SNAPSHOT_ERROR_SIZE]) MUST_CHECK;

/* A piece of a VM on its way. */
struct snapshot_piece {
    uint32_t section; /* POSTERN_SNAPSHOT_ */
    uint32_t flags;
    uint64_t offset;  /* bytes, a multiple of 8 */
    uint64_t covered; /* bytes that the tokens tell */
    uint64_t size;    /* of the section, bytes */
};

/* Encodes what is from piece->offset on into [tokens, tokens + room) by lib/word_runs.h; `*used`
 * bytes of it. STATUS_BUSY: there is no such thing now. */
status_t snapshot_fetch(struct vm *vm, struct snapshot_piece *piece, uint8_t *tokens, size_t room,
                        size_t *used) MUST_CHECK;

/* Decodes tokens to where the piece belongs. STATUS_BUSY: the VM is not being restored;
 * STATUS_INVALID: they are malformed, or more than fits; STATUS_DENIED: the disk is read-only;
 * STATUS_NO_MEMORY: its overlay has no room. */
status_t snapshot_store(struct vm *vm, struct snapshot_piece *piece, const uint8_t *tokens,
                        size_t size) MUST_CHECK;

#endif
