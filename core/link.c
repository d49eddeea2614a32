/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/link.h"

#include "core/window.h"
#include "lib/bits.h"
#include "lib/format.h"
#include "lib/log.h"
#include "lib/pages.h"
#include "lib/string.h"

static struct link *slots[CONFIG_MAX_LINKS];

struct link *link_at(uint32_t slot)
{
    return slots[slot];
}

struct link *link_find(const char *name)
{
    for (uint32_t i = 0; i < CONFIG_MAX_LINKS; i++) {
        if (slots[i] != NULL && strcmp(slots[i]->config.name, name) == 0) {
            return slots[i];
        }
    }
    return NULL;
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
    if (mode == CONFIG_LINK_DIRECT || link->config.mode == CONFIG_LINK_DIRECT) {
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

static uint64_t pool_slots_size(const struct config_link *config)
{
    return config->pool / PAGE_SIZE * sizeof(uint64_t);
}

static status_t create_pool(struct page_pool *pool, const struct config_link *config)
{
    pool->count = (uint32_t)(config->pool / PAGE_SIZE);
    if (pool->count != 0) {
        pool->slots = pages_alloc_bytes(pool_slots_size(config));
    }
    return pool->count == 0 || pool->slots != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

static status_t create_port(struct link *link, uint32_t end)
{
    static const struct port_ops ops = {doorbell, state_changed, read_register, take_mode};
    const struct config_link *config = &link->config;
    /* A local address: 02, "PO", 00, the link's number, the end. */
    uint64_t mac = 0x004f5002u | (uint64_t)link->slot << 32 | (uint64_t)(end + 1) << 40;

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
    status_t status = create_pool(&link->ports[end].pool, config);
    if (status == STATUS_OK) {
        status = port_create(&link->ports[end]);
    }
    link->attached += status == STATUS_OK ? 1 : 0;
    return status;
}

static void free_bytes(void *bytes, uint64_t size, enum page_use use)
{
    if (bytes != NULL) {
        pages_free(bytes, align_up(size, PAGE_SIZE) / PAGE_SIZE, use);
    }
}

/* Of a link that may be incomplete. */
static void destroy(struct link *link)
{
    while (link->attached > 0) {
        port_remove(&link->ports[--link->attached]);
    }
    for (uint32_t end = 0; end < 2; end++) {
        free_bytes(link->ports[end].pool.slots, pool_slots_size(&link->config), PAGES_HYPERVISOR);
        free_bytes(link->sections[end], link->config.window, PAGES_WINDOW);
    }
    slots[link->slot] = NULL;
    free_bytes(link, sizeof(*link), PAGES_HYPERVISOR);
}

/* Each step, as far as memory goes. */
static status_t complete(struct link *link)
{
    status_t status = STATUS_OK;

    for (uint32_t end = 0; end < 2; end++) {
        link->sections[end] = port_alloc_section("link", link->config.name, link->config.window);
        if (link->sections[end] == NULL) {
            return STATUS_NO_MEMORY;
        }
    }
    for (uint32_t end = 0; end < 2 && status == STATUS_OK; end++) {
        status = create_port(link, end);
    }
    return status;
}

static status_t create(uint32_t slot, const struct config_link *config)
{
    struct link *link = pages_alloc_bytes(sizeof(*link));

    if (link == NULL) {
        return STATUS_NO_MEMORY;
    }
    link->config = *config;
    link->slot = slot;
    atomic_store(&link->mode, config->mode);
    slots[slot] = link;
    status_t status = complete(link);
    if (status != STATUS_OK) {
        destroy(link);
    }
    return status;
}

status_t link_create_all(const struct config *config)
{
    status_t status = STATUS_OK;

    for (uint32_t i = 0; i < config->link_count && status == STATUS_OK; i++) {
        status = create(i, &config->links[i]);
    }
    return status;
}

/* Both VMs of a link, or neither. */
static status_t hold_ends(const struct config_link *config, enum vm_state was[2],
                          char error[LINK_ERROR_SIZE])
{
    for (uint32_t end = 0; end < 2; end++) {
        struct vm *vm = vm_get(config->ends[end]);
        if (!vm_hold(vm, &was[end])) {
            (void)format_string(error, LINK_ERROR_SIZE,
                                "%s is %s: links come and go while their VMs are off or absent",
                                vm->config->name, vm_state_name(vm));
            if (end == 1) {
                vm_release(vm_get(config->ends[0]), was[0]);
            }
            return STATUS_BUSY;
        }
    }
    return STATUS_OK;
}

static void release_ends(const struct config_link *config, const enum vm_state was[2])
{
    for (uint32_t end = 0; end < 2; end++) {
        vm_release(vm_get(config->ends[end]), was[end]);
    }
}

static status_t find_slot(const char *name, uint32_t *slot, char error[LINK_ERROR_SIZE])
{
    if (link_find(name) != NULL) {
        (void)format_string(error, LINK_ERROR_SIZE, "there is a link \"%s\" already", name);
        return STATUS_EXISTS;
    }
    for (*slot = 0; *slot < CONFIG_MAX_LINKS; ++*slot) {
        if (slots[*slot] == NULL) {
            return STATUS_OK;
        }
    }
    (void)format_string(error, LINK_ERROR_SIZE, "there are %u links, and can be no more",
                        CONFIG_MAX_LINKS);
    return STATUS_NO_MEMORY;
}

/* Whether the VMs' buses have room; what is left to fail is memory. */
static status_t check_room(const struct config_link *config, char error[LINK_ERROR_SIZE])
{
    for (uint32_t end = 0; end < 2; end++) {
        const struct vm *vm = vm_get(config->ends[end]);
        if (!port_has_room(vm)) {
            (void)format_string(error, LINK_ERROR_SIZE, "%s has no PCI function left",
                                vm->config->name);
            return STATUS_NO_MEMORY;
        }
    }
    return STATUS_OK;
}

static status_t add_held(const struct config_link *config, uint32_t slot,
                         char error[LINK_ERROR_SIZE])
{
    status_t status = check_room(config, error);

    if (status != STATUS_OK) {
        return status;
    }
    status = create(slot, config);
    if (status != STATUS_OK) {
        (void)format_string(error, LINK_ERROR_SIZE,
                            "link %s: no memory for it: two sections of %llu KiB, each in one "
                            "piece, and tables",
                            config->name, (unsigned long long)(config->window >> 10));
    }
    return status;
}

status_t link_add(const struct config_link *config, char error[LINK_ERROR_SIZE])
{
    enum vm_state was[2];
    uint32_t slot = 0;
    status_t status = find_slot(config->name, &slot, error);

    if (status == STATUS_OK) {
        status = hold_ends(config, was, error);
    }
    if (status != STATUS_OK) {
        return status;
    }
    status = add_held(config, slot, error);
    release_ends(config, was);
    if (status == STATUS_OK) {
        log_info("link %s: is added, between %s and %s", config->name,
                 vm_get(config->ends[0])->config->name, vm_get(config->ends[1])->config->name);
    }
    return status;
}

status_t link_delete(struct link *link, char error[LINK_ERROR_SIZE])
{
    const struct config_link config = link->config;
    enum vm_state was[2];
    status_t status = hold_ends(&config, was, error);

    if (status == STATUS_OK) {
        destroy(link);
        release_ends(&config, was);
        log_info("link %s: is deleted", config.name);
    }
    return status;
}
