/* SPDX-License-Identifier: BSD-2-Clause */
/* Bursts: a crossing each. */
#include "abi/gate_burst.h"
#include "guests/libpostern/port.h"

/* Enters a half for a burst. False: there is nothing to be done now, and the half is left. */
static inline bool begin_burst(struct postern_queue *queue, struct postern_queue_half *half)
{
    if (!postern_queue_enter(half)) {
        return false;
    }
    if (!postern_queue_failed(queue)) {
        return true;
    }
    postern_queue_recover(queue, half);
    postern_queue_leave(half);
    return false;
}

/* Of a crossing that succeeded. */
static inline void count(struct postern_queue_half *half, uint64_t packets, uint64_t bytes)
{
    postern_queue_add(&half->packets, packets);
    postern_queue_add(&half->bytes, bytes);
}

static inline void heed(struct postern_queue *queue, struct postern_queue_half *half,
                        int64_t result)
{
    if (__builtin_expect(result > 0, 0)) {
        postern_queue_heed(queue, half, result);
    }
}

/* Counts what a crossing has taken, and says how many packets are the caller's now. */
static inline unsigned end_receiving(struct postern_queue *queue, int64_t result, uint32_t done,
                                     uint64_t dropped, uint64_t bytes)
{
    struct postern_queue_half *half = &queue->rx;

    if (__builtin_expect(result < 0, 0)) {
        done = 0;
    } else if (done != 0) {
        count(half, done - dropped, bytes);
        if (__builtin_expect(dropped != 0, 0)) {
            postern_queue_add(&half->dropped, dropped);
        }
    }
    heed(queue, half, result);
    postern_queue_leave(half);
    return done;
}

unsigned postern_rx_burst(struct postern_queue *queue, struct postern_gate_frame *frames,
                          unsigned frame_count, uint32_t room)
{
    struct postern_gate_burst burst;
    int64_t result;

    if (!begin_burst(queue, &queue->rx)) {
        return 0;
    }
    burst.ring = &queue->ring;
    burst.frames = frames;
    burst.count = frame_count;
    burst.room = room;
    result = postern_queue_cross(queue, &queue->rx, POSTERN_GATE_BURST_TAKE, &burst);
    return end_receiving(queue, result, burst.done, burst.dropped, burst.bytes);
}

unsigned postern_rx_pieces(struct postern_queue *queue, struct postern_gate_packet *packets,
                           unsigned packet_count)
{
    struct postern_gate_batch batch = {
        .ring = &queue->ring, .packets = packets, .count = packet_count};
    int64_t result;

    if (!begin_burst(queue, &queue->rx)) {
        return 0;
    }
    result = postern_queue_cross(queue, &queue->rx, POSTERN_GATE_RING_TAKE, &batch);
    return end_receiving(queue, result, batch.done, batch.dropped, batch.bytes);
}

/* How a crossing that sends has ended. */
struct sent {
    uint32_t done;
    bool refuses; /* the next packet, which never can be sent */
};

/* Counts what a crossing has sent. */
static inline uint32_t end_sending(struct postern_queue *queue, int64_t result, uint32_t done,
                                   uint64_t bytes)
{
    if (__builtin_expect(result < 0 && result != POSTERN_ERR_ARGUMENT, 0)) {
        return 0;
    }
    count(&queue->tx, done, bytes);
    heed(queue, &queue->tx, result);
    return done;
}

/* Can no record carry that many bytes? */
static inline bool is_refused(const struct postern_queue *queue, uint32_t length)
{
    return length == 0 || length > queue->ring.max_payload;
}

/* Sends packets from number `first` on, up to one that cannot be sent now, or ever. */
typedef struct sent (*send_function)(struct postern_queue *queue, void *packets, unsigned first,
                                     unsigned packet_count);

static inline struct sent send_frames(struct postern_queue *queue, void *packets, unsigned first,
                                      unsigned packet_count)
{
    struct postern_gate_frame *frames = (struct postern_gate_frame *)packets + first;
    const uint32_t left = packet_count - first;
    struct postern_gate_burst burst;
    struct sent sent;
    int64_t result;

    burst.ring = &queue->ring;
    burst.frames = frames;
    burst.count = left;
    result = postern_queue_cross(queue, &queue->tx, POSTERN_GATE_BURST_SEND, &burst);
    sent.done = end_sending(queue, result, burst.done, burst.bytes);
    sent.refuses =
        result >= 0 && sent.done < left && is_refused(queue, frames[sent.done].record.length);
    return sent;
}

static inline struct sent send_pieces(struct postern_queue *queue, void *packets, unsigned first,
                                      unsigned packet_count)
{
    struct postern_gate_batch batch = {.ring = &queue->ring,
                                       .packets = (struct postern_gate_packet *)packets + first,
                                       .count = packet_count - first};
    int64_t result = postern_queue_cross(queue, &queue->tx, POSTERN_GATE_RING_SEND, &batch);
    struct sent sent = {.done = end_sending(queue, result, batch.done, batch.bytes)};

    sent.refuses =
        result == POSTERN_ERR_ARGUMENT || (result >= 0 && sent.done < batch.count &&
                                           is_refused(queue, batch.packets[sent.done].meta.length));
    return sent;
}

static inline __attribute__((always_inline)) unsigned send_all(struct postern_queue *queue,
                                                               void *packets, unsigned packet_count,
                                                               send_function send)
{
    struct sent sent;
    unsigned done;

    if (!begin_burst(queue, &queue->tx)) {
        return 0;
    }
    sent = send(queue, packets, 0, packet_count);
    done = sent.done;
    while (__builtin_expect(sent.refuses, 0)) {
        postern_queue_add(&queue->tx.dropped, 1);
        done++;
        sent = send(queue, packets, done, packet_count);
        done += sent.done;
    }
    postern_queue_leave(&queue->tx);
    return done;
}

unsigned postern_tx_burst(struct postern_queue *queue, struct postern_gate_frame *frames,
                          unsigned frame_count)
{
    return send_all(queue, frames, frame_count, send_frames);
}

unsigned postern_tx_pieces(struct postern_queue *queue, struct postern_gate_packet *packets,
                           unsigned packet_count)
{
    return send_all(queue, packets, packet_count, send_pieces);
}

bool postern_tx_done(struct postern_queue *queue)
{
    struct postern_gate_ring call = {.ring = &queue->ring, .bytes = queue->ring.data_size};
    int64_t result = POSTERN_GATE_FULL;

    if (postern_queue_enter(&queue->tx)) {
        if (!postern_queue_failed(queue)) {
            result = postern_queue_cross(queue, &queue->tx, POSTERN_GATE_RING_ROOM, &call);
        }
        postern_queue_leave(&queue->tx);
    }
    return result == 0;
}
