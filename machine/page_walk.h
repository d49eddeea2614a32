/* SPDX-License-Identifier: BSD-2-Clause */
/* A walk of a guest's own page tables, from linear to guest-physical addresses (SDM "Paging"). The
 * tables are the guest's to write while they are read: each entry is read once. */
#ifndef POSTERN_MACHINE_PAGE_WALK_H
#define POSTERN_MACHINE_PAGE_WALK_H

#include "lib/status.h"

struct page_walk {
    uint64_t cr0, cr3, cr4, efer;
    /* Copies guest-physical memory; false where there is none. */
    bool (*read)(void *context, uint64_t gpa, void *buffer, size_t size);
    void *context;
};

/* Translates `linear`, without regard to rights. STATUS_NOT_FOUND where the guest would fault,
 * STATUS_INVALID for a linear address that is not canonical. */
status_t page_walk(const struct page_walk *walk, uint64_t linear, uint64_t *gpa) MUST_CHECK;

#endif
