/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pools: pages of its VM's RAM that an end of a link in mode direct gives, slot by slot, and that
 * its peer sees at its BAR 4 (core/window.h). What an end has given is kept at its peer's port,
 * under the lock of the peer's VM, with the view that shows it.
 *
 * The hypervisor itself reads nothing of what is in these pages, and keeps nothing in them.
 */
#ifndef POSTERN_CORE_POOL_H
#define POSTERN_CORE_POOL_H

#include "core/port.h"

/* Gives the page of RAM at `gpa` of the VM of `port` as slot `slot`. The peer can reach it on
 * return; it has no exit by it, and nothing to invalidate. STATUS_UNSUPPORTED for a port that has
 * no pool; STATUS_INVALID for a slot or a page that is none; STATUS_EXISTS for a slot that has
 * another page or right. Takes the peer VM's lock; the caller holds none. */
status_t pool_give(struct port *port, uint64_t slot, uint64_t gpa, bool writable) MUST_CHECK;

/* Takes the page of a slot back, or with POSTERN_POOL_ALL all pages. The peer's VM still has to
 * leave behind what its CPUs have cached: vm_flushed(). What is not given is no error. STATUS_BUSY:
 * not so soon after the last time (port_may_revoke()). Other errors and the lock as above. */
status_t pool_take(struct port *port, uint64_t slot) MUST_CHECK;

/* Takes back what a VM has given by any of its ports, whose peers cannot reach it any more on
 * return: waits for their CPUs to take an interrupt. Its vCPUs are parked, and the last of them is
 * the one on this CPU. The caller holds no lock. */
void pool_take_all(struct vm *vm);

/* How many pages the VM of `port` has given by it. Takes the peer VM's lock. */
uint32_t pool_given(struct port *port);

#endif
