/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Members of a network whose NIC is virtio's. What one sends is copied into the hypervisor's memory
 * with its VM's lock, in the exit of the vCPU that notifies, and switched without it; what is for
 * one is copied into its buffers with its VM's lock, frame by frame, by whoever sends.
 */
#include "arch/x86/cpu.h"
#include "core/network_parts.h"
#include "lib/bits.h"
#include "lib/pages.h"
#include "net/offload.h"

/* How often to look for the switch that another CPU has, before the guest looks for interrupts in
 * between: longer than an exit's work takes. */
#define LOCK_TRIES 2000u

status_t network_nets_create(struct network *network)
{
    network->segment = pages_alloc_bytes(POSTERN_RING_MAX_PAYLOAD);
    network->form = pages_alloc_bytes(POSTERN_RING_MAX_PAYLOAD);
    network->batch = pages_alloc_bytes(sizeof(*network->batch));
    if (network->segment == NULL || network->form == NULL || network->batch == NULL) {
        return STATUS_NO_MEMORY;
    }
    network->batch->bytes = pages_alloc_bytes(VIRTIO_NET_BATCH_BYTES);
    return network->batch->bytes != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

void network_attach_net(struct network *network, uint32_t member, struct virtio_net *net)
{
    network->nets[member] = net;
}

static struct spinlock *lock_of(struct network *network, uint32_t member)
{
    return &network->ports[member].vm->lock;
}

bool network_net_takes(struct network *network, uint32_t member,
                       const struct postern_ring_meta *meta)
{
    spin_lock(lock_of(network, member));
    bool takes = virtio_net_takes(network->nets[member], meta);
    spin_unlock(lock_of(network, member));
    return takes;
}

/* The frame as it goes out of the member's port: `frame` itself, or another one. False if there is
 * none. */
static bool shape(struct network *network, const struct switch_output *output,
                  struct network_frame *frame, uint32_t member)
{
    const uint8_t *bytes = frame->bytes;
    uint32_t length = frame->meta.length;

    if (!switch_changes(&network->state, output, member)) {
        return true;
    }
    if (!network_grow_meta(&frame->meta, switch_growth(&network->state, output, member)) ||
        frame->meta.length > POSTERN_RING_MAX_PAYLOAD) {
        return false;
    }
    frame->bytes = network->form;
    switch_copy(&network->state, output, member, bytes, length, frame->bytes);
    return true;
}

/* With the VM's lock. False if the frame is lost. */
static bool put_locked(struct network *network, const struct switch_output *output,
                       struct network_frame *frame, uint32_t member)
{
    struct virtio_net *net = network->nets[member];

    if (!virtio_net_takes(net, &frame->meta)) {
        if (frame->meta.gso_type != POSTERN_GSO_NONE) {
            return false; /* the driver has changed its mind since network_net_takes() */
        }
        /* In place: others who get the frame are as glad of it. */
        offload_checksum(frame->bytes, &frame->meta);
    }
    struct network_frame shaped = *frame;
    return shape(network, output, &shaped, member) &&
           virtio_net_receive(net, shaped.bytes, &shaped.meta);
}

void network_net_put(struct network *network, const struct switch_output *output,
                     struct network_frame *frame, uint32_t member)
{
    const struct vm *vm = network->ports[member].vm;

    spin_lock(lock_of(network, member));
    bool done = !vm_is_frozen(vm) && put_locked(network, output, frame, member);
    spin_unlock(lock_of(network, member));
    network->untold |= BIT32(member);
    network->full[member] += done ? 0 : 1;
}

static bool tell(struct network *network, uint32_t member)
{
    struct virtio_net *net = network->nets[member];

    spin_lock(lock_of(network, member));
    uint64_t before = net->device.interrupts;
    virtio_net_tell(net);
    bool rang = net->device.interrupts != before;
    spin_unlock(lock_of(network, member));
    return rang;
}

bool network_nets_tell(struct network *network)
{
    bool rang = false;

    for (uint32_t member = 0; network->untold != 0; member++) {
        if ((network->untold & BIT32(member)) != 0) {
            network->untold &= ~BIT32(member);
            rang = tell(network, member) || rang;
        }
    }
    return rang;
}

static bool lock_soon(struct spinlock *lock)
{
    for (unsigned i = 0; i < LOCK_TRIES; i++) {
        if (spin_trylock(lock)) {
            return true;
        }
        cpu_pause();
    }
    return false;
}

/* What is limited is how often the member interrupts others; that is known when it has done so, and
 * costs the next notification a doorbell's token. */
static bool may_notify(struct network *network, uint32_t member)
{
    if (!network->owes[member]) {
        return true;
    }
    network->owes[member] = !port_may_ring(&network->ports[member]);
    return !network->owes[member];
}

bool network_notified(struct network *network, uint32_t member, uint32_t queue)
{
    struct virtio_net_batch *batch = network->batch;
    uint32_t bells = 0;

    if (!lock_soon(&network->lock)) {
        return false;
    }
    if (!may_notify(network, member)) {
        spin_unlock(&network->lock);
        return false;
    }
    virtio_net_empty(batch);
    spin_lock(lock_of(network, member));
    bool more = virtio_notify(&network->nets[member]->device, queue);
    spin_unlock(lock_of(network, member));
    uint64_t now = network_now();
    for (uint32_t i = 0; i < batch->count; i++) {
        struct network_frame frame = {batch->frames[i].bytes, batch->frames[i].meta};
        bells |= network_forward(network, member, &frame, now);
    }
    network_finish(network, member, bells);
    return !more;
}

void network_wait_all(void)
{
    for (uint32_t i = 0; i < network_count(); i++) {
        struct network *network = network_get(i);
        spin_lock(&network->lock);
        spin_unlock(&network->lock);
    }
}

void network_plug(struct network *network, uint32_t member, bool plugged)
{
    spin_lock(&network->lock);
    network->unplugged[member] = !plugged;
    spin_lock(lock_of(network, member));
    virtio_net_set_link(network->nets[member], plugged);
    spin_unlock(lock_of(network, member));
    spin_unlock(&network->lock);
    network_set_up(network, member);
}
