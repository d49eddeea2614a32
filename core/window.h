/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a port shows in its VM's views. BAR 2 shows its window, in the default view (mode open) or
 * in the port's protected view (modes gated and direct), as far as the peer lets it be seen. BAR 4
 * shows a network's forwarding database, in the default view, or the pages that a link's peer has
 * given (core/pool.h), in the protected view.
 */
#ifndef POSTERN_CORE_WINDOW_H
#define POSTERN_CORE_WINDOW_H

#include "core/port.h"

/* BAR 2 of `port` decodes `gpa` from now on; 0: nothing. Under the VM's lock. */
void window_move(struct port *port, uint64_t gpa);

/* The same of BAR 4, which shows the database or the pool. */
void window_move_fdb(struct port *port, uint64_t gpa);
void window_move_pool(struct port *port, uint64_t gpa);

/* Has the window of a link's end shown in the port's protected view, or in the default view from
 * now on. Its peer can no longer take its own section from where it would be missed. Under the VM's
 * lock. */
void window_set_gated(struct port *port, bool gated);

/* Makes the port's protected view, if it has none yet, with window and pool in it; its index in
 * `*view`. STATUS_UNSUPPORTED for a port whose mode has none. Under the VM's lock. */
status_t window_make_view(struct port *port, uint32_t *view) MUST_CHECK;

/* Has the port have the view of that index, as it had when its VM was saved: with its window, as
 * the link shows it here. Not with its pool, which shows when the guest opens the view itself,
 * or moves BAR 4: an interrupted crossing might write to buffers that this peer has posted for
 * something else. Errors as views_create_as(). Under the VM's lock. */
status_t window_restore_view(struct port *port, uint32_t view) MUST_CHECK;

/* Maps the window of a port that has a protected view in one more hierarchy of its VM: for tests.
 * Under the VM's lock. */
status_t window_show_in(struct port *port, struct ept *ept) MUST_CHECK;

/* Takes the views of all ports of `vm` away: it starts anew. None of its vCPUs is in the guest, and
 * each invalidates what it has cached before it is. Under the VM's lock. */
void window_remove_views(struct vm *vm);

/* Whether the peer of `port`, an end of a link, may see the section of this end. When it no longer
 * may, the peer's VM still has to leave behind what its CPUs have cached: vm_flushed().
 * STATUS_BUSY: not so soon after the last time (port_may_revoke()). STATUS_UNSUPPORTED: the peer
 * has it in its default view, where its kernel would miss it. Takes the peer VM's lock; the caller
 * holds none. */
status_t window_grant(struct port *port, bool granted) MUST_CHECK;

#endif
