/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the gate's functions for frames (abi/gate_burst.h) do: in the gate, and in programs and
 * tests that may touch the window as it is. For code that may use vector registers.
 *
 * Frames mostly come in runs that have the same header. A header is checked once; those that follow
 * are compared with it as a whole, and need no other check than whether they are there. What cannot
 * be in a run, and what is wrong, goes the ring's own way: a pad, a stamp, no room.
 */
#ifndef POSTERN_ABI_GATE_BURST_OPS_H
#define POSTERN_ABI_GATE_BURST_OPS_H

#include "abi/gate_burst.h"
#include "abi/gate_ring_ops.h"

/* A register of 16 bytes, and in memory: the header of a record, or bytes anywhere. */
typedef uint64_t postern_vector __attribute__((vector_size(16), may_alias));
typedef uint64_t postern_bytes __attribute__((vector_size(16), may_alias, aligned(1)));

_Static_assert(sizeof(postern_vector) == sizeof(struct postern_record), "a header is one vector");

/* As POSTERN_LOAD (abi/access.h), of two words side by side. A test has its own. */
#ifndef POSTERN_LOAD_VECTOR
#define POSTERN_LOAD_VECTOR(p) (*(const volatile postern_vector *)(const void *)(p))
#endif

static inline void postern_copy_vector(uint8_t *to, const uint8_t *from)
{
    *(postern_bytes *)(void *)to = *(const postern_bytes *)(const void *)from;
}

/* All loads come before the stores, so that none waits for another. */
static inline void postern_copy_4_vectors(uint8_t *to, const uint8_t *from, uint32_t last)
{
    const postern_bytes a = *(const postern_bytes *)(const void *)from;
    const postern_bytes b = *(const postern_bytes *)(const void *)(from + 16);
    const postern_bytes c = *(const postern_bytes *)(const void *)(from + 32);
    const postern_bytes d = *(const postern_bytes *)(const void *)(from + last);

    *(postern_bytes *)(void *)to = a;
    *(postern_bytes *)(void *)(to + 16) = b;
    *(postern_bytes *)(void *)(to + 32) = c;
    *(postern_bytes *)(void *)(to + last) = d;
}

/* Frames of these sizes have a loop of their own: four vectors, the last of which may overlap the
 * third. Ethernet's shortest are among them. */
#define POSTERN_SHORT_MIN 49u
#define POSTERN_SHORT_MAX 64u
/* More bytes than this are left to POSTERN_COPY. */
#ifndef POSTERN_VECTORS_MAX
#define POSTERN_VECTORS_MAX 256u
#endif

/* Flags of records that are a header and a payload, and so can be in a run. */
#define POSTERN_BURST_FLAGS (POSTERN_RECORD_CSUM | POSTERN_RECORD_VALID | POSTERN_RECORD_ECN)

static inline bool postern_burst_is_short(uint32_t length)
{
    return length - POSTERN_SHORT_MIN <= POSTERN_SHORT_MAX - POSTERN_SHORT_MIN;
}

/* Any number of bytes. The last ones may be copied in part a second time. */
static inline void postern_burst_copy(uint8_t *to, const uint8_t *from, uint32_t length)
{
    uint32_t last;

    if (length - 16 > POSTERN_VECTORS_MAX - 16) {
        POSTERN_COPY(to, from, length);
    } else if (length < 64) {
        last = length - 16;
        for (uint32_t i = 0; i < last; i += 16) {
            postern_copy_vector(to + i, from + i);
        }
        postern_copy_vector(to + last, from + last);
    } else {
        last = length - 64;
        for (uint32_t i = 0; i < last; i += 64) {
            postern_copy_4_vectors(to + i, from + i, 48);
        }
        postern_copy_4_vectors(to + last, from + last, 48);
    }
}

static inline uint64_t postern_min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline postern_vector postern_burst_load(const void *header)
{
    return *(const postern_bytes *)header;
}

static inline void postern_burst_store(void *header, postern_vector value)
{
    *(postern_bytes *)header = value;
}

static inline bool postern_burst_same(postern_vector a, postern_vector b)
{
    typedef char bytes __attribute__((vector_size(16)));

    return __builtin_ia32_pmovmskb128((bytes)((bytes)a == (bytes)b)) == 0xffff;
}

/* Frames with the same header, on their way between buffers and records that are side by side. */
struct postern_burst_run {
    postern_vector header;
    uint32_t length; /* of each payload */
    uint32_t size;   /* of each record */
};

static inline struct postern_burst_run postern_burst_run_of(postern_vector header)
{
    const uint32_t length = (uint32_t)header[0];

    return (struct postern_burst_run){header, length, postern_ring_record_size(length, 0)};
}

static inline __attribute__((always_inline)) void postern_burst_copy_of(
    const struct postern_burst_run *run, uint8_t *to, const uint8_t *from, bool is_short)
{
    if (is_short) {
        postern_copy_4_vectors(to, from, run->length - 16);
    } else {
        postern_burst_copy(to, from, run->length);
    }
}

/* Of `frames` frames of a valid length those whose records fit into `bytes` bytes: as a rule all.
 */
static inline uint32_t postern_burst_count(const struct postern_burst_run *run, uint64_t frames,
                                           uint64_t bytes)
{
    if (__builtin_expect(frames * run->size <= bytes, 1)) {
        return (uint32_t)frames;
    }
    return (uint32_t)bytes / run->size;
}

/* Any frame. False: it cannot be sent; so it is with one that is not in its buffer. */
static __attribute__((noinline, cold)) bool postern_burst_send_one(
    struct postern_gate_burst *burst, struct postern_ring_writer *writer,
    const struct postern_gate_frame *frame)
{
    struct postern_ring_meta meta;
    uint8_t *payload;

    __builtin_memcpy(&meta, &frame->record, sizeof(frame->record));
    meta.stamp = 0;
    if ((meta.flags & POSTERN_RECORD_POOL) != 0) {
        return false;
    }
    payload = postern_ring_write_next(burst->ring, writer, &meta);
    if (payload == NULL) {
        return false;
    }
    postern_burst_copy(payload, frame->address, meta.length);
    burst->bytes += meta.length;
    return true;
}

/* Sends frames, of which the first has the run's header, up to `end` or one that has another.
 * Returns where it has stopped. */
static inline __attribute__((always_inline)) const struct postern_gate_frame *
postern_burst_send_run(const struct postern_burst_run *run, const struct postern_gate_frame *frame,
                       const struct postern_gate_frame *end, uint8_t *record, bool is_short)
{
    do {
        postern_burst_store(record, run->header);
        postern_burst_copy_of(run, record + sizeof(struct postern_record), frame->address,
                              is_short);
        record += run->size;
        frame++;
    } while (frame != end && postern_burst_same(postern_burst_load(&frame->record), run->header));
    return frame;
}

/* Could a frame of this header be in a run? One whose record is a header and a payload. */
static inline bool postern_burst_sends(postern_vector header, uint32_t max_length)
{
    const uint64_t flags = (uint64_t)(uint16_t)~POSTERN_BURST_FLAGS << 32;

    return (uint32_t)header[0] - 1 < max_length && (header[0] & flags) == 0;
}

/* Sends frames in runs, up to one that needs postern_burst_send_one, or `end`. Returns it. */
static inline const struct postern_gate_frame *postern_burst_send_runs(
    struct postern_gate_burst *burst, struct postern_ring_writer *writer,
    const struct postern_gate_frame *frame, const struct postern_gate_frame *end)
{
    const uint64_t at = writer->head & writer->mask;
    const uint64_t room = postern_min(writer->limit - writer->head, writer->mask + 1 - at);
    uint64_t done = 0;

    while (frame != end) {
        const struct postern_burst_run run =
            postern_burst_run_of(postern_burst_load(&frame->record));
        uint8_t *record = writer->data + at + done;
        const struct postern_gate_frame *next;
        uint32_t count;

        if (!postern_burst_sends(run.header, writer->max_payload)) {
            break;
        }
        count = postern_burst_count(&run, (uint64_t)(end - frame), room - done);
        if (count == 0) {
            break;
        }
        next = postern_burst_is_short(run.length)
                   ? postern_burst_send_run(&run, frame, frame + count, record, true)
                   : postern_burst_send_run(&run, frame, frame + count, record, false);
        done += (uint64_t)(next - frame) * run.size;
        burst->bytes += (uint64_t)(next - frame) * run.length;
        frame = next;
    }
    writer->head += done;
    return frame;
}

static __attribute__((noinline)) int64_t postern_burst_send(struct postern_gate_burst *burst)
{
    struct postern_ring *ring = burst->ring;
    struct postern_ring_writer writer = postern_ring_write_begin(ring);
    const struct postern_gate_frame *frame = burst->frames, *const end = frame + burst->count;

    burst->bytes = 0;
    for (;;) {
        frame = postern_burst_send_runs(burst, &writer, frame, end);
        if (frame == end || !postern_burst_send_one(burst, &writer, frame)) {
            break;
        }
        frame++;
    }
    burst->done = (uint32_t)(frame - burst->frames);
    postern_ring_write_end(ring, &writer);
    return (postern_ring_publish(ring) ? POSTERN_GATE_DOORBELL : 0) | postern_gate_sync_bit(ring);
}

/* Any packet. False: there is none. */
static __attribute__((noinline, cold)) bool postern_burst_take_one(
    struct postern_gate_burst *burst, struct postern_ring_reader *reader,
    struct postern_gate_frame *frame)
{
    struct postern_ring_meta meta;
    const uint8_t *payload = postern_ring_read_next(reader, &meta);

    if (payload == NULL) {
        return false;
    }
    if (meta.length <= burst->room) {
        postern_burst_copy(frame->address, payload, meta.length);
    } else {
        meta.length = 0;
        burst->dropped++;
    }
    burst->bytes += meta.length;
    meta.flags &= POSTERN_BURST_FLAGS;
    __builtin_memcpy(&frame->record, &meta, sizeof(frame->record));
    return true;
}

/* Reads a header in the peer's section, once. */
static inline postern_vector postern_burst_read(const uint8_t *record)
{
    return POSTERN_LOAD_VECTOR(record);
}

/* Takes records, of which the first had the run's header, into the frames up to `end`, or up to one
 * that has another header: the peer may change any of them at any time, and has to be believed in
 * none. Returns where it has stopped. */
static inline __attribute__((always_inline)) struct postern_gate_frame *postern_burst_take_run(
    const struct postern_burst_run *run, struct postern_gate_frame *frame,
    const struct postern_gate_frame *end, const uint8_t *record, bool is_short)
{
    do {
        postern_burst_store(&frame->record, run->header);
        postern_burst_copy_of(run, frame->address, record + sizeof(struct postern_record),
                              is_short);
        record += run->size;
        frame++;
    } while (frame != end && postern_burst_same(postern_burst_read(record), run->header));
    return frame;
}

static __attribute__((noinline, cold)) bool postern_burst_is_valid(postern_vector header)
{
    struct postern_ring_meta meta;

    __builtin_memcpy(&meta, &header, sizeof(header));
    return (meta.flags & ~POSTERN_BURST_FLAGS) == 0 && postern_ring_meta_valid(&meta);
}

/* Can a record of this header, which the peer has written, be in a run? */
static inline bool postern_burst_takes(postern_vector header, uint32_t max_length, uint32_t room)
{
    const uint32_t length = (uint32_t)header[0];

    return length - 1 < max_length && length <= room &&
           ((header[0] >> 32 | header[1]) == 0 || postern_burst_is_valid(header));
}

/* Takes packets in runs, up to one that needs postern_burst_take_one, or the last known, or `end`.
 * Returns the frame for the next one. */
static inline struct postern_gate_frame *postern_burst_take_runs(
    struct postern_gate_burst *burst, struct postern_ring_reader *reader,
    struct postern_gate_frame *frame, const struct postern_gate_frame *end)
{
    const uint64_t at = reader->tail & reader->mask;
    const uint64_t there = postern_min(reader->available, reader->mask + 1 - at);
    uint64_t done = 0;

    while (frame != end && done != there) {
        const uint8_t *record = reader->data + at + done;
        const struct postern_burst_run run = postern_burst_run_of(postern_burst_read(record));
        struct postern_gate_frame *next;
        uint32_t count;

        if (!postern_burst_takes(run.header, reader->max_payload, burst->room)) {
            break;
        }
        count = postern_burst_count(&run, (uint64_t)(end - frame), there - done);
        if (count == 0) {
            break;
        }
        next = postern_burst_is_short(run.length)
                   ? postern_burst_take_run(&run, frame, frame + count, record, true)
                   : postern_burst_take_run(&run, frame, frame + count, record, false);
        done += (uint64_t)(next - frame) * run.size;
        burst->bytes += (uint64_t)(next - frame) * run.length;
        frame = next;
    }
    reader->tail += done;
    reader->available -= done;
    return frame;
}

/* A burst that finds something. */
static __attribute__((noinline)) int64_t postern_burst_take_some(struct postern_gate_burst *burst)
{
    struct postern_ring *ring = burst->ring;
    struct postern_ring_reader reader = postern_ring_read_begin(ring);
    struct postern_gate_frame *frame = burst->frames;
    const struct postern_gate_frame *const end = frame + burst->count;

    burst->bytes = 0;
    burst->dropped = 0;
    for (;;) {
        frame = postern_burst_take_runs(burst, &reader, frame, end);
        if (frame == end || !postern_burst_take_one(burst, &reader, frame)) {
            break;
        }
        frame++;
    }
    burst->done = (uint32_t)(frame - burst->frames);
    postern_ring_read_end(ring, &reader);
    return (postern_ring_release(ring) ? POSTERN_GATE_DOORBELL : 0) | postern_gate_sync_bit(ring);
}

/* Polling costs what it takes to find nothing. */
static inline int64_t postern_burst_take(struct postern_gate_burst *burst)
{
    struct postern_ring *ring = burst->ring;

    if (__builtin_expect(postern_ring_works(ring) && postern_ring_available(ring) != 0, 1)) {
        return postern_burst_take_some(burst);
    }
    burst->done = 0;
    burst->dropped = 0;
    burst->bytes = 0;
    return postern_gate_sync_bit(ring);
}

/* The function of that number. UNKNOWN: it is none for frames. */
static inline int64_t postern_gate_burst_function(uint32_t function, void *arguments)
{
    switch (function) {
    case POSTERN_GATE_BURST_SEND:
        return postern_burst_send(arguments);
    case POSTERN_GATE_BURST_TAKE:
        return postern_burst_take(arguments);
    default:
        return POSTERN_ERR_UNKNOWN;
    }
}

#endif
