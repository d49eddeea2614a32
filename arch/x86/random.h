/* SPDX-License-Identifier: BSD-2-Clause */
/* Random numbers of the CPU (SDM "Random Number Generator Instructions"). Any CPU, without a lock.
 */
#ifndef POSTERN_ARCH_X86_RANDOM_H
#define POSTERN_ARCH_X86_RANDOM_H

#include "lib/types.h"

/* Whether the CPU has RDSEED or RDRAND. Once, before cpu_random(), on the CPU that boots: all CPUs
 * of a machine have them, or none. */
bool cpu_random_find(void);

/* 64 random bits: from RDSEED, the entropy source itself; where that is missing, or others have
 * used up what it has, from RDRAND, the generator that it seeds. False if neither gives any. */
bool cpu_random(uint64_t *bits) MUST_CHECK;

#endif
