/* SPDX-License-Identifier: BSD-2-Clause */
/* Snapshots of VMs, as the monitor's requests FETCH and STORE (abi/monitor.h) name their parts.
 * docs/snapshot.md has the whole. */
#ifndef POSTERN_ABI_SNAPSHOT_H
#define POSTERN_ABI_SNAPSHOT_H

/* Sections of a VM. */
#define POSTERN_SNAPSHOT_RAM   0u /* guest-physical 0 and up */
#define POSTERN_SNAPSHOT_STATE 1u /* a row of records */
#define POSTERN_SNAPSHOT_DISK  2u /* + n: virtio disk n, from its byte 0 up */

/* Of a FETCH of RAM or a disk: skip the pages or blocks that are not in the last harvest of the
 * VM's dirty tracking. */
#define POSTERN_SNAPSHOT_DIRTY 1u

/* What one STORE, and the answer to one FETCH, tell at most, bytes; and with pages that are
 * skipped.
 */
#define POSTERN_SNAPSHOT_PIECE_MAX 0x40000u
#define POSTERN_SNAPSHOT_SKIP_MAX  0x10000000u

#endif
