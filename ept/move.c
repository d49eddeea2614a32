/* SPDX-License-Identifier: BSD-2-Clause */
#include "ept/ept_parts.h"

/* Moves the table that `entry` leads to. */
static status_t move_table(struct ept *ept, uint64_t *entry, const void *pages, uint64_t size)
{
    const uint64_t *old = ept_table_of(ept, *entry);
    uint64_t *table = ept->ops->alloc_page(ept->context);

    if (table == NULL) {
        return STATUS_NO_MEMORY;
    }
    if (range_within((uint64_t)table, PAGE_SIZE, (uint64_t)pages, size)) {
        ept->ops->free_page(ept->context, table);
        return STATUS_NO_MEMORY;
    }
    for (unsigned i = 0; i < ENTRIES; i++) {
        table[i] = old[i];
    }
    ept_store(entry, (*entry & ~ENTRY_ADDRESS) | ept->ops->to_physical(ept->context, table));
    ept->ops->free_page(ept->context, (void *)old);
    return STATUS_OK;
}

static status_t move_below(struct ept *ept, uint64_t *table, unsigned level, const void *pages,
                           uint64_t size)
{
    status_t status = STATUS_OK;

    for (unsigned i = 0; i < ENTRIES && status == STATUS_OK; i++) {
        if (!ept_has_own_table(table[i], level)) {
            continue;
        }
        if (range_within((uint64_t)ept_table_of(ept, table[i]), PAGE_SIZE, (uint64_t)pages, size)) {
            status = move_table(ept, &table[i], pages, size);
        }
        if (status == STATUS_OK) {
            status = move_below(ept, ept_table_of(ept, table[i]), level - 1, pages, size);
        }
    }
    return status;
}

status_t ept_move_tables(struct ept *ept, const void *pages, uint64_t size)
{
    return move_below(ept, ept->root, LEVELS, pages, size);
}
