/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/link.h"

#include "core/window.h"
#include "lib/bits.h"
#include "lib/pages.h"

static struct link *links;
static uint32_t links_count;

uint32_t link_count(void)
{
    return links_count;
}

struct link *link_get(uint32_t index)
{
    return &links[index];
}

static status_t doorbell(struct port *port, uint32_t queue)
{
    struct port *peer = port_peer(port);

    if (!vm_is_up(peer->vm)) {
        return STATUS_NOT_FOUND;
    }
    if (!port_may_ring(port)) {
        return STATUS_BUSY;
    }
    port_interrupt(peer, POSTERN_VECTOR_QUEUE(queue));
    return STATUS_OK;
}

static void state_changed(struct port *port)
{
    struct port *peer = port_peer(port);

    if (vm_is_up(peer->vm)) {
        port_interrupt(peer, POSTERN_VECTOR_LINK(peer->queues));
    }
}

/* The mode that the port has, which may not yet be the link's. */
static bool has_other_mode(const struct port *port)
{
    return (atomic_load(&port->link->mode) != CONFIG_LINK_OPEN) != port->gated;
}

static uint32_t read_register(const struct port *port, uint64_t offset)
{
    if (offset != POSTERN_REG_LINK) {
        return 0;
    }
    return (vm_is_up(port_peer(port)->vm) ? POSTERN_LINK_PEER_RUNS : 0) |
           (has_other_mode(port) ? POSTERN_LINK_OTHER_MODE : 0);
}

static void take_mode(struct port *port)
{
    if (has_other_mode(port)) {
        window_set_gated(port, !port->gated);
    }
}

void link_take_modes(struct vm *vm)
{
    for (uint32_t i = 0; i < vm->port_count; i++) {
        if (vm->ports[i]->link != NULL) {
            take_mode(vm->ports[i]);
        }
    }
}

status_t link_set_mode(struct link *link, enum config_link_mode mode)
{
    if (mode == CONFIG_LINK_DIRECT || link->config->mode == CONFIG_LINK_DIRECT) {
        return STATUS_UNSUPPORTED;
    }
    atomic_store(&link->mode, mode);
    for (uint32_t end = 0; end < 2; end++) {
        struct port *port = &link->ports[end];
        if (vm_is_up(port->vm)) {
            port_interrupt(port, POSTERN_VECTOR_LINK(port->queues));
        }
    }
    return STATUS_OK;
}

void link_grant_all(struct vm *vm)
{
    for (uint32_t i = 0; i < vm->port_count; i++) {
        if (vm->ports[i]->link != NULL) {
            (void)!window_grant(vm->ports[i], true); /* to grant is never too early */
        }
    }
}

static status_t create_pool(struct page_pool *pool, uint64_t size)
{
    pool->count = (uint32_t)(size / PAGE_SIZE);
    if (pool->count != 0) {
        pool->slots = pages_alloc_bytes(pool->count * sizeof(*pool->slots));
    }
    return pool->count == 0 || pool->slots != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

static status_t create_port(struct link *link, uint32_t end)
{
    static const struct port_ops ops = {doorbell, state_changed, read_register, take_mode};
    const struct config_link *config = link->config;
    /* A local address: 02, "PO", 00, the link's number, the end. */
    uint64_t mac = 0x004f5002u | (uint64_t)(link - links) << 32 | (uint64_t)(end + 1) << 40;

    link->ports[end] = (struct port){
        .ops = &ops,
        .name = config->name,
        .vm = vm_get(config->ends[end]),
        .link = link,
        .end = end,
        .queues = config->queues,
        .gated = config->mode != CONFIG_LINK_OPEN,
        .section = config->window,
        .own = link->sections[end],
        .pieces = 1,
        .others = {link->sections[1 - end]},
        .mac = mac,
        .doorbell_rate = config->doorbells,
    };
    status_t status = create_pool(&link->ports[end].pool, config->pool);
    return status == STATUS_OK ? port_create(&link->ports[end]) : status;
}

static status_t create(struct link *link, const struct config_link *config)
{
    status_t status = STATUS_OK;

    link->config = config;
    atomic_store(&link->mode, config->mode);
    for (uint32_t end = 0; end < 2; end++) {
        link->sections[end] = port_alloc_section("link", config->name, config->window);
        if (link->sections[end] == NULL) {
            return STATUS_NO_MEMORY;
        }
    }
    for (uint32_t end = 0; end < 2 && status == STATUS_OK; end++) {
        status = create_port(link, end);
    }
    return status;
}

status_t link_create_all(const struct config *config)
{
    if (config->link_count == 0) {
        return STATUS_OK;
    }
    links = pages_alloc_bytes(sizeof(struct link) * config->link_count);
    if (links == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < config->link_count; i++) {
        status_t status = create(&links[i], &config->links[i]);
        if (status != STATUS_OK) {
            return status;
        }
        links_count++;
    }
    return STATUS_OK;
}
