/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/fdb.h"

#include "abi/fdb_ops.h"
#include "lib/bits.h"
#include "lib/string.h"

static uint32_t port_of(const struct fdb_slot *slot)
{
    return (uint32_t)(slot->entry >> POSTERN_FDB_PORT_SHIFT) - 1;
}

static uint64_t make_entry(uint64_t key, uint32_t port)
{
    return key | (uint64_t)(port + 1) << POSTERN_FDB_PORT_SHIFT;
}

static bool is_free(const struct fdb_slot *slot)
{
    return slot->entry == 0;
}

/* Shows what is in a slot; between begin and end. */
static void show(struct fdb *fdb, const struct fdb_slot *slot)
{
    size_t index = (size_t)(slot - &fdb->slots[0][0]);
    uint64_t *entry = &fdb->pages->entries[index / POSTERN_FDB_WAYS][index % POSTERN_FDB_WAYS];

    POSTERN_STORE(entry, slot->held ? 0 : slot->entry);
}

/* Puts `content` into a slot and publishes it. */
static void put(struct fdb *fdb, struct fdb_slot *slot, const struct fdb_slot *content)
{
    bool revokes = !is_free(slot) && !slot->held;

    *slot = *content;
    postern_fdb_begin(fdb->pages);
    show(fdb, slot);
    postern_fdb_end(fdb->pages, revokes);
}

static struct fdb_slot *slot_of(struct fdb *fdb, uint64_t key)
{
    struct fdb_slot *set = fdb->slots[POSTERN_FDB_SET(key)];

    for (unsigned way = 0; way < POSTERN_FDB_WAYS; way++) {
        if (!is_free(&set[way]) && (set[way].entry & POSTERN_FDB_KEY_MASK) == key) {
            return &set[way];
        }
    }
    return NULL;
}

/* The port that has most slots of a set; `port`, which wants one more, if it is as good as any. */
static uint32_t largest_port(const struct fdb_slot *set, uint32_t port)
{
    unsigned counts[POSTERN_FDB_PORTS] = {0};
    uint32_t largest = port;

    for (unsigned way = 0; way < POSTERN_FDB_WAYS; way++) {
        if (!is_free(&set[way]) && !set[way].fixed) {
            counts[port_of(&set[way])]++;
        }
    }
    for (uint32_t i = 0; i < POSTERN_FDB_PORTS; i++) {
        if (counts[i] > counts[largest]) {
            largest = i;
        }
    }
    return largest;
}

/* A slot for `key` at `port`: a free one, or the oldest of the port that has most. NULL: all are
 * fixed. */
static struct fdb_slot *room_for(struct fdb *fdb, uint64_t key, uint32_t port)
{
    struct fdb_slot *set = fdb->slots[POSTERN_FDB_SET(key)];
    uint32_t largest = largest_port(set, port);
    struct fdb_slot *oldest = NULL;

    for (unsigned way = 0; way < POSTERN_FDB_WAYS; way++) {
        struct fdb_slot *slot = &set[way];
        if (is_free(slot)) {
            return slot;
        }
        if (!slot->fixed && port_of(slot) == largest &&
            (oldest == NULL || slot->seen < oldest->seen)) {
            oldest = slot;
        }
    }
    if (oldest != NULL) {
        fdb->evicted++;
    }
    return oldest;
}

void fdb_init(struct fdb *fdb, struct postern_fdb *pages)
{
    memset(fdb, 0, sizeof(*fdb));
    fdb->pages = pages;
    /* Odd already if another writer has ended in the middle of a change: the number never goes back
     * to one that readers have seen. Otherwise as postern_fdb_begin. */
    POSTERN_STORE(&pages->sequence, pages->sequence | 1);
    POSTERN_WRITE_BARRIER();
    memset((uint8_t *)pages + offsetof(struct postern_fdb, rule_count), 0,
           sizeof(*pages) - offsetof(struct postern_fdb, rule_count));
    POSTERN_STORE(&pages->flags, 0);
    POSTERN_STORE(&pages->version, POSTERN_FDB_VERSION);
    POSTERN_STORE(&pages->magic, POSTERN_FDB_MAGIC);
    postern_fdb_end(pages, true);
}

static enum fdb_lesson learn_new(struct fdb *fdb, uint64_t key, uint32_t port, uint64_t now)
{
    const struct fdb_slot content = {.entry = make_entry(key, port), .seen = now};
    struct fdb_slot *slot = room_for(fdb, key, port);

    if (slot == NULL) {
        return FDB_REFUSED;
    }
    put(fdb, slot, &content);
    fdb->learned++;
    return FDB_LEARNED;
}

/* The address of `slot` was seen at another port. */
static enum fdb_lesson learn_move(struct fdb *fdb, struct fdb_slot *slot, uint32_t port,
                                  uint64_t now)
{
    struct fdb_slot content = *slot;

    if (content.moves == 0 || now - content.moving_since > FDB_MOVE_WINDOW) {
        content.moves = 0;
        content.moving_since = now;
    }
    content.moves++;
    content.held = content.moves > FDB_MOVES;
    content.seen = content.held ? now + FDB_HOLD : now;
    content.entry = make_entry(content.entry & POSTERN_FDB_KEY_MASK, port);
    put(fdb, slot, &content);
    if (content.held) {
        fdb->held++;
        return FDB_HELD;
    }
    fdb->moved++;
    return FDB_MOVED;
}

enum fdb_lesson fdb_learn(struct fdb *fdb, uint64_t mac, uint32_t vlan, uint32_t port, uint64_t now)
{
    uint64_t key = postern_fdb_key(mac, vlan);
    struct fdb_slot *slot = slot_of(fdb, key);

    if (slot == NULL) {
        return learn_new(fdb, key, port, now);
    }
    if (slot->fixed) {
        return port_of(slot) == port ? FDB_SEEN : FDB_REFUSED;
    }
    if (slot->held) {
        if (now < slot->seen) {
            return FDB_HELD;
        }
        const struct fdb_slot content = {.entry = make_entry(key, port), .seen = now};
        put(fdb, slot, &content);
        fdb->learned++;
        return FDB_LEARNED;
    }
    if (port_of(slot) != port) {
        return learn_move(fdb, slot, port, now);
    }
    slot->seen = now;
    return FDB_SEEN;
}

status_t fdb_fix(struct fdb *fdb, uint64_t mac, uint32_t vlan, uint32_t port)
{
    uint64_t key = postern_fdb_key(mac, vlan);
    const struct fdb_slot content = {.entry = make_entry(key, port), .fixed = true};
    struct fdb_slot *slot = slot_of(fdb, key);

    if (slot == NULL) {
        slot = room_for(fdb, key, port);
    } else if (slot->fixed && port_of(slot) != port) {
        return STATUS_EXISTS;
    }
    if (slot == NULL) {
        return STATUS_NO_MEMORY;
    }
    put(fdb, slot, &content);
    return STATUS_OK;
}

int fdb_find(const struct fdb *fdb, uint64_t mac, uint32_t vlan)
{
    return postern_fdb_find(fdb->pages, postern_fdb_key(mac, vlan));
}

/* Empties a slot; between begin and end. Whether readers could see it. */
static bool forget(struct fdb *fdb, struct fdb_slot *slot)
{
    bool seen = !slot->held;

    *slot = (struct fdb_slot){0};
    show(fdb, slot);
    return seen;
}

/* Between begin and end; whether there was any. */
static bool forget_port(struct fdb *fdb, uint32_t port)
{
    bool any = false;

    for (size_t i = 0; i < POSTERN_FDB_SETS * POSTERN_FDB_WAYS; i++) {
        struct fdb_slot *slot = &fdb->slots[0][0] + i;
        if (!is_free(slot) && !slot->fixed && port_of(slot) == port) {
            any = forget(fdb, slot) || any;
        }
    }
    return any;
}

void fdb_flush(struct fdb *fdb, uint32_t port)
{
    postern_fdb_begin(fdb->pages);
    bool any = forget_port(fdb, port);
    postern_fdb_end(fdb->pages, any);
}

static bool is_old(const struct fdb_slot *slot, uint64_t now)
{
    /* One that is held was seen in the future. */
    return !is_free(slot) && !slot->fixed && now > slot->seen && now - slot->seen > FDB_AGE;
}

static void age_set(struct fdb *fdb, struct fdb_slot *set, uint64_t now)
{
    for (unsigned way = 0; way < POSTERN_FDB_WAYS; way++) {
        if (is_old(&set[way], now)) {
            postern_fdb_begin(fdb->pages);
            bool seen = forget(fdb, &set[way]);
            postern_fdb_end(fdb->pages, seen);
            fdb->aged++;
        }
    }
}

void fdb_age(struct fdb *fdb, uint32_t sets, uint64_t now)
{
    for (uint32_t i = 0; i < sets; i++) {
        age_set(fdb, fdb->slots[fdb->next_set], now);
        fdb->next_set = (fdb->next_set + 1) % POSTERN_FDB_SETS;
    }
}

void fdb_set_port(struct fdb *fdb, uint32_t port, uint16_t flags)
{
    postern_fdb_begin(fdb->pages);
    if ((flags & POSTERN_FDB_PORT_UP) == 0) {
        (void)forget_port(fdb, port);
    }
    POSTERN_STORE(&fdb->pages->ports[port].flags, flags);
    postern_fdb_end(fdb->pages, true);
}

void fdb_add_vlan(struct fdb *fdb, uint32_t port, uint32_t vlan, bool tagged)
{
    struct postern_fdb *pages = fdb->pages;

    postern_fdb_begin(pages);
    POSTERN_STORE(&pages->flags, pages->flags | POSTERN_FDB_TAGS);
    POSTERN_STORE(&pages->vlans[vlan], (uint8_t)(pages->vlans[vlan] | BIT32(port)));
    if (!tagged) {
        POSTERN_STORE(&pages->ports[port].pvid, (uint16_t)vlan);
    }
    postern_fdb_end(pages, true);
}

status_t fdb_add_rule(struct fdb *fdb, const struct postern_fdb_rule *rule)
{
    struct postern_fdb *pages = fdb->pages;
    uint32_t count = pages->rule_count;

    if (count == POSTERN_FDB_RULES) {
        return STATUS_NO_MEMORY;
    }
    postern_fdb_begin(pages);
    POSTERN_STORE(&pages->rules[count].mac, rule->mac);
    POSTERN_STORE(&pages->rules[count].ethertype, rule->ethertype);
    POSTERN_STORE(&pages->rules[count].from, rule->from);
    POSTERN_STORE(&pages->rules[count].to, rule->to);
    POSTERN_STORE(&pages->rules[count].flags, rule->flags);
    POSTERN_STORE(&pages->rule_count, count + 1);
    postern_fdb_end(pages, true);
    return STATUS_OK;
}
