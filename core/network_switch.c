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
#include "net/offload.h"

/* Of one exit: what it may take at most, in frames and bytes that come in, and in segments that go
 * out, of all frames and of one. */
#define FRAMES_MAX         32u
#define BYTES_MAX          KIB(128)
#define SEGMENTS_MAX       256u
#define FRAME_SEGMENTS_MAX VIRTIO_NET_SEGMENTS

uint64_t network_now(void)
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

bool network_grow_meta(struct postern_ring_meta *meta, int growth)
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
static uint32_t put_record(struct network *network, const struct switch_output *output,
                           const struct network_frame *frame, uint32_t member)
{
    struct postern_ring *ring = &network->rings[member];
    struct postern_ring_meta grown = frame->meta;
    uint32_t bells = sync(network, member);
    uint8_t *to = NULL;

    if (network_grow_meta(&grown, switch_growth(&network->state, output, member))) {
        to = postern_ring_reserve(ring, &grown);
    }
    if (to == NULL) {
        network->full[member]++;
        return bells;
    }
    switch_copy(&network->state, output, member, frame->bytes, frame->meta.length, to);
    postern_ring_commit(ring);
    return bells;
}

static uint32_t put(struct network *network, const struct switch_output *output,
                    struct network_frame *frame, uint32_t member)
{
    if (network->nets[member] == NULL) {
        return put_record(network, output, frame, member);
    }
    network_net_put(network, output, frame, member);
    return 0;
}

/* Whether the member takes the frame as it is, and need not get it in segments. A record has room
 * for any that other members' records have. */
static bool goes_whole(struct network *network, const struct switch_output *output,
                       const struct postern_ring_meta *meta, uint32_t member)
{
    if (meta->gso_type == POSTERN_GSO_NONE || network->segment == NULL) {
        return true;
    }
    int length = (int)meta->length + switch_growth(&network->state, output, member);
    return network->nets[member] != NULL ? network_net_takes(network, member, meta)
                                         : length <= (int)network->rings[member].max_payload;
}

/* Gives the frame to `member`. Returns a doorbell's bit. */
static uint32_t deliver(struct network *network, const struct switch_output *output,
                        struct network_frame *frame, uint32_t member)
{
    const struct postern_ring_meta *meta = &frame->meta;
    struct network_frame segment = {.bytes = network->segment};
    struct offload_cut cut;
    uint32_t bells = 0;

    if (goes_whole(network, output, meta, member)) {
        return put(network, output, frame, member);
    }
    if ((meta->length - meta->header_length) / meta->gso_size >= FRAME_SEGMENTS_MAX ||
        !offload_cut_begin(&cut, frame->bytes, meta)) {
        network->full[member]++;
        return 0;
    }
    while (offload_cut_next(&cut, segment.bytes, &segment.meta)) {
        bells |= put(network, output, &segment, member);
        network->segments++;
    }
    return bells;
}

uint32_t network_forward(struct network *network, uint32_t member, struct network_frame *frame,
                         uint64_t now)
{
    struct switch_output output;
    uint32_t bells = 0;

    if (!switch_forward(&network->state, member, frame->bytes, frame->meta.length, now, &output)) {
        return 0;
    }
    for (uint32_t to = 0; to < network->config->member_count; to++) {
        if (((output.ports | output.copies) >> to & 1) != 0) {
            bells |= deliver(network, &output, frame, to);
        }
    }
    return bells;
}

/* Takes what the member's lane has, within bounds. `*more`: there is more. */
static uint32_t take(struct network *network, uint32_t member, bool *more)
{
    struct postern_ring *ring = &network->rings[member];
    uint32_t bells = sync(network, member);
    uint64_t now = network_now(), bytes = 0;
    uint32_t frames = 0;

    for (; frames < FRAMES_MAX && bytes < BYTES_MAX && network->segments < SEGMENTS_MAX; frames++) {
        struct network_frame frame = {.bytes = network->frame};
        const void *payload = postern_ring_peek(ring, &frame.meta);
        if (payload == NULL) {
            break;
        }
        bytes += frame.meta.length;
        /* Once: the member may change it at any time. */
        memcpy(frame.bytes, payload, frame.meta.length);
        bells |= network_forward(network, member, &frame, now);
        postern_ring_consume(ring);
    }
    bells |= postern_ring_release(ring) ? BIT32(member) : 0;
    *more = !postern_ring_arm_rx(ring);
    return bells;
}

void network_finish(struct network *network, uint32_t member, uint32_t bells)
{
    uint32_t count = network->config->member_count;

    for (uint32_t to = 0; to < count; to++) {
        bells |= postern_ring_publish(&network->rings[to]) ? BIT32(to) : 0;
    }
    bool rang = network_nets_tell(network);
    network->owes[member] = rang || bells != 0;
    network->segments = 0;
    spin_unlock(&network->lock);
    for (uint32_t to = 0; to < count; to++) {
        struct port *port = &network->ports[to];
        if ((bells >> to & 1) != 0 && vm_is_up(port->vm)) {
            port_interrupt(port, POSTERN_VECTOR_QUEUE(to));
        }
    }
}

status_t network_serve(struct network *network, uint32_t member)
{
    bool more;

    if (!spin_trylock(&network->lock)) {
        return STATUS_BUSY;
    }
    network_finish(network, member, take(network, member, &more));
    return more ? STATUS_BUSY : STATUS_OK;
}

void network_set_up(struct network *network, uint32_t member)
{
    spin_lock(&network->lock);
    /* Asked under the lock: of two that tell of a start and of an end the last one is right. */
    switch_set_up(&network->state, member,
                  vm_is_up(network->ports[member].vm) && !network->unplugged[member]);
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
        if ((config->virtio >> i & 1) != 0) {
            switch_relay(state, i);
        }
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

    network->frame = pages_alloc_bytes(POSTERN_RING_MAX_PAYLOAD);
    if (network->frame == NULL) {
        return STATUS_NO_MEMORY;
    }
    switch_init(&network->state, network->fdb, config->member_count);
    for (uint32_t i = 0; i < config->member_count; i++) {
        if ((config->virtio >> i & 1) != 0) {
            continue;
        }
        /* The member's lane that has its own number, and the hypervisor's that has it too. */
        if (!postern_ring_init(&network->rings[i], network->own + i * slice,
                               network->sections[i] + i * slice, slice)) {
            return STATUS_INVALID;
        }
        /* The switch passes what a record can hold. */
        uint32_t mtu = network->rings[i].max_payload - POSTERN_ETHERNET_HEADER - POSTERN_VLAN_TAG;
        postern_ring_open(&network->rings[i], mtu, (uint32_t)rdtsc());
    }
    if (config->virtio != 0 && network_nets_create(network) != STATUS_OK) {
        return STATUS_NO_MEMORY;
    }
    status_t status = add_rules(network);
    if (status != STATUS_OK) {
        log_error("network %s: its rules cannot be set: %s", config->name, status_name(status));
    }
    return status;
}
