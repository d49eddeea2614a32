/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a rogue does wrong: each kind of it, over an end of a link that can be honest, too. Two
 * rogues do it: a process beside others (tests/soak/rogue.c), and a VM beside others
 * (tests/neighbours/rogue.c). Each brings the functions rogue_...(), its end.
 */
#ifndef POSTERN_TESTS_SOAK_MISBEHAVE_H
#define POSTERN_TESTS_SOAK_MISBEHAVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/ring_ops.h"

/* The kinds: 0 and up. The first is not the rogue's own deed: it is killed at any time. */
#define KINDS        35u
#define ROGUE_KILLED 0u

const char *misbehave_name(unsigned kind);

/* Does it, some times for what is a lie. Afterwards the end is open and honest, or it is dead and
 * this does not return. */
void misbehave(unsigned kind);

/* The end. */

#define ROGUE_BATCH 64u

/* A random number below `limit`. */
uint32_t rogue_random(uint32_t limit);
/* For a time of up to so many microseconds on a machine, or what is like it in an emulator. */
void rogue_nap(uint32_t us_below);
/* The state of its ring, which is right, whatever the section says. */
const struct postern_ring *rogue_ring(void);
/* Has the victim synchronised with this generation, and this end with the victim's? */
bool rogue_is_believed(void);

/* As an honest end: see abi/ring_ops.h. They ring where a doorbell is due. */
void rogue_open(void);
void rogue_close(void);
void rogue_sync(void);
void rogue_receive(void);
void rogue_send(unsigned count); /* and does not publish */
void rogue_publish(void);
void rogue_exchange_for_ever(void);

/* A doorbell that may not be due. */
void rogue_ring_doorbell(void);
void rogue_grant(bool granted);
_Noreturn void rogue_die(void);
/* Will die at one of its next `accesses` to the ring, any of them. */
void rogue_die_within(uint32_t accesses);

/* From now on nothing that the section says has to be right, until the end opens. */
void rogue_begin_lying(void);
/* The own section as memory. */
void rogue_get(size_t offset, void *value, size_t size);
void rogue_put(size_t offset, const void *value, size_t size);

#endif
