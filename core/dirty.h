/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Dirty tracking: which pages of a VM's RAM were written to, by its guest, by the hypervisor for it
 * (devices, the loader), or by a peer to which it has given them. The means for a snapshot of a VM
 * that runs, and for its migration: harvest, copy the pages while the guest goes on, harvest again,
 * and so on until few are left; then pause it, and harvest and copy once more.
 *
 * A harvest is exact in this sense: every write that is not in it is in a later one, and what is
 * copied after it holds every write that was in it.
 */
#ifndef POSTERN_CORE_DIRTY_H
#define POSTERN_CORE_DIRTY_H

#include "core/vm.h"

/* Begins to track: with no page written to. RAM is mapped in pages of 4 KiB until dirty_stop(); the
 * tables for that the VM keeps until it is destroyed. STATUS_BUSY: it is tracked already, or
 * absent; STATUS_NO_MEMORY. This and the next two wait for CPUs to take an interrupt: not from a
 * guest's exit, and one CPU at a time; the caller holds no lock. */
status_t dirty_start(struct vm *vm) MUST_CHECK;

/* Ends it, and maps RAM in large pages again. STATUS_BUSY: it is not tracked. */
status_t dirty_stop(struct vm *vm) MUST_CHECK;

/* Moves what was written to since the last harvest, or the beginning, to vm->dirty.harvest: a bit
 * for each page, page 0 first; it stays until the next one. So do the blocks of disks
 * (disk_harvest()). Who reads it holds the VM's lock, and sees that it is tracked still.
 * STATUS_BUSY: it is not. */
status_t dirty_harvest(struct vm *vm) MUST_CHECK;

/* By what the guest's writes are noted: "logs" of its vCPUs, "flags" in tables, or "violations". */
const char *dirty_means(const struct vm *vm);

/* The hypervisor has written to [bytes, bytes + size) of the VM's RAM; what lies elsewhere does not
 * count. To be called behind the write, or with the VM's lock held until that is done; and with its
 * lock, or where the VM cannot be destroyed meanwhile. */
void dirty_note(struct vm *vm, const void *bytes, uint64_t size);

/* All of its RAM: it is loaded anew. */
void dirty_note_all(struct vm *vm);

/* The guest was refused a write to `gpa`, in the default view or in a protected one. True if it is
 * to be tried again: only the tracking has refused it. Takes the VM's lock. */
bool dirty_allow(struct vm *vm, uint64_t gpa, bool in_view) MUST_CHECK;

#endif
