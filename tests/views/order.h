/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What claims have the peer do: an order in this guest's section of OPEN_PORT, and the peer's
 * answer in its own. One at a time.
 */
#ifndef POSTERN_TESTS_VIEWS_ORDER_H
#define POSTERN_TESTS_VIEWS_ORDER_H

#include "tests/views/views.h"

#define ORDER_OFFSET 0x1000ull /* of both, from the start of the section */
#define PEER_PAGES   8u        /* of RAM, which are the peer's to give */
#define IMAGE_BYTE   0x5aull   /* what a page of the guests' image is full of */

enum order_kind {
    ORDER_NOTHING,
    ORDER_VIEW,       /* open the view of DIRECT_PORT for all vCPUs */
    ORDER_GIVE,       /* page a of PEER_PAGES as slot b; for writing if c */
    ORDER_GIVE_IMAGE, /* the page of its image as slot b, for writing */
    ORDER_TAKE,       /* slot a */
    ORDER_LOAD,       /* the word at offset a of its BAR 4, through the gate */
    ORDER_STORE,      /* b there */
    ORDER_STORE_ON,   /* growing words there, until that fails */
    ORDER_PEEK,       /* the first word of page a of PEER_PAGES */
    ORDER_PEEK_IMAGE, /* how many bytes of the page of its image are not IMAGE_BYTE */
    ORDER_SPIN,       /* nothing, without an exit of its own, until `stop`; its exits */
    ORDER_END,        /* direct_end(a, b, c) */
    ORDER_RESET,      /* start anew: the answer comes from the new life */
    ORDER_CRASH       /* the same by a triple fault */
};

struct order {
    uint64_t number; /* new for each */
    uint64_t kind, a, b, c;
    uint64_t stop;
};

struct order_answer {
    uint64_t number;   /* of the order that is done */
    int64_t result;    /* of the hypercall or crossing */
    uint64_t value;    /* what was read or counted */
    uint64_t progress; /* of what goes on until it is stopped; else 0 */
};

/* For claims, once in each: then the orders can be given. */
void map_orders(void);
/* Gives an order, and waits for its result. */
int64_t have_peer(uint64_t kind, uint64_t a, uint64_t b, uint64_t c);

/* For the peer: forgets what was ordered in an earlier life; looks for an order and carries it out.
 */
void orders_begin(void);
void orders_serve(void);

#endif
