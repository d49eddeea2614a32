/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A ring of trace records that keeps the newest. One writer, which never waits; a reader on another
 * CPU, which takes no lock and learns what it was too slow for.
 */
#ifndef POSTERN_LIB_TRACE_RING_H
#define POSTERN_LIB_TRACE_RING_H

#include "abi/trace.h"
#include "lib/types.h"

#define TRACE_RING_RECORDS 4096u
#define TRACE_RING_SIZE    (TRACE_RING_RECORDS * POSTERN_TRACE_RECORD_SIZE)

struct trace_ring {
    uint64_t *words;      /* TRACE_RING_SIZE bytes; its owner's */
    _Atomic uint64_t end; /* records written since the start */
};

/* The writer's part. */
void trace_ring_put(struct trace_ring *ring, const struct postern_trace_record *record);

/* Copies up to `size` bytes of the records from byte `*offset` since the start on. Where they were
 * overwritten already `*offset` moves to the oldest whole record kept, and behind the end to the
 * end; `*end` is the end. Returns the count. */
size_t trace_ring_read(const struct trace_ring *ring, uint64_t *offset, char *buffer, size_t size,
                       uint64_t *end);

#endif
