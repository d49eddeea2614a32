/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An experiment beside the protected views (docs/decisions.md, "Guests keep their page tables in
 * views"): a view with page tables of its own. The guest-physical page that CR3 names is another
 * one here, which the hypervisor wrote, and of RAM nothing is mapped but one page for stack and
 * arguments. Linear addresses are guest-physical ones.
 */
#ifndef POSTERN_VMFUNC_SEALED_H
#define POSTERN_VMFUNC_SEALED_H

#include "vmfunc/views.h"

#define SEALED_PAGES 2u /* of page tables */

struct sealed_request {
    uint64_t cr3;       /* guest-physical, a page */
    uint64_t buffer;    /* guest-physical, a page of RAM */
    uint64_t *tables;   /* SEALED_PAGES pages, zeroed */
    uint64_t tables_at; /* their physical address */
};

/* Makes the view, without a window; its index in `*view`. Errors as views_create(), and
 * STATUS_INVALID for pages that are no RAM or the same. */
status_t views_create_sealed(struct views *views, const struct sealed_request *request,
                             uint32_t *view) MUST_CHECK;

#endif
