/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the victim and the guest that attacks it agree on. The victim keeps canaries: memory whose
 * every word it knows. Asked through the open link, it looks at all of them and answers. A word of
 * a canary is told by its upper half, wherever it turns up.
 */
#ifndef POSTERN_TESTS_VICTIM_VICTIM_H
#define POSTERN_TESTS_VICTIM_VICTIM_H

#include "lib/types.h"

/* The ports of both ends, in the order of tests/configs/attack.conf. */
#define PORT_GATED   0u
#define PORT_OTHER   1u /* direct */
#define PORT_OPEN    2u
#define PORTS        3u

#define OTHER_LIMIT  1000u /* doorbells in a second of PORT_OTHER, there */

#define SECTION_SIZE 0x10000ull

/* In each section of the victim's: a canary. */
#define CANARY_OFFSET 0x8000ull
#define CANARY_SIZE   0x8000ull
#define CANARY_MARK   0x5ec2e7caull

static inline uint64_t canary_word(uint64_t index)
{
    return CANARY_MARK << 32 | (uint32_t)(index * 2654435761u);
}

/* The pool of PORT_OTHER. The victim has given a page of its canary in RAM, for reading. */
#define POOL_SIZE     0x10000ull
#define CANARY_SLOT   3u

#define SECRET_OFFSET 0x5000ull
#define SECRET        0x0123456789abcdefull

/* In the sections of the open link: the question and the answer. */
#define TALK_OFFSET 0x4000ull

struct question {
    volatile uint64_t number; /* a new one asks for a look */
    volatile uint64_t revoke; /* while 1 the victim revokes the gated port's section and grants it,
                                 and while it is revoked it has SECRET at SECRET_OFFSET */
    volatile uint64_t unmasked; /* while 1 it takes each doorbell's interrupt, masking none */
};

struct answer {
    volatile uint64_t number; /* of the question that this answers */
    volatile uint64_t beats;  /* grows with the victim's time */
    volatile uint64_t rings;  /* interrupts by doorbells */
    volatile uint64_t revocations;
    volatile uint64_t unmasked; /* as the question says, once it does so */
    volatile uint64_t bad;      /* how many words were found changed, since the start */
    volatile uint64_t where;    /* what the first of them is in: enum victim_place */
};

enum victim_place {
    PLACE_NONE,
    PLACE_RAM,
    PLACE_GATE,                                 /* the gate's pages, which are the hypervisor's */
    PLACE_SECTION,                              /* + port */
    PLACE_GATE_REFUSES = PLACE_SECTION + PORTS, /* its own gate does not work */
};

#endif
