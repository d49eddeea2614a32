/* SPDX-License-Identifier: BSD-2-Clause */
/* What ept.c and dirty.c share: the entries' bits, and ways to them. Nobody else includes this. */
#ifndef POSTERN_EPT_EPT_PARTS_H
#define POSTERN_EPT_EPT_PARTS_H

#include "ept/ept.h"

#define LEVELS            4u
#define ENTRIES           512u
#define ENTRY_PERMISSIONS (EPT_READ | EPT_WRITE | EPT_EXECUTE)
#define ENTRY_TYPE_SHIFT  3u
#define ENTRY_LARGE       BIT(7)
#define ENTRY_ADDRESS     MASK(51, 12)
#define ENTRY_BORROWED    BIT(52) /* ignored by the CPU: the table belongs to another hierarchy */
#define ENTRY_SUPPRESS_VE BIT(63) /* by default no violation becomes a #VE */
#define ENTRY_ACCESSED    BIT(8)
#define ENTRY_DIRTY       BIT(9)
#define ENTRY_GUARDED     BIT(53) /* ignored by the CPU: writable, once the first write is noted */
/* What is of the page that an entry maps, and not of its place. */
#define ENTRY_OF_PAGE \
    (ENTRY_ADDRESS | ENTRY_PERMISSIONS | ENTRY_ACCESSED | ENTRY_DIRTY | ENTRY_GUARDED)
#define GPA_LIMIT      BIT(48)
#define POINTER_WALK_4 (3ull << 3)
#define POINTER_AD     BIT(6)

static inline uint64_t ept_level_size(unsigned level)
{
    return PAGE_SIZE << (9 * (level - 1));
}

static inline unsigned ept_index(uint64_t gpa, unsigned level)
{
    return (unsigned)(gpa >> (12 + 9 * (level - 1))) % ENTRIES;
}

static inline bool ept_is_present(uint64_t entry)
{
    return (entry & ENTRY_PERMISSIONS) != 0;
}

static inline bool ept_is_leaf(uint64_t entry, unsigned level)
{
    return level == 1 || (entry & ENTRY_LARGE) != 0;
}

/* A table below `entry` that is this hierarchy's own. */
static inline bool ept_has_own_table(uint64_t entry, unsigned level)
{
    return ept_is_present(entry) && !ept_is_leaf(entry, level) && (entry & ENTRY_BORROWED) == 0;
}

static inline void ept_store(uint64_t *entry, uint64_t value)
{
    /* Release: a table is complete before it is linked. Partner: the CPU's page walk. */
    __atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

static inline uint64_t *ept_table_of(const struct ept *ept, uint64_t entry)
{
    return ept->ops->to_virtual(ept->context, entry & ENTRY_ADDRESS);
}

/* Finds the deepest entry for `gpa`; returns its level. */
unsigned ept_find(const struct ept *ept, uint64_t gpa, uint64_t **entry);

/* Replaces the large page in `entry` of `level` by a table of smaller ones that translate alike.
 * STATUS_NO_MEMORY: it stays. */
status_t ept_split(struct ept *ept, uint64_t *entry, unsigned level) MUST_CHECK;

/* Gives back a table that is linked nowhere. */
void ept_drop_table(struct ept *ept, uint64_t *table);

#endif
