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

const struct link *link_get(uint32_t index)
{
    return &links[index];
}

static status_t doorbell(struct port *port, uint32_t queue)
{
    struct port *peer = port_peer(port);

    if (!port_vm_runs(peer->vm)) {
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

    if (port_vm_runs(peer->vm)) {
        port_interrupt(peer, POSTERN_VECTOR_LINK(peer->queues));
    }
}

static uint32_t read_register(const struct port *port, uint64_t offset)
{
    return offset == POSTERN_REG_LINK && port_vm_runs(port_peer(port)->vm) ? POSTERN_LINK_PEER_RUNS
                                                                           : 0;
}

void link_grant_all(struct vm *vm)
{
    for (uint32_t i = 0; i < vm->port_count; i++) {
        if (vm->ports[i]->link != NULL) {
            (void)!window_grant(vm->ports[i], true); /* to grant is never too early */
        }
    }
}

static status_t create_port(struct link *link, uint32_t end)
{
    static const struct port_ops ops = {doorbell, state_changed, read_register};
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
        .gated = config->mode == CONFIG_LINK_GATED,
        .section = config->window,
        .own = link->sections[end],
        .pieces = 1,
        .others = {link->sections[1 - end]},
        .mac = mac,
        .doorbell_rate = config->doorbells,
    };
    return port_create(&link->ports[end]);
}

static status_t create(struct link *link, const struct config_link *config)
{
    status_t status = STATUS_OK;

    link->config = config;
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
    uint64_t bytes = sizeof(struct link) * config->link_count;

    if (config->link_count == 0) {
        return STATUS_OK;
    }
    links = pages_alloc((bytes + PAGE_SIZE - 1) / PAGE_SIZE, PAGE_SIZE, PAGES_HYPERVISOR);
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
