/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmfunc/page_pool.h"

#include "lib/bits.h"

status_t page_pool_give(struct page_pool *pool, uint64_t slot, uint64_t address,
                        uint64_t permissions)
{
    uint64_t page = address | permissions;

    if (slot >= pool->count || !is_aligned(address, PAGE_SIZE) ||
        (permissions | EPT_WRITE) != (EPT_READ | EPT_WRITE)) {
        return STATUS_INVALID;
    }
    if (pool->slots[slot] != 0) {
        return pool->slots[slot] == page ? STATUS_OK : STATUS_EXISTS;
    }
    status_t status = STATUS_OK;
    if (pool->ept != NULL) {
        status = ept_map_pages(pool->ept, pool->at + slot * PAGE_SIZE, &page, 1);
    }
    if (status == STATUS_OK) {
        pool->slots[slot] = page;
        pool->given++;
    }
    return status;
}

bool page_pool_has(const struct page_pool *pool, uint64_t slot)
{
    return slot < pool->count && pool->slots[slot] != 0;
}

static void unmap(struct page_pool *pool, uint64_t slot, uint64_t count)
{
    if (pool->ept != NULL) {
        /* Its pages are small ones: nothing is to be split, which alone could fail. */
        (void)!ept_unmap(pool->ept, pool->at + slot * PAGE_SIZE, count * PAGE_SIZE);
    }
}

void page_pool_take(struct page_pool *pool, uint64_t slot)
{
    if (page_pool_has(pool, slot)) {
        unmap(pool, slot, 1);
        pool->slots[slot] = 0;
        pool->given--;
    }
}

void page_pool_take_all(struct page_pool *pool)
{
    if (pool->given == 0) {
        return;
    }
    unmap(pool, 0, pool->count);
    for (uint32_t slot = 0; slot < pool->count; slot++) {
        pool->slots[slot] = 0;
    }
    pool->given = 0;
}

status_t page_pool_show(struct page_pool *pool, struct ept *ept, uint64_t gpa)
{
    status_t status = ept_map_pages(ept, gpa, pool->slots, pool->count);

    if (status == STATUS_OK) {
        pool->ept = ept;
        pool->at = gpa;
    }
    return status;
}

void page_pool_hide(struct page_pool *pool)
{
    unmap(pool, 0, pool->count);
    page_pool_hidden(pool);
}

void page_pool_hidden(struct page_pool *pool)
{
    pool->ept = NULL;
}
