/* SPDX-License-Identifier: BSD-2-Clause */
/* What queue.c and the two layouts, split.c and packed.c, share. Nobody else includes this. */
#ifndef POSTERN_VIRTIO_QUEUE_PARTS_H
#define POSTERN_VIRTIO_QUEUE_PARTS_H

#include "abi/access.h"
#include "virtio/queue.h"
#include "virtio/spec.h"

/* A copy of a descriptor: the guest's own may change at any time. */
struct virtq_descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t third, fourth; /* split: flags, next. Packed: id, flags */
};

/* Reads a descriptor, each of its words once. */
struct virtq_descriptor virtq_load(const uint8_t *at);

/* Makes the queue faulty. False, for the caller to return. */
bool virtq_fail(struct virtq *queue, enum virtq_fault fault);

/* Adds the buffer of a descriptor to the chain, if it may be there. */
bool virtq_add(struct virtq *queue, struct virtq_chain *chain, const struct virtq_descriptor *d,
               bool writable);

/* The address here of the indirect table of `d`, and in `*count` how many descriptors it has. NULL,
 * and the queue is faulty, if it may not be there. */
const uint8_t *virtq_map_indirect(struct virtq *queue, const struct virtq_descriptor *d,
                                  uint32_t *count);

/* A word in a ring; the areas that the driver chose are aligned. */
static inline uint16_t *virtq_word(uint8_t *area, uint32_t offset)
{
    return (uint16_t *)(void *)(area + offset);
}

/* The layouts' own parts of the functions in queue.h. */
enum virtq_result split_pop(struct virtq *queue, struct virtq_chain *chain);
void split_push(struct virtq *queue, const struct virtq_used *used, unsigned count);
bool split_must_interrupt(struct virtq *queue);
bool split_arm(struct virtq *queue);
void split_disarm(struct virtq *queue);
enum virtq_result packed_pop(struct virtq *queue, struct virtq_chain *chain);
void packed_push(struct virtq *queue, const struct virtq_used *used, unsigned count);
bool packed_must_interrupt(struct virtq *queue);
bool packed_arm(struct virtq *queue);
void packed_disarm(struct virtq *queue);

#endif
