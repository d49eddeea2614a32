/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A learning Ethernet switch over abstract ports: for a frame in the caller's memory it says to
 * which ports it goes, and keeps the forwarding database that lets senders go there directly.
 *
 * What is here holds for all frames, whether they come by the switch or not. A rule that a sender
 * could leave out at another's cost takes its direct way (switch_is_direct): what a port that is
 * mirrored or limited sends and gets comes by here, and so does all between ports that have no VLAN
 * in common, or of which one may send the other nothing.
 *
 * Loops: no frame goes back to where it came from; frames that are flooded are limited for each
 * port, and an address that comes from everywhere in turn is held (net/fdb.h).
 *
 * Times are those of net/fdb.h. Locking: one caller at a time. Work is bounded: a frame takes two
 * look-ups and a check of the rules for each port.
 */
#ifndef POSTERN_NET_SWITCH_H
#define POSTERN_NET_SWITCH_H

#include "abi/fdb_ops.h"
#include "lib/token_bucket.h"
#include "net/fdb.h"

#define SWITCH_PORTS      POSTERN_FDB_PORTS
#define SWITCH_NO_PORT    SWITCH_PORTS
#define SWITCH_FLOOD_RATE 10000u /* frames in a second that a port may flood, by default */

/* Why a frame goes nowhere. */
enum switch_drop {
    SWITCH_DROP_DOWN,    /* its port is down */
    SWITCH_DROP_FRAME,   /* too short, or of the kind that no bridge forwards */
    SWITCH_DROP_SOURCE,  /* its source is none, or another port's for good */
    SWITCH_DROP_VLAN,    /* its port lacks its VLAN */
    SWITCH_DROP_LIMIT,   /* its port sends faster than it may */
    SWITCH_DROP_FLOOD,   /* its port floods faster than it may */
    SWITCH_DROP_NOWHERE, /* it is where it goes to, or no port takes it: a rule, a VLAN */
    SWITCH_DROPS
};

struct switch_limit {
    bool there;
    struct token_bucket bucket;
};

struct switch_port {
    struct switch_limit bytes, floods;
    bool relayed; /* what it sends and gets goes by the switch */
    bool fixed;   /* sends only from addresses that are fixed to it */
    uint64_t frames, flooded;
    uint64_t drops[SWITCH_DROPS];
};

struct switch_state {
    uint32_t port_count;
    uint32_t mirrored;  /* bit p: what passes port p is copied ... */
    uint32_t mirror_to; /* ... to this port, or SWITCH_NO_PORT */
    struct switch_port ports[SWITCH_PORTS];
    struct fdb fdb;
};

/* Where a frame goes. */
struct switch_output {
    uint32_t ports;  /* bit p: to port p, in the form that it wants: switch_copy() */
    uint32_t copies; /* bit p: to port p as it came, for it is the mirror */
    uint32_t vlan;
    struct postern_fdb_frame frame;
};

/* Begins with `port_count` ports that are down, no rules, and an empty database in `pages`. */
void switch_init(struct switch_state *self, struct postern_fdb *pages, uint32_t port_count);

/* The configuration, before the first port is up. VLANs and rules: fdb_add_vlan(), fdb_add_rule().
 */

/* All that port `port` sends and gets goes by the switch: it has no lanes to others. */
void switch_relay(struct switch_state *self, uint32_t port);
/* What port `port` sends is limited to `rate` bytes in a second, a tenth of them at once. */
void switch_limit(struct switch_state *self, uint32_t port, uint64_t rate);
/* The same for frames that it has flooded: 0: no limit. */
void switch_limit_floods(struct switch_state *self, uint32_t port, uint64_t rate);
/* What passes one of the ports of `mirrored` (bits) is copied to port `to`. */
void switch_mirror(struct switch_state *self, uint32_t mirrored, uint32_t to);
/* Port `port` sends from `mac` in `vlan` (0 where VLANs are not kept apart), and nobody else does.
 */
status_t switch_fix(struct switch_state *self, uint32_t port, uint64_t mac,
                    uint32_t vlan) MUST_CHECK;

/* Whether ports `one` and `other` may have lanes to each other. Only the configuration decides. */
bool switch_is_direct(const struct switch_state *self, uint32_t one, uint32_t other);

/* The link of a port; when it goes down, what was learned of it is forgotten. */
void switch_set_up(struct switch_state *self, uint32_t port, bool up);

/* Takes a frame of `length` bytes that port `from` has sent. False: it goes nowhere. */
bool switch_forward(struct switch_state *self, uint32_t from, const uint8_t *bytes, uint32_t length,
                    uint64_t now, struct switch_output *output);

/* What a frame of `output` grows by on its way out of `port`: POSTERN_VLAN_TAG for its tag, 0, or
 * the same negative. */
int switch_growth(const struct switch_state *self, const struct switch_output *output,
                  uint32_t port);

/* Whether the frame is another one on its way out of `port`: grown, or with another tag. */
bool switch_changes(const struct switch_state *self, const struct switch_output *output,
                    uint32_t port);

/* Copies the frame into `to`, which has room for length + switch_growth(), as `port` wants it. */
void switch_copy(const struct switch_state *self, const struct switch_output *output, uint32_t port,
                 const uint8_t *bytes, uint32_t length, uint8_t *to);

#endif
