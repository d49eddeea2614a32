/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which pages of a hierarchy are written to. Where the hierarchy has dirty flags (SDM "Accessed and
 * Dirty Flags for EPT") the CPU sets them; elsewhere pages are guarded: their first write is a
 * violation, which ept_dirty_write() notes by giving the right back. Pure logic, with one interface
 * for both ways.
 *
 * Callers serialise these and all other changes of the hierarchy; CPUs go on meanwhile. What they
 * write by a translation that they have cached is noted only once they have invalidated it: see
 * ept_ops.changed.
 */
#ifndef POSTERN_EPT_DIRTY_H
#define POSTERN_EPT_DIRTY_H

#include "ept/ept.h"

/* Has [gpa, gpa + size) mapped in pages of 4 KiB. STATUS_NO_MEMORY with a part of it done, and all
 * translations as before. */
status_t ept_dirty_split(struct ept *ept, uint64_t gpa, uint64_t size) MUST_CHECK;

/* Sets the bits of those pages that were written to since the last call: bit 0 of `bitmap` is the
 * page at `gpa`. From now on the next writes count. A part that is not in pages of 4 KiB is passed
 * over. Returns how many pages were written to. */
uint64_t ept_dirty_harvest(struct ept *ept, uint64_t gpa, uint64_t size, uint64_t *bitmap);

/* The same of one page whose writes are known otherwise: from now on the next one counts. Does not
 * say `changed`. Only with dirty flags. */
void ept_dirty_rearm(struct ept *ept, uint64_t gpa);

/* The CPU has refused a write to `gpa`. True if it is to be tried again: the page was guarded, and
 * is writable now; or it is writable already. */
bool ept_dirty_write(struct ept *ept, uint64_t gpa) MUST_CHECK;

/* No page is guarded any more, and pages that lie together are large ones again. Tables that are
 * left over go to `tables`, up to `max`, for CPUs may walk through them until they have
 * invalidated: then they are to be given back by ept_dirty_free(). Returns how many there are. */
uint32_t ept_dirty_end(struct ept *ept, uint64_t gpa, uint64_t size, void **tables, uint32_t max);
void ept_dirty_free(struct ept *ept, void *const *tables, uint32_t count);

#endif
