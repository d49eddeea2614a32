/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Split virtqueues (VIRTIO 1.2, "Split Virtqueues"). The driver's area is
 *     0 u16 flags   2 u16 index   4 u16 ring[size]   u16 used_event
 * and the device's
 *     0 u16 flags   2 u16 index   4 {u32 id, u32 length} ring[size]   u16 avail_event
 */
#include "virtio/queue_parts.h"

#define FLAGS 0u
#define INDEX 2u
#define RING  4u

static uint16_t *used_event(const struct virtq *queue)
{
    return virtq_word(queue->driver, RING + 2u * queue->size);
}

static uint16_t *avail_event(const struct virtq *queue)
{
    return virtq_word(queue->device, RING + 8u * queue->size);
}

/* How many chains the driver has made available that were not taken yet. */
static uint16_t available(const struct virtq *queue)
{
    /* Acquire: pairs with the driver's write barrier between the ring's entry and the index. */
    return (uint16_t)(POSTERN_LOAD_ACQUIRE(virtq_word(queue->driver, INDEX)) - queue->next);
}

/* Adds the descriptors of `table`, of `count`, from `index` on. A chain in the queue's own table
 * may end with an indirect descriptor. At most VIRTQ_PIECES_MAX are looked at: a chain that loops
 * has more. */
static bool gather(struct virtq *queue, struct virtq_chain *chain, const uint8_t *table,
                   uint32_t count, uint32_t index)
{
    bool outer = table == queue->descriptors;

    for (;;) {
        struct virtq_descriptor d = virtq_load(table + (size_t)VIRTQ_DESC_SIZE * index);
        uint16_t flags = d.third;
        if ((flags & VIRTQ_DESC_INDIRECT) != 0) {
            uint32_t inner_count = 0;
            if (!outer || (flags & VIRTQ_DESC_NEXT) != 0) {
                return virtq_fail(queue, VIRTQ_FAULT_INDIRECT);
            }
            const uint8_t *inner = virtq_map_indirect(queue, &d, &inner_count);
            if (inner == NULL) {
                return false;
            }
            outer = false;
            table = inner;
            count = inner_count;
            index = 0;
            continue;
        }
        if (!virtq_add(queue, chain, &d, (flags & VIRTQ_DESC_WRITE) != 0)) {
            return false;
        }
        if ((flags & VIRTQ_DESC_NEXT) == 0) {
            return true;
        }
        index = d.fourth;
        if (index >= count) {
            return virtq_fail(queue, VIRTQ_FAULT_NEXT);
        }
    }
}

enum virtq_result split_pop(struct virtq *queue, struct virtq_chain *chain)
{
    uint16_t more = available(queue);

    if (more == 0) {
        return VIRTQ_NONE;
    }
    if (more > queue->size) {
        (void)virtq_fail(queue, VIRTQ_FAULT_INDEX);
        return VIRTQ_FAULTY;
    }
    uint32_t entry = queue->next & (queue->size - 1u);
    chain->id = POSTERN_LOAD(virtq_word(queue->driver, RING + 2 * entry));
    if (chain->id >= queue->size) {
        (void)virtq_fail(queue, VIRTQ_FAULT_HEAD);
        return VIRTQ_FAULTY;
    }
    if (!gather(queue, chain, queue->descriptors, queue->size, chain->id)) {
        return VIRTQ_FAULTY;
    }
    queue->next++;
    return VIRTQ_CHAIN;
}

void split_push(struct virtq *queue, const struct virtq_used *used, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint32_t entry = queue->used++ & (queue->size - 1u);
        uint32_t *slot = (uint32_t *)(void *)(queue->device + RING + 8 * (size_t)entry);
        POSTERN_STORE(&slot[0], (uint32_t)used[i].id);
        POSTERN_STORE(&slot[1], used[i].written);
    }
    /* Release: pairs with the driver's read barrier after the index: it then sees the entries, and
     * what was written to the buffers. */
    POSTERN_STORE_RELEASE(virtq_word(queue->device, INDEX), queue->used);
}

bool split_must_interrupt(struct virtq *queue)
{
    uint16_t before = queue->reported;

    if (queue->used == before) {
        return false;
    }
    queue->reported = queue->used;
    /* Pairs with the driver's barrier between its wish and its look at the used index: either it
     * sees what was pushed, or its wish is seen here. */
    POSTERN_FULL_BARRIER();
    if (!queue->event_idx) {
        uint16_t flags = POSTERN_LOAD(virtq_word(queue->driver, FLAGS));
        return (flags & VIRTQ_AVAIL_NO_INTERRUPT) == 0;
    }
    uint16_t event = POSTERN_LOAD(used_event(queue));
    return (uint16_t)(queue->used - event - 1) < (uint16_t)(queue->used - before);
}

bool split_arm(struct virtq *queue)
{
    if (queue->event_idx) {
        POSTERN_STORE(avail_event(queue), queue->next);
    } else {
        POSTERN_STORE(virtq_word(queue->device, FLAGS), (uint16_t)0); /* not VIRTQ_USED_NO_NOTIFY */
    }
    /* Pairs with the driver's barrier between its index and its look at the event: either it
     * notifies, or its chain is seen here. */
    POSTERN_FULL_BARRIER();
    return available(queue) != 0;
}

void split_disarm(struct virtq *queue)
{
    if (queue->event_idx) {
        /* The one before the next: the driver comes there when its index has gone round. */
        POSTERN_STORE(avail_event(queue), (uint16_t)(queue->next - 1));
    } else {
        POSTERN_STORE(virtq_word(queue->device, FLAGS), (uint16_t)VIRTQ_USED_NO_NOTIFY);
    }
}
