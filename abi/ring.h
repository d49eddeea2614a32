/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A link's window: the layout of its two sections. Little-endian; no code (abi/ring_ops.h has it).
 *
 * A section is written by the end that owns it and only read by the peer. It is a power of two,
 * POSTERN_SECTION_MIN to POSTERN_SECTION_MAX bytes; the first page is struct postern_ring_header,
 * the second half is the data area, in which the owner puts records for the peer.
 *
 * A position counts bytes of a data area from the start of a generation and never wraps (64 bits);
 * the byte is at position modulo the data area's size. Heads, tails and records are multiples of
 * POSTERN_RECORD_ALIGN. A record does not cross the data area's end: a record with
 * POSTERN_RECORD_PAD fills what is left there, followed by the record at the area's start.
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
#define POSTERN_RING_VERSION 2u

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
    uint16_t flags;      /* POSTERN_RING_, of this generation */
    uint32_t generation; /* of this end, new at each opening; 0: this end is down */
    uint32_t seen;       /* the peer's generation that this end has synchronised with, or 0 */
    uint32_t mtu;        /* of this end, for the peer's information */
    uint32_t last;       /* the owner's own note: the last generation that it has used */
    uint8_t reserved0[40];
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
};

#define POSTERN_EVENT_NEVER (~(uint64_t)0)

/* The owner looks by itself, all the time, and never sets an event: no doorbell is ever due to it
 * for head or tail, and the peer need not look whether one is. */
#define POSTERN_RING_POLLS 0x0001u

/* The start of a record. Then, with POSTERN_RECORD_STAMP, a struct postern_stamp; then `length`
 * bytes of payload, and bytes without a meaning up to the next multiple of POSTERN_RECORD_ALIGN. */
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

#define POSTERN_RECORD_ALIGN 16u

#define POSTERN_RECORD_PAD   0x0001u /* nothing: goes to the data area's end; no other flag */
#define POSTERN_RECORD_CSUM  0x0002u /* the checksum is still to be made (it is a partial one) */
#define POSTERN_RECORD_VALID 0x0004u /* the checksums were found right; not together with CSUM */
#define POSTERN_RECORD_ECN   0x0008u /* with GSO: TCP's CWR is set, for the first segment only */
#define POSTERN_RECORD_STAMP 0x0010u /* a struct postern_stamp is before the payload */
#define POSTERN_RECORD_FLAGS 0x001fu

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
POSTERN_RING_AT(head, 0x40);
POSTERN_RING_AT(tail, 0x80);
POSTERN_RING_AT(rx_event, 0xc0);
POSTERN_RING_AT(tx_event, 0x100);
#undef POSTERN_RING_AT
_Static_assert(sizeof(struct postern_ring_header) == 0x140, "postern_ring_header");
_Static_assert(sizeof(struct postern_record) == POSTERN_RECORD_ALIGN, "postern_record");
_Static_assert(sizeof(struct postern_stamp) == POSTERN_RECORD_ALIGN, "postern_stamp");

#endif
