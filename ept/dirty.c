/* SPDX-License-Identifier: BSD-2-Clause */
#include "ept/dirty.h"

#include "ept/ept_parts.h"

/* A walk over the entries of a range that map pages of 4 KiB. */
struct walk {
    uint64_t at, end; /* the next page to look at */
    uint64_t *entry;  /* of the page before, in a table of small pages; else NULL */
};

/* The next entry, and in *gpa its address; NULL: no more. */
static uint64_t *next_small(const struct ept *ept, struct walk *walk, uint64_t *gpa)
{
    while (walk->at < walk->end) {
        unsigned level = 1;
        /* The next one of the same table, of which there may be many, or the way down. */
        if (walk->entry != NULL && ept_index(walk->at, 1) != 0) {
            walk->entry++;
        } else {
            level = ept_find(ept, walk->at, &walk->entry);
        }
        *gpa = align_down(walk->at, ept_level_size(level));
        walk->at = *gpa + ept_level_size(level);
        uint64_t *entry = walk->entry;
        walk->entry = level == 1 ? entry : NULL;
        if (level == 1 && ept_is_present(*entry)) {
            return entry;
        }
    }
    return NULL;
}

status_t ept_dirty_split(struct ept *ept, uint64_t gpa, uint64_t size)
{
    status_t status = STATUS_OK;

    for (uint64_t at = gpa; at < gpa + size && status == STATUS_OK;) {
        uint64_t *entry;
        unsigned level = ept_find(ept, at, &entry);
        if (level > 1 && ept_is_present(*entry)) {
            status = ept_split(ept, entry, level);
        } else {
            at = align_down(at, ept_level_size(level)) + ept_level_size(level);
        }
    }
    return status;
}

/* Whether the page was written to; if so, the next write is noted again. */
static bool take(const struct ept *ept, uint64_t *entry)
{
    if (ept->accessed_dirty) {
        /* CPUs set flags of it at any time. */
        return (*entry & ENTRY_DIRTY) != 0 &&
               (__atomic_fetch_and(entry, ~ENTRY_DIRTY, __ATOMIC_SEQ_CST) & ENTRY_DIRTY) != 0;
    }
    if ((*entry & EPT_WRITE) == 0) {
        return false;
    }
    ept_store(entry, (*entry & ~EPT_WRITE) | ENTRY_GUARDED);
    return true;
}

uint64_t ept_dirty_harvest(struct ept *ept, uint64_t gpa, uint64_t size, uint64_t *bitmap)
{
    struct walk walk = {gpa, gpa + size, NULL};
    uint64_t at = 0, count = 0;

    for (uint64_t *entry; (entry = next_small(ept, &walk, &at)) != NULL;) {
        if (take(ept, entry)) {
            uint64_t page = (at - gpa) / PAGE_SIZE;
            bitmap[page / 64] |= BIT(page % 64);
            count++;
        }
    }
    if (count != 0) {
        ept->ops->changed(ept->context);
    }
    return count;
}

void ept_dirty_rearm(struct ept *ept, uint64_t gpa)
{
    uint64_t *entry;

    if (ept_find(ept, gpa, &entry) == 1 && ept_is_present(*entry)) {
        (void)take(ept, entry);
    }
}

/* Gives the right to write back, if the page is guarded. */
static void release(uint64_t *entry)
{
    if ((*entry & ENTRY_GUARDED) != 0) {
        ept_store(entry, (*entry & ~ENTRY_GUARDED) | EPT_WRITE);
    }
}

bool ept_dirty_write(struct ept *ept, uint64_t gpa)
{
    uint64_t *entry;

    if (gpa >= GPA_LIMIT) {
        return false;
    }
    (void)ept_find(ept, gpa, &entry);
    release(entry);
    return (*entry & EPT_WRITE) != 0;
}

/* Whether the entries of a table of `level` are what one large page would be split into; then that
 * is in `*large`. */
static bool is_whole(const uint64_t *table, unsigned level, uint64_t *large)
{
    const uint64_t ignored = ENTRY_ACCESSED | ENTRY_DIRTY;
    uint64_t first = table[0] & ~ignored;

    if (!ept_is_present(first) || !ept_is_leaf(first, level) ||
        !is_aligned(first & ENTRY_ADDRESS, ept_level_size(level + 1))) {
        return false;
    }
    for (unsigned i = 1; i < ENTRIES; i++) {
        if ((table[i] & ~ignored) != first + i * ept_level_size(level)) {
            return false;
        }
    }
    *large = first | ENTRY_LARGE;
    return true;
}

struct leftover {
    void **tables;
    uint32_t count, max;
};

/* Joins what is below `entry` of `level`, and then the entry itself if it can be one page. */
static void join(struct ept *ept, uint64_t *entry, unsigned level, struct leftover *left)
{
    uint64_t large = 0;

    if (!ept_has_own_table(*entry, level) || left->count == left->max) {
        return;
    }
    uint64_t *table = ept_table_of(ept, *entry);
    for (unsigned i = 0; level > 2 && i < ENTRIES; i++) {
        join(ept, &table[i], level - 1, left);
    }
    if (level <= ept->largest_level && left->count < left->max &&
        is_whole(table, level - 1, &large)) {
        ept_store(entry, large);
        left->tables[left->count++] = table;
    }
}

uint32_t ept_dirty_end(struct ept *ept, uint64_t gpa, uint64_t size, void **tables, uint32_t max)
{
    struct leftover left = {tables, 0, max};
    struct walk walk = {gpa, gpa + size, NULL};
    uint64_t at = 0;

    for (uint64_t *entry; (entry = next_small(ept, &walk, &at)) != NULL;) {
        release(entry);
    }
    for (uint64_t top = align_down(gpa, ept_level_size(3)); top < gpa + size;
         top += ept_level_size(3)) {
        uint64_t root = ept->root[ept_index(top, 4)];
        if (ept_has_own_table(root, 4)) {
            join(ept, &ept_table_of(ept, root)[ept_index(top, 3)], 3, &left);
        }
    }
    if (left.count != 0) {
        ept->ops->changed(ept->context);
    }
    return left.count;
}

void ept_dirty_free(struct ept *ept, void *const *tables, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        ept_drop_table(ept, tables[i]);
    }
}
