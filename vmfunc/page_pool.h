/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A pool: pages that one VM gives, slot by slot, and that a view of another one shows side by side.
 * Pure logic over memory that the caller provides.
 *
 * What is given is kept here, so that it outlives the view, and the place where the view shows it.
 * To give makes an entry present that was not, and changes none that was: no CPU has anything to
 * invalidate (SDM "Guidelines for Use of the INVEPT Instruction"), so the hierarchy's ept_ops are
 * not told `changed`. They are when pages go.
 *
 * Callers serialise the calls for one pool, and changes of the hierarchy that shows it.
 */
#ifndef POSTERN_VMFUNC_PAGE_POOL_H
#define POSTERN_VMFUNC_PAGE_POOL_H

#include "ept/ept.h"

struct page_pool {
    uint64_t *slots; /* the caller's: physical address and EPT permissions; 0: not given */
    uint32_t count;  /* of slots; 0: no pool */
    uint32_t given;
    struct ept *ept; /* that shows it; NULL: none does */
    uint64_t at;     /* guest-physical, there */
};

/* Gives the page at physical address `address` as `slot`, with EPT_READ or EPT_READ | EPT_WRITE.
 * To give what is given is STATUS_OK. STATUS_INVALID for a slot that is none, for an address that
 * is not a page's and for other permissions, STATUS_EXISTS for a slot that has another page, or
 * other permissions. */
status_t page_pool_give(struct page_pool *pool, uint64_t slot, uint64_t address,
                        uint64_t permissions) MUST_CHECK;

/* Whether a page is given as `slot`; there may be no such slot. */
bool page_pool_has(const struct page_pool *pool, uint64_t slot);

/* Takes it back, if it is. */
void page_pool_take(struct page_pool *pool, uint64_t slot);
void page_pool_take_all(struct page_pool *pool);

/* Shows the pool in `ept` from `gpa` on, where nothing else is mapped; it is shown nowhere yet.
 * Makes the tables for all slots: to give a page takes no memory later. Errors as ept_map_pages();
 * it then stays hidden. */
status_t page_pool_show(struct page_pool *pool, struct ept *ept, uint64_t gpa) MUST_CHECK;

/* Takes it out of the hierarchy that shows it, if one does. */
void page_pool_hide(struct page_pool *pool);

/* That hierarchy has been destroyed. */
void page_pool_hidden(struct page_pool *pool);

#endif
