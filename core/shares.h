/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whose turn it is on a pCPU: weighted fair sharing of its time among members. Pure logic over
 * ticks of any clock.
 *
 * A member's virtual time grows by the ticks that it used, divided by its weight; of those that
 * want the CPU the one whose virtual time is least has its turn. So over time members that always
 * want it get parts in the ratio of their weights. One that did not want it for a while cannot save
 * that time up: it comes back no earlier than where the others are now.
 */
#ifndef POSTERN_CORE_SHARES_H
#define POSTERN_CORE_SHARES_H

#include "lib/types.h"

#define SHARES_MAX        64u
#define SHARES_WEIGHT_MAX 1000u

struct shares {
    uint32_t count;
    uint32_t last;    /* who had the last turn */
    uint64_t clock;   /* the virtual time of the last turn's beginning; never goes back */
    uint64_t wanting; /* who wanted the CPU at the last choice: a bit each */
    struct {
        uint64_t used; /* virtual time */
        uint32_t weight;
    } members[SHARES_MAX];
};

/* One member more, of a weight from 1 to SHARES_WEIGHT_MAX. There are fewer than SHARES_MAX.
 * Returns its number: 0 and up. */
uint32_t shares_add(struct shares *shares, uint32_t weight);

/* One member less. The numbers of those behind it are one less from now on. */
void shares_remove(struct shares *shares, uint32_t member);

/* Whose turn it is of those in `wanting`, a bit for each member; -1 for nobody. */
int shares_choose(struct shares *shares, uint64_t wanting);

/* The member has used the CPU for so many ticks. */
void shares_charge(struct shares *shares, uint32_t member, uint64_t ticks);

/* Who had the last turn gives way: it comes behind one of those who wanted the CPU then, if there
 * was another, and forgoes what time it had left. */
void shares_give_way(struct shares *shares);

#endif
