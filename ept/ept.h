/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Extended page tables: one hierarchy that maps guest-physical to physical addresses (SDM "The
 * Extended Page Table Mechanism"). Pure logic over pages that the caller provides.
 *
 * Callers serialise changes of one hierarchy. CPUs may walk it at any moment: every change is one
 * store of a whole entry, and a split table is complete before it is linked, so that a translation
 * that stays valid is never missing in between.
 */
#ifndef POSTERN_EPT_EPT_H
#define POSTERN_EPT_EPT_H

#include "lib/bits.h"
#include "lib/status.h"

#define EPT_READ    BIT(0)
#define EPT_WRITE   BIT(1)
#define EPT_EXECUTE BIT(2)

enum ept_memory_type { EPT_UNCACHED = 0, EPT_WRITE_BACK = 6 };

struct ept_ops {
    /* A zeroed page, NULL if there is none. */
    void *(*alloc_page)(void *context);
    void (*free_page)(void *context, void *page);
    uint64_t (*to_physical)(void *context, void *page);
    void *(*to_virtual)(void *context, uint64_t address);
    /* A translation that was valid has gone, moved or lost rights: an INVEPT is due before anybody
     * relies on it. Not called when an entry that was not present becomes present. */
    void (*changed)(void *context);
};

struct ept {
    const struct ept_ops *ops;
    void *context;
    uint64_t *root;
    unsigned largest_level; /* of a leaf: 2 for 2 MiB, 3 for 1 GiB */
    bool accessed_dirty;
    unsigned pages; /* tables in use, the root too */
};

struct ept_translation {
    uint64_t address;     /* physical, of the very byte asked for */
    uint64_t page_size;   /* bytes */
    uint64_t permissions; /* EPT_READ ... */
    enum ept_memory_type type;
};

/* Makes an empty hierarchy. STATUS_NO_MEMORY if there is no page for the root. */
status_t ept_init(struct ept *ept, const struct ept_ops *ops, void *context, bool pages_1g,
                  bool accessed_dirty) MUST_CHECK;

/* Gives all tables back. No CPU uses the hierarchy any more. */
void ept_destroy(struct ept *ept);

/* Maps [gpa, gpa + size) to [address, ...), in the largest pages that alignment allows. All are
 * multiples of 4096. STATUS_EXISTS, and no change, if any of it is mapped already; STATUS_INVALID
 * for a range that wraps or is beyond 48 bits, or permissions that an entry cannot have;
 * STATUS_NO_MEMORY, and no mapping of the range, if tables run out. */
status_t ept_map(struct ept *ept, uint64_t gpa, uint64_t address, uint64_t size,
                 uint64_t permissions, enum ept_memory_type type) MUST_CHECK;

/* Maps `count` pages side by side from `gpa` on, write-back: pages[i] is the address of the i-th, a
 * multiple of 4096, with its permissions, or 0 for none. The tables of those are made, too: to map
 * one later takes no memory. Errors as ept_map(), and no mapping of the range. */
status_t ept_map_pages(struct ept *ept, uint64_t gpa, const uint64_t *pages,
                       uint64_t count) MUST_CHECK;

/* Takes [gpa, gpa + size) out; what is not mapped there already stays so. Splits large pages at the
 * edges: STATUS_NO_MEMORY, with the range still mapped at that edge, if there is no table for it.
 */
status_t ept_unmap(struct ept *ept, uint64_t gpa, uint64_t size) MUST_CHECK;

/* Gives what is mapped in [gpa, gpa + size) other permissions. Errors as ept_unmap(). */
status_t ept_protect(struct ept *ept, uint64_t gpa, uint64_t size, uint64_t permissions) MUST_CHECK;

/* Puts another page at `gpa`, where one is mapped, with one store: no translation is missing in
 * between. Splits a large page. STATUS_NOT_FOUND where nothing is mapped; else as ept_protect(). */
status_t ept_replace(struct ept *ept, uint64_t gpa, uint64_t address,
                     uint64_t permissions) MUST_CHECK;

/* Whether violations in [gpa, gpa + size), mapped or not, may become #VE in the guest instead of
 * exits (SDM "Convertible EPT Violations"). By default none may; a range that is unmapped, or
 * tables that are reclaimed, go back to that. STATUS_NO_MEMORY with a part of the range set. */
status_t ept_set_convertible(struct ept *ept, uint64_t gpa, uint64_t size,
                             bool convertible) MUST_CHECK;

/* Has `ept` use the tables of `from` for the gibibyte at `gpa` (a multiple of 1 GiB): what `from`
 * maps there now and later is in both. `ept` cannot change anything there (STATUS_DENIED) and does
 * not give these tables back; `from` must outlive it, and must not reclaim.
 * STATUS_NOT_FOUND if `from` has no table there, STATUS_UNSUPPORTED if it is one page or borrowed,
 * STATUS_EXISTS if `ept` has one. */
status_t ept_borrow(struct ept *ept, const struct ept *from, uint64_t gpa) MUST_CHECK;

/* Gives tables back that map nothing any more. No CPU uses the hierarchy until its translations
 * have been invalidated: CPUs may have cached the way through such a table. */
void ept_reclaim(struct ept *ept);

/* Moves all tables but the root out of the `size` bytes at `pages` into other pages. Nothing
 * borrows from it; no CPU uses the hierarchy until its translations have been invalidated.
 * STATUS_NO_MEMORY with some of them moved: alloc_page() has none, or gives one of these. */
status_t ept_move_tables(struct ept *ept, const void *pages, uint64_t size) MUST_CHECK;

/* The translation of `gpa`, STATUS_NOT_FOUND if there is none. */
status_t ept_walk(const struct ept *ept, uint64_t gpa,
                  struct ept_translation *translation) MUST_CHECK;

/* The first mapped byte at *gpa or above: its address in *gpa, and its translation.
 * STATUS_NOT_FOUND if nothing is mapped from there on. */
status_t ept_next(const struct ept *ept, uint64_t *gpa,
                  struct ept_translation *translation) MUST_CHECK;

/* How many pages of each size map a range. */
struct ept_sizes {
    uint64_t pages_4k, pages_2m, pages_1g;
};

/* Of [gpa, gpa + size), below 48 bits; a page that only reaches into it counts, too. */
void ept_count_sizes(const struct ept *ept, uint64_t gpa, uint64_t size, struct ept_sizes *sizes);

/* The EPT pointer for the VMCS or an EPTP list: write-back, four levels. */
uint64_t ept_pointer(const struct ept *ept);

#endif
