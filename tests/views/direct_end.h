/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An end of DIRECT_PORT's ring, for the claims' guest and for its peer: the same code in both.
 * Pages 0 to 7 of its pool are posted, for the other to fill; from pages 8 to 15 it lends.
 */
#ifndef POSTERN_TESTS_VIEWS_DIRECT_END_H
#define POSTERN_TESTS_VIEWS_DIRECT_END_H

#include "tests/kit/kit.h"

/* What ORDER_END has the peer do. */
enum direct_do {
    DIRECT_OPEN, /* give all pages, open the ring, post */
    DIRECT_SYNC, /* returns 1 when the end is up */
    DIRECT_SEND, /* packet b of c bytes: in posted pages, if they do */
    DIRECT_LEND, /* the same, lent */
    DIRECT_TAKE  /* the next packet, which has to be b; posts its pages again. Its record's flags */
};

#define DIRECT_NOT_TAKEN 0x1000 /* send, lend: the ring had no room; take: there was none */
#define DIRECT_WRONG     0x1001 /* take: it was another packet */

/* The gate's error, or as above; else 0. */
int64_t direct_end(uint64_t what, uint64_t b, uint64_t c);

#endif
