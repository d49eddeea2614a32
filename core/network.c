/* SPDX-License-Identifier: BSD-2-Clause */
/* Networks: their memory, ports and rules. network_switch.c has the switch at work. */
#include "core/network.h"

#include "core/network_parts.h"
#include "lib/bits.h"
#include "lib/pages.h"

static struct network *networks;
static uint32_t networks_count;

uint32_t network_count(void)
{
    return networks_count;
}

struct network *network_get(uint32_t index)
{
    return &networks[index];
}

static bool is_by_hypervisor(const struct network *network)
{
    return network->config->switched_by == CONFIG_BY_HYPERVISOR;
}

/* The lane of `port` that leads to the switch; a member that is the switch has none. */
static uint32_t switch_lane(const struct port *port)
{
    const struct network *network = port->network;

    return is_by_hypervisor(network) ? port->end : network->config->switched_by;
}

static bool leads_to_hypervisor(const struct port *port, uint32_t lane)
{
    return is_by_hypervisor(port->network) && lane == port->end;
}

/* The port at the other end of a lane; NULL for the hypervisor, and where there is no lane. */
static struct port *other_end(const struct port *port, uint32_t lane)
{
    return port->others[lane] != NULL && !leads_to_hypervisor(port, lane)
               ? &port->network->ports[lane]
               : NULL;
}

static status_t doorbell(struct port *port, uint32_t lane)
{
    struct port *other = other_end(port, lane);

    bool served = leads_to_hypervisor(port, lane);

    if (!served && (other == NULL || !vm_is_up(other->vm))) {
        return STATUS_NOT_FOUND;
    }
    if (!port_may_ring(port)) {
        return STATUS_BUSY;
    }
    if (served) {
        return network_serve(port->network, port->end);
    }
    port_interrupt(other, POSTERN_VECTOR_QUEUE(port->end));
    return STATUS_OK;
}

static bool is_virtio(const struct network *network, uint32_t member)
{
    return (network->config->virtio >> member & 1) != 0;
}

static void state_changed(struct port *port)
{
    struct network *network = port->network;

    /* As it would itself. */
    if (!vm_is_up(port->vm)) {
        port_close_rings(port);
    }
    if (is_by_hypervisor(network)) {
        network_set_up(network, port->end);
    }
    for (uint32_t i = 0; i < network->config->member_count; i++) {
        struct port *other = &network->ports[i];
        if (other != port && !is_virtio(network, i) && vm_is_up(other->vm)) {
            port_interrupt(other, POSTERN_VECTOR_LINK(other->queues));
        }
    }
}

static uint32_t lanes_of(const struct port *port, bool running)
{
    uint32_t lanes = 0;

    for (uint32_t lane = 0; lane < port->queues; lane++) {
        const struct port *other = other_end(port, lane);
        bool there = other != NULL && (!running || vm_is_up(other->vm));
        lanes |= there || leads_to_hypervisor(port, lane) ? BIT32(lane) : 0;
    }
    return lanes;
}

static uint32_t read_register(const struct port *port, uint64_t offset)
{
    switch (offset) {
    case POSTERN_REG_LINK:
        return lanes_of(port, true);
    case POSTERN_REG_LANES:
        return lanes_of(port, false);
    case POSTERN_REG_SWITCH:
        return switch_lane(port);
    default:
        return 0;
    }
}

/* What the second half of a port's window shows for `lane`. */
static const uint8_t *other_slice(const struct port *port, uint32_t lane)
{
    const struct network *network = port->network;
    uint64_t offset = port->end * (port->section / port->queues);

    if (leads_to_hypervisor(port, lane)) {
        return network->own + offset;
    }
    bool there = is_by_hypervisor(network) ? switch_is_direct(&network->state, port->end, lane)
                                           : lane != port->end;
    return there && lane < network->config->member_count ? network->sections[lane] + offset : NULL;
}

/* A member with virtio's NIC, which core/virtio.c makes. */
static void note_member(struct network *network, uint32_t member)
{
    network->ports[member] = (struct port){
        .name = network->config->name,
        .vm = vm_get(network->config->members[member]),
        .network = network,
        .end = member,
        .doorbell_rate = network->config->doorbells,
    };
    port_limit_doorbells(&network->ports[member]);
}

static status_t create_port(struct network *network, uint32_t member)
{
    static const struct port_ops ops = {doorbell, state_changed, read_register, NULL};
    const struct config_network *config = network->config;
    struct port *port = &network->ports[member];

    *port = (struct port){
        .ops = &ops,
        .name = config->name,
        .vm = vm_get(config->members[member]),
        .network = network,
        .end = member,
        .queues = network->lanes,
        .gated = config->mode == CONFIG_LINK_GATED,
        .section = config->window,
        .own = network->sections[member],
        .pieces = network->lanes,
        .fdb = network->fdb,
        .fdb_writable = member == config->switched_by,
        .mac = network_mac(network, member),
        .doorbell_rate = config->doorbells,
    };
    for (uint32_t lane = 0; lane < network->lanes; lane++) {
        port->others[lane] = other_slice(port, lane);
    }
    return port_create(port);
}

static uint8_t *create_section(const struct config_network *config)
{
    return port_alloc_section("network", config->name, config->window);
}

static status_t create(struct network *network, const struct config_network *config)
{
    network->config = config;
    network->lanes = config_network_lanes(config);
    network->fdb = pages_alloc(POSTERN_FDB_SIZE / PAGE_SIZE, PAGE_SIZE, PAGES_WINDOW);
    if (network->fdb == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < config->member_count; i++) {
        if (is_virtio(network, i)) {
            continue;
        }
        network->sections[i] = create_section(config);
        if (network->sections[i] == NULL) {
            return STATUS_NO_MEMORY;
        }
    }
    if (is_by_hypervisor(network)) {
        bool has_lanes = config->virtio != BIT32(config->member_count) - 1;
        network->own = has_lanes ? create_section(config) : NULL;
        if (network->own == NULL && has_lanes) {
            return STATUS_NO_MEMORY;
        }
        status_t status = network_switch_create(network);
        if (status != STATUS_OK) {
            return status;
        }
    }
    for (uint32_t i = 0; i < config->member_count; i++) {
        if (is_virtio(network, i)) {
            note_member(network, i);
            continue;
        }
        status_t status = create_port(network, i);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

uint64_t network_mac(const struct network *network, uint32_t member)
{
    /* A local address: 02, "PO", 01, the network's number, the member. */
    return 0x014f5002u | (uint64_t)(network - networks) << 32 | (uint64_t)(member + 1) << 40;
}

status_t network_create_all(const struct config *config)
{
    if (config->network_count == 0) {
        return STATUS_OK;
    }
    networks = pages_alloc_bytes(sizeof(struct network) * config->network_count);
    if (networks == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < config->network_count; i++) {
        status_t status = create(&networks[i], &config->networks[i]);
        if (status != STATUS_OK) {
            return status;
        }
        networks_count++;
    }
    return STATUS_OK;
}
