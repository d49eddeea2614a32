/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An end of a link in the soak: an honest driver's work, with an account of each packet. For the
 * victim, the friend, and the rogue as long as it is honest; the rogue's accesses to the ring are
 * its own.
 */
#ifndef POSTERN_TESTS_SOAK_END_H
#define POSTERN_TESTS_SOAK_END_H

#include <string.h>

#include "abi/gate_ring_ops.h"
#include "tests/soak/packet.h"
#include "tests/soak/pool.h"
#include "tests/soak/soak.h"

#define BATCH ROGUE_BATCH
#define MTU   1500u
/* So many packets of so many on the honest link are sent in turns: end_wants(). */
#define IN_TURNS    256u
#define IN_TURNS_OF 65536u
/* Packets that a ring holds, those in pools too, and a batch that was not published. */
#define RING_HOLDS \
    (SECTION_SIZE / 2 / (POSTERN_RECORD_ALIGN + LENGTH_MIN) + POOL_POSTED + POOL_PLACES + BATCH)

struct end {
    struct soak *soak;
    struct postern_ring ring;
    enum soak_process peer;
    uint32_t channel_in, channel_out; /* their numbers */
    struct channel *in, *out;
    struct pool pool;
    bool has_turn; /* it has taken a packet since it sent one, or is the first */
    bool fresh;    /* no packet was taken yet in this session */
    uint32_t
        life_from; /* the victim's, of the rogue: the first life that this session may be with */
};

/* May the peer have lied in this session? */
static bool end_excuses(const struct end *end);

static inline void end_init(struct end *end, struct soak *soak, uint32_t link, unsigned own,
                            enum soak_process peer)
{
    const struct ring_window *window = &soak->windows[link];

    *end = (struct end){
        .soak = soak,
        .peer = peer,
        .channel_in = 2 * link + 1 - own,
        .channel_out = 2 * link + own,
        .in = &soak->channels[link][1 - own],
        .out = &soak->channels[link][own],
        .has_turn = own == 0,
        .fresh = true,
    };
    if (!postern_ring_init(&end->ring, window->writable[own], window->readable[1 - own],
                           SECTION_SIZE)) {
        soak_complain(soak, "a section of this size is refused");
    }
    end->pool.pages = soak->pools[link].writable[own];
    postern_ring_set_pool(&end->ring, soak->pools[link].writable[1 - own], POOL_SIZE);
}

/* Posts `count` pages, of which number `first` is the next, counted since the opening. */
static inline void end_post(struct end *end, uint64_t first, uint64_t count)
{
    for (uint64_t number = first; number < first + count; number++) {
        if (!postern_ring_post(&end->ring, pool_buffer(number))) {
            soak_complain(end->soak, "a page cannot be posted");
        }
    }
    postern_ring_publish_posted(&end->ring);
}

static inline void end_ring(const struct end *end, bool due)
{
    if (due) {
        soak_ring(end->soak, end->peer);
    }
}

static inline void end_open(struct end *end, uint32_t seed)
{
    end->fresh = true;
    postern_ring_open(&end->ring, MTU, seed);
    pool_begin(&end->pool);
    end_post(end, 0, POOL_POSTED);
    end_ring(end, true);
}

/* Brings the end up to date. Returns whether a session with another generation has begun. */
static inline bool end_sync(struct end *end)
{
    uint32_t before = end->ring.peer_generation;

    if (!postern_ring_sync_needed(&end->ring)) {
        return false;
    }
    /* Before it: killed behind it, the rogue would not count. */
    atomic_fetch_add(&end->in->sessions, 1);
    end_ring(end, postern_ring_sync(&end->ring));
    if (end->ring.peer_generation == before) {
        return false;
    }
    end->fresh = true;
    return true;
}

static inline void end_take(struct end *end, const struct packet *packet,
                            const struct postern_ring_meta *meta)
{
    uint64_t taken = atomic_load(&end->in->taken), next = TAKEN_NEXT(taken);
    uint64_t sessions = atomic_load(&end->in->sessions);
    bool right = packet_is_right(packet, meta, end->channel_in, end->ring.peer_generation);
    uint64_t gap = packet->sequence - next;

    if (right && (gap == 0 || (end->fresh && gap <= sessions * RING_HOLDS && !end_excuses(end)))) {
        atomic_store(&end->in->taken, TAKEN(packet->sequence + 1, TAKEN_LOST(taken) + gap));
        atomic_store(&end->in->sessions, 0);
        end->fresh = false;
        end->has_turn = true;
    } else if (end_excuses(end)) {
        atomic_fetch_add(&end->soak->from_liars, 1);
        atomic_fetch_add(&end->in->sessions, 1); /* what this is in place of is lost, too */
    } else {
        soak_complain(end->soak,
                      "channel %u: %s packet %llu instead of %llu, %u bytes, generation %u of %u, "
                      "%s, %llu sessions",
                      end->channel_in, right ? "whole" : "wrong",
                      (unsigned long long)packet->sequence, (unsigned long long)next, meta->length,
                      packet->generation, end->ring.peer_generation,
                      end->fresh ? "the first" : "not the first", (unsigned long long)sessions);
    }
}

/* Takes up to a batch of packets; returns how many. */
static inline unsigned end_receive(struct end *end)
{
    static union {
        struct packet packet;
        uint8_t bytes[SECTION_SIZE / 8];
    } copy;
    struct postern_ring_reader reader = postern_ring_read_begin(&end->ring);
    struct postern_ring_meta meta;
    const void *payload;
    unsigned count = 0;

    while (count < BATCH) {
        payload = postern_ring_read_next(&reader, &meta);
        if (payload != NULL) {
            memcpy(&copy, payload, meta.length);
            if ((meta.flags & POSTERN_RECORD_LENT) != 0) {
                atomic_fetch_add(&end->soak->lent, 1);
            }
        } else if (postern_ring_read_posted(&reader)) {
            pool_read(&end->pool, &copy, meta.length);
            atomic_fetch_add(&end->soak->by_pages, 1);
        } else {
            break;
        }
        meta.flags &= (uint16_t)~POSTERN_RECORD_POOL;
        if (meta.length < LENGTH_MIN) {
            memset(copy.bytes + meta.length, 0, LENGTH_MIN - meta.length);
            meta.length = LENGTH_MIN; /* and so wrong, whatever it holds */
            copy.packet.length = 0;
        }
        end_take(end, &copy.packet, &meta);
        count++;
    }
    postern_ring_read_end(&end->ring, &reader);
    end_ring(end, postern_ring_release(&end->ring));
    end_post(end, end->pool.reposted, end->pool.filled - end->pool.reposted);
    end->pool.reposted = end->pool.filled;
    return count;
}

static inline bool end_is_settled(const struct end *end)
{
    return atomic_load(&end->out->sent) == TAKEN_NEXT(atomic_load(&end->out->taken));
}

/* How many packets are to be sent. While the soak drains none, or one that shows what was lost
 * before it. On the honest link the ends now and then send in turns, so that they have to wake each
 * other for each packet. */
static inline unsigned end_wants(struct end *end)
{
    if (atomic_load(&end->soak->draining)) {
        return !end_is_settled(end) && postern_ring_room(&end->ring, end->ring.data_size) ? 1 : 0;
    }
    if (end->channel_in / 2 == LINK_FRIEND &&
        atomic_load(&end->out->sent) % IN_TURNS_OF < IN_TURNS) {
        return end->has_turn ? 1 : 0;
    }
    return BATCH;
}

/* How much room the next packet waits for, 0 without one. */
static inline uint64_t end_room_wanted(struct end *end)
{
    if (atomic_load(&end->soak->draining)) {
        return end_is_settled(end) ? 0 : end->ring.data_size;
    }
    return end_wants(end) == 0 ? 0 : end->ring.data_size / 2;
}

/* Puts a packet into the ring, as a driver does by the gate: long ones by the pools. False: there
 * is no room. */
static inline bool end_write(struct end *end, struct postern_ring_writer *writer, uint64_t sequence)
{
    static uint8_t bytes[LENGTH_MAX];
    const struct postern_ring_meta meta = packet_meta(end->channel_out, sequence);
    struct postern_gate_piece piece = {bytes, meta.length};
    struct postern_gate_packet packet = {meta, &piece, 1};
    enum postern_gate_sent sent;
    uint8_t *payload;

    if (meta.length < POSTERN_POSTED_MIN) {
        payload = postern_ring_write_next(&end->ring, writer, &meta);
        if (payload != NULL) {
            packet_write(payload, end->channel_out, end->ring.generation, sequence, meta.length);
        }
        return payload != NULL;
    }
    payload = pool_lend(&end->pool, &end->ring, &packet);
    packet_write(payload != NULL ? payload : bytes, end->channel_out, end->ring.generation,
                 sequence, meta.length);
    sent = postern_gate_send_long(&end->ring, writer, &packet);
    if (sent == POSTERN_GATE_WRONG) {
        soak_complain(end->soak, "the ring refuses a packet");
    }
    return sent == POSTERN_GATE_SENT;
}

/* Commits up to `count` packets; returns how many. */
static inline unsigned end_send(struct end *end, unsigned count)
{
    struct postern_ring_writer writer = postern_ring_write_begin(&end->ring);
    unsigned sent = 0;

    while (sent < count && writer.max_payload != 0) {
        uint64_t sequence = atomic_load(&end->out->sent);

        /* Before it is there: killed behind it, the rogue would not count it. */
        atomic_store(&end->out->sent, sequence + 1);
        if (!end_write(end, &writer, sequence)) {
            atomic_store(&end->out->sent, sequence);
            break;
        }
        end->has_turn = false;
        sent++;
    }
    postern_ring_write_end(&end->ring, &writer);
    pool_sent(&end->pool, &end->ring);
    return sent;
}

static inline void end_publish(struct end *end)
{
    end_ring(end, postern_ring_publish(&end->ring));
}

/* A round of an honest end's work; returns whether there was something to do. */
static inline bool end_work(struct end *end)
{
    unsigned received = end_receive(end);
    unsigned sent = end_send(end, end_wants(end));

    end_publish(end);
    return received + sent != 0;
}

/* Asks for the doorbells that it needs; returns whether it may wait for them. */
static inline bool end_rest(struct end *end)
{
    uint64_t room = end_room_wanted(end);

    if (room != 0 && postern_ring_works(&end->ring) && !postern_ring_arm_tx(&end->ring, room)) {
        return false;
    }
    return postern_ring_arm_rx(&end->ring);
}

#endif
