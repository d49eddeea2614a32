/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/window.h"

#include "abi/fdb.h"
#include "arch/x86/cpu.h"
#include "core/link.h"
#include "lib/bits.h"
#include "lib/log.h"

#define REVOCATIONS_PER_SECOND 1000u

/* The hierarchy that has the window; NULL while there is none. */
static struct ept *hierarchy(struct port *port)
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

static bool overlap(uint64_t one, uint64_t one_size, uint64_t other, uint64_t other_size)
{
    return one != 0 && other != 0 && one < other + other_size && other < one + one_size;
}

/* Whether something that BARs of the VM show is in `ept` at [gpa, gpa + size), but for `port`'s own
 * BAR `bar`. What would be mapped there could not be told from it later. */
static bool is_taken(const struct port *port, unsigned bar, const struct ept *ept, uint64_t gpa,
                     uint64_t size)
{
    const struct vm *vm = port->vm;

    for (uint32_t i = 0; i < vm->port_count; i++) {
        struct port *other = vm->ports[i];
        if ((other != port || bar != POSTERN_BAR_WINDOW) && hierarchy(other) == ept &&
            overlap(gpa, size, other->window_at, 2 * other->section)) {
            return true;
        }
        if ((other != port || bar != POSTERN_BAR_FDB) && ept == &vm->ept &&
            overlap(gpa, size, other->fdb_at, POSTERN_FDB_SIZE)) {
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
    status_t status = is_taken(port, POSTERN_BAR_WINDOW, ept, port->window_at, 2 * port->section)
                          ? STATUS_EXISTS
                          : map_sections(port, ept);
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

    if (port->fdb_mapped && ept_unmap(ept, port->fdb_at, POSTERN_FDB_SIZE) != STATUS_OK) {
        log_error("%s: a forwarding database cannot be unmapped", port->vm->config->name);
    }
    set_convertible(port, port->fdb_at, POSTERN_FDB_SIZE, false);
    port->fdb_at = gpa;
    port->fdb_mapped = false;
    if (gpa != 0) {
        status_t status = is_taken(port, POSTERN_BAR_FDB, ept, gpa, POSTERN_FDB_SIZE)
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

status_t window_make_view(struct port *port, uint32_t *view)
{
    if (!port->gated) {
        return STATUS_UNSUPPORTED;
    }
    if (port->view == 0) {
        status_t status = views_create(&port->vm->views, &port->view);
        if (status != STATUS_OK) {
            port->view = 0;
            return status;
        }
        port->view_pointer = ept_pointer(views_ept(&port->vm->views, port->view));
        map(port);
    }
    *view = port->view;
    return STATUS_OK;
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
        }
    }
    views_remove_all(&vm->views);
}

status_t window_grant(struct port *port, bool granted)
{
    struct port *peer = port_peer(port);
    uint64_t now = rdtsc();
    struct ept *ept;

    if (!granted && atomic_load(&port->granted)) {
        if (now < atomic_load(&port->revocable)) {
            return STATUS_BUSY;
        }
        atomic_store(&port->revocable, now + port->vm->cpuid.tsc_hz / REVOCATIONS_PER_SECOND);
    }
    /* Under the lock, so that of two that revoke neither returns before it is done. */
    spin_lock(&peer->vm->lock);
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
