/* SPDX-License-Identifier: BSD-2-Clause */
#include "virtio/queue_parts.h"

#include "lib/string.h"

const char *virtq_fault_name(enum virtq_fault fault)
{
    static const char *const names[VIRTQ_FAULTS] = {
        [VIRTQ_FAULT_NONE] = "none",
        [VIRTQ_FAULT_SIZE] = "a queue of a size that is not allowed",
        [VIRTQ_FAULT_RING] = "a ring outside RAM, or not aligned",
        [VIRTQ_FAULT_INDEX] = "more chains available than the queue has room for",
        [VIRTQ_FAULT_HEAD] = "a chain that begins beyond the descriptor table",
        [VIRTQ_FAULT_NEXT] = "a chain that goes on beyond its descriptor table",
        [VIRTQ_FAULT_LONG] = "a chain that loops, or has too many buffers",
        [VIRTQ_FAULT_EMPTY] = "a buffer of no bytes",
        [VIRTQ_FAULT_LARGE] = "a chain of 4 GiB or more",
        [VIRTQ_FAULT_MEMORY] = "a buffer outside RAM",
        [VIRTQ_FAULT_ORDER] = "a buffer to read behind one to write",
        [VIRTQ_FAULT_INDIRECT] = "an indirect descriptor that is not allowed",
    };

    return fault < VIRTQ_FAULTS ? names[fault] : "unknown";
}

bool virtq_fail(struct virtq *queue, enum virtq_fault fault)
{
    queue->fault = fault;
    return false;
}

static uint64_t device_size(const struct virtq *queue)
{
    return queue->packed ? 4 : 6 + 8 * (uint64_t)queue->size;
}

/* Bytes of a ring's three areas (VIRTIO 1.2, "Split Virtqueues" and "Packed Virtqueues"), and how
 * they are aligned. The driver's and the device's have a last word for EVENT_IDX. */
static bool map_ring(struct virtq *queue, const struct virtq_setup *setup)
{
    const struct {
        uint64_t address, size, alignment;
        uint8_t **mapped;
    } areas[] = {
        {setup->descriptors, VIRTQ_DESC_SIZE * setup->size, 16, &queue->descriptors},
        {setup->driver, queue->packed ? 4 : 6 + 2 * setup->size, queue->packed ? 4 : 2,
         &queue->driver},
        {setup->device, device_size(queue), 4, &queue->device},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(areas); i++) {
        *areas[i].mapped =
            is_aligned(areas[i].address, areas[i].alignment)
                ? setup->memory->map(setup->memory->context, areas[i].address, areas[i].size, false)
                : NULL;
        if (*areas[i].mapped == NULL) {
            return virtq_fail(queue, VIRTQ_FAULT_RING);
        }
    }
    return true;
}

status_t virtq_init(struct virtq *queue, const struct virtq_setup *setup)
{
    *queue = (struct virtq){
        .memory = setup->memory,
        .packed = (setup->features & VIRTIO_F_RING_PACKED) != 0,
        .event_idx = (setup->features & VIRTIO_F_EVENT_IDX) != 0,
        .indirect = (setup->features & VIRTIO_F_INDIRECT_DESC) != 0,
        .next_wrap = true,
        .used_wrap = true,
        .reported_wrap = true,
    };
    if (setup->size == 0 || setup->size > VIRTQ_SIZE_MAX ||
        (!queue->packed && !is_power_of_two(setup->size))) {
        (void)virtq_fail(queue, VIRTQ_FAULT_SIZE);
        return STATUS_INVALID;
    }
    queue->size = (uint16_t)setup->size;
    return map_ring(queue, setup) ? STATUS_OK : STATUS_INVALID;
}

/* A word of 64 bits of an indirect table, which need not be aligned; each byte is read once. */
static uint64_t load64(const uint8_t *at)
{
    uint64_t value = 0;

    if (is_aligned((uintptr_t)at, sizeof(uint64_t))) {
        return POSTERN_LOAD((const uint64_t *)(const void *)at);
    }
    for (unsigned i = 0; i < sizeof(value); i++) {
        value |= (uint64_t)POSTERN_LOAD(at + i) << 8 * i;
    }
    return value;
}

struct virtq_descriptor virtq_load(const uint8_t *at)
{
    uint64_t address = load64(at);
    uint64_t rest = load64(at + sizeof(address));

    return (struct virtq_descriptor){.address = address,
                                     .length = (uint32_t)rest,
                                     .third = (uint16_t)(rest >> 32),
                                     .fourth = (uint16_t)(rest >> 48)};
}

bool virtq_add(struct virtq *queue, struct virtq_chain *chain, const struct virtq_descriptor *d,
               bool writable)
{
    uint32_t *total = writable ? &chain->writable_size : &chain->readable_size;

    if (chain->count == VIRTQ_PIECES_MAX) {
        return virtq_fail(queue, VIRTQ_FAULT_LONG);
    }
    if (d->length == 0) {
        return virtq_fail(queue, VIRTQ_FAULT_EMPTY);
    }
    if (!writable && chain->readable != chain->count) {
        return virtq_fail(queue, VIRTQ_FAULT_ORDER);
    }
    if ((uint64_t)chain->readable_size + chain->writable_size + d->length > UINT32_MAX) {
        return virtq_fail(queue, VIRTQ_FAULT_LARGE);
    }
    void *bytes = queue->memory->map(queue->memory->context, d->address, d->length, writable);
    if (bytes == NULL) {
        return virtq_fail(queue, VIRTQ_FAULT_MEMORY);
    }
    chain->pieces[chain->count++] = (struct virtq_piece){bytes, d->length};
    chain->readable += writable ? 0 : 1;
    *total += d->length;
    return true;
}

const uint8_t *virtq_map_indirect(struct virtq *queue, const struct virtq_descriptor *d,
                                  uint32_t *count)
{
    const uint8_t *table = NULL;

    if (queue->indirect && d->length != 0 && d->length % VIRTQ_DESC_SIZE == 0) {
        *count = d->length / VIRTQ_DESC_SIZE;
        table = queue->memory->map(queue->memory->context, d->address, d->length, false);
    }
    if (table == NULL) {
        (void)virtq_fail(queue, VIRTQ_FAULT_INDIRECT);
    }
    return table;
}

enum virtq_result virtq_pop(struct virtq *queue, struct virtq_chain *chain)
{
    if (queue->fault != VIRTQ_FAULT_NONE) {
        return VIRTQ_FAULTY;
    }
    chain->slots = 0;
    chain->count = 0;
    chain->readable = 0;
    chain->readable_size = 0;
    chain->writable_size = 0;
    return queue->packed ? packed_pop(queue, chain) : split_pop(queue, chain);
}

static void tell_wrote(const struct virtq *queue, const uint8_t *area, uint64_t size)
{
    if (queue->memory->wrote != NULL) {
        queue->memory->wrote(queue->memory->context, area, size);
    }
}

void virtq_push_all(struct virtq *queue, const struct virtq_used *used, unsigned count)
{
    if (queue->packed) {
        packed_push(queue, used, count);
        tell_wrote(queue, queue->descriptors, VIRTQ_DESC_SIZE * queue->size);
    } else {
        split_push(queue, used, count);
        tell_wrote(queue, queue->device, device_size(queue));
    }
}

void virtq_push(struct virtq *queue, const struct virtq_chain *chain, uint32_t written)
{
    const struct virtq_used used = {chain->id, chain->slots, written};

    virtq_push_all(queue, &used, 1);
}

bool virtq_must_interrupt(struct virtq *queue)
{
    return queue->packed ? packed_must_interrupt(queue) : split_must_interrupt(queue);
}

bool virtq_arm(struct virtq *queue)
{
    bool available = queue->packed ? packed_arm(queue) : split_arm(queue);

    tell_wrote(queue, queue->device, device_size(queue));
    return available;
}

void virtq_disarm(struct virtq *queue)
{
    if (queue->packed) {
        packed_disarm(queue);
    } else {
        split_disarm(queue);
    }
    tell_wrote(queue, queue->device, device_size(queue));
}

struct virtq_cursor virtq_readable(const struct virtq_chain *chain)
{
    return (struct virtq_cursor){chain->pieces, chain->readable, 0};
}

struct virtq_cursor virtq_writable(const struct virtq_chain *chain)
{
    return (struct virtq_cursor){chain->pieces + chain->readable, chain->count - chain->readable,
                                 0};
}

uint32_t virtq_take(struct virtq_cursor *cursor, uint32_t limit, uint8_t **bytes)
{
    if (cursor->left == 0 || limit == 0) {
        return 0;
    }
    const struct virtq_piece *piece = cursor->piece;
    uint32_t size = piece->size - cursor->at;

    *bytes = piece->bytes + cursor->at;
    if (size > limit) {
        cursor->at += limit;
        return limit;
    }
    cursor->piece++;
    cursor->left--;
    cursor->at = 0;
    return size;
}

uint32_t virtq_copy_from(struct virtq_cursor *cursor, void *to, uint32_t size)
{
    uint32_t done = 0;
    uint8_t *bytes = NULL;

    for (uint32_t part; (part = virtq_take(cursor, size - done, &bytes)) != 0; done += part) {
        memcpy((uint8_t *)to + done, bytes, part);
    }
    return done;
}

uint32_t virtq_copy_to(struct virtq_cursor *cursor, const void *from, uint32_t size)
{
    uint32_t done = 0;
    uint8_t *bytes = NULL;

    for (uint32_t part; (part = virtq_take(cursor, size - done, &bytes)) != 0; done += part) {
        memcpy(bytes, (const uint8_t *)from + done, part);
    }
    return done;
}
