/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The soak: three processes over two links. The victim has an end of both; the friend, at the other
 * end of the first, is honest; the rogue, at the other end of the second, does everything that it
 * can, dies, and comes back. A fourth process starts and kills them and looks at the accounts.
 *
 * This is what they have in common besides the rings. It stands for the hypervisor (doorbells,
 * revocation) and for the test's knowledge, and no end takes a packet by it.
 */
#ifndef POSTERN_TESTS_SOAK_SOAK_H
#define POSTERN_TESTS_SOAK_SOAK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/soak/misbehave.h"
#include "tests/unit/ring_window.h"

#define LINK_FRIEND 0u
#define LINK_ROGUE  1u
#define LINKS       2u
#define LIVES_MAX   (1u << 20)
#define FAULTS_MAX  12u

enum soak_process { VICTIM, FRIEND, ROGUE, PROCESSES };

/* One direction of a link. Each member is one word, so that a process that is killed leaves the
 * account right. */
struct channel {
    _Atomic(uint64_t) sent;     /* by the producer: packets that it began to write */
    _Atomic(uint64_t) taken;    /* by the consumer: TAKEN_ */
    _Atomic(uint64_t) sessions; /* of the consumer's since a packet was taken */
};

/* An opening of the rogue's end. */
struct life {
    _Atomic(uint32_t) generation;
    _Atomic(uint32_t) lying; /* set before the first lie */
};

struct soak {
    uint64_t seed;
    struct ring_window windows[LINKS]; /* end 0 is the victim's */
    struct ring_window pools[LINKS];   /* both ends write there */
    struct channel channels[LINKS][2]; /* [link][the end that produces] */

    _Atomic(uint32_t) doorbells[PROCESSES]; /* a futex for each */
    _Atomic(bool) granted;                  /* the rogue's section, to the victim */
    _Atomic(bool) calm;                     /* nothing wrong any more */
    _Atomic(bool) draining;                 /* then: no new packets */
    _Atomic(bool) quit;
    pid_t victim;

    struct life lives[LIVES_MAX];
    _Atomic(uint32_t) life_count;
    /* What the rogue has done, and how often traffic has resumed after it. */
    uint32_t turns;
    _Atomic(uint64_t) pending; /* kinds after which it has not yet */
    _Atomic(uint32_t) begun[KINDS];
    _Atomic(uint32_t) resumed[KINDS];

    /* What the victim has met. */
    _Atomic(uint32_t) faults[FAULTS_MAX];
    _Atomic(uint32_t) gate_errors;
    _Atomic(uint32_t) from_liars; /* packets that only a liar can have sent */

    /* Packets that came in posted pages, and that were lent, over both links. */
    _Atomic(uint64_t) by_pages;
    _Atomic(uint64_t) lent;

    _Atomic(bool) failed;
    char complaint[256];
};

/* What a process waits on and what it is woken by. */
void soak_ring(struct soak *soak, enum soak_process process);
/* Until the doorbell is not `old` any more; or, if `us` is not 0, so long. */
void soak_wait(struct soak *soak, enum soak_process process, uint32_t old, uint32_t us);

/* Ends the calling process: the soak has failed. */
_Noreturn void soak_complain(struct soak *soak, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The processes; none returns. `number` tells one start of the rogue from the others. */
_Noreturn void victim_run(struct soak *soak);
_Noreturn void friend_run(struct soak *soak);
_Noreturn void rogue_run(struct soak *soak, uint32_t number);

#endif
