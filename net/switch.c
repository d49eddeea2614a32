/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/switch.h"

#include "abi/ring.h"
#include "lib/bits.h"
#include "lib/string.h"

#define ADDRESSES 12u /* bytes of both, before the tag */
/* 01:80:c2:00:00:01, of pause frames. A bridge that spoke a spanning-tree protocol would keep the
 * other reserved addresses to itself, too; this one passes them, so that guests that bridge may
 * find their loops. */
#define PAUSE_ADDRESS 0x010000c28001ull
#define AGED_SETS     4u /* for each frame */
#define FRAME_MAX     POSTERN_RING_MAX_PAYLOAD

void switch_init(struct switch_state *self, struct postern_fdb *pages, uint32_t port_count)
{
    memset(self, 0, sizeof(*self));
    self->port_count = port_count;
    self->mirror_to = SWITCH_NO_PORT;
    fdb_init(&self->fdb, pages);
    for (uint32_t i = 0; i < port_count; i++) {
        switch_limit_floods(self, i, SWITCH_FLOOD_RATE);
    }
}

/* A rate of 0: no limit. */
static void set_limit(struct switch_limit *limit, uint64_t rate, uint64_t largest)
{
    limit->there = rate != 0;
    if (limit->there) {
        token_bucket_init(&limit->bucket, FDB_SECOND, rate, rate / 10 + 1, largest, 0);
    }
}

static bool pass(struct switch_limit *limit, uint64_t units, uint64_t now)
{
    return !limit->there || token_bucket_take(&limit->bucket, units, now);
}

void switch_relay(struct switch_state *self, uint32_t port)
{
    self->ports[port].relayed = true;
}

void switch_limit(struct switch_state *self, uint32_t port, uint64_t rate)
{
    set_limit(&self->ports[port].bytes, rate, FRAME_MAX);
}

void switch_limit_floods(struct switch_state *self, uint32_t port, uint64_t rate)
{
    set_limit(&self->ports[port].floods, rate, 1);
}

void switch_mirror(struct switch_state *self, uint32_t mirrored, uint32_t to)
{
    self->mirrored = mirrored;
    self->mirror_to = to;
}

status_t switch_fix(struct switch_state *self, uint32_t port, uint64_t mac, uint32_t vlan)
{
    self->ports[port].fixed = true;
    return fdb_fix(&self->fdb, mac, vlan, port);
}

static bool port_is_direct(const struct switch_state *self, uint32_t port)
{
    return (self->mirrored >> port & 1) == 0 && !self->ports[port].bytes.there &&
           !self->ports[port].relayed;
}

static bool share_a_vlan(const struct postern_fdb *pages, uint32_t one, uint32_t other)
{
    uint32_t both = BIT32(one) | BIT32(other);

    if ((pages->flags & POSTERN_FDB_TAGS) == 0) {
        return true;
    }
    for (uint32_t vlan = 0; vlan < POSTERN_FDB_VLANS; vlan++) {
        if ((pages->vlans[vlan] & both) == both) {
            return true;
        }
    }
    return false;
}

/* Whether a rule lets nothing pass from port to port. */
static bool is_shut(const struct postern_fdb *pages, uint32_t from, uint32_t to)
{
    for (uint32_t i = 0; i < pages->rule_count; i++) {
        const struct postern_fdb_rule *rule = &pages->rules[i];
        if ((rule->from >> from & 1) != 0 && (rule->to >> to & 1) != 0 && rule->ethertype == 0 &&
            rule->flags == 0) {
            return true;
        }
    }
    return false;
}

bool switch_is_direct(const struct switch_state *self, uint32_t one, uint32_t other)
{
    const struct postern_fdb *pages = self->fdb.pages;

    return one != other && port_is_direct(self, one) && port_is_direct(self, other) &&
           share_a_vlan(pages, one, other) && !is_shut(pages, one, other) &&
           !is_shut(pages, other, one);
}

static bool is_up(const struct switch_state *self, uint32_t port)
{
    return (self->fdb.pages->ports[port].flags & POSTERN_FDB_PORT_UP) != 0;
}

void switch_set_up(struct switch_state *self, uint32_t port, bool up)
{
    uint16_t flags = 0;

    if (up) {
        flags = POSTERN_FDB_PORT_UP;
        flags |=
            port_is_direct(self, port) ? POSTERN_FDB_PORT_SENDS | POSTERN_FDB_PORT_RECEIVES : 0;
        flags |= self->ports[port].fixed ? POSTERN_FDB_PORT_FIXED : 0;
    }
    fdb_set_port(&self->fdb, port, flags);
}

/* Whether `port` takes a frame from port `from`. */
static bool takes(const struct switch_state *self, uint32_t port, uint32_t from,
                  const struct switch_output *output)
{
    const struct postern_fdb *pages = self->fdb.pages;

    return port != from && is_up(self, port) &&
           ((pages->flags & POSTERN_FDB_TAGS) == 0 ||
            (pages->vlans[output->vlan] >> port & 1) != 0) &&
           !postern_fdb_drops(pages, from, port, &output->frame);
}

static bool drop(struct switch_port *port, enum switch_drop reason)
{
    port->drops[reason]++;
    return false;
}

/* Learns the source; false when the frame may not have it. */
static bool learn(struct switch_state *self, uint32_t from, const struct switch_output *output,
                  uint64_t now)
{
    uint64_t source = output->frame.source;

    if (source == 0 || (source & POSTERN_FDB_MULTICAST) != 0) {
        return false;
    }
    if (self->ports[from].fixed) {
        return fdb_find(&self->fdb, source, output->vlan) == (int)from;
    }
    return fdb_learn(&self->fdb, source, output->vlan, from, now) != FDB_REFUSED;
}

/* Chooses the ports; false when there are none. */
static bool choose(struct switch_state *self, uint32_t from, uint64_t now,
                   struct switch_output *output)
{
    struct switch_port *port = &self->ports[from];
    uint64_t destination = output->frame.destination;
    int known = (destination & POSTERN_FDB_MULTICAST) == 0
                    ? fdb_find(&self->fdb, destination, output->vlan)
                    : FDB_UNKNOWN;

    if (known != FDB_UNKNOWN) {
        output->ports = takes(self, (uint32_t)known, from, output) ? BIT32(known) : 0;
        return output->ports != 0 || drop(port, SWITCH_DROP_NOWHERE);
    }
    if (!pass(&port->floods, 1, now)) {
        return drop(port, SWITCH_DROP_FLOOD);
    }
    for (uint32_t i = 0; i < self->port_count; i++) {
        output->ports |= takes(self, i, from, output) ? BIT32(i) : 0;
    }
    port->flooded++;
    return output->ports != 0 || drop(port, SWITCH_DROP_NOWHERE);
}

static void mirror(const struct switch_state *self, uint32_t from, struct switch_output *output)
{
    uint32_t to = self->mirror_to;
    bool watched = (self->mirrored & (output->ports | BIT32(from))) != 0;

    if (watched && to != SWITCH_NO_PORT && to != from && is_up(self, to)) {
        output->copies = BIT32(to) & ~output->ports;
    }
}

bool switch_forward(struct switch_state *self, uint32_t from, const uint8_t *bytes, uint32_t length,
                    uint64_t now, struct switch_output *output)
{
    struct switch_port *port = &self->ports[from];

    *output = (struct switch_output){0};
    fdb_age(&self->fdb, AGED_SETS, now);
    port->frames++;
    if (!is_up(self, from)) {
        return drop(port, SWITCH_DROP_DOWN);
    }
    if (!pass(&port->bytes, length, now)) {
        return drop(port, SWITCH_DROP_LIMIT);
    }
    if (!postern_fdb_parse(bytes, length, &output->frame) ||
        output->frame.destination == PAUSE_ADDRESS) {
        return drop(port, SWITCH_DROP_FRAME);
    }
    if (!postern_fdb_classify(self->fdb.pages, from, &output->frame, &output->vlan)) {
        return drop(port, SWITCH_DROP_VLAN);
    }
    if (!learn(self, from, output, now)) {
        return drop(port, SWITCH_DROP_SOURCE);
    }
    bool chosen = choose(self, from, now, output);
    mirror(self, from, output);
    return chosen || output->copies != 0;
}

/* Whether frames of the output's VLAN have tags behind `port`; if they are not told apart, as they
 * came. */
static bool has_tag(const struct switch_state *self, const struct switch_output *output,
                    uint32_t port)
{
    const struct postern_fdb *pages = self->fdb.pages;

    if ((pages->flags & POSTERN_FDB_TAGS) == 0 || (output->copies >> port & 1) != 0) {
        return output->frame.tagged;
    }
    return pages->ports[port].pvid != output->vlan;
}

int switch_growth(const struct switch_state *self, const struct switch_output *output,
                  uint32_t port)
{
    int tag = (int)POSTERN_VLAN_TAG;

    return (has_tag(self, output, port) ? tag : 0) - (output->frame.tagged ? tag : 0);
}

/* Whether the tag had a priority and gets its VLAN. */
static bool gets_vlan(const struct switch_output *output, uint32_t port)
{
    return output->frame.tagged && output->frame.vlan == 0 && output->vlan != 0 &&
           (output->copies >> port & 1) == 0;
}

bool switch_changes(const struct switch_state *self, const struct switch_output *output,
                    uint32_t port)
{
    return switch_growth(self, output, port) != 0 || gets_vlan(output, port);
}

void switch_copy(const struct switch_state *self, const struct switch_output *output, uint32_t port,
                 const uint8_t *bytes, uint32_t length, uint8_t *to)
{
    int growth = switch_growth(self, output, port);
    uint32_t rest = growth < 0 ? ADDRESSES + POSTERN_VLAN_TAG : ADDRESSES;

    memcpy(to, bytes, ADDRESSES);
    to += ADDRESSES;
    if (growth > 0) {
        to[0] = POSTERN_ETHERTYPE_VLAN >> 8;
        to[1] = POSTERN_ETHERTYPE_VLAN & 0xff;
        to[2] = (uint8_t)(output->vlan >> 8);
        to[3] = (uint8_t)output->vlan;
        to += POSTERN_VLAN_TAG;
    }
    memcpy(to, bytes + rest, length - rest);
    if (growth == 0 && gets_vlan(output, port)) {
        to[2] = (uint8_t)((to[2] & 0xf0) | output->vlan >> 8);
        to[3] = (uint8_t)output->vlan;
    }
}
