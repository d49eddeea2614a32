/* SPDX-License-Identifier: BSD-2-Clause */
#include "guests/lwip/random.h"

#include <stdbool.h>

#include "guests/lwip/cpu.h"

#define CPUID_FEATURES 1u
#define ECX_RDRAND     (1u << 30)
#define TRIES          10u /* as Intel recommends */

static bool rdrand(uint32_t *number)
{
    bool done = false;

    for (unsigned i = 0; i < TRIES && !done; i++) {
        __asm__ volatile("rdrand %0" : "=r"(*number), "=@ccc"(done));
    }
    return done;
}

uint32_t random_number(void)
{
    static bool asked, has_rdrand;
    static uint64_t state;
    uint32_t number;

    if (!asked) {
        asked = true;
        has_rdrand = (cpuid(CPUID_FEATURES).ecx & ECX_RDRAND) != 0;
    }
    if (has_rdrand && rdrand(&number)) {
        return number;
    }
    state = (state ^ rdtsc()) * 0x9e3779b97f4a7c15ull;
    return (uint32_t)(state >> 32);
}
