/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmfunc/views.h"

#include "lib/bits.h"

/* What a view borrows from the base: whole gibibytes. */
#define GIBIBYTE    GIB(1)
#define RAM_RIGHTS  (EPT_READ | EPT_WRITE | EPT_EXECUTE)
#define BASE_RIGHTS (EPT_READ | EPT_WRITE)
#define RUN_RIGHTS  (EPT_READ | EPT_EXECUTE)
#define TRAMPOLINE  0u

/* The protected code cannot run in the default view: its fetch there tells the hypervisor that an
 * interrupted crossing goes on. */
static uint64_t rights_in_default_view(uint32_t page)
{
    return page == TRAMPOLINE ? RUN_RIGHTS : EPT_READ;
}

static status_t map_home(struct views *views)
{
    status_t status = STATUS_OK;

    for (uint32_t page = 0; page < views->gate_pages && status == STATUS_OK; page++) {
        uint64_t offset = page * PAGE_SIZE;
        status = ept_map(views->own, views->gate_gpa + offset, views->gate + offset, PAGE_SIZE,
                         rights_in_default_view(page), EPT_WRITE_BACK);
    }
    if (status != STATUS_OK) {
        return status;
    }
    return ept_map(&views->base, views->gate_gpa, views->gate, views->gate_pages * PAGE_SIZE,
                   RUN_RIGHTS, EPT_WRITE_BACK);
}

status_t views_init(struct views *views)
{
    if (views->gate_pages == 0 || views->gate_pages > VIEW_GATE_MAX) {
        return STATUS_INVALID;
    }
    views->end = 1;
    /* No page of 1 GiB: each gibibyte is to have a table that views can borrow, for good. */
    status_t status = ept_init(&views->base, views->own->ops, views->own->context, false,
                               views->own->accessed_dirty);
    if (status == STATUS_OK) {
        status = ept_map(&views->base, 0, views->ram, views->ram_size, BASE_RIGHTS, EPT_WRITE_BACK);
    }
    return status == STATUS_OK ? map_home(views) : status;
}

void views_remove_all(struct views *views)
{
    for (uint32_t view = 1; view < views->end; view++) {
        if (views->views[view].root != NULL) {
            views_remove(views, view);
        }
    }
    views->end = 1;
}

void views_destroy(struct views *views)
{
    views_remove_all(views);
    if (views->base.root != NULL) {
        ept_destroy(&views->base);
    }
}

static status_t borrow_all(const struct views *views, struct ept *ept)
{
    status_t status = STATUS_OK;

    for (uint64_t gpa = 0; gpa < views->ram_size && status == STATUS_OK; gpa += GIBIBYTE) {
        status = ept_borrow(ept, &views->base, gpa);
    }
    if (status == STATUS_OK) {
        status = ept_borrow(ept, &views->base, align_down(views->gate_gpa, GIBIBYTE));
    }
    /* The gate's home may be in the last gibibyte of RAM. */
    return status == STATUS_EXISTS ? STATUS_OK : status;
}

/* The lowest index that is free; VIEWS_MAX: none is. */
static uint32_t free_index(const struct views *views)
{
    uint32_t index = 1;

    while (index < VIEWS_MAX && views->views[index].root != NULL) {
        index++;
    }
    return index;
}

static status_t make_empty(struct views *views, bool accessed_dirty, uint32_t index)
{
    if (index == VIEWS_MAX) {
        return STATUS_NO_MEMORY;
    }
    status_t status =
        ept_init(&views->views[index], views->own->ops, views->own->context, false, accessed_dirty);
    if (status == STATUS_OK) {
        views->end = index >= views->end ? index + 1 : views->end;
    }
    return status;
}

static status_t make(struct views *views, uint32_t index)
{
    status_t status = make_empty(views, views->own->accessed_dirty, index);

    if (status == STATUS_OK) {
        status = borrow_all(views, &views->views[index]);
        if (status != STATUS_OK) {
            views_remove(views, index);
        }
    }
    return status;
}

status_t views_create_empty(struct views *views, bool accessed_dirty, uint32_t *view)
{
    *view = free_index(views);
    return make_empty(views, accessed_dirty, *view);
}

status_t views_create(struct views *views, uint32_t *view)
{
    *view = free_index(views);
    return make(views, *view);
}

status_t views_create_as(struct views *views, uint32_t view)
{
    if (view == 0 || view >= VIEWS_MAX) {
        return STATUS_INVALID;
    }
    return views->views[view].root != NULL ? STATUS_EXISTS : make(views, view);
}

void views_remove(struct views *views, uint32_t view)
{
    ept_destroy(&views->views[view]);
}

struct ept *views_ept(const struct views *views, uint32_t view)
{
    if (view == 0) {
        return views->own;
    }
    return view < views->end && views->views[view].root != NULL ? &views->views[view] : NULL;
}

/* What shows at `gpa`; NULL: RAM. */
static struct view_placement *find_placement(const struct views *views, uint64_t gpa)
{
    for (uint32_t i = 0; i < VIEW_PLACEMENT_MAX; i++) {
        const struct view_placement *placement = &views->placements[i];
        if (placement->used && placement->gpa == gpa) {
            return (struct view_placement *)placement;
        }
    }
    return NULL;
}

static struct view_placement *free_placement(struct views *views)
{
    for (uint32_t i = 0; i < VIEW_PLACEMENT_MAX; i++) {
        if (!views->placements[i].used) {
            return &views->placements[i];
        }
    }
    return NULL;
}

/* The page at `gpa` in all views; the base's part is in each protected view. */
static status_t replace(struct views *views, uint64_t gpa, uint64_t address, uint64_t rights,
                        uint64_t base_rights)
{
    status_t status = ept_replace(&views->base, gpa, address, base_rights);

    return status == STATUS_OK ? ept_replace(views->own, gpa, address, rights) : status;
}

static status_t restore(struct views *views, uint64_t gpa)
{
    return replace(views, gpa, views->ram + gpa, RAM_RIGHTS, BASE_RIGHTS);
}

static bool is_ram_page(const struct views *views, uint64_t gpa)
{
    return is_aligned(gpa, PAGE_SIZE) && range_within(gpa, PAGE_SIZE, 0, views->ram_size);
}

status_t views_place_gate(struct views *views, uint64_t gpa, uint32_t page)
{
    if (page >= views->gate_pages || !is_ram_page(views, gpa)) {
        return STATUS_INVALID;
    }
    struct view_placement *placement = find_placement(views, gpa);
    if (placement != NULL && placement->page == page) {
        return STATUS_OK;
    }
    if (placement == NULL) {
        placement = free_placement(views);
    }
    if (placement == NULL) {
        return STATUS_NO_MEMORY;
    }
    status_t status = replace(views, gpa, views->gate + page * PAGE_SIZE,
                              rights_in_default_view(page), RUN_RIGHTS);
    if (status == STATUS_OK) {
        *placement = (struct view_placement){gpa, page, true};
    } else if (!placement->used) {
        /* The tables are split by now in the base, if at all: to put RAM back cannot fail there. */
        (void)!ept_replace(&views->base, gpa, views->ram + gpa, BASE_RIGHTS);
    }
    return status;
}

status_t views_unplace_gate(struct views *views, uint64_t gpa)
{
    struct view_placement *placement = find_placement(views, gpa);

    if (placement == NULL) {
        return is_ram_page(views, gpa) ? STATUS_OK : STATUS_INVALID;
    }
    placement->used = false;
    return restore(views, gpa);
}

void views_unplace_all(struct views *views)
{
    for (uint32_t i = 0; i < VIEW_PLACEMENT_MAX; i++) {
        if (views->placements[i].used) {
            /* Its page has tables of its own already: nothing is to be split. */
            (void)!views_unplace_gate(views, views->placements[i].gpa);
        }
    }
}

int views_gate_page(const struct views *views, uint64_t gpa)
{
    uint64_t page = align_down(gpa, PAGE_SIZE);
    const struct view_placement *placement = find_placement(views, page);

    if (placement != NULL) {
        return (int)placement->page;
    }
    if (range_within(page, PAGE_SIZE, views->gate_gpa, views->gate_pages * PAGE_SIZE)) {
        return (int)((page - views->gate_gpa) / PAGE_SIZE);
    }
    return -1;
}

uint32_t views_pages(const struct views *views, uint32_t view)
{
    const struct ept *ept = views_ept(views, view);

    return ept != NULL ? ept->pages : 0;
}
