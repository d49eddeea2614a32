/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vCPU's interrupts on their way, in the form that the CPU knows (SDM "Posted-Interrupt
 * Processing"; the upper bits as the VT-d specification's "Posted Interrupt Descriptor" has them).
 *
 * Any CPU posts: it sets the vector's bit, then asks posted_notify() what to do. While the vCPU is
 * in its guest, on a CPU with posted-interrupt processing, a notification interrupt is enough: the
 * CPU takes the requests itself, without an exit. At all other times the owner takes them, by
 * posted_take(), and is told as of any other work. Between the two stands SN, which only the owner
 * changes: set from the start, and wherever the CPU has no such processing for ever.
 */
#ifndef POSTERN_MACHINE_POSTED_INTERRUPT_H
#define POSTERN_MACHINE_POSTED_INTERRUPT_H

#include "lib/types.h"

#define POSTED_WORDS 4u

struct posted_interrupts {
    _Alignas(64) _Atomic uint64_t requests[POSTED_WORDS]; /* PIR: a bit for each vector */
    _Atomic uint64_t control;                             /* ON, SN, NV, NDST */
    uint64_t reserved[3];
};

/* What whoever has posted is to do. */
enum posted_next {
    POSTED_NOTHING, /* a notification is on its way */
    POSTED_NOTIFY,  /* send the notification vector to the vCPU's CPU */
    POSTED_REQUEST, /* the vCPU is not in its guest: request its attention */
};

/* Sets where notifications go: `vector` on the CPU with `apic_id`. SN is set, nothing is
 * outstanding; requests stay. Owner. */
void posted_set_target(struct posted_interrupts *posted, uint8_t vector, uint32_t apic_id);

/* Drops all requests. Owner. */
void posted_clear(struct posted_interrupts *posted);

/* Requests `vector`. False: it is requested already, and whoever did so tells. Any CPU. */
bool posted_request(struct posted_interrupts *posted, uint8_t vector);

/* After posted_request(). Any CPU. */
enum posted_next posted_notify(struct posted_interrupts *posted);

/* Clears SN: the owner is about to enter the guest, with no interrupt enabled until then. A
 * notification that comes meanwhile is pending and taken by the CPU right behind the entry. */
void posted_allow(struct posted_interrupts *posted);

/* Sets SN: the owner has left the guest and may do something else. True if there are requests: the
 * owner has to see to them itself, their notification may have come to nothing. */
bool posted_suppress(struct posted_interrupts *posted) MUST_CHECK;

/* Takes all requests out, into `taken`. What is posted from then on is notified again. Owner. */
void posted_take(struct posted_interrupts *posted, uint64_t taken[POSTED_WORDS]);

#endif
