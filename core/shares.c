/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/shares.h"

#include "lib/bits.h"

uint32_t shares_add(struct shares *shares, uint32_t weight)
{
    uint32_t member = shares->count++;

    shares->members[member].weight = weight;
    shares->members[member].used = shares->clock;
    return member;
}

void shares_remove(struct shares *shares, uint32_t member)
{
    uint64_t below = BIT(member) - 1;

    shares->count--;
    for (uint32_t i = member; i < shares->count; i++) {
        shares->members[i] = shares->members[i + 1];
    }
    shares->wanting = (shares->wanting & below) | (shares->wanting >> 1 & ~below);
    /* The turn behind the one that is gone is the next one's. */
    if (shares->last >= member && shares->last > 0) {
        shares->last--;
    }
}

/* The least virtual time of those in `members`; UINT64_MAX of none. */
static uint64_t least_of(const struct shares *shares, uint64_t members)
{
    uint64_t least = UINT64_MAX;

    for (uint32_t i = 0; i < shares->count; i++) {
        uint64_t used = shares->members[i].used;
        if ((members & BIT(i)) != 0 && used < least) {
            least = used;
        }
    }
    return least;
}

/* Where those are that have wanted the CPU before: the least virtual time of theirs, and no less
 * than that of the last turn. */
static uint64_t present(const struct shares *shares, uint64_t stayed)
{
    uint64_t least = least_of(shares, stayed);

    return stayed != 0 && least > shares->clock ? least : shares->clock;
}

/* Those who come back do so no earlier than now. */
static void let_in(struct shares *shares, uint64_t wanting)
{
    uint64_t came = wanting & ~shares->wanting;
    uint64_t now = came != 0 ? present(shares, wanting & shares->wanting) : 0;

    for (uint32_t i = 0; i < shares->count; i++) {
        if ((came & BIT(i)) != 0 && shares->members[i].used < now) {
            shares->members[i].used = now;
        }
    }
    shares->wanting = wanting;
}

int shares_choose(struct shares *shares, uint64_t wanting)
{
    int chosen = -1;

    let_in(shares, wanting);
    for (uint32_t i = 0; i < shares->count; i++) {
        /* Behind the one that had the last turn first: of two that are even the other one's turn
         * it is. */
        uint32_t member = (shares->last + 1 + i) % shares->count;
        if ((wanting & BIT(member)) != 0 &&
            (chosen < 0 || shares->members[member].used < shares->members[chosen].used)) {
            chosen = (int)member;
        }
    }
    if (chosen >= 0) {
        uint64_t used = shares->members[chosen].used;
        shares->last = (uint32_t)chosen;
        shares->clock = used > shares->clock ? used : shares->clock;
    }
    return chosen;
}

void shares_charge(struct shares *shares, uint32_t member, uint64_t ticks)
{
    shares->members[member].used += ticks * SHARES_WEIGHT_MAX / shares->members[member].weight;
}

void shares_give_way(struct shares *shares)
{
    uint64_t others = shares->wanting & ~BIT(shares->last);
    uint64_t least = least_of(shares, others);

    if (others != 0 && shares->members[shares->last].used < least) {
        shares->members[shares->last].used = least;
    }
}
