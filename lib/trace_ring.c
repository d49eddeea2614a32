/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/trace_ring.h"

#include "abi/access.h"
#include "lib/string.h"

#define WORDS (POSTERN_TRACE_RECORD_SIZE / sizeof(uint64_t))

void trace_ring_put(struct trace_ring *ring, const struct postern_trace_record *record)
{
    uint64_t end = atomic_load_explicit(&ring->end, memory_order_relaxed);
    uint64_t *to = ring->words + end % TRACE_RING_RECORDS * WORDS;
    uint64_t from[WORDS];

    memcpy(from, record, sizeof(from));
    /* After the end that was published last. Partner: the fence in trace_ring_read(): who read a
     * word of this record sees that end. */
    atomic_thread_fence(memory_order_release);
    for (size_t i = 0; i < WORDS; i++) {
        POSTERN_STORE(&to[i], from[i]);
    }
    /* Release: pairs with the acquire in trace_ring_read(): the record is there. */
    atomic_store_explicit(&ring->end, end + 1, memory_order_release);
}

static uint8_t byte_at(const struct trace_ring *ring, uint64_t offset)
{
    uint64_t word = POSTERN_LOAD(&ring->words[offset % TRACE_RING_SIZE / sizeof(uint64_t)]);

    return (uint8_t)(word >> 8 * (offset % sizeof(uint64_t)));
}

/* The oldest byte that no writer touches, with `end` records written and one more begun. */
static uint64_t oldest(uint64_t end)
{
    return end < TRACE_RING_RECORDS ? 0
                                    : (end + 1 - TRACE_RING_RECORDS) * POSTERN_TRACE_RECORD_SIZE;
}

size_t trace_ring_read(const struct trace_ring *ring, uint64_t *offset, char *buffer, size_t size,
                       uint64_t *end)
{
    /* Acquire: pairs with the release in trace_ring_put(). */
    uint64_t records = atomic_load_explicit(&ring->end, memory_order_acquire);
    size_t count = 0;

    *end = records * POSTERN_TRACE_RECORD_SIZE;
    *offset = *offset > *end ? *end : *offset;
    *offset = *offset < oldest(records) ? oldest(records) : *offset;
    for (; count < size && *offset + count < *end; count++) {
        buffer[count] = (char)byte_at(ring, *offset + count);
    }
    /* What was read, before the end again. Partner: the fence in trace_ring_put(). */
    atomic_thread_fence(memory_order_acquire);
    uint64_t kept = oldest(atomic_load_explicit(&ring->end, memory_order_relaxed));
    if (kept > *offset) {
        size_t lost = kept - *offset < count ? (size_t)(kept - *offset) : count;
        for (size_t i = 0; i + lost < count; i++) {
            buffer[i] = buffer[i + lost];
        }
        count -= lost;
        *offset = kept;
    }
    return count;
}
