/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The consumer half of an end without doorbells: it sleeps on the peer's head by MONITOR and MWAIT
 * (SDM "MONITOR/MWAIT Instruction"), if CPUID shows them. For CPL 0; for others both are #UD.
 */
#ifndef POSTERN_ABI_RING_WAIT_H
#define POSTERN_ABI_RING_WAIT_H

#include "abi/ring_receive.h"

/* An interrupt ends the wait even where it is masked: it is still pending then. */
#define POSTERN_MWAIT_BREAK_ON_MASKED 1u

#ifndef POSTERN_MONITOR
static inline void postern_monitor(const void *address)
{
    __asm__ volatile("monitor" : : "a"(address), "c"(0), "d"(0) : "memory");
}

static inline void postern_mwait(void)
{
    /* EAX of 0 is C1. */
    __asm__ volatile("mwait" : : "a"(0), "c"(POSTERN_MWAIT_BREAK_ON_MASKED) : "memory");
}

#define POSTERN_MONITOR(address) postern_monitor(address)
#define POSTERN_MWAIT()          postern_mwait()
#endif

/*
 * Consumer, when it has released everything: waits until the peer publishes, or an interrupt comes.
 * No event is set, so that no packet rings, but the first of a generation and one that an earlier
 * arm_rx asked for. Whatever else there is to tell, the peer rings for. False: there was something
 * to do already. True: it has waited, for what is to be looked for; maybe for nothing.
 */
static inline bool postern_ring_wait(const struct postern_ring *ring)
{
    /* MONITOR is ordered as a load: a head that is stored after the look below ends the MWAIT, even
     * if it is stored before that. Partner: the store of the head in postern_ring_publish. */
    POSTERN_MONITOR(&ring->peer->head);
    if (!postern_ring_is_idle(ring)) {
        return false;
    }
    POSTERN_MWAIT();
    return true;
}

#endif
