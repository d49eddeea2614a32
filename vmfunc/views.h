/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The views of one VM: EPT hierarchies that differ in what they open. View 0, the default view, is
 * the VM's own memory. A protected view has that memory too, but nothing in it is executable: only
 * the gate is; and in a gibibyte of its own it has a window. Pure logic over pages that the caller
 * provides.
 *
 * Protected views share the tables of memory and gate, which one more hierarchy owns, the base. A
 * view beyond the first costs two pages (its root and the table below) and its window's tables.
 *
 * Callers serialise changes, and invalidate what CPUs may hold of all views when the ept_ops say
 * `changed`.
 */
#ifndef POSTERN_VMFUNC_VIEWS_H
#define POSTERN_VMFUNC_VIEWS_H

#include "ept/ept.h"
#include "vmfunc/eptp_list.h"

#define VIEWS_MAX          EPTP_LIST_SLOTS
#define VIEW_GATE_MAX      4u  /* pages of a gate, the trampoline first */
#define VIEW_PLACEMENT_MAX 64u /* pages of the gate that show in RAM */

struct view_placement {
    uint64_t gpa;
    uint32_t page; /* of the gate */
    bool used;
};

struct views {
    struct ept *own;   /* the default view: the caller's */
    struct ept base;   /* memory and gate as protected views have them; no VM runs in it */
    struct ept *views; /* by index, VIEWS_MAX of them; a free one has no root */
    uint32_t end;      /* no view has this index or a higher one */
    uint64_t ram;      /* physical address of guest-physical 0 */
    uint64_t ram_size; /* bytes */
    uint64_t gate_gpa; /* the gate's home, beyond RAM */
    uint64_t gate;     /* its physical address; pages side by side */
    uint32_t gate_pages;
    struct view_placement placements[VIEW_PLACEMENT_MAX];
};

/* Maps the gate into the default view and makes the base. The caller has set own, views (zeroed),
 * ram, ram_size, gate_gpa, gate and gate_pages; RAM is mapped in the default view. Errors as
 * ept_map(); what was made goes with views_destroy(). */
status_t views_init(struct views *views) MUST_CHECK;

/* Gives all tables back but the default view's. No CPU uses any view. */
void views_destroy(struct views *views);

/* Makes a protected view without a window; its index, 1 and up, in `*view`. STATUS_NO_MEMORY if
 * tables or indices run out. */
status_t views_create(struct views *views, uint32_t *view) MUST_CHECK;

/* The same with the index `view`: for a VM that knows it by that. STATUS_INVALID if no protected
 * view can have it, STATUS_EXISTS if one has. */
status_t views_create_as(struct views *views, uint32_t view) MUST_CHECK;

/* As views_create() with nothing in it: for views of another kind. */
status_t views_create_empty(struct views *views, bool accessed_dirty, uint32_t *view) MUST_CHECK;

/* Gives the tables of a view back. It is in no vCPU's list, and nothing of it is cached. */
void views_remove(struct views *views, uint32_t view);

/* The same for all but the default view. */
void views_remove_all(struct views *views);

/* The hierarchy of a view that exists, to map its window; NULL for none. 0 is the default view. */
struct ept *views_ept(const struct views *views, uint32_t view);

/* Shows page `page` of the gate at `gpa` in place of RAM, in all views. STATUS_INVALID if the gate
 * has no such page or that is not a page of RAM; STATUS_NO_MEMORY if tables or places run out. What
 * is there already changes nothing. */
status_t views_place_gate(struct views *views, uint64_t gpa, uint32_t page) MUST_CHECK;

/* RAM again at `gpa`, if a page of the gate is there. STATUS_INVALID if that is not a page of RAM.
 */
status_t views_unplace_gate(struct views *views, uint64_t gpa) MUST_CHECK;

/* RAM again everywhere: for a VM that starts anew. */
void views_unplace_all(struct views *views);

/* Which page of the gate is at `gpa`; -1: none. */
int views_gate_page(const struct views *views, uint64_t gpa);

/* Pages that all tables of a view take that are not shared. */
uint32_t views_pages(const struct views *views, uint32_t view);

#endif
