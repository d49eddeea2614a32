/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From one VM into another of the same hypervisor: what the host else fetches and stores
 * (snapshot.h) goes by no line. The host asks for it piece by piece, so that the monitor's CPU is
 * never held long.
 */
#ifndef POSTERN_CORE_SNAPSHOT_CLONE_H
#define POSTERN_CORE_SNAPSHOT_CLONE_H

#include "core/snapshot.h"

/* Bytes of a VM that one call looks at, about. */
#define SNAPSHOT_CLONE_STEP MIB(4)

/* What is left behind a call. */
enum snapshot_left {
    SNAPSHOT_LEFT_NONE,
    SNAPSHOT_LEFT_MORE, /* from piece->offset + piece->covered on */
    SNAPSHOT_LEFT_LATE  /* all of the state, of which vCPUs are still to write their part */
};

/* Carries what is from piece->offset on in `from` over to `to`, which is being restored, as far as
 * one call goes: `covered`, `size` and `left` are results. Takes the lock of each in turn, never of
 * both. STATUS_NO_MEMORY: the same, but not all of it found room in a disk's overlay; as
 * snapshot_store(). `error` says what is wrong if it is another one. */
status_t snapshot_clone(struct vm *from, struct vm *to, struct snapshot_piece *piece,
                        enum snapshot_left *left, char error[SNAPSHOT_ERROR_SIZE]) MUST_CHECK;

#endif
