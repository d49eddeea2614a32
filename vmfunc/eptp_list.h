/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The EPTP list of one vCPU (SDM "EPTP Switching"): a page of 512 EPT pointers that VMFUNC indexes.
 * An entry of 0 is no EPT pointer, so that VMFUNC exits. The page is in no EPT: guests neither read
 * nor write it.
 *
 * The CPU reads an entry while others may change it: each change is one store. Entry 0 is the
 * default view and never empty while the vCPU runs.
 */
#ifndef POSTERN_VMFUNC_EPTP_LIST_H
#define POSTERN_VMFUNC_EPTP_LIST_H

#include "lib/types.h"

#define EPTP_LIST_SLOTS 512u

/* The entry that VMFUNC would find for `view`; 0 where it would exit. */
static inline uint64_t eptp_list_get(const uint64_t *list, uint64_t view)
{
    return view < EPTP_LIST_SLOTS ? __atomic_load_n(&list[view], __ATOMIC_RELAXED) : 0;
}

static inline void eptp_list_set(uint64_t *list, uint32_t view, uint64_t pointer)
{
    /* Release: the hierarchy is complete. Partner: the CPU's walk of it. */
    __atomic_store_n(&list[view], pointer, __ATOMIC_RELEASE);
}

static inline void eptp_list_clear(uint64_t *list, uint64_t default_pointer)
{
    eptp_list_set(list, 0, default_pointer);
    for (uint32_t view = 1; view < EPTP_LIST_SLOTS; view++) {
        eptp_list_set(list, view, 0);
    }
}

#endif
