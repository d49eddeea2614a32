/* SPDX-License-Identifier: BSD-2-Clause */
/* What CPUID shows (docs/abi.md, "CPUID"). */
#include "tests/kit/kit.h"

static void check_signature(uint32_t leaf, const char text[12])
{
    struct cpuid_result r = cpuid(leaf, 0);
    char name[12];

    memcpy(name, &r.ebx, 4);
    memcpy(name + 4, &r.ecx, 4);
    memcpy(name + 8, &r.edx, 4);
    CHECK(memcmp(name, text, sizeof(name)) == 0);
    CHECK_EQUAL(r.eax, leaf + 1);
}

CLAIM(cpuid_signature, "leaf 0x40000000 spells PosternHyper and tells the range's highest leaf")
{
    check_signature(POSTERN_CPUID_BASE, POSTERN_CPUID_SIGNATURE);
}
