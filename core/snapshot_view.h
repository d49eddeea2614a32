/* SPDX-License-Identifier: BSD-2-Clause */
/* The records of a VM's views and of #VE in a snapshot (core/view_image.h). Under the VM's lock. */
#ifndef POSTERN_CORE_SNAPSHOT_VIEW_H
#define POSTERN_CORE_SNAPSHOT_VIEW_H

#include "core/snapshot_image.h"
#include "core/vm.h"

/* Whether all views of the VM, whose vCPUs may run, are of ports: STATUS_UNSUPPORTED if not, and
 * `error` says so. */
status_t snapshot_views_check(const struct vm *vm, char error[SNAPSHOT_ERROR_SIZE]) MUST_CHECK;

/* A record for each view, and for each vCPU that is registered for #VE. The VM is still.
 * STATUS_NO_MEMORY: no room. */
status_t snapshot_views_save(const struct vm *vm, struct snapshot_writer *writer) MUST_CHECK;

/* Whether the VM can have what the records, which are a valid row, say; else `error` says why not.
 * A row without any is of a VM that has no views, or of a hypervisor that saved none. */
bool snapshot_views_fit(const struct vm *vm, const void *bytes, size_t size,
                        char error[SNAPSHOT_ERROR_SIZE]) MUST_CHECK;

/* Makes the views, opens them to their vCPUs, and notes what these are to register for #VE. The
 * records fit, the VM's devices have their state, and it has no view yet. STATUS_NO_MEMORY: there
 * are no tables left for a view. */
status_t snapshot_views_load(struct vm *vm, const void *bytes, size_t size,
                             char error[SNAPSHOT_ERROR_SIZE]) MUST_CHECK;

#endif
