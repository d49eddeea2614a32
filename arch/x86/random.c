/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/random.h"

#include "arch/x86/cpu.h"
#include "lib/bits.h"

/* The SDM asks for ten tries of RDRAND, before the generator counts as broken. */
#define TRIES 10u

static bool has_rdseed, has_rdrand;

bool cpu_random_find(void)
{
    has_rdrand = (cpuid(1, 0).ecx & BIT32(30)) != 0;
    has_rdseed = cpuid(0, 0).eax >= 7 && (cpuid(7, 0).ebx & BIT32(18)) != 0;
    return has_rdseed || has_rdrand;
}

static bool rdseed(uint64_t *bits)
{
    bool good;

    __asm__ volatile("rdseed %0" : "=r"(*bits), "=@ccc"(good));
    return good;
}

static bool rdrand(uint64_t *bits)
{
    bool good;

    __asm__ volatile("rdrand %0" : "=r"(*bits), "=@ccc"(good));
    return good;
}

bool cpu_random(uint64_t *bits)
{
    for (unsigned i = 0; has_rdseed && i < TRIES; i++) {
        if (rdseed(bits)) {
            return true;
        }
        cpu_pause();
    }
    for (unsigned i = 0; has_rdrand && i < TRIES; i++) {
        if (rdrand(bits)) {
            return true;
        }
    }
    return false;
}
