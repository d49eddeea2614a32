/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An end of a link in mode direct that sends the soak's packets, checks those that come, and
 * accounts for each: an honest driver's work. All that it does in the window goes through the gate.
 */
#ifndef POSTERN_TESTS_NEIGHBOURS_PORT_H
#define POSTERN_TESTS_NEIGHBOURS_PORT_H

#include "abi/gate_ring.h"
#include "tests/kit/kit.h"
#include "tests/soak/packet.h"
#include "tests/soak/pool.h"
#include "tests/unit/random.h"

#define RING_VECTOR 0x50u /* of port 0; two for each port */

/* Each word is right at any moment: a VM may die at any. */
struct account {
    volatile uint64_t sent;     /* packets that were tried to be sent */
    volatile uint64_t taken;    /* TAKEN_ */
    volatile uint64_t sessions; /* with the peer since a packet was taken */
};

/* In a page of an end's own section that no ring uses: what the ends tell each other for the sake
 * of the test. No packet is taken by it. */
struct note {
    uint64_t taken;  /* the account's */
    uint64_t honest; /* the generation in which all in the section is right, 0 for none */
    uint64_t ends;   /* the rogue has done all; or, from the victim: nothing new is to be sent */
};

#define NOTE_OFFSET 0x6000u
_Static_assert(NOTE_OFFSET >=
                   POSTERN_POSTED_OFFSET + POSTERN_POSTED_MAX * sizeof(struct postern_posted),
               "the note is behind the posted buffers");

struct port {
    struct postern_ring ring;
    struct account *account;
    struct pool pool;
    bool lends;      /* the peer has the pages for it */
    uint32_t number; /* in this VM */
    uint32_t view;
    uint32_t channel_in, channel_out;
    bool in_turns;  /* now and then the ends send in turns, so that they have to wake each other */
    bool peer_lies; /* it may: what it writes is right only in the generation that it says */
    bool lies;      /* this end does, and must not wonder at the peer */
    bool has_turn;  /* a packet was taken since one was sent, or this end is the first */
    bool fresh;     /* no packet was taken yet in this session */
    bool broken;    /* a crossing has failed */
    bool ended;     /* nothing is to be sent any more */
    bool full;      /* the ring had no room for what was to be sent */
    uint64_t published; /* what the own note says: `taken` */
    struct note peer;   /* what the peer's says */
    uint64_t gate_errors, from_liars, wrong;
    uint64_t by_pages, lent; /* packets that came so */
    uint64_t faults[POSTERN_FAULTS];
};

/* Sets up the port of that number in this VM, and does not open it. `own` is its end of the link;
 * the account is kept. */
void port_init(struct port *port, uint32_t number, unsigned own, struct account *account);

void port_open(struct port *port);

/* One crossing; what it returns. Rings where a doorbell is due. One that fails breaks the port:
 * nothing crosses any more until port_work() finds that it can be opened. */
int64_t port_cross(struct port *port, uint32_t function, void *arguments);
/* The same with a function of abi/gate_ring.h that takes a struct postern_gate_ring. */
int64_t port_call(struct port *port, uint32_t function, uint64_t bytes);
/* Copies to or from the own section. */
void port_put(struct port *port, size_t offset, const void *value, size_t size);
void port_get(struct port *port, size_t offset, void *value, size_t size);

void port_sync(struct port *port);
/* Takes a batch; returns whether there was a packet. */
bool port_receive(struct port *port);
/* Sends up to `count` packets; returns whether there was room for one. With `more` they are not
 * published. */
bool port_send(struct port *port, unsigned count, bool more);
void port_publish(struct port *port);

/* A round: synchronises, takes, sends and publishes; returns whether there was something to do. */
bool port_work(struct port *port);

/* With interrupts off: asks for the doorbells that the port needs; returns whether it may wait. */
bool port_rests(struct port *port);

/* Works until `enough`, which is asked between two rounds; halts while there is nothing to do.
 * Interrupts are on, here and afterwards: they come in mid-crossing, too. */
void ports_work(struct port *ports, unsigned count, struct random *dice, bool (*enough)(void));

#endif
