/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packed virtqueues (VIRTIO 1.2, "Packed Virtqueues"): one ring of descriptors, which the driver
 * makes available and the device marks as used in place, and an event suppression structure of each
 * side:
 *     0 u16 offset and wrap counter   2 u16 flags
 */
#include "virtio/queue_parts.h"

#define DESC_LENGTH 8u
#define DESC_ID     12u
#define DESC_FLAGS  14u
#define EVENT_PLACE 0u
#define EVENT_FLAGS 2u

static uint8_t *slot_at(const struct virtq *queue, uint16_t slot)
{
    return queue->descriptors + (size_t)VIRTQ_DESC_SIZE * slot;
}

/* Whether a descriptor with these flags was made available in the round that `wrap` tells. */
static bool is_available(uint16_t flags, bool wrap)
{
    bool avail = (flags & VIRTQ_DESC_AVAIL) != 0;
    bool used = (flags & VIRTQ_DESC_USED) != 0;

    return avail == wrap && used != wrap;
}

static uint16_t *flags_of(const struct virtq *queue, uint16_t slot)
{
    return virtq_word(slot_at(queue, slot), DESC_FLAGS);
}

/* Slot `*slot` and round `*wrap`, `count` slots on; `count` is at most the ring's size. */
static void advance(const struct virtq *queue, uint16_t *slot, bool *wrap, uint16_t count)
{
    uint32_t sum = (uint32_t)*slot + count;

    if (sum >= queue->size) {
        sum -= queue->size;
        *wrap = !*wrap;
    }
    *slot = (uint16_t)sum;
}

/* All of a table's descriptors are of the chain, in their order. */
static bool gather_indirect(struct virtq *queue, struct virtq_chain *chain,
                            const struct virtq_descriptor *outer)
{
    uint32_t count = 0;
    const uint8_t *table = virtq_map_indirect(queue, outer, &count);

    if (table == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct virtq_descriptor d = virtq_load(table + (size_t)VIRTQ_DESC_SIZE * i);
        if ((d.fourth & VIRTQ_DESC_INDIRECT) != 0) {
            return virtq_fail(queue, VIRTQ_FAULT_INDIRECT);
        }
        if (!virtq_add(queue, chain, &d, (d.fourth & VIRTQ_DESC_WRITE) != 0)) {
            return false;
        }
    }
    return true;
}

/* Adds the descriptor of a slot whose flags have been read. */
static bool gather_slot(struct virtq *queue, struct virtq_chain *chain, uint16_t slot,
                        uint16_t flags)
{
    uint8_t *at = slot_at(queue, slot);
    const struct virtq_descriptor d = {
        .address = POSTERN_LOAD((const uint64_t *)(const void *)at),
        .length = POSTERN_LOAD((const uint32_t *)(const void *)(at + DESC_LENGTH)),
        .third = POSTERN_LOAD(virtq_word(at, DESC_ID)),
        .fourth = flags,
    };

    chain->id = d.third; /* the last one's counts */
    if ((flags & VIRTQ_DESC_INDIRECT) == 0) {
        return virtq_add(queue, chain, &d, (flags & VIRTQ_DESC_WRITE) != 0);
    }
    return (flags & VIRTQ_DESC_NEXT) != 0 ? virtq_fail(queue, VIRTQ_FAULT_INDIRECT)
                                          : gather_indirect(queue, chain, &d);
}

enum virtq_result packed_pop(struct virtq *queue, struct virtq_chain *chain)
{
    uint16_t slot = queue->next;
    bool wrap = queue->next_wrap;
    /* Acquire: pairs with the driver's write barrier before the flags of a chain's first
     * descriptor: its rest and the other descriptors are there. */
    uint16_t flags = POSTERN_LOAD_ACQUIRE(flags_of(queue, slot));

    if (!is_available(flags, wrap)) {
        return VIRTQ_NONE;
    }
    for (;;) {
        if (!gather_slot(queue, chain, slot, flags)) {
            return VIRTQ_FAULTY;
        }
        chain->slots++;
        advance(queue, &slot, &wrap, 1);
        if ((flags & VIRTQ_DESC_NEXT) == 0) {
            break;
        }
        if (chain->slots == queue->size) {
            (void)virtq_fail(queue, VIRTQ_FAULT_LONG);
            return VIRTQ_FAULTY;
        }
        flags = POSTERN_LOAD(flags_of(queue, slot));
    }
    queue->next = slot;
    queue->next_wrap = wrap;
    return VIRTQ_CHAIN;
}

static uint16_t used_flags(bool wrap, uint32_t written)
{
    uint16_t flags = wrap ? VIRTQ_DESC_AVAIL | VIRTQ_DESC_USED : 0;

    return written != 0 ? flags | VIRTQ_DESC_WRITE : flags;
}

void packed_push(struct virtq *queue, const struct virtq_used *used, unsigned count)
{
    uint16_t first = queue->used;
    uint16_t first_flags = used_flags(queue->used_wrap, used[0].written);

    for (unsigned i = 0; i < count; i++) {
        uint8_t *slot = slot_at(queue, queue->used);
        POSTERN_STORE((uint32_t *)(void *)(slot + DESC_LENGTH), used[i].written);
        POSTERN_STORE(virtq_word(slot, DESC_ID), used[i].id);
        if (i != 0) {
            POSTERN_STORE(virtq_word(slot, DESC_FLAGS),
                          used_flags(queue->used_wrap, used[i].written));
        }
        advance(queue, &queue->used, &queue->used_wrap, used[i].slots);
    }
    /* Last: the driver looks at a slot when it has found the one before it used. Release: pairs
     * with the driver's read barrier after the flags: it then sees ids and lengths, and what was
     * written to the buffers. */
    POSTERN_STORE_RELEASE(flags_of(queue, first), first_flags);
}

/* Whether the slots from `reported` up to `used` include the one that the driver named. */
static bool passed_event(const struct virtq *queue, uint16_t reported, bool reported_wrap,
                         uint16_t place)
{
    uint32_t event = place & ~VIRTQ_EVENT_WRAP;
    bool wrap = (place & VIRTQ_EVENT_WRAP) != 0;
    /* As distances from `reported`, whose round is the earlier one of two. */
    uint32_t end = queue->used + (queue->used_wrap == reported_wrap ? 0u : queue->size);
    uint32_t at = event + (wrap == reported_wrap ? 0u : queue->size);

    return at >= reported && at < end;
}

bool packed_must_interrupt(struct virtq *queue)
{
    uint16_t reported = queue->reported;
    bool reported_wrap = queue->reported_wrap;

    if (queue->used == reported && queue->used_wrap == reported_wrap) {
        return false;
    }
    queue->reported = queue->used;
    queue->reported_wrap = queue->used_wrap;
    /* Pairs with the driver's barrier between its wish and its look at the ring: either it sees
     * what was pushed, or its wish is seen here. */
    POSTERN_FULL_BARRIER();
    uint16_t flags = POSTERN_LOAD(virtq_word(queue->driver, EVENT_FLAGS)) & 3;
    if (flags != VIRTQ_EVENT_DESC || !queue->event_idx) {
        return flags != VIRTQ_EVENT_DISABLE;
    }
    /* The place was written before the flags. */
    POSTERN_READ_BARRIER();
    return passed_event(queue, reported, reported_wrap,
                        POSTERN_LOAD(virtq_word(queue->driver, EVENT_PLACE)));
}

bool packed_arm(struct virtq *queue)
{
    if (queue->event_idx) {
        uint16_t place = queue->next | (queue->next_wrap ? VIRTQ_EVENT_WRAP : 0);
        POSTERN_STORE(virtq_word(queue->device, EVENT_PLACE), place);
        POSTERN_WRITE_BARRIER();
        POSTERN_STORE(virtq_word(queue->device, EVENT_FLAGS), (uint16_t)VIRTQ_EVENT_DESC);
    } else {
        POSTERN_STORE(virtq_word(queue->device, EVENT_FLAGS), (uint16_t)VIRTQ_EVENT_ENABLE);
    }
    /* Pairs with the driver's barrier between its flags and its look at this: either it notifies,
     * or its chain is seen here. */
    POSTERN_FULL_BARRIER();
    return is_available(POSTERN_LOAD_ACQUIRE(flags_of(queue, queue->next)), queue->next_wrap);
}

void packed_disarm(struct virtq *queue)
{
    POSTERN_STORE(virtq_word(queue->device, EVENT_FLAGS), (uint16_t)VIRTQ_EVENT_DISABLE);
}
