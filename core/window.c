/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/window.h"

#include "abi/fdb.h"
#include "core/link.h"
#include "lib/bits.h"
#include "lib/log.h"

/* The hierarchy that has the window; NULL while there is none. */
static struct ept *hierarchy(const struct port *port)
{
    if (!port->gated) {
        return &port->vm->ept;
    }
    return port->view != 0 ? views_ept(&port->vm->views, port->view) : NULL;
}

/* A guest may do it for ever: told once. */
static void tell_unmappable(struct port *port, unsigned bar, uint64_t gpa, status_t status)
{
    if (port->unmappable++ == 0) {
        log_warning("%s: %s: BAR %u at 0x%llx cannot be mapped: %s", port->vm->config->name,
                    port->name, bar, (unsigned long long)gpa, status_name(status));
    }
}

/* Whether the second half shows anything now. */
static bool shows_others(const struct port *port)
{
    return port->link == NULL || atomic_load(&port_peer(port)->granted);
}

static status_t map_others(struct port *port, struct ept *ept)
{
    uint64_t size = port->section / port->pieces;
    status_t status = STATUS_OK;

    for (uint32_t i = 0; i < port->pieces && status == STATUS_OK && shows_others(port); i++) {
        if (port->others[i] != NULL) {
            status = ept_map(ept, port->window_at + port->section + i * size,
                             (uint64_t)port->others[i], size, EPT_READ, EPT_WRITE_BACK);
        }
    }
    return status;
}

/* The own section writable, those of others not; none can be executed. All, or nothing. Nothing
 * else is mapped where the window is. */
static status_t map_sections(struct port *port, struct ept *ept)
{
    status_t status = ept_map(ept, port->window_at, (uint64_t)port->own, port->section,
                              EPT_READ | EPT_WRITE, EPT_WRITE_BACK);

    if (status == STATUS_OK) {
        status = map_others(port, ept);
        if (status != STATUS_OK) {
            /* Pieces were mapped whole: nothing is to be split, which alone could fail. */
            (void)!ept_unmap(ept, port->window_at, 2 * port->section);
        }
    }
    return status;
}

static void unmap(struct port *port)
{
    struct ept *ept = hierarchy(port);

    if (port->mapped && ept_unmap(ept, port->window_at, 2 * port->section) != STATUS_OK) {
        /* It was mapped whole, in pages that lie within it: nothing is to be split. */
        log_error("%s: a window cannot be unmapped", port->vm->config->name);
    }
    port->mapped = false;
}

/* Where a BAR shows memory, and in which hierarchy. */
struct place {
    const struct ept *ept;
    uint64_t at, size; /* at 0: nowhere */
};

static struct place place_of(const struct port *port, unsigned bar)
{
    if (bar == POSTERN_BAR_WINDOW) {
        return (struct place){hierarchy(port), port->window_at, 2 * port->section};
    }
    if (port->fdb != NULL) {
        return (struct place){&port->vm->ept, port->bar4_at, POSTERN_FDB_SIZE};
    }
    return (struct place){hierarchy(port), port->bar4_at, port->pool.count * PAGE_SIZE};
}

static bool overlap(const struct place *one, const struct place *other)
{
    return one->ept == other->ept && one->at != 0 && other->at != 0 &&
           one->at < other->at + other->size && other->at < one->at + one->size;
}

/* Whether another BAR of the VM shows something where this one is. What would be mapped there could
 * not be told from it later. */
static bool is_taken(const struct port *port, unsigned bar)
{
    static const unsigned bars[] = {POSTERN_BAR_WINDOW, POSTERN_BAR_FDB};
    const struct vm *vm = port->vm;
    struct place own = place_of(port, bar);

    for (uint32_t i = 0; i < vm->port_count * ARRAY_SIZE(bars); i++) {
        const struct port *other = vm->ports[i / ARRAY_SIZE(bars)];
        unsigned which = bars[i % ARRAY_SIZE(bars)];
        struct place place = place_of(other, which);
        if ((other != port || which != bar) && overlap(&own, &place)) {
            return true;
        }
    }
    return false;
}

static void map(struct port *port)
{
    struct ept *ept = hierarchy(port);

    if (ept == NULL || port->window_at == 0) {
        return;
    }
    status_t status = is_taken(port, POSTERN_BAR_WINDOW) ? STATUS_EXISTS : map_sections(port, ept);
    port->mapped = status == STATUS_OK;
    if (!port->mapped) {
        tell_unmappable(port, POSTERN_BAR_WINDOW, port->window_at, status);
    }
}

/* Accesses that the default view does not allow there may be told by #VE. */
static void set_convertible(struct port *port, uint64_t gpa, uint64_t size, bool convertible)
{
    if (gpa != 0 && ept_set_convertible(&port->vm->ept, gpa, size, convertible) != STATUS_OK &&
        port->inconvertible++ == 0) {
        log_warning("%s: %s: no table for #VE: its violations exit", port->vm->config->name,
                    port->name);
    }
}

void window_move(struct port *port, uint64_t gpa)
{
    unmap(port);
    set_convertible(port, port->window_at, 2 * port->section, false);
    port->window_at = gpa;
    map(port);
    set_convertible(port, port->window_at, 2 * port->section, true);
}

void window_move_fdb(struct port *port, uint64_t gpa)
{
    struct ept *ept = &port->vm->ept;
    uint64_t permissions = port->fdb_writable ? EPT_READ | EPT_WRITE : EPT_READ;

    if (port->fdb_mapped && ept_unmap(ept, port->bar4_at, POSTERN_FDB_SIZE) != STATUS_OK) {
        log_error("%s: a forwarding database cannot be unmapped", port->vm->config->name);
    }
    set_convertible(port, port->bar4_at, POSTERN_FDB_SIZE, false);
    port->bar4_at = gpa;
    port->fdb_mapped = false;
    if (gpa != 0) {
        status_t status = is_taken(port, POSTERN_BAR_FDB)
                              ? STATUS_EXISTS
                              : ept_map(ept, gpa, (uint64_t)port->fdb, POSTERN_FDB_SIZE,
                                        permissions, EPT_WRITE_BACK);
        port->fdb_mapped = status == STATUS_OK;
        if (!port->fdb_mapped) {
            tell_unmappable(port, POSTERN_BAR_FDB, gpa, status);
        }
        set_convertible(port, gpa, POSTERN_FDB_SIZE, true);
    }
}

static void map_pool(struct port *port)
{
    struct ept *ept = hierarchy(port);

    if (ept == NULL || port->bar4_at == 0 || port->pool.count == 0) {
        return;
    }
    status_t status = is_taken(port, POSTERN_BAR_POOL)
                          ? STATUS_EXISTS
                          : page_pool_show(&port->pool, ept, port->bar4_at);
    if (status != STATUS_OK) {
        tell_unmappable(port, POSTERN_BAR_POOL, port->bar4_at, status);
    }
}

void window_move_pool(struct port *port, uint64_t gpa)
{
    uint64_t size = port->pool.count * PAGE_SIZE;

    page_pool_hide(&port->pool);
    set_convertible(port, port->bar4_at, size, false);
    port->bar4_at = gpa;
    map_pool(port);
    set_convertible(port, port->bar4_at, size, true);
}

void window_set_gated(struct port *port, bool gated)
{
    uint64_t at = port->window_at;

    window_move(port, 0);
    port->gated = gated;
    if (!gated) {
        atomic_store(&port_peer(port)->granted, true);
    }
    window_move(port, at);
}

/* The view exists. */
static void take_view(struct port *port, uint32_t view)
{
    port->view = view;
    port->view_pointer = ept_pointer(views_ept(&port->vm->views, view));
    if (port->gated) {
        map(port);
    }
}

status_t window_make_view(struct port *port, uint32_t *view)
{
    if (!port->gated) {
        return STATUS_UNSUPPORTED;
    }
    if (port->view == 0) {
        status_t status = views_create(&port->vm->views, view);
        if (status != STATUS_OK) {
            return status;
        }
        take_view(port, *view);
    }
    if (port->pool.ept == NULL) {
        map_pool(port);
    }
    *view = port->view;
    return STATUS_OK;
}

status_t window_restore_view(struct port *port, uint32_t view)
{
    status_t status = views_create_as(&port->vm->views, view);

    if (status == STATUS_OK) {
        take_view(port, view);
    }
    return status;
}

status_t window_show_in(struct port *port, struct ept *ept)
{
    if (!port->gated || port->window_at == 0) {
        return STATUS_UNSUPPORTED;
    }
    return map_sections(port, ept);
}

void window_remove_views(struct vm *vm)
{
    for (uint32_t i = 0; i < vm->port_count; i++) {
        struct port *port = vm->ports[i];
        if (port->view != 0) {
            port->view = 0;
            port->view_pointer = 0;
            port->mapped = false;
            page_pool_hidden(&port->pool);
        }
    }
    views_remove_all(&vm->views);
}

status_t window_grant(struct port *port, bool granted)
{
    struct port *peer = port_peer(port);
    struct ept *ept;

    /* Under the lock, so that of two that revoke neither returns before it is done. */
    spin_lock(&peer->vm->lock);
    if (!peer->gated) {
        spin_unlock(&peer->vm->lock);
        return STATUS_UNSUPPORTED;
    }
    if (!granted && atomic_load(&port->granted) && !port_may_revoke(port)) {
        spin_unlock(&peer->vm->lock);
        return STATUS_BUSY;
    }
    bool changes = atomic_exchange(&port->granted, granted) != granted;
    ept = hierarchy(peer);
    if (!changes || !peer->mapped) {
        /* Mapped as it now is when the peer has a place for it. */
    } else if (granted) {
        status_t status = map_others(peer, ept);
        if (status != STATUS_OK && status != STATUS_EXISTS) {
            tell_unmappable(peer, POSTERN_BAR_WINDOW, peer->window_at, status);
        }
    } else {
        uint64_t at = peer->window_at + peer->section;
        if (ept_unmap(ept, at, peer->section) != STATUS_OK) {
            log_error("%s: a section cannot be unmapped", peer->vm->config->name);
        }
    }
    spin_unlock(&peer->vm->lock);
    return STATUS_OK;
}
