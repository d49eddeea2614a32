/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/window.h"

#include "arch/x86/cpu.h"
#include "lib/bits.h"
#include "lib/log.h"

#define REVOCATIONS_PER_SECOND 1000u

static bool is_gated(const struct port *port)
{
    return port->link->config->mode == CONFIG_LINK_GATED;
}

static uint64_t section_size(const struct port *port)
{
    return port->link->config->window;
}

/* The hierarchy that has the window; NULL while there is none. */
static struct ept *hierarchy(struct port *port)
{
    if (!is_gated(port)) {
        return &port->vm->ept;
    }
    return port->view != 0 ? views_ept(&port->vm->views, port->view) : NULL;
}

/* A guest may do it for ever: told once. */
static void tell_unmappable(struct port *port, status_t status)
{
    if (port->unmappable++ == 0) {
        log_warning("%s: link %s: BAR 2 at 0x%llx cannot be mapped: %s", port->vm->config->name,
                    port->link->config->name, (unsigned long long)port->window_at,
                    status_name(status));
    }
}

static status_t map_peers_section(struct port *port, struct ept *ept)
{
    const uint8_t *section = port->link->sections[1 - port->end];

    if (!atomic_load(&port_peer(port)->granted)) {
        return STATUS_OK;
    }
    return ept_map(ept, port->window_at + section_size(port), (uint64_t)section, section_size(port),
                   EPT_READ, EPT_WRITE_BACK);
}

/* The own section writable, the peer's not; neither can be executed. Both, or nothing. */
static status_t map_sections(struct port *port, struct ept *ept)
{
    const uint8_t *own = port->link->sections[port->end];
    status_t status = ept_map(ept, port->window_at, (uint64_t)own, section_size(port),
                              EPT_READ | EPT_WRITE, EPT_WRITE_BACK);

    if (status != STATUS_OK) {
        return status;
    }
    status = map_peers_section(port, ept);
    if (status != STATUS_OK) {
        /* It was mapped whole: nothing is to be split, which alone could fail. */
        (void)!ept_unmap(ept, port->window_at, section_size(port));
    }
    return status;
}

static void unmap(struct port *port)
{
    struct ept *ept = hierarchy(port);

    if (port->mapped && ept_unmap(ept, port->window_at, 2 * section_size(port)) != STATUS_OK) {
        /* It was mapped whole, in pages that lie within it: nothing is to be split. */
        log_error("%s: a window cannot be unmapped", port->vm->config->name);
    }
    port->mapped = false;
}

/* Whether another window of the VM is in the same hierarchy at the same place. What would be mapped
 * of this one could not be told from it later. */
static bool overlaps_another(struct port *port)
{
    const struct vm *vm = port->vm;
    uint64_t end = port->window_at + 2 * section_size(port);

    for (uint32_t i = 0; i < vm->port_count; i++) {
        struct port *other = vm->ports[i];
        if (other != port && other->window_at != 0 && hierarchy(other) == hierarchy(port) &&
            other->window_at < end &&
            port->window_at < other->window_at + 2 * section_size(other)) {
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
    if (overlaps_another(port)) {
        tell_unmappable(port, STATUS_EXISTS);
        return;
    }
    status_t status = map_sections(port, ept);
    port->mapped = status == STATUS_OK;
    if (!port->mapped) {
        tell_unmappable(port, status);
    }
}

/* Accesses to the window that the default view does not allow may be told by #VE. */
static void set_convertible(struct port *port, bool convertible)
{
    uint64_t size = 2 * section_size(port);

    if (port->window_at != 0 &&
        ept_set_convertible(&port->vm->ept, port->window_at, size, convertible) != STATUS_OK &&
        port->inconvertible++ == 0) {
        log_warning("%s: link %s: no table for #VE: its violations exit", port->vm->config->name,
                    port->link->config->name);
    }
}

void window_move(struct port *port, uint64_t gpa)
{
    unmap(port);
    set_convertible(port, false);
    port->window_at = gpa;
    map(port);
    set_convertible(port, true);
}

status_t window_make_view(struct port *port, uint32_t *view)
{
    if (!is_gated(port)) {
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
    if (!is_gated(port) || port->window_at == 0) {
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
        status_t status = map_peers_section(peer, ept);
        if (status != STATUS_OK && status != STATUS_EXISTS) {
            tell_unmappable(peer, status);
        }
    } else {
        uint64_t at = peer->window_at + section_size(peer);
        if (ept_unmap(ept, at, section_size(peer)) != STATUS_OK) {
            log_error("%s: a section cannot be unmapped", peer->vm->config->name);
        }
    }
    spin_unlock(&peer->vm->lock);
    return STATUS_OK;
}
