/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmfunc/sealed.h"

#include "lib/bits.h"

#define ENTRIES  512u
#define PRESENT  BIT(0)
#define WRITE    BIT(1)
#define ACCESSED BIT(5)
#define DIRTY    BIT(6)
#define LARGE    BIT(7)
/* Set from the start: the CPU has no reason to write to the tables. */
#define TABLE_FLAGS (PRESENT | WRITE | ACCESSED)
#define PAGE_FLAGS  (TABLE_FLAGS | DIRTY | LARGE)

/* Where the second table is in the view: behind the gate. */
static uint64_t directory_gpa(const struct views *views)
{
    return views->gate_gpa + VIEW_GATE_MAX * PAGE_SIZE;
}

/* 512 GiB one to one, in pages of 1 GiB; what of it there is the EPT says. */
static void fill_tables(const struct views *views, uint64_t *tables)
{
    tables[0] = directory_gpa(views) | TABLE_FLAGS;
    for (uint64_t i = 0; i < ENTRIES; i++) {
        tables[ENTRIES + i] = i * GIB(1) | PAGE_FLAGS;
    }
}

static status_t map_all(const struct views *views, struct ept *ept,
                        const struct sealed_request *request)
{
    const struct {
        uint64_t gpa, address, size, rights;
    } rows[] = {
        {request->cr3, request->tables_at, PAGE_SIZE, EPT_READ},
        {directory_gpa(views), request->tables_at + PAGE_SIZE, PAGE_SIZE, EPT_READ},
        {request->buffer, views->ram + request->buffer, PAGE_SIZE, EPT_READ | EPT_WRITE},
        {views->gate_gpa, views->gate, views->gate_pages * PAGE_SIZE, EPT_READ | EPT_EXECUTE},
    };
    status_t status = STATUS_OK;

    for (unsigned i = 0; i < ARRAY_SIZE(rows) && status == STATUS_OK; i++) {
        status = ept_map(ept, rows[i].gpa, rows[i].address, rows[i].size, rows[i].rights,
                         EPT_WRITE_BACK);
    }
    return status;
}

status_t views_create_sealed(struct views *views, const struct sealed_request *request,
                             uint32_t *view)
{
    uint64_t pages = request->cr3 | request->buffer;

    if (!is_aligned(pages, PAGE_SIZE) || request->cr3 == request->buffer ||
        !range_within(request->cr3, PAGE_SIZE, 0, views->ram_size) ||
        !range_within(request->buffer, PAGE_SIZE, 0, views->ram_size)) {
        return STATUS_INVALID;
    }
    /* Without accessed and dirty bits: with them the walk of page tables counts as writes. */
    status_t status = views_create_empty(views, false, view);
    if (status != STATUS_OK) {
        return status;
    }
    fill_tables(views, request->tables);
    status = map_all(views, views_ept(views, *view), request);
    if (status != STATUS_OK) {
        views_remove(views, *view);
    }
    return status;
}
