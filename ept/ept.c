/* SPDX-License-Identifier: BSD-2-Clause */
#include "ept/ept_parts.h"

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

void ept_drop_table(struct ept *ept, uint64_t *table)
{
    ept->ops->free_page(ept->context, table);
    ept->pages--;
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
        if (ept_has_own_table(table[i], level)) {
            destroy_level(ept, ept_table_of(ept, table[i]), level - 1);
        }
    }
    ept_drop_table(ept, table);
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
        if (!ept_is_present(table[i])) {
            continue;
        }
        if (ept_has_own_table(table[i], level) &&
            reclaim_level(ept, ept_table_of(ept, table[i]), level - 1)) {
            uint64_t *child = ept_table_of(ept, table[i]);
            ept_store(&table[i], ENTRY_SUPPRESS_VE);
            ept_drop_table(ept, child);
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

status_t ept_split(struct ept *ept, uint64_t *entry, unsigned level)
{
    uint64_t *table = new_table(ept, *entry);
    uint64_t leaf = level == 2 ? *entry & ~ENTRY_LARGE : *entry;

    if (table == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (unsigned i = 0; i < ENTRIES; i++) {
        table[i] = leaf + i * ept_level_size(level - 1);
    }
    ept_store(entry, table_entry(ept, table));
    return STATUS_OK;
}

/* The entry of `level` for `gpa`, with tables made and large pages split on the way. */
static status_t reach(struct ept *ept, uint64_t gpa, unsigned level, uint64_t **entry)
{
    uint64_t *table = ept->root;

    for (unsigned at = LEVELS; at > level; at--) {
        uint64_t *e = &table[ept_index(gpa, at)];
        if (!ept_is_present(*e)) {
            uint64_t *below = new_table(ept, *e);
            if (below == NULL) {
                return STATUS_NO_MEMORY;
            }
            ept_store(e, table_entry(ept, below));
        } else if ((*e & ENTRY_BORROWED) != 0) {
            return STATUS_DENIED;
        } else if (ept_is_leaf(*e, at)) {
            status_t status = ept_split(ept, e, at);
            if (status != STATUS_OK) {
                return status;
            }
        }
        table = ept_table_of(ept, *e);
    }
    *entry = &table[ept_index(gpa, level)];
    return STATUS_OK;
}

unsigned ept_find(const struct ept *ept, uint64_t gpa, uint64_t **entry)
{
    uint64_t *table = ept->root;

    for (unsigned level = LEVELS;; level--) {
        *entry = &table[ept_index(gpa, level)];
        if (!ept_is_present(**entry) || ept_is_leaf(**entry, level)) {
            return level;
        }
        table = ept_table_of(ept, **entry);
    }
}

static uint64_t *deepest(const struct ept *ept, uint64_t gpa)
{
    uint64_t *entry;

    (void)ept_find(ept, gpa, &entry);
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
        unsigned level = ept_find(ept, at, &entry);
        if (ept_is_present(*entry)) {
            return true;
        }
        at = align_down(at, ept_level_size(level)) + ept_level_size(level);
    }
    return false;
}

/* Whether a part of the range is another hierarchy's to change. */
static bool any_borrowed(const struct ept *ept, uint64_t gpa, uint64_t size)
{
    for (uint64_t at = align_down(gpa, ept_level_size(3)); at < gpa + size;
         at += ept_level_size(3)) {
        uint64_t top = ept->root[ept_index(at, 4)];
        if (ept_is_present(top) &&
            (ept_table_of(ept, top)[ept_index(at, 3)] & ENTRY_BORROWED) != 0) {
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
    if (status == STATUS_OK && ept_is_present(*entry) && !ept_is_leaf(*entry, level)) {
        return STATUS_BUSY;
    }
    if (status == STATUS_OK) {
        ept_store(entry, leaf | (level > 1 ? ENTRY_LARGE : 0));
    }
    return status;
}

/* Sets every mapped page of the range to `permissions`, or takes it out if they are 0. */
static status_t change(struct ept *ept, uint64_t gpa, uint64_t size, uint64_t permissions)
{
    uint64_t end = gpa + size;
    status_t status = STATUS_OK;
    uint64_t *entry = NULL;
    unsigned level = 0;
    bool weaker = false;

    for (uint64_t at = gpa; at < end && status == STATUS_OK;) {
        /* The next one of a table of small pages, of which there may be many, or the way down. */
        if (level == 1 && ept_index(at, 1) != 0) {
            entry++;
        } else {
            level = ept_find(ept, at, &entry);
        }
        uint64_t page = ept_level_size(level);
        uint64_t base = align_down(at, page);
        if (!ept_is_present(*entry)) {
            at = base + page;
        } else if (base < at || end - base < page) {
            status = ept_split(ept, entry, level);
        } else {
            uint64_t old = *entry & ENTRY_PERMISSIONS;
            uint64_t kept = permissions == 0 ? ENTRY_SUPPRESS_VE
                                             : *entry & ~(ENTRY_PERMISSIONS | ENTRY_GUARDED);
            weaker = weaker || (old & ~permissions) != 0;
            ept_store(entry, kept | permissions);
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
        while (level > 1 && (!is_aligned((gpa + done) | (address + done), ept_level_size(level)) ||
                             size - done < ept_level_size(level))) {
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
        done += ept_level_size(level);
        level = ept->largest_level;
    }
    return STATUS_OK;
}

/* As ept_map_pages(), of one table. */
static status_t map_in_table(struct ept *ept, uint64_t gpa, const uint64_t *pages, uint64_t count)
{
    uint64_t *entry;

    if (ept_is_present(*deepest(ept, gpa))) {
        return STATUS_EXISTS; /* perhaps a large page: it is not to be split */
    }
    status_t status = reach(ept, gpa, 1, &entry);
    for (uint64_t i = 0; i < count && status == STATUS_OK; i++) {
        uint64_t rights = pages[i] & (PAGE_SIZE - 1);
        bool bad = bad_permissions(rights) || (pages[i] & ~(ENTRY_ADDRESS | rights)) != 0;
        if (ept_is_present(entry[i])) {
            status = STATUS_EXISTS;
        } else if (pages[i] != 0 && bad) {
            status = STATUS_INVALID;
        }
    }
    for (uint64_t i = 0; i < count && status == STATUS_OK; i++) {
        if (pages[i] != 0) {
            ept_store(&entry[i], pages[i] | EPT_WRITE_BACK << ENTRY_TYPE_SHIFT | ENTRY_SUPPRESS_VE);
        }
    }
    return status;
}

status_t ept_map_pages(struct ept *ept, uint64_t gpa, const uint64_t *pages, uint64_t count)
{
    if (count > GPA_LIMIT / PAGE_SIZE || bad_range(gpa, count * PAGE_SIZE)) {
        return STATUS_INVALID;
    }
    for (uint64_t done = 0; done < count;) {
        uint64_t left = ENTRIES - ept_index(gpa + done * PAGE_SIZE, 1);
        uint64_t some = left < count - done ? left : count - done;
        status_t status = map_in_table(ept, gpa + done * PAGE_SIZE, pages + done, some);
        if (status != STATUS_OK) {
            /* What was mapped so far is small pages: no split, so this cannot fail. */
            return done > 0 && change(ept, gpa, done * PAGE_SIZE, 0) != STATUS_OK ? STATUS_BUSY
                                                                                  : status;
        }
        done += some;
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
    if (!ept_is_present(*deepest(ept, gpa))) {
        return STATUS_NOT_FOUND;
    }
    status_t status = reach(ept, gpa, 1, &entry);
    if (status == STATUS_OK) {
        uint64_t kept = *entry & ~ENTRY_OF_PAGE;
        ept_store(entry, kept | address | permissions);
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
        unsigned level = ept_find(ept, at, &entry);
        uint64_t page = ept_level_size(level);
        uint64_t base = align_down(at, page);
        bool set = (*entry & ENTRY_SUPPRESS_VE) == 0;
        if (set == convertible) {
            at = base + page;
        } else if (base < at || end - base < page) {
            status = ept_is_present(*entry) ? ept_split(ept, entry, level)
                                            : reach(ept, at, level - 1, &entry);
        } else {
            ept_store(entry, *entry ^ ENTRY_SUPPRESS_VE);
            at = base + page;
        }
    }
    ept->ops->changed(ept->context);
    return status;
}

status_t ept_borrow(struct ept *ept, const struct ept *from, uint64_t gpa)
{
    uint64_t *entry, *lent;

    if (gpa >= GPA_LIMIT || !is_aligned(gpa, ept_level_size(3))) {
        return STATUS_INVALID;
    }
    uint64_t top = from->root[ept_index(gpa, 4)];
    if (!ept_is_present(top)) {
        return STATUS_NOT_FOUND;
    }
    lent = &ept_table_of(from, top)[ept_index(gpa, 3)];
    if (!ept_has_own_table(*lent, 3)) {
        return ept_is_present(*lent) ? STATUS_UNSUPPORTED : STATUS_NOT_FOUND;
    }
    status_t status = reach(ept, gpa, 3, &entry);
    if (status == STATUS_OK && ept_is_present(*entry)) {
        return STATUS_EXISTS;
    }
    if (status == STATUS_OK) {
        ept_store(entry, *lent | ENTRY_BORROWED);
    }
    return status;
}

status_t ept_walk(const struct ept *ept, uint64_t gpa, struct ept_translation *translation)
{
    uint64_t *entry;

    if (gpa >= GPA_LIMIT) {
        return STATUS_NOT_FOUND;
    }
    uint64_t page = ept_level_size(ept_find(ept, gpa, &entry));
    if (!ept_is_present(*entry)) {
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

status_t ept_next(const struct ept *ept, uint64_t *gpa, struct ept_translation *translation)
{
    uint64_t at = *gpa;

    while (at < GPA_LIMIT) {
        uint64_t *entry;
        uint64_t page = ept_level_size(ept_find(ept, at, &entry));
        if (ept_is_present(*entry)) {
            *gpa = at;
            return ept_walk(ept, at, translation);
        }
        at = align_down(at, page) + page;
    }
    return STATUS_NOT_FOUND;
}

void ept_count_sizes(const struct ept *ept, uint64_t gpa, uint64_t size, struct ept_sizes *sizes)
{
    uint64_t *const counts[] = {&sizes->pages_4k, &sizes->pages_2m, &sizes->pages_1g};

    *sizes = (struct ept_sizes){0};
    for (uint64_t at = gpa; at < gpa + size;) {
        uint64_t *entry;
        unsigned level = ept_find(ept, at, &entry);
        if (ept_is_present(*entry)) {
            ++*counts[level - 1];
        }
        at = align_down(at, ept_level_size(level)) + ept_level_size(level);
    }
}

uint64_t ept_pointer(const struct ept *ept)
{
    return ept->ops->to_physical(ept->context, ept->root) | EPT_WRITE_BACK | POINTER_WALK_4 |
           (ept->accessed_dirty ? POINTER_AD : 0);
}
