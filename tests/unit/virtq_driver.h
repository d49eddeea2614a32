/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver's side of a virtqueue for tests, of either layout, in RAM of a heap block so that the
 * sanitizer sees each byte beyond. It keeps to the rules; a test that breaks them writes the memory
 * itself.
 */
#ifndef POSTERN_TESTS_UNIT_VIRTQ_DRIVER_H
#define POSTERN_TESTS_UNIT_VIRTQ_DRIVER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "virtio/queue.h"
#include "virtio/spec.h"

/* Guest-physical addresses. The areas end where RAM of 64 KiB would be cut first. */
#define DRIVER_RAM      0x10000u
#define DRIVER_DESC     0x1000u
#define DRIVER_AVAIL    0x3000u
#define DRIVER_USED     0x4000u
#define DRIVER_INDIRECT 0x6000u
#define DRIVER_DATA     0x8000u

struct driver {
    uint8_t *ram;
    uint64_t base; /* of this queue's areas, added to the addresses above */
    struct virtq_memory memory;
    bool noted[DRIVER_RAM / PAGE_SIZE]; /* pages that the device has said it writes to */
    uint64_t features;
    uint16_t size;
    bool packed;
    uint16_t descriptor; /* split: the next to use */
    uint16_t next, used; /* index, or slot */
    bool next_wrap, used_wrap;
    uint16_t slots_of[VIRTQ_SIZE_MAX]; /* packed: of each id */
    uint16_t kicked;                   /* `next` when it was last asked whether to notify */
    bool kicked_wrap;
};

struct driver_buffer {
    uint64_t gpa;
    uint32_t size;
    bool writable;
};

static inline void driver_note(void *context, const void *bytes, uint64_t size)
{
    struct driver *d = context;
    uint64_t gpa = (uint64_t)((const uint8_t *)bytes - d->ram);

    assert_true(size != 0 && range_within(gpa, size, 0, DRIVER_RAM));
    for (uint64_t page = gpa / PAGE_SIZE; page <= (gpa + size - 1) / PAGE_SIZE; page++) {
        d->noted[page] = true;
    }
}

static inline void *driver_map(void *context, uint64_t gpa, uint64_t size, bool writable)
{
    struct driver *d = context;

    if (!range_within(gpa, size, 0, DRIVER_RAM)) {
        return NULL;
    }
    if (writable) {
        driver_note(d, d->ram + gpa, size);
    }
    return d->ram + gpa;
}

static inline void driver_start(struct driver *d, bool packed, uint16_t size, uint64_t features)
{
    *d = (struct driver){.ram = calloc(1, DRIVER_RAM),
                         .memory = {.map = driver_map, .context = d, .wrote = driver_note},
                         .features = features | (packed ? VIRTIO_F_RING_PACKED : 0),
                         .size = size,
                         .packed = packed,
                         .next_wrap = true,
                         .used_wrap = true,
                         .kicked_wrap = true};
}

static inline void driver_stop(struct driver *d)
{
    free(d->ram);
}

static inline struct virtq_setup driver_setup(struct driver *d)
{
    return (struct virtq_setup){.memory = &d->memory,
                                .size = d->size,
                                .descriptors = d->base + DRIVER_DESC,
                                .driver = d->base + DRIVER_AVAIL,
                                .device = d->base + DRIVER_USED,
                                .features = d->features};
}

static inline void driver_put(struct driver *d, uint64_t gpa, uint64_t value, size_t size)
{
    memcpy(d->ram + gpa, &value, size);
}

static inline uint64_t driver_get(const struct driver *d, uint64_t gpa, size_t size)
{
    uint64_t value = 0;

    memcpy(&value, d->ram + gpa, size);
    return value;
}

/* A descriptor; `third` and `fourth` are the words behind the length. */
static inline void driver_describe(struct driver *d, uint64_t at, uint64_t gpa, uint32_t size,
                                   uint16_t third, uint16_t fourth)
{
    driver_put(d, at, gpa, 8);
    driver_put(d, at + 8, size, 4);
    driver_put(d, at + 12, third, 2);
    driver_put(d, at + 14, fourth, 2);
}

static inline uint16_t driver_flags(const struct driver_buffer *buffers, unsigned count, unsigned i)
{
    return (uint16_t)((buffers[i].writable ? VIRTQ_DESC_WRITE : 0) |
                      (i + 1 < count ? VIRTQ_DESC_NEXT : 0));
}

/* Makes entry `head` of a split ring available. */
static inline void driver_offer(struct driver *d, uint16_t head)
{
    driver_put(d, d->base + DRIVER_AVAIL + 4 + 2u * (d->next % d->size), head, 2);
    driver_put(d, d->base + DRIVER_AVAIL + 2, ++d->next, 2);
}

static inline uint16_t driver_add_split(struct driver *d, const struct driver_buffer *buffers,
                                        unsigned count)
{
    uint16_t head = d->descriptor;

    for (unsigned i = 0; i < count; i++) {
        uint16_t next = (uint16_t)((d->descriptor + 1) % d->size);
        driver_describe(d, d->base + DRIVER_DESC + 16u * d->descriptor, buffers[i].gpa,
                        buffers[i].size, driver_flags(buffers, count, i), next);
        d->descriptor = next;
    }
    driver_offer(d, head);
    return head;
}

/* The next slot of a packed ring: the flags that make it available, and on to the one after. */
static inline uint16_t driver_next_slot(struct driver *d)
{
    uint16_t flags = d->next_wrap ? VIRTQ_DESC_AVAIL : VIRTQ_DESC_USED;

    if (++d->next == d->size) {
        d->next = 0;
        d->next_wrap = !d->next_wrap;
    }
    return flags;
}

static inline uint16_t driver_add_packed(struct driver *d, const struct driver_buffer *buffers,
                                         unsigned count)
{
    uint16_t id = d->next;

    for (unsigned i = 0; i < count; i++) {
        uint64_t at = d->base + DRIVER_DESC + 16u * d->next;
        uint16_t flags = driver_next_slot(d);
        driver_describe(d, at, buffers[i].gpa, buffers[i].size, id,
                        flags | driver_flags(buffers, count, i));
    }
    d->slots_of[id] = (uint16_t)count;
    return id;
}

/* Makes a chain available; its id. */
static inline uint16_t driver_add(struct driver *d, const struct driver_buffer *buffers,
                                  unsigned count)
{
    return d->packed ? driver_add_packed(d, buffers, count) : driver_add_split(d, buffers, count);
}

/* A table at `gpa` of the buffers. */
static inline void driver_write_table(struct driver *d, uint64_t gpa,
                                      const struct driver_buffer *buffers, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint16_t flags = driver_flags(buffers, count, i);
        if (d->packed) {
            driver_describe(d, gpa + 16u * i, buffers[i].gpa, buffers[i].size, 0,
                            flags & VIRTQ_DESC_WRITE);
        } else {
            driver_describe(d, gpa + 16u * i, buffers[i].gpa, buffers[i].size, flags,
                            (uint16_t)(i + 1));
        }
    }
}

/* The same by an indirect descriptor, its table at `gpa`. */
static inline uint16_t driver_add_indirect(struct driver *d, uint64_t gpa,
                                           const struct driver_buffer *buffers, unsigned count)
{
    uint16_t slot = d->packed ? d->next : d->descriptor;
    const struct driver_buffer table = {gpa, 16u * count, false};
    uint64_t flags_at = d->base + DRIVER_DESC + 16u * slot + (d->packed ? 14 : 12);

    driver_write_table(d, gpa, buffers, count);
    uint16_t id = driver_add(d, &table, 1);
    driver_put(d, flags_at, driver_get(d, flags_at, 2) | VIRTQ_DESC_INDIRECT, 2);
    return id;
}

/* Takes the next used chain; false if there is none. */
static inline bool driver_take(struct driver *d, uint16_t *id, uint32_t *written)
{
    if (!d->packed) {
        if (driver_get(d, d->base + DRIVER_USED + 2, 2) == d->used) {
            return false;
        }
        uint64_t at = d->base + DRIVER_USED + 4 + 8u * (d->used++ % d->size);
        *id = (uint16_t)driver_get(d, at, 4);
        *written = (uint32_t)driver_get(d, at + 4, 4);
        return true;
    }
    uint64_t at = d->base + DRIVER_DESC + 16u * d->used;
    uint64_t flags = driver_get(d, at + 14, 2);
    bool avail = (flags & VIRTQ_DESC_AVAIL) != 0, used = (flags & VIRTQ_DESC_USED) != 0;
    if (avail != used || used != d->used_wrap) {
        return false;
    }
    *id = (uint16_t)driver_get(d, at + 12, 2);
    *written = (uint32_t)driver_get(d, at + 8, 4);
    d->used = (uint16_t)(d->used + d->slots_of[*id]);
    if (d->used >= d->size) {
        d->used = (uint16_t)(d->used - d->size);
        d->used_wrap = !d->used_wrap;
    }
    return true;
}

/* Asks for an interrupt once the chain after the next `later` ones is used; EVENT_IDX. */
static inline void driver_want(struct driver *d, uint16_t later)
{
    uint32_t place = (uint32_t)d->used + later;

    if (!d->packed) {
        driver_put(d, d->base + DRIVER_AVAIL + 4 + 2u * d->size, place, 2);
        return;
    }
    bool wrap = place >= d->size ? !d->used_wrap : d->used_wrap;
    driver_put(d, d->base + DRIVER_AVAIL, place % d->size | (wrap ? VIRTQ_EVENT_WRAP : 0), 2);
    driver_put(d, d->base + DRIVER_AVAIL + 2, VIRTQ_EVENT_DESC, 2);
}

/* Whether the device wants to be told of what was added since the last call. */
static inline bool driver_must_notify(struct driver *d)
{
    if ((d->features & VIRTIO_F_EVENT_IDX) == 0) {
        return true;
    }
    if (!d->packed) {
        uint16_t event = (uint16_t)driver_get(d, d->base + DRIVER_USED + 4 + 8u * d->size, 2);
        uint16_t before = d->kicked;
        d->kicked = d->next;
        return (uint16_t)(d->next - event - 1) < (uint16_t)(d->next - before);
    }
    uint32_t place = (uint32_t)driver_get(d, d->base + DRIVER_USED, 2);
    uint64_t flags = driver_get(d, d->base + DRIVER_USED + 2, 2);
    /* As positions in two rounds, the first being that of the last call. */
    uint32_t event = (place & 0x7fff) + ((place >> 15 != 0) == d->kicked_wrap ? 0u : d->size);
    uint32_t begin = d->kicked;
    uint32_t end = d->next + (d->next_wrap == d->kicked_wrap ? 0u : d->size);
    d->kicked = d->next;
    d->kicked_wrap = d->next_wrap;
    return flags != VIRTQ_EVENT_DISABLE &&
           (flags != VIRTQ_EVENT_DESC || (event >= begin && event < end));
}

#endif
