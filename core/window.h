/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port's window in its VM's views: where BAR 2 shows it, in the default view (mode open) or in
 * the port's protected view (mode gated), and what of it the peer lets be seen; and a network's
 * forwarding database, which BAR 4 shows in the default view.
 */
#ifndef POSTERN_CORE_WINDOW_H
#define POSTERN_CORE_WINDOW_H

#include "core/port.h"

/* BAR 2 of `port` decodes `gpa` from now on; 0: nothing. Under the VM's lock. */
void window_move(struct port *port, uint64_t gpa);

/* The same of BAR 4. */
void window_move_fdb(struct port *port, uint64_t gpa);

/* Makes the port's protected view, if it has none yet, with the window in it; its index in `*view`.
 * STATUS_UNSUPPORTED for a port whose mode has none. Under the VM's lock. */
status_t window_make_view(struct port *port, uint32_t *view) MUST_CHECK;

/* Maps the window of a port of mode gated in one more hierarchy of its VM: for tests. Under the
 * VM's lock. */
status_t window_show_in(struct port *port, struct ept *ept) MUST_CHECK;

/* Takes the views of all ports of `vm` away: it starts anew. None of its vCPUs is in the guest, and
 * each invalidates what it has cached before it is. Under the VM's lock. */
void window_remove_views(struct vm *vm);

/* Whether the peer of `port`, an end of a link, may see the section of this end. When it no longer
 * may, the peer's VM still has to leave behind what its CPUs have cached: vm_flushed(). That costs
 * the peer an exit, so one revocation in a millisecond is all: STATUS_BUSY before. Takes the peer
 * VM's lock; the caller holds none. */
status_t window_grant(struct port *port, bool granted) MUST_CHECK;

#endif
