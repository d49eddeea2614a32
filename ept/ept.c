/* SPDX-License-Identifier: BSD-2-Clause */
#include "ept/ept.h"

#define LEVELS            4u
#define ENTRIES           512u
#define ENTRY_PERMISSIONS (EPT_READ | EPT_WRITE | EPT_EXECUTE)
#define ENTRY_TYPE_SHIFT  3u
#define ENTRY_LARGE       BIT(7)
#define ENTRY_ADDRESS     MASK(51, 12)
#define ENTRY_BORROWED    BIT(52) /* ignored by the CPU: the table belongs to another hierarchy */
#define ENTRY_SUPPRESS_VE BIT(63) /* by default no violation becomes a #VE */
#define ENTRY_USED        MASK(9, 8) /* accessed and dirty */
#define GPA_LIMIT         BIT(48)
#define POINTER_WALK_4    (3ull << 3)
#define POINTER_AD        BIT(6)

static uint64_t level_size(unsigned level)
{
    return PAGE_SIZE << (9 * (level - 1));
}

static unsigned index_of(uint64_t gpa, unsigned level)
{
    return (unsigned)(gpa >> (12 + 9 * (level - 1))) % ENTRIES;
}

static bool is_present(uint64_t entry)
{
    return (entry & ENTRY_PERMISSIONS) != 0;
}

static bool is_leaf(uint64_t entry, unsigned level)
{
    return level == 1 || (entry & ENTRY_LARGE) != 0;
}

/* A table below `entry` that is this hierarchy's own. */
static bool has_own_table(uint64_t entry, unsigned level)
{
    return is_present(entry) && !is_leaf(entry, level) && (entry & ENTRY_BORROWED) == 0;
}

static void store(uint64_t *entry, uint64_t value)
{
    /* Release: a table is complete before it is linked. Partner: the CPU's page walk. */
    __atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

/* A table without translations; `absent` is the entry that it is to take the place of, or 0. */
static uint64_t *new_table(struct ept *ept, uint64_t absent)
{
    uint64_t *table = ept->ops->alloc_page(ept->context);

    if (table != NULL) {
        for (unsigned i = 0; i < ENTRIES; i++) {
            table[i] = absent & ENTRY_SUPPRESS_VE;
        }
        ept->pages++;
    }
    return table;
}

static void drop_table(struct ept *ept, uint64_t *table)
{
    ept->ops->free_page(ept->context, table);
    ept->pages--;
}

static uint64_t *table_of(const struct ept *ept, uint64_t entry)
{
    return ept->ops->to_virtual(ept->context, entry & ENTRY_ADDRESS);
}

static uint64_t table_entry(const struct ept *ept, uint64_t *table)
{
    return ept->ops->to_physical(ept->context, table) | ENTRY_PERMISSIONS | ENTRY_SUPPRESS_VE;
}

status_t ept_init(struct ept *ept, const struct ept_ops *ops, void *context, bool pages_1g,
                  bool accessed_dirty)
{
    *ept = (struct ept){
        .ops = ops,
        .context = context,
        .largest_level = pages_1g ? 3 : 2,
        .accessed_dirty = accessed_dirty,
    };
    ept->root = new_table(ept, ENTRY_SUPPRESS_VE);
    return ept->root != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

static void destroy_level(struct ept *ept, uint64_t *table, unsigned level)
{
    for (unsigned i = 0; level > 1 && i < ENTRIES; i++) {
        if (has_own_table(table[i], level)) {
            destroy_level(ept, table_of(ept, table[i]), level - 1);
        }
    }
    drop_table(ept, table);
}

void ept_destroy(struct ept *ept)
{
    destroy_level(ept, ept->root, LEVELS);
    ept->root = NULL;
}

/* True if nothing is left in `table`. */
static bool reclaim_level(struct ept *ept, uint64_t *table, unsigned level)
{
    bool empty = true;

    for (unsigned i = 0; i < ENTRIES; i++) {
        if (!is_present(table[i])) {
            continue;
        }
        if (has_own_table(table[i], level) &&
            reclaim_level(ept, table_of(ept, table[i]), level - 1)) {
            uint64_t *child = table_of(ept, table[i]);
            store(&table[i], ENTRY_SUPPRESS_VE);
            drop_table(ept, child);
        } else {
            empty = false;
        }
    }
    return empty;
}

void ept_reclaim(struct ept *ept)
{
    (void)reclaim_level(ept, ept->root, LEVELS);
}

/* Replaces the large page in `entry` of `level` by a table of smaller ones that translate alike. */
static status_t split(struct ept *ept, uint64_t *entry, unsigned level)
{
    uint64_t *table = new_table(ept, *entry);
    uint64_t leaf = level == 2 ? *entry & ~ENTRY_LARGE : *entry;

    if (table == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (unsigned i = 0; i < ENTRIES; i++) {
        table[i] = leaf + i * level_size(level - 1);
    }
    store(entry, table_entry(ept, table));
    return STATUS_OK;
}

/* The entry of `level` for `gpa`, with tables made and large pages split on the way. */
static status_t reach(struct ept *ept, uint64_t gpa, unsigned level, uint64_t **entry)
{
    uint64_t *table = ept->root;

    for (unsigned at = LEVELS; at > level; at--) {
        uint64_t *e = &table[index_of(gpa, at)];
        if (!is_present(*e)) {
            uint64_t *below = new_table(ept, *e);
            if (below == NULL) {
                return STATUS_NO_MEMORY;
            }
            store(e, table_entry(ept, below));
        } else if ((*e & ENTRY_BORROWED) != 0) {
            return STATUS_DENIED;
        } else if (is_leaf(*e, at)) {
            status_t status = split(ept, e, at);
            if (status != STATUS_OK) {
                return status;
            }
        }
        table = table_of(ept, *e);
    }
    *entry = &table[index_of(gpa, level)];
    return STATUS_OK;
}

/* Finds the deepest entry for `gpa`; returns its level. */
static unsigned find(const struct ept *ept, uint64_t gpa, uint64_t **entry)
{
    uint64_t *table = ept->root;

    for (unsigned level = LEVELS;; level--) {
        *entry = &table[index_of(gpa, level)];
        if (!is_present(**entry) || is_leaf(**entry, level)) {
            return level;
        }
        table = table_of(ept, **entry);
    }
}

static uint64_t *deepest(const struct ept *ept, uint64_t gpa)
{
    uint64_t *entry;

    (void)find(ept, gpa, &entry);
    return entry;
}

static bool bad_range(uint64_t gpa, uint64_t size)
{
    return !is_aligned(gpa | size, PAGE_SIZE) || size == 0 ||
           !range_within(gpa, size, 0, GPA_LIMIT);
}

static bool bad_permissions(uint64_t permissions)
{
    /* Writable and not readable is a misconfiguration. */
    return (permissions & ~ENTRY_PERMISSIONS) != 0 || permissions == 0 ||
           (permissions & (EPT_READ | EPT_WRITE)) == EPT_WRITE;
}

static bool any_mapped(const struct ept *ept, uint64_t gpa, uint64_t size)
{
    for (uint64_t at = gpa; at < gpa + size;) {
        uint64_t *entry;
        unsigned level = find(ept, at, &entry);
        if (is_present(*entry)) {
            return true;
        }
        at = align_down(at, level_size(level)) + level_size(level);
    }
    return false;
}

/* Whether a part of the range is another hierarchy's to change. */
static bool any_borrowed(const struct ept *ept, uint64_t gpa, uint64_t size)
{
    for (uint64_t at = align_down(gpa, level_size(3)); at < gpa + size; at += level_size(3)) {
        uint64_t top = ept->root[index_of(at, 4)];
        if (is_present(top) && (table_of(ept, top)[index_of(at, 3)] & ENTRY_BORROWED) != 0) {
            return true;
        }
    }
    return false;
}

static status_t map_page(struct ept *ept, uint64_t gpa, unsigned level, uint64_t leaf)
{
    uint64_t *entry;
    status_t status = reach(ept, gpa, level, &entry);

    /* An empty table where the large page is to go: it was left by an unmapping. */
    if (status == STATUS_OK && is_present(*entry) && !is_leaf(*entry, level)) {
        return STATUS_BUSY;
    }
    if (status == STATUS_OK) {
        store(entry, leaf | (level > 1 ? ENTRY_LARGE : 0));
    }
    return status;
}

/* Sets every mapped page of the range to `permissions`, or takes it out if they are 0. */
static status_t change(struct ept *ept, uint64_t gpa, uint64_t size, uint64_t permissions)
{
    uint64_t end = gpa + size;
    status_t status = STATUS_OK;
    bool weaker = false;

    for (uint64_t at = gpa; at < end && status == STATUS_OK;) {
        uint64_t *entry;
        unsigned level = find(ept, at, &entry);
        uint64_t page = level_size(level);
        uint64_t base = align_down(at, page);
        if (!is_present(*entry)) {
            at = base + page;
        } else if (base < at || end - base < page) {
            status = split(ept, entry, level);
        } else {
            uint64_t old = *entry & ENTRY_PERMISSIONS;
            uint64_t kept = permissions == 0 ? ENTRY_SUPPRESS_VE : *entry & ~ENTRY_PERMISSIONS;
            weaker = weaker || (old & ~permissions) != 0;
            store(entry, kept | permissions);
            at = base + page;
        }
    }
    if (weaker) {
        ept->ops->changed(ept->context);
    }
    return status;
}

status_t ept_map(struct ept *ept, uint64_t gpa, uint64_t address, uint64_t size,
                 uint64_t permissions, enum ept_memory_type type)
{
    if (bad_range(gpa, size) || bad_permissions(permissions) || (address & ~ENTRY_ADDRESS) != 0 ||
        address + size < address || ((address + size - 1) & ~MASK(51, 0)) != 0) {
        return STATUS_INVALID;
    }
    if (any_mapped(ept, gpa, size)) {
        return STATUS_EXISTS;
    }
    uint64_t flags = permissions | (uint64_t)type << ENTRY_TYPE_SHIFT | ENTRY_SUPPRESS_VE;
    unsigned level = ept->largest_level;
    for (uint64_t done = 0; done < size;) {
        while (level > 1 && (!is_aligned((gpa + done) | (address + done), level_size(level)) ||
                             size - done < level_size(level))) {
            level--;
        }
        status_t status = map_page(ept, gpa + done, level, (address + done) | flags);
        if (status == STATUS_BUSY) {
            level--;
            continue;
        }
        if (status != STATUS_OK) {
            /* What was mapped so far is whole pages: no split, so this cannot fail. */
            return done > 0 && change(ept, gpa, done, 0) != STATUS_OK ? STATUS_BUSY : status;
        }
        done += level_size(level);
        level = ept->largest_level;
    }
    return STATUS_OK;
}

status_t ept_unmap(struct ept *ept, uint64_t gpa, uint64_t size)
{
    if (bad_range(gpa, size)) {
        return STATUS_INVALID;
    }
    return any_borrowed(ept, gpa, size) ? STATUS_DENIED : change(ept, gpa, size, 0);
}

status_t ept_protect(struct ept *ept, uint64_t gpa, uint64_t size, uint64_t permissions)
{
    if (bad_range(gpa, size) || bad_permissions(permissions)) {
        return STATUS_INVALID;
    }
    return any_borrowed(ept, gpa, size) ? STATUS_DENIED : change(ept, gpa, size, permissions);
}

status_t ept_replace(struct ept *ept, uint64_t gpa, uint64_t address, uint64_t permissions)
{
    uint64_t *entry;

    if (bad_range(gpa, PAGE_SIZE) || bad_permissions(permissions) ||
        (address & ~ENTRY_ADDRESS) != 0) {
        return STATUS_INVALID;
    }
    if (!is_present(*deepest(ept, gpa))) {
        return STATUS_NOT_FOUND;
    }
    status_t status = reach(ept, gpa, 1, &entry);
    if (status == STATUS_OK) {
        uint64_t kept = *entry & ~(ENTRY_ADDRESS | ENTRY_PERMISSIONS | ENTRY_USED);
        store(entry, kept | address | permissions);
        ept->ops->changed(ept->context);
    }
    return status;
}

/* Sets or clears the suppress bit in every entry of the range, of pages and of holes. */
status_t ept_set_convertible(struct ept *ept, uint64_t gpa, uint64_t size, bool convertible)
{
    uint64_t end = gpa + size;
    status_t status = STATUS_OK;

    if (bad_range(gpa, size)) {
        return STATUS_INVALID;
    }
    if (any_borrowed(ept, gpa, size)) {
        return STATUS_DENIED;
    }
    for (uint64_t at = gpa; at < end && status == STATUS_OK;) {
        uint64_t *entry;
        unsigned level = find(ept, at, &entry);
        uint64_t page = level_size(level);
        uint64_t base = align_down(at, page);
        bool set = (*entry & ENTRY_SUPPRESS_VE) == 0;
        if (set == convertible) {
            at = base + page;
        } else if (base < at || end - base < page) {
            status =
                is_present(*entry) ? split(ept, entry, level) : reach(ept, at, level - 1, &entry);
        } else {
            store(entry, *entry ^ ENTRY_SUPPRESS_VE);
            at = base + page;
        }
    }
    ept->ops->changed(ept->context);
    return status;
}

status_t ept_borrow(struct ept *ept, const struct ept *from, uint64_t gpa)
{
    uint64_t *entry, *lent;

    if (gpa >= GPA_LIMIT || !is_aligned(gpa, level_size(3))) {
        return STATUS_INVALID;
    }
    uint64_t top = from->root[index_of(gpa, 4)];
    if (!is_present(top)) {
        return STATUS_NOT_FOUND;
    }
    lent = &table_of(from, top)[index_of(gpa, 3)];
    if (!has_own_table(*lent, 3)) {
        return is_present(*lent) ? STATUS_UNSUPPORTED : STATUS_NOT_FOUND;
    }
    status_t status = reach(ept, gpa, 3, &entry);
    if (status == STATUS_OK && is_present(*entry)) {
        return STATUS_EXISTS;
    }
    if (status == STATUS_OK) {
        store(entry, *lent | ENTRY_BORROWED);
    }
    return status;
}

status_t ept_walk(const struct ept *ept, uint64_t gpa, struct ept_translation *translation)
{
    uint64_t *entry;

    if (gpa >= GPA_LIMIT) {
        return STATUS_NOT_FOUND;
    }
    uint64_t page = level_size(find(ept, gpa, &entry));
    if (!is_present(*entry)) {
        return STATUS_NOT_FOUND;
    }
    *translation = (struct ept_translation){
        .address = align_down(*entry & ENTRY_ADDRESS, page) + (gpa & (page - 1)),
        .page_size = page,
        .permissions = *entry & ENTRY_PERMISSIONS,
        .type = (enum ept_memory_type)(*entry >> ENTRY_TYPE_SHIFT & 7),
    };
    return STATUS_OK;
}

uint64_t ept_pointer(const struct ept *ept)
{
    return ept->ops->to_physical(ept->context, ept->root) | EPT_WRITE_BACK | POINTER_WALK_4 |
           (ept->accessed_dirty ? POINTER_AD : 0);
}
