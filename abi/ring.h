/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A link's window: the layout of its two sections. Little-endian; no code (abi/ring_ops.h has it).
 *
 * A section is written by the end that owns it and only read by the peer. It is a power of two,
 * POSTERN_SECTION_MIN to POSTERN_SECTION_MAX bytes; the first page is struct postern_ring_header,
 * then come the buffers that the owner has posted, and the second half is the data area, in which
 * the owner puts records for the peer.
 *
 * A position counts bytes of a data area from the start of a generation and never wraps (64 bits);
 * the byte is at position modulo the data area's size. Heads, tails and records are multiples of
 * POSTERN_RECORD_ALIGN. A record does not cross the data area's end: a record with
 * POSTERN_RECORD_PAD fills what is left there, followed by the record at the area's start.
 *
 * In mode direct each end also has a pool, pages of its own memory that the peer reaches too. The
 * payload of a record may be there: in buffers of the receiver's pool that it has posted, or where
 * the sender has left it in its own pool and lends it.
 */
#ifndef POSTERN_ABI_RING_H
#define POSTERN_ABI_RING_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdint.h>
#endif

#define POSTERN_SECTION_MIN  0x10000u
#define POSTERN_SECTION_MAX  0x4000000u

#define POSTERN_RING_MAGIC   0x474e5250u /* "PRNG" in memory */
#define POSTERN_RING_VERSION 3u

/* The largest payload of a record: an Ethernet frame with an IP packet of 65535 bytes and tags. A
 * record, with its header, takes at most a quarter of the data area, so a small window carries
 * less: POSTERN_RING_PAYLOAD(section size). */
#define POSTERN_RING_MAX_PAYLOAD 65600u
#define POSTERN_RING_PAYLOAD(section)                                    \
    ((section) / 8 - 2 * POSTERN_RECORD_ALIGN < POSTERN_RING_MAX_PAYLOAD \
         ? (section) / 8 - 2 * POSTERN_RECORD_ALIGN                      \
         : POSTERN_RING_MAX_PAYLOAD)

/*
 * A doorbell is due when a publication passes the event: the published index goes from `old` to
 * `new` and old <= event < new. An event that is set once so makes at most one doorbell.
 */
struct postern_ring_header {
    /* Who the owner is. */
    uint32_t magic;
    uint16_t version;
    uint16_t flags;        /* POSTERN_RING_, of this generation */
    uint32_t generation;   /* of this end, new at each opening; 0: this end is down */
    uint32_t seen;         /* the peer's generation that this end has synchronised with, or 0 */
    uint32_t mtu;          /* of this end, for the peer's information */
    uint32_t last;         /* the owner's own note: the last generation that it has used */
    uint64_t start;        /* where the owner's records for the generation in `seen` begin */
    uint64_t first_posted; /* the first buffer that no record before `seen` has filled */
    uint8_t reserved0[24];
    /* Bytes that the owner has published in its own data area. */
    uint64_t head;
    uint8_t reserved1[56];
    /* Bytes of the peer's data area that the owner has consumed. */
    uint64_t tail;
    uint8_t reserved2[56];
    /* The owner wants a doorbell when the peer's head passes this position. */
    uint64_t rx_event;
    uint8_t reserved3[56];
    /* The owner wants a doorbell when the peer's tail passes this position. */
    uint64_t tx_event;
    uint8_t reserved4[56];
    /* Buffers that the owner has posted since it opened. */
    uint64_t posted;
    uint8_t reserved5[56];
};

#define POSTERN_EVENT_NEVER (~(uint64_t)0)

/* The owner looks by itself, all the time, and never sets an event: no doorbell is ever due to it
 * for head or tail, and the peer need not look whether one is. */
#define POSTERN_RING_POLLS 0x0001u
/* The owner reaches the peer's pool: it takes records that are LENT. */
#define POSTERN_RING_BORROWS 0x0002u

/* A buffer in the owner's pool, for the peer to fill. Read and written as one word of 64 bits. The
 * n-th one that is posted is at POSTERN_POSTED_OFFSET, entry n modulo POSTERN_POSTED_MAX. */
struct postern_posted {
    uint32_t offset; /* in the pool */
    uint32_t size;   /* not 0 */
};

#define POSTERN_POSTED_OFFSET 0x1000u
#define POSTERN_POSTED_MAX    2048u /* that are posted and not yet filled */
#define POSTERN_POSTED_SPAN   17u   /* that one record fills at most */

/* The start of a record. Then, with POSTERN_RECORD_STAMP, a struct postern_stamp; then `length`
 * bytes of payload, and bytes without a meaning up to the next multiple of POSTERN_RECORD_ALIGN.
 * With POSTERN_RECORD_LENT a struct postern_lent is in the payload's place; with
 * POSTERN_RECORD_POSTED nothing is. */
struct postern_record {
    uint32_t length;        /* of the payload, 1 to POSTERN_RING_PAYLOAD(); of a pad: from 0 */
    uint16_t flags;         /* POSTERN_RECORD_ */
    uint16_t csum_start;    /* with CSUM: from where in the payload the checksum is to be made */
    uint16_t csum_offset;   /* with CSUM: and where it goes, from csum_start on */
    uint16_t gso_type;      /* POSTERN_GSO_ */
    uint16_t gso_size;      /* payload of TCP in each segment, not 0; 0 without GSO */
    uint16_t header_length; /* with GSO: bytes of all headers, Ethernet's to TCP's; else 0 */
};

struct postern_stamp {
    uint64_t tsc; /* the sender's time-stamp counter when it took the packet */
    uint64_t zero;
};

struct postern_lent {
    uint64_t offset; /* of the payload, in the sender's pool */
    uint64_t zero;
};

#define POSTERN_RECORD_ALIGN 16u

#define POSTERN_RECORD_PAD   0x0001u /* nothing: goes to the data area's end; no other flag */
#define POSTERN_RECORD_CSUM  0x0002u /* the checksum is still to be made (it is a partial one) */
#define POSTERN_RECORD_VALID 0x0004u /* the checksums were found right; not together with CSUM */
#define POSTERN_RECORD_ECN   0x0008u /* with GSO: TCP's CWR is set, for the first segment only */
#define POSTERN_RECORD_STAMP 0x0010u /* a struct postern_stamp is before the payload */
/* The payload fills the next buffers that the receiver has posted: as many as it takes, one after
 * the other. What is left of the last one stays unused. */
#define POSTERN_RECORD_POSTED 0x0020u
#define POSTERN_RECORD_LENT   0x0040u /* the payload is in the sender's pool; not with POSTED */
#define POSTERN_RECORD_POOL   (POSTERN_RECORD_POSTED | POSTERN_RECORD_LENT)
#define POSTERN_RECORD_FLAGS  0x007fu

/* The payload is one TCP segment that is to be cut when it goes to where it does not fit; it always
 * comes with POSTERN_RECORD_CSUM. */
#define POSTERN_GSO_NONE 0u
#define POSTERN_GSO_TCP4 1u
#define POSTERN_GSO_TCP6 2u

#define POSTERN_RING_AT(member, offset)                                                \
    _Static_assert(__builtin_offsetof(struct postern_ring_header, member) == (offset), \
                   "postern_ring_header." #member)
POSTERN_RING_AT(generation, 0x08);
POSTERN_RING_AT(seen, 0x0c);
POSTERN_RING_AT(mtu, 0x10);
POSTERN_RING_AT(last, 0x14);
POSTERN_RING_AT(start, 0x18);
POSTERN_RING_AT(first_posted, 0x20);
POSTERN_RING_AT(head, 0x40);
POSTERN_RING_AT(tail, 0x80);
POSTERN_RING_AT(rx_event, 0xc0);
POSTERN_RING_AT(tx_event, 0x100);
POSTERN_RING_AT(posted, 0x140);
#undef POSTERN_RING_AT
_Static_assert(sizeof(struct postern_ring_header) == 0x180, "postern_ring_header");
_Static_assert(sizeof(struct postern_record) == POSTERN_RECORD_ALIGN, "postern_record");
_Static_assert(sizeof(struct postern_stamp) == POSTERN_RECORD_ALIGN, "postern_stamp");
_Static_assert(sizeof(struct postern_lent) == POSTERN_RECORD_ALIGN, "postern_lent");
_Static_assert(sizeof(struct postern_posted) == sizeof(uint64_t), "postern_posted");
_Static_assert(POSTERN_POSTED_OFFSET + POSTERN_POSTED_MAX * sizeof(struct postern_posted) <=
                   POSTERN_SECTION_MIN / 2,
               "posted buffers and the data area");

#endif
