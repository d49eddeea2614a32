/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/pool.h"

#include "core/dirty.h"
#include "core/link.h"
#include "lib/bits.h"

/* The ends of a link have pools of one size. */
static bool has_pool(const struct port *port)
{
    return port->pool.count != 0;
}

status_t pool_give(struct port *port, uint64_t slot, uint64_t gpa, bool writable)
{
    if (!has_pool(port)) {
        return STATUS_UNSUPPORTED;
    }
    struct port *peer = port_peer(port);
    /* The RAM's own page, whatever of the gate may be placed there. */
    void *page = is_aligned(gpa, PAGE_SIZE) ? vm_memory(port->vm, gpa, PAGE_SIZE) : NULL;

    if (page == NULL) {
        return STATUS_INVALID;
    }
    spin_lock(&peer->vm->lock);
    status_t status = page_pool_give(&peer->pool, slot, (uint64_t)page,
                                     writable ? EPT_READ | EPT_WRITE : EPT_READ);
    spin_unlock(&peer->vm->lock);
    return status;
}

/* The peer may have written to what it loses now; `slot` may be POSTERN_POOL_ALL. */
static void note_taken(struct vm *vm, const struct page_pool *pool, uint64_t slot)
{
    for (uint32_t i = 0; i < pool->count; i++) {
        if ((i == slot || slot == POSTERN_POOL_ALL) && (pool->slots[i] & EPT_WRITE) != 0) {
            dirty_note(vm, (const void *)align_down(pool->slots[i], PAGE_SIZE), PAGE_SIZE);
        }
    }
}

status_t pool_take(struct port *port, uint64_t slot)
{
    bool all = slot == POSTERN_POOL_ALL;
    status_t status = STATUS_OK;

    if (!has_pool(port)) {
        return STATUS_UNSUPPORTED;
    }
    struct page_pool *pool = &port_peer(port)->pool;
    if (!all && slot >= pool->count) {
        return STATUS_INVALID;
    }
    spin_lock(&port_peer(port)->vm->lock);
    if (all ? pool->given == 0 : !page_pool_has(pool, slot)) {
        /* As it is to be. */
    } else if (!port_may_revoke(port)) {
        status = STATUS_BUSY;
    } else {
        note_taken(port->vm, pool, slot);
        if (all) {
            page_pool_take_all(pool);
        } else {
            page_pool_take(pool, slot);
        }
    }
    spin_unlock(&port_peer(port)->vm->lock);
    return status;
}

void pool_take_all(struct vm *vm)
{
    for (uint32_t i = 0; i < vm->port_count; i++) {
        const struct port *port = vm->ports[i];
        if (has_pool(port)) {
            struct port *peer = port_peer(port);
            spin_lock(&peer->vm->lock);
            note_taken(vm, &peer->pool, POSTERN_POOL_ALL);
            page_pool_take_all(&peer->pool);
            spin_unlock(&peer->vm->lock);
            vm_wait_flushed(peer->vm);
        }
    }
}

uint32_t pool_given(struct port *port)
{
    if (!has_pool(port)) {
        return 0;
    }
    struct port *peer = port_peer(port);
    spin_lock(&peer->vm->lock);
    uint32_t given = peer->pool.given;
    spin_unlock(&peer->vm->lock);
    return given;
}
