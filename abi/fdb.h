/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The forwarding database of a network: the layout of its pages. Little-endian; no code
 * (abi/fdb_ops.h has it). docs/abi.md says what it means.
 *
 * The switch of the network writes it, the members read it. `sequence` is odd while it changes, and
 * has changed by 2 afterwards. Ports are the network's members, by their number, which is also the
 * lane that leads to them.
 */
#ifndef POSTERN_ABI_FDB_H
#define POSTERN_ABI_FDB_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdint.h>
#endif

#define POSTERN_FDB_MAGIC   0x42444650u /* "PFDB" in memory */
#define POSTERN_FDB_VERSION 1u
#define POSTERN_FDB_SIZE    0x4000u

#define POSTERN_FDB_PORTS   8u
#define POSTERN_FDB_RULES   16u
#define POSTERN_FDB_VLANS   4096u
#define POSTERN_FDB_SETS    128u
#define POSTERN_FDB_WAYS    8u

/* postern_fdb.flags */
#define POSTERN_FDB_TAGS 1u /* VLANs are kept apart; else tags are payload, and each VLAN is 0 */

/* postern_fdb_port.flags. A port without SENDS or RECEIVES goes by the switch in that direction: it
 * is down, mirrored or limited, or the switch has another reason. */
#define POSTERN_FDB_PORT_UP       1u
#define POSTERN_FDB_PORT_SENDS    2u /* what it sends may go directly to the receiver */
#define POSTERN_FDB_PORT_RECEIVES 4u /* what goes to it may come directly from the sender */
#define POSTERN_FDB_PORT_FIXED    8u /* it sends only from addresses that have an entry there */

struct postern_fdb_port {
    uint16_t flags;
    uint16_t pvid; /* the VLAN of frames without a tag; 0: there are none here */
    uint32_t reserved;
};

/* Frames for which all of it holds are dropped, by their sender if they go directly. */
struct postern_fdb_rule {
    uint64_t mac;       /* as POSTERN_FDB_MAC_ has it */
    uint16_t ethertype; /* in host order, behind the tag if there is one; 0: any */
    uint8_t from;       /* bit p: from port p */
    uint8_t to;         /* bit p: to port p */
    uint8_t flags;      /* POSTERN_FDB_RULE_ */
    uint8_t reserved[3];
};

/* postern_fdb_rule.flags; with neither, `mac` does not matter. */
#define POSTERN_FDB_RULE_SOURCE      1u /* `mac` is the source */
#define POSTERN_FDB_RULE_DESTINATION 2u /* `mac` is the destination */

/*
 * An entry: a MAC address, byte 0 lowest, in bits 47:0; its VLAN in bits 59:48; its port + 1 in
 * bits 63:60. 0: there is none. The set of a key (bits 59:0) is POSTERN_FDB_SET(key); its ways have
 * no order.
 */
#define POSTERN_FDB_MAC_MASK   0x0000ffffffffffffull
#define POSTERN_FDB_KEY_MASK   0x0fffffffffffffffull
#define POSTERN_FDB_VLAN_SHIFT 48
#define POSTERN_FDB_PORT_SHIFT 60
#define POSTERN_FDB_MULTICAST  1ull /* in a MAC address: of several receivers */
#define POSTERN_FDB_SET(key)   ((uint32_t)((key)*0x9e3779b97f4a7c15ull >> 57))

struct postern_fdb {
    uint32_t magic;
    uint16_t version;
    uint16_t flags;
    uint64_t sequence;
    uint64_t generation; /* has changed when an answer given before may be wrong now */
    uint32_t rule_count;
    uint8_t reserved0[36];
    struct postern_fdb_port ports[POSTERN_FDB_PORTS];
    struct postern_fdb_rule rules[POSTERN_FDB_RULES];
    uint8_t reserved1[0x1000 - 0x180];
    /* With POSTERN_FDB_TAGS: bit p, port p has the VLAN. It has tags there unless it is the pvid.
     */
    uint8_t vlans[POSTERN_FDB_VLANS];
    uint64_t entries[POSTERN_FDB_SETS][POSTERN_FDB_WAYS];
};

#define POSTERN_FDB_AT(member, offset)                                         \
    _Static_assert(__builtin_offsetof(struct postern_fdb, member) == (offset), \
                   "postern_fdb." #member)
POSTERN_FDB_AT(sequence, 0x08);
POSTERN_FDB_AT(generation, 0x10);
POSTERN_FDB_AT(rule_count, 0x18);
POSTERN_FDB_AT(ports, 0x40);
POSTERN_FDB_AT(rules, 0x80);
POSTERN_FDB_AT(vlans, 0x1000);
POSTERN_FDB_AT(entries, 0x2000);
#undef POSTERN_FDB_AT
_Static_assert(sizeof(struct postern_fdb_rule) == 16, "postern_fdb_rule");
_Static_assert(sizeof(struct postern_fdb) == POSTERN_FDB_SIZE, "postern_fdb");

#endif
