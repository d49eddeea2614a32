/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The soak's packets: length, meta and each byte are functions of the channel, the sender's
 * generation and the sequence number, so the receiver knows what it must have got.
 */
#ifndef POSTERN_TESTS_SOAK_PACKET_H
#define POSTERN_TESTS_SOAK_PACKET_H

#include <stdbool.h>

#include "abi/ring_ops.h"

#define SECTION_SIZE 0x20000u /* the smallest that carries LENGTH_MAX */
#define LENGTH_MIN   60u
#define LENGTH_MAX   9000u

struct packet {
    uint64_t sequence;
    uint32_t generation;
    uint32_t length;
    uint64_t words[];
};

/* The next sequence number that the consumer expects, and how many packets of those before it were
 * lost. */
#define TAKEN_BITS           36u
#define TAKEN(next, lost)    ((uint64_t)(lost) << TAKEN_BITS | (next))
#define TAKEN_NEXT(taken)    ((taken) & ((1ull << TAKEN_BITS) - 1))
#define TAKEN_LOST(taken)    ((taken) >> TAKEN_BITS)
#define TAKEN_PACKETS(taken) (TAKEN_NEXT(taken) - TAKEN_LOST(taken))

static inline uint64_t packet_mix(uint64_t value)
{
    value ^= value >> 31;
    value *= 0x9e3779b97f4a7c15ull;
    return value ^ value >> 29;
}

static inline uint64_t packet_start(uint32_t channel, uint32_t generation, uint64_t sequence)
{
    return packet_mix(sequence + packet_mix((uint64_t)channel << 32 | generation));
}

static inline uint64_t packet_next(uint64_t word)
{
    return word * 6364136223846793005ull + 1442695040888963407ull;
}

static inline struct postern_ring_meta packet_meta(uint32_t channel, uint64_t sequence)
{
    uint64_t hash = packet_start(channel, 0, sequence);
    uint32_t kind = hash & 127, spread = hash >> 8 & 0xffffff;
    struct postern_ring_meta meta = {0};

    meta.length = LENGTH_MIN + spread % (kind < 114   ? 68
                                         : kind < 125 ? 1455
                                                      : LENGTH_MAX - LENGTH_MIN + 1);
    switch (hash >> 32 & 15) {
    case 0:
        meta.flags = POSTERN_RECORD_VALID;
        break;
    case 1:
        meta.flags = POSTERN_RECORD_CSUM;
        meta.csum_start = 34;
        meta.csum_offset = 16;
        break;
    case 2:
        meta.flags = POSTERN_RECORD_STAMP;
        meta.stamp = hash;
        break;
    case 3:
        meta.flags = POSTERN_RECORD_CSUM | POSTERN_RECORD_STAMP;
        meta.csum_start = 34;
        meta.csum_offset = 16;
        meta.gso_type = POSTERN_GSO_TCP4;
        meta.gso_size = 1;
        meta.header_length = 54;
        meta.stamp = hash;
        break;
    default:
        break;
    }
    return meta;
}

/* Writes a packet of `length` bytes to `at`. */
static inline void packet_write(uint8_t *at, uint32_t channel, uint32_t generation,
                                uint64_t sequence, uint32_t length)
{
    const struct packet header = {.sequence = sequence, .generation = generation, .length = length};
    uint64_t word = packet_start(channel, generation, sequence);
    uint32_t offset = sizeof(header);

    __builtin_memcpy(at, &header, sizeof(header));
    for (; offset + sizeof(word) <= length; offset += (uint32_t)sizeof(word)) {
        __builtin_memcpy(at + offset, &word, sizeof(word));
        word = packet_next(word);
    }
    __builtin_memcpy(at + offset, &word, length - offset);
}

/* Is `packet`, of `meta`, whole and of that channel and generation? */
static inline bool packet_is_right(const struct packet *packet,
                                   const struct postern_ring_meta *meta, uint32_t channel,
                                   uint32_t generation)
{
    const struct postern_ring_meta due = packet_meta(channel, packet->sequence);
    uint64_t word = packet_start(channel, generation, packet->sequence), wrong = 0;
    uint32_t count = (meta->length - (uint32_t)sizeof(*packet)) / (uint32_t)sizeof(word);

    if (__builtin_memcmp(meta, &due, sizeof(due)) != 0 || packet->length != meta->length ||
        packet->generation != generation) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        wrong |= packet->words[i] ^ word;
        word = packet_next(word);
    }
    return wrong == 0 &&
           __builtin_memcmp(&packet->words[count], &word, meta->length % sizeof(word)) == 0;
}

#endif
