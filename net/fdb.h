/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The writer of a network's forwarding database: learns where MAC addresses are, and publishes what
 * it knows in the pages that the members read (abi/fdb.h). Nobody else can write these pages.
 *
 * No port can crowd another out: when a set is full, the port that has most of it gives way. An
 * address that keeps moving is held: published nowhere until it rests, so frames to it are flooded.
 *
 * Times are in nanoseconds of any clock that does not go back. Locking: one caller at a time; the
 * readers of the pages need none.
 */
#ifndef POSTERN_NET_FDB_H
#define POSTERN_NET_FDB_H

#include "abi/fdb.h"
#include "lib/status.h"

#define FDB_SECOND      1000000000ull
#define FDB_AGE         (300 * FDB_SECOND) /* IEEE 802.1Q: the recommended ageing time */
#define FDB_MOVE_WINDOW FDB_SECOND
#define FDB_MOVES       4u /* more moves in the window, and the address is held ... */
#define FDB_HOLD        (10 * FDB_SECOND) /* ... that long */
#define FDB_UNKNOWN     (-1)

struct fdb_slot {
    uint64_t entry; /* as abi/fdb.h has it, also while it is held; 0: free */
    uint64_t seen;  /* last; while it is held: until when */
    uint64_t moving_since;
    uint32_t moves; /* since then */
    bool held;
    bool fixed; /* neither moves nor ages */
};

struct fdb {
    struct postern_fdb *pages;
    uint32_t next_set; /* for ageing */
    uint64_t learned, moved, held, evicted, aged;
    struct fdb_slot slots[POSTERN_FDB_SETS][POSTERN_FDB_WAYS];
};

enum fdb_lesson {
    FDB_SEEN,    /* nothing new */
    FDB_LEARNED, /* a new address */
    FDB_MOVED,   /* it was at another port */
    FDB_HELD,    /* it moves too often: nothing is believed of it for a while */
    FDB_REFUSED, /* it is fixed at another port, or there is no room beside fixed ones */
};

/* Begins with an empty database in `pages`, whatever was in them. All ports are down. */
void fdb_init(struct fdb *fdb, struct postern_fdb *pages);

/* `port` has sent from `mac` (no multicast address) in `vlan`. */
enum fdb_lesson fdb_learn(struct fdb *fdb, uint64_t mac, uint32_t vlan, uint32_t port,
                          uint64_t now);

/* `mac` is at `port` for good, as long as that is not flushed. STATUS_NO_MEMORY when its set is
 * full of such, STATUS_EXISTS when it is fixed at another port. */
status_t fdb_fix(struct fdb *fdb, uint64_t mac, uint32_t vlan, uint32_t port) MUST_CHECK;

/* The port of `mac` in `vlan`, or FDB_UNKNOWN. */
int fdb_find(const struct fdb *fdb, uint64_t mac, uint32_t vlan);

/* Forgets what was learned of `port`. */
void fdb_flush(struct fdb *fdb, uint32_t port);

/* Forgets what was not seen for FDB_AGE, in the next `sets` sets; from call to call it goes round.
 * A member that sends directly does not show its addresses to the switch; when they have been
 * forgotten its next frame goes to the switch and they are learned anew. */
void fdb_age(struct fdb *fdb, uint32_t sets, uint64_t now);

/* POSTERN_FDB_PORT_ flags. When the port goes down, what was learned of it is forgotten in the same
 * change. */
void fdb_set_port(struct fdb *fdb, uint32_t port, uint16_t flags);

/* Keeps VLANs apart from now on, and gives `port` the VLAN (1 to 4094): with tags, or as that of
 * frames that have none. */
void fdb_add_vlan(struct fdb *fdb, uint32_t port, uint32_t vlan, bool tagged);

/* STATUS_NO_MEMORY when there are POSTERN_FDB_RULES already. */
status_t fdb_add_rule(struct fdb *fdb, const struct postern_fdb_rule *rule) MUST_CHECK;

#endif
