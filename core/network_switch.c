/* SPDX-License-Identifier: BSD-2-Clause */
/* The hypervisor's switch of a network: from the members' lanes into its own memory, and from there
 * into the lanes of those who get the frames. */
#include "arch/x86/cpu.h"
#include "core/machine.h"
#include "core/network_parts.h"
#include "lib/bits.h"
#include "lib/log.h"
#include "lib/pages.h"
#include "lib/string.h"

/* Of one exit: what it may take at most, in frames and bytes that come in. */
#define FRAMES_MAX 32u
#define BYTES_MAX  KIB(128)

static uint64_t now_ns(void)
{
    uint64_t hz = machine_get()->info->tsc_hz, ticks = rdtsc();

    return ticks / hz * FDB_SECOND + ticks % hz * FDB_SECOND / hz;
}

/* Brings the lane to `member` up to date, for its end may have been opened anew. Returns the bit of
 * a doorbell that is due. */
static uint32_t sync(struct network *network, uint32_t member)
{
    struct postern_ring *ring = &network->rings[member];

    return postern_ring_sync_needed(ring) && postern_ring_sync(ring) ? BIT32(member) : 0;
}

/* `meta` of a frame that grows by `growth` in its header. False if it then is none. */
static bool grow_meta(struct postern_ring_meta *meta, int growth)
{
    if (growth == 0) {
        return true;
    }
    meta->length = (uint32_t)((int)meta->length + growth);
    if ((meta->flags & POSTERN_RECORD_CSUM) != 0) {
        int start = meta->csum_start + growth;
        if (start < (int)POSTERN_ETHERNET_HEADER || start > UINT16_MAX) {
            return false;
        }
        meta->csum_start = (uint16_t)start;
    }
    if (meta->gso_type != POSTERN_GSO_NONE) {
        int header = meta->header_length + growth;
        if (header < 0 || header > UINT16_MAX) {
            return false;
        }
        meta->header_length = (uint16_t)header;
    }
    return postern_ring_meta_valid(meta);
}

/* Puts the frame into the lane to `member`, as it wants it. Returns a doorbell's bit. */
static uint32_t deliver(struct network *network, const struct switch_output *output,
                        const struct postern_ring_meta *meta, uint32_t member)
{
    struct postern_ring *ring = &network->rings[member];
    struct postern_ring_meta grown = *meta;
    uint32_t bells = sync(network, member);
    uint8_t *to = NULL;

    if (grow_meta(&grown, switch_growth(&network->state, output, member))) {
        to = postern_ring_reserve(ring, &grown);
    }
    if (to == NULL) {
        network->full[member]++;
        return bells;
    }
    switch_copy(&network->state, output, member, network->frame, meta->length, to);
    postern_ring_commit(ring);
    return bells;
}

/* Switches the frame that `payload` points to, in the memory of `member`. Returns doorbells' bits.
 */
static uint32_t forward(struct network *network, uint32_t member, const void *payload,
                        const struct postern_ring_meta *meta, uint64_t now)
{
    struct switch_output output;
    uint32_t bells = 0;

    /* Once: the member may change it at any time. */
    memcpy(network->frame, payload, meta->length);
    if (!switch_forward(&network->state, member, network->frame, meta->length, now, &output)) {
        return 0;
    }
    for (uint32_t to = 0; to < network->config->member_count; to++) {
        if (((output.ports | output.copies) >> to & 1) != 0) {
            bells |= deliver(network, &output, meta, to);
        }
    }
    return bells;
}

/* Takes what the member's lane has, within bounds. `*more`: there is more. */
static uint32_t take(struct network *network, uint32_t member, bool *more)
{
    struct postern_ring *ring = &network->rings[member];
    uint32_t bells = sync(network, member);
    uint64_t now = now_ns(), bytes = 0;
    struct postern_ring_meta meta;
    uint32_t frames = 0;

    for (; frames < FRAMES_MAX && bytes < BYTES_MAX; frames++) {
        const void *payload = postern_ring_peek(ring, &meta);
        if (payload == NULL) {
            break;
        }
        bells |= forward(network, member, payload, &meta, now);
        bytes += meta.length;
        postern_ring_consume(ring);
    }
    bells |= postern_ring_release(ring) ? BIT32(member) : 0;
    *more = !postern_ring_arm_rx(ring);
    return bells;
}

status_t network_serve(struct network *network, uint32_t member)
{
    uint32_t count = network->config->member_count;
    bool more;

    if (!spin_trylock(&network->lock)) {
        return STATUS_BUSY;
    }
    uint32_t bells = take(network, member, &more);
    for (uint32_t to = 0; to < count; to++) {
        bells |= postern_ring_publish(&network->rings[to]) ? BIT32(to) : 0;
    }
    spin_unlock(&network->lock);
    for (uint32_t to = 0; to < count; to++) {
        struct port *port = &network->ports[to];
        if ((bells >> to & 1) != 0 && port_vm_runs(port->vm)) {
            port_interrupt(port, POSTERN_VECTOR_QUEUE(to));
        }
    }
    return more ? STATUS_BUSY : STATUS_OK;
}

void network_set_up(struct network *network, uint32_t member)
{
    spin_lock(&network->lock);
    /* Asked under the lock: of two that tell of a start and of an end the last one is right. */
    switch_set_up(&network->state, member, port_vm_runs(network->ports[member].vm));
    spin_unlock(&network->lock);
}

/* Gives each port its NIC's address, in each of its VLANs, and no other. */
static status_t fix_macs(struct network *network)
{
    const struct config_network *config = network->config;
    struct switch_state *state = &network->state;
    status_t status = STATUS_OK;

    for (uint32_t i = 0; i < config->member_count && config->vlan_count == 0; i++) {
        status = status == STATUS_OK ? switch_fix(state, i, network_mac(network, i), 0) : status;
    }
    for (uint32_t i = 0; i < config->vlan_count; i++) {
        const struct config_vlan *vlan = &config->vlans[i];
        status = status == STATUS_OK ? switch_fix(state, vlan->member,
                                                  network_mac(network, vlan->member), vlan->vlan)
                                     : status;
    }
    return status;
}

static status_t add_rules(struct network *network)
{
    const struct config_network *config = network->config;
    struct switch_state *state = &network->state;
    status_t status = STATUS_OK;

    for (uint32_t i = 0; i < config->vlan_count; i++) {
        const struct config_vlan *vlan = &config->vlans[i];
        fdb_add_vlan(&state->fdb, vlan->member, vlan->vlan, vlan->tagged);
    }
    for (uint32_t i = 0; i < config->drop_count && status == STATUS_OK; i++) {
        const struct postern_fdb_rule rule = {
            .ethertype = (uint16_t)config->drops[i].ethertype,
            .from = (uint8_t)config->drops[i].from,
            .to = (uint8_t)config->drops[i].to,
        };
        status = fdb_add_rule(&state->fdb, &rule);
    }
    for (uint32_t i = 0; i < config->member_count; i++) {
        switch_limit(state, i, config->limits[i]);
        switch_limit_floods(state, i, config->floods);
    }
    if (config->mirrored != 0) {
        switch_mirror(state, config->mirrored, config->mirror_to);
    }
    return status == STATUS_OK && config->fixed_macs ? fix_macs(network) : status;
}

status_t network_switch_create(struct network *network)
{
    const struct config_network *config = network->config;
    uint32_t slice = (uint32_t)(config->window / network->lanes);

    network->frame = pages_alloc((POSTERN_RING_MAX_PAYLOAD + PAGE_SIZE - 1) / PAGE_SIZE, PAGE_SIZE,
                                 PAGES_HYPERVISOR);
    if (network->frame == NULL) {
        return STATUS_NO_MEMORY;
    }
    switch_init(&network->state, network->fdb, config->member_count);
    for (uint32_t i = 0; i < config->member_count; i++) {
        /* The member's lane that has its own number, and the hypervisor's that has it too. */
        if (!postern_ring_init(&network->rings[i], network->own + i * slice,
                               network->sections[i] + i * slice, slice)) {
            return STATUS_INVALID;
        }
        /* The switch passes what a record can hold. */
        uint32_t mtu = network->rings[i].max_payload - POSTERN_ETHERNET_HEADER - POSTERN_VLAN_TAG;
        postern_ring_open(&network->rings[i], mtu, (uint32_t)rdtsc());
    }
    status_t status = add_rules(network);
    if (status != STATUS_OK) {
        log_error("network %s: its rules cannot be set: %s", config->name, status_name(status));
    }
    return status;
}
