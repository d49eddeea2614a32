/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets between their pieces and the ring. Part of abi/gate_ring_ops.h. */
#ifndef POSTERN_ABI_GATE_RING_COPY_H
#define POSTERN_ABI_GATE_RING_COPY_H

#include "abi/gate_ring.h"

/* Copies bytes, also none. The gate has its own. */
#ifndef POSTERN_COPY
#define POSTERN_COPY(to, from, size)                      \
    do {                                                  \
        if ((size) != 0) {                                \
            (void)__builtin_memcpy((to), (from), (size)); \
        }                                                 \
    } while (0)
#endif

/* Copies the packet's pieces, which have to have as many bytes as its meta says, to `payload`. */
static inline bool postern_gate_gather(uint8_t *payload, const struct postern_gate_packet *packet)
{
    uint64_t rest = packet->meta.length;

    for (uint64_t i = 0; i < packet->piece_count; i++) {
        const struct postern_gate_piece *piece = &packet->pieces[i];

        if (piece->size > rest) {
            return false;
        }
        POSTERN_COPY(payload, piece->address, piece->size);
        payload += piece->size;
        rest -= piece->size;
    }
    return rest == 0;
}

/* Copies the payload, as many bytes as the packet's meta says, to its pieces. False: they are too
 * small. */
static inline bool postern_gate_scatter(const struct postern_gate_packet *packet,
                                        const uint8_t *payload)
{
    uint64_t rest = packet->meta.length;

    for (uint64_t i = 0; i < packet->piece_count && rest != 0; i++) {
        const struct postern_gate_piece *piece = &packet->pieces[i];
        uint64_t size = piece->size < rest ? piece->size : rest;

        POSTERN_COPY(piece->address, payload, size);
        payload += size;
        rest -= size;
    }
    return rest == 0;
}

#endif
