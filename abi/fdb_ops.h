/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A network's forwarding database (abi/fdb.h) for those who read it and for the switch, which
 * writes it. All of it is inline and needs no library.
 *
 * Readers take no lock and write nothing. An answer is of one moment: what the database said
 * between two changes, never half of one. A reader that meets nothing but changes gives up, and its
 * frame goes to the switch, which is always right. Nothing in the database is trusted beyond that:
 * the switch may be another guest. An answer is a lane that the reader has, or one of the below.
 *
 * Locking: any number of readers; one thread at a time writes.
 */
#ifndef POSTERN_ABI_FDB_OPS_H
#define POSTERN_ABI_FDB_OPS_H

#include "abi/access.h"
#include "abi/fdb.h"

/* Answers for a frame other than a lane. */
#define POSTERN_FDB_SWITCH      (-1) /* to the switch: it knows, or learns something by it */
#define POSTERN_FDB_DROP        (-2) /* to nobody, as the switch would have it */

#define POSTERN_FDB_TRIES       16u

#define POSTERN_ETHERTYPE_VLAN  0x8100u
#define POSTERN_ETHERNET_HEADER 14u
#define POSTERN_VLAN_TAG        4u

/* What of an Ethernet frame the switching depends on. */
struct postern_fdb_frame {
    uint64_t destination; /* byte 0 lowest */
    uint64_t source;
    uint16_t ethertype; /* behind the tag */
    uint16_t vlan;      /* of the tag; 0: the tag only has a priority */
    bool tagged;
};

struct postern_fdb_reader {
    const struct postern_fdb *fdb;
    uint32_t self;  /* the reader's own port */
    uint32_t lanes; /* bit p: this end has a lane to port p, says the hypervisor */
};

/* Of a frame, in whose header two more bytes follow each address. */
static inline uint64_t postern_fdb_mac(const uint8_t *bytes)
{
    uint64_t mac;

    __builtin_memcpy(&mac, bytes, sizeof(mac));
    return mac & POSTERN_FDB_MAC_MASK;
}

static inline uint64_t postern_fdb_key(uint64_t mac, uint32_t vlan)
{
    return mac | (uint64_t)vlan << POSTERN_FDB_VLAN_SHIFT;
}

/* Looks at the start of a frame, in the caller's own memory. False: it is too short to be one. */
static inline bool postern_fdb_parse(const uint8_t *bytes, uint32_t length,
                                     struct postern_fdb_frame *frame)
{
    if (length < POSTERN_ETHERNET_HEADER) {
        return false;
    }
    frame->destination = postern_fdb_mac(bytes);
    frame->source = postern_fdb_mac(bytes + 6);
    frame->ethertype = (uint16_t)(bytes[12] << 8 | bytes[13]);
    frame->tagged = frame->ethertype == POSTERN_ETHERTYPE_VLAN;
    frame->vlan = 0;
    if (frame->tagged) {
        if (length < POSTERN_ETHERNET_HEADER + POSTERN_VLAN_TAG) {
            return false;
        }
        frame->vlan = (uint16_t)((bytes[14] & 0x0f) << 8 | bytes[15]);
        frame->ethertype = (uint16_t)(bytes[16] << 8 | bytes[17]);
    }
    return true;
}

/* Readers. */

/* False: the reader is no member of a network. `fdb` may be written at any time from now on. */
static inline bool postern_fdb_init(struct postern_fdb_reader *reader,
                                    const struct postern_fdb *fdb, uint32_t self, uint32_t lanes)
{
    *reader = (struct postern_fdb_reader){fdb, self, lanes};
    return self < POSTERN_FDB_PORTS && lanes < 1u << POSTERN_FDB_PORTS;
}

/* The port of `key`, or POSTERN_FDB_SWITCH. It may be one that there is not. */
static inline int postern_fdb_find(const struct postern_fdb *fdb, uint64_t key)
{
    const uint64_t *set = fdb->entries[POSTERN_FDB_SET(key)];

    for (unsigned way = 0; way < POSTERN_FDB_WAYS; way++) {
        uint64_t entry = POSTERN_LOAD(&set[way]);

        if (entry >> POSTERN_FDB_PORT_SHIFT != 0 && (entry & POSTERN_FDB_KEY_MASK) == key) {
            return (int)(entry >> POSTERN_FDB_PORT_SHIFT) - 1;
        }
    }
    return POSTERN_FDB_SWITCH;
}

static inline bool postern_fdb_rule_matches(const struct postern_fdb_rule *rule, uint32_t from,
                                            uint32_t to, const struct postern_fdb_frame *frame)
{
    uint32_t flags = POSTERN_LOAD(&rule->flags);
    uint16_t ethertype = POSTERN_LOAD(&rule->ethertype);
    uint64_t mac = POSTERN_LOAD(&rule->mac);

    return (POSTERN_LOAD(&rule->from) >> from & 1) != 0 &&
           (POSTERN_LOAD(&rule->to) >> to & 1) != 0 &&
           (ethertype == 0 || ethertype == frame->ethertype) &&
           ((flags & POSTERN_FDB_RULE_SOURCE) == 0 || mac == frame->source) &&
           ((flags & POSTERN_FDB_RULE_DESTINATION) == 0 || mac == frame->destination);
}

/* Does a rule drop `frame` on its way from port `from` to port `to`? */
static inline bool postern_fdb_drops(const struct postern_fdb *fdb, uint32_t from, uint32_t to,
                                     const struct postern_fdb_frame *frame)
{
    uint32_t count = POSTERN_LOAD(&fdb->rule_count);

    for (uint32_t i = 0; i < count && i < POSTERN_FDB_RULES; i++) {
        if (postern_fdb_rule_matches(&fdb->rules[i], from, to, frame)) {
            return true;
        }
    }
    return false;
}

/*
 * The VLAN of a frame that came in at `port`, 0 where they are not kept apart. False: the port
 * does not take it.
 */
static inline bool postern_fdb_classify(const struct postern_fdb *fdb, uint32_t port,
                                        const struct postern_fdb_frame *frame, uint32_t *vlan)
{
    *vlan = 0;
    if ((POSTERN_LOAD(&fdb->flags) & POSTERN_FDB_TAGS) == 0) {
        return true;
    }
    *vlan = frame->vlan != 0 ? frame->vlan : POSTERN_LOAD(&fdb->ports[port].pvid);
    return *vlan != 0 && *vlan < POSTERN_FDB_VLANS &&
           (POSTERN_LOAD(&fdb->vlans[*vlan]) >> port & 1) != 0;
}

/*
 * Does `port` get frames of `vlan` in the form that this one has, with or without a tag? A tag that
 * only has a priority is for the switch to take off. False also where the port lacks the VLAN.
 */
static inline bool postern_fdb_same_form(const struct postern_fdb *fdb, uint32_t port,
                                         const struct postern_fdb_frame *frame, uint32_t vlan)
{
    bool tags = POSTERN_LOAD(&fdb->ports[port].pvid) != vlan;

    if ((POSTERN_LOAD(&fdb->flags) & POSTERN_FDB_TAGS) == 0) {
        return true;
    }
    return (POSTERN_LOAD(&fdb->vlans[vlan]) >> port & 1) != 0 &&
           (tags ? frame->vlan != 0 : !frame->tagged);
}

static inline bool postern_fdb_known(const struct postern_fdb *fdb)
{
    return POSTERN_LOAD(&fdb->magic) == POSTERN_FDB_MAGIC &&
           POSTERN_LOAD(&fdb->version) == POSTERN_FDB_VERSION;
}

/* What the database says while it is read; of no worth if it changed meanwhile. */
static inline int postern_fdb_read_lane(const struct postern_fdb_reader *reader,
                                        const struct postern_fdb_frame *frame)
{
    const struct postern_fdb *fdb = reader->fdb;
    uint32_t vlan, lane;
    int found;

    if (!postern_fdb_known(fdb) ||
        (POSTERN_LOAD(&fdb->ports[reader->self].flags) & POSTERN_FDB_PORT_SENDS) == 0) {
        return POSTERN_FDB_SWITCH;
    }
    if (!postern_fdb_classify(fdb, reader->self, frame, &vlan)) {
        return POSTERN_FDB_DROP;
    }
    /* The switch has to learn where the source is, or that it has moved. */
    if (postern_fdb_find(fdb, postern_fdb_key(frame->source, vlan)) != (int)reader->self) {
        return POSTERN_FDB_SWITCH;
    }
    found = postern_fdb_find(fdb, postern_fdb_key(frame->destination, vlan));
    if (found < 0 || found >= (int)POSTERN_FDB_PORTS) {
        return POSTERN_FDB_SWITCH;
    }
    lane = (uint32_t)found;
    if (lane == reader->self || postern_fdb_drops(fdb, reader->self, lane, frame)) {
        return POSTERN_FDB_DROP;
    }
    if ((reader->lanes >> lane & 1) == 0 ||
        (POSTERN_LOAD(&fdb->ports[lane].flags) & POSTERN_FDB_PORT_RECEIVES) == 0 ||
        !postern_fdb_same_form(fdb, lane, frame, vlan)) {
        return POSTERN_FDB_SWITCH;
    }
    return found;
}

/* May `port` send from the address that is the frame's source? */
static inline bool postern_fdb_owns(const struct postern_fdb *fdb, uint32_t port,
                                    const struct postern_fdb_frame *frame, uint32_t vlan)
{
    return (POSTERN_LOAD(&fdb->ports[port].flags) & POSTERN_FDB_PORT_FIXED) == 0 ||
           postern_fdb_find(fdb, postern_fdb_key(frame->source, vlan)) == (int)port;
}

/* Would the switch have let a frame pass that came on the lane of port `from`? */
static inline int postern_fdb_read_accepts(const struct postern_fdb_reader *reader, uint32_t from,
                                           const struct postern_fdb_frame *frame)
{
    const struct postern_fdb *fdb = reader->fdb;
    uint32_t vlan;

    return postern_fdb_known(fdb) && postern_fdb_classify(fdb, from, frame, &vlan) &&
           postern_fdb_same_form(fdb, reader->self, frame, vlan) &&
           !postern_fdb_drops(fdb, from, reader->self, frame) &&
           postern_fdb_owns(fdb, from, frame, vlan);
}

/* The number of the database's present state; false while it changes. */
static inline bool postern_fdb_read_begin(const struct postern_fdb *fdb, uint64_t *sequence)
{
    /* Partner: the release in postern_fdb_end: what was written before it is there. */
    *sequence = POSTERN_LOAD_ACQUIRE(&fdb->sequence);
    return (*sequence & 1) == 0;
}

/* Whether all that was read since read_begin was of that state. */
static inline bool postern_fdb_read_end(const struct postern_fdb *fdb, uint64_t sequence)
{
    /* What was read before the sequence again. Partner: the write barrier in postern_fdb_begin: of
     * whose change something was read, its odd sequence is seen. */
    POSTERN_READ_BARRIER();
    return POSTERN_LOAD(&fdb->sequence) == sequence;
}

/* Sender: where `frame` goes: a lane, POSTERN_FDB_SWITCH or POSTERN_FDB_DROP. */
static inline int postern_fdb_lookup(const struct postern_fdb_reader *reader,
                                     const struct postern_fdb_frame *frame)
{
    uint64_t sequence;

    if ((frame->destination & POSTERN_FDB_MULTICAST) != 0) {
        return POSTERN_FDB_SWITCH;
    }
    for (unsigned try = 0; try < POSTERN_FDB_TRIES; try++) {
        if (postern_fdb_read_begin(reader->fdb, &sequence)) {
            int answer = postern_fdb_read_lane(reader, frame);

            if (postern_fdb_read_end(reader->fdb, sequence)) {
                return answer;
            }
        }
    }
    return POSTERN_FDB_SWITCH;
}

/*
 * Receiver: is `frame`, which came on the lane of port `from`, one that the switch would let pass
 * there? A sender that looks up honestly sends no other, so this is for peers that are not honest.
 * What came from the switch needs no such question.
 */
static inline bool postern_fdb_accepts(const struct postern_fdb_reader *reader, uint32_t from,
                                       const struct postern_fdb_frame *frame)
{
    uint64_t sequence;

    for (unsigned try = 0; from < POSTERN_FDB_PORTS && try < POSTERN_FDB_TRIES; try++) {
        if (postern_fdb_read_begin(reader->fdb, &sequence)) {
            int answer = postern_fdb_read_accepts(reader, from, frame);

            if (postern_fdb_read_end(reader->fdb, sequence)) {
                return answer != 0;
            }
        }
    }
    return false;
}

/* The switch. What it writes goes between begin and end, by POSTERN_STORE. */

static inline void postern_fdb_begin(struct postern_fdb *fdb)
{
    POSTERN_STORE(&fdb->sequence, POSTERN_LOAD(&fdb->sequence) + 1);
    /* The odd sequence before the change. Partner: the read barrier in postern_fdb_read_end. */
    POSTERN_WRITE_BARRIER();
}

/* `revokes`: an answer that was right before may be wrong now. */
static inline void postern_fdb_end(struct postern_fdb *fdb, bool revokes)
{
    if (revokes) {
        POSTERN_STORE(&fdb->generation, POSTERN_LOAD(&fdb->generation) + 1);
    }
    /* The change before the even sequence. Partner: the acquire in postern_fdb_read_begin. */
    POSTERN_STORE_RELEASE(&fdb->sequence, POSTERN_LOAD(&fdb->sequence) + 1);
}

#endif
