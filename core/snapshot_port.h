/* SPDX-License-Identifier: BSD-2-Clause */
/* The records of a VM's ports and gates in a snapshot (core/port_image.h). Under the VM's lock. */
#ifndef POSTERN_CORE_SNAPSHOT_PORT_H
#define POSTERN_CORE_SNAPSHOT_PORT_H

#include "core/snapshot_image.h"
#include "core/vm.h"

/* Whether the VM, whose vCPUs may run, has something of a port that no driver would have back by
 * opening it anew: STATUS_UNSUPPORTED, and `error` says what. */
status_t snapshot_ports_check(const struct vm *vm, char error[SNAPSHOT_ERROR_SIZE]) MUST_CHECK;

/* A record for each port; and one for the gate, if the VM uses it. STATUS_NO_MEMORY: no room. */
status_t snapshot_ports_save(const struct vm *vm, struct snapshot_writer *writer) MUST_CHECK;

/* Whether the VM's ports are those of the records, which are a valid row; else `error` says why
 * not. A row without any is of a hypervisor that had none of ports, and saved none in use. */
bool snapshot_ports_fit(const struct vm *vm, const void *bytes, size_t size,
                        char error[SNAPSHOT_ERROR_SIZE]) MUST_CHECK;

/* Puts the gate where it was, and has all drivers open their ports anew. The records fit.
 * STATUS_NO_MEMORY: there are no tables left for the gate. */
status_t snapshot_ports_load(struct vm *vm, const void *bytes, size_t size,
                             char error[SNAPSHOT_ERROR_SIZE]) MUST_CHECK;

#endif
