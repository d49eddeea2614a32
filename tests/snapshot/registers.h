/* SPDX-License-Identifier: BSD-2-Clause */
/* A virtio device's registers, which a driver here finds and writes to. */
#ifndef POSTERN_TESTS_SNAPSHOT_REGISTERS_H
#define POSTERN_TESTS_SNAPSHOT_REGISTERS_H

#include "tests/kit/kit.h"
#include "virtio/pci.h"
#include "virtio/spec.h"

#define REGISTERS_READY (VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK)

/* BAR 0 of a device that was found. */
typedef volatile uint8_t *registers_t;

static inline void set8(registers_t registers, uint32_t offset, uint32_t value)
{
    registers[offset] = (uint8_t)value;
}

static inline void set16(registers_t registers, uint32_t offset, uint32_t value)
{
    *(volatile uint16_t *)(registers + offset) = (uint16_t)value;
}

static inline void set32(registers_t registers, uint32_t offset, uint32_t value)
{
    *(volatile uint32_t *)(registers + offset) = value;
}

static inline void set64(registers_t registers, uint32_t offset, const volatile void *address)
{
    *(volatile uint64_t *)(registers + offset) = (uint64_t)address;
}

/* The first device of that id, its accesses to memory and its BARs switched on; `*address` is where
 * its configuration space is. */
registers_t registers_find(uint32_t id, uint32_t *address);

/* Device `number` of that id, from 0 on, likewise; NULL if there are not that many. */
registers_t registers_find_next(uint32_t id, uint32_t number);

/* As far as a driver's features go; its queues come then, and REGISTERS_READY. */
void registers_negotiate(registers_t registers, uint64_t features);

/* A split queue of `size`; where its three areas are. */
struct queue_areas {
    volatile uint64_t *descriptors;
    volatile uint16_t *available; /* flags, index, ring, used_event */
    volatile uint16_t *used;      /* flags, index, ring of {u32 id, u32 length}, avail_event */
};

struct queue_areas registers_start_queue(registers_t registers, uint32_t number, uint32_t size,
                                         uint32_t vector);

#endif
