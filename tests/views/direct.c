/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets over a link in mode direct: each is copied once, into a page of the receiver's or out of
 * one of the sender's. */
#include "abi/ring.h"
#include "tests/views/direct_end.h"
#include "tests/views/order.h"

enum { POSTED = POSTERN_RECORD_POSTED, LENT = POSTERN_RECORD_LENT };

static int64_t peer(uint64_t what, uint64_t b, uint64_t c)
{
    return have_peer(ORDER_END, what, b, c);
}

/* Until both are up. */
static void meet(void)
{
    (void)direct_end(DIRECT_SYNC, 0, 0);
    (void)peer(DIRECT_SYNC, 0, 0);
    CHECK_EQUAL(direct_end(DIRECT_SYNC, 0, 0), 1);
    CHECK_EQUAL(peer(DIRECT_SYNC, 0, 0), 1);
}

static void open_both(void)
{
    map_orders();
    /* A peer that is still starting has done nothing when it answers. */
    while (have_peer(ORDER_VIEW, 0, 0, 0) == 0) {
    }
    CHECK_EQUAL(direct_end(DIRECT_OPEN, 0, 0), 0);
    CHECK_EQUAL(peer(DIRECT_OPEN, 0, 0), 0);
    meet();
}

/* Packets of all kinds, from here and to here, around the posted pages several times. */
static void exchange(void)
{
    static const struct {
        uint32_t length;
        enum direct_do how;
        uint16_t flags;
    } packets[] = {
        {60, DIRECT_SEND, 0},        {1514, DIRECT_SEND, POSTED}, {4096, DIRECT_SEND, POSTED},
        {4097, DIRECT_SEND, POSTED}, {8000, DIRECT_SEND, POSTED}, {1514, DIRECT_LEND, LENT},
        {8000, DIRECT_LEND, LENT},
    };

    for (uint64_t number = 0; number < 5 * ARRAY_SIZE(packets); number++) {
        const unsigned kind = (unsigned)(number % ARRAY_SIZE(packets));

        CHECK_EQUAL(direct_end(packets[kind].how, number, packets[kind].length), 0);
        CHECK_EQUAL(peer(packets[kind].how, 100 + number, packets[kind].length), 0);
        CHECK_EQUAL(peer(DIRECT_TAKE, number, 0), packets[kind].flags);
        CHECK_EQUAL(direct_end(DIRECT_TAKE, 100 + number, 0), packets[kind].flags);
    }
    CHECK_EQUAL(direct_end(DIRECT_TAKE, 0, 0), DIRECT_NOT_TAKEN);
}

CLAIM(direct_packets,
      "packets go into pages that the receiver posts, or out of those that are lent")
{
    open_both();
    exchange();
}

CLAIM(direct_without_buffers, "a packet for which no pages are posted goes through the ring")
{
    open_both();
    for (uint64_t number = 0; number < 8; number++) {
        CHECK_EQUAL(direct_end(DIRECT_SEND, number, 3000), 0);
    }
    CHECK_EQUAL(direct_end(DIRECT_SEND, 8, 3000), 0);
    CHECK_EQUAL(peer(DIRECT_TAKE, 0, 0), POSTED);
    /* The page that is posted again now comes behind. */
    CHECK_EQUAL(direct_end(DIRECT_SEND, 9, 3000), 0);
    for (uint64_t number = 1; number < 10; number++) {
        CHECK_EQUAL(peer(DIRECT_TAKE, number, 0), number == 8 ? 0 : POSTED);
    }
}

CLAIM(direct_peer_restarts,
      "pages of a peer that starts anew are gone, and come back with its ring")
{
    open_both();
    CHECK_EQUAL(direct_end(DIRECT_LEND, 1, 1000), 0);
    CHECK_EQUAL(peer(DIRECT_LEND, 1, 1000), 0);
    CHECK_EQUAL(have_peer(ORDER_RESET, 0, 0, 0), 0);
    /* Neither a posted page nor a lent one is there, and what that ends is the crossing. */
    CHECK_EQUAL(direct_end(DIRECT_SEND, 2, 1000), POSTERN_ERR_FAULT);
    CHECK_EQUAL(direct_end(DIRECT_TAKE, 1, 0), POSTERN_ERR_FAULT);
    open_both();
    exchange();
    /* An end whose peer alone was opened again goes on. */
    CHECK_EQUAL(direct_end(DIRECT_SEND, 3, 5000), 0);
    CHECK_EQUAL(direct_end(DIRECT_LEND, 4, 1000), 0);
    CHECK_EQUAL(peer(DIRECT_OPEN, 0, 0), 0);
    meet();
    exchange();
}

CLAIM(direct_own_restart,
      "an end that starts anew meets a peer that had packets for it and from it")
{
    if (claim_phase() == 0) {
        open_both();
        CHECK_EQUAL(peer(DIRECT_SEND, 1, 5000), 0);
        CHECK_EQUAL(direct_end(DIRECT_SEND, 1, 5000), 0);
        CHECK_EQUAL(direct_end(DIRECT_LEND, 2, 5000), 0);
        restart_expected();
        outb(GUEST_PORT_RESET, GUEST_RESET_VALUE);
    }
    map_orders();
    /* Of these the first is still in the peer's page, and the second was never anywhere else. */
    CHECK_EQUAL(peer(DIRECT_TAKE, 1, 0), POSTED);
    CHECK_EQUAL(peer(DIRECT_TAKE, 2, 0), POSTERN_ERR_FAULT);
    open_both();
    exchange();
    CHECK_EQUAL(direct_end(DIRECT_OPEN, 0, 0), 0);
    meet();
    exchange();
}
