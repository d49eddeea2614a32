/* SPDX-License-Identifier: BSD-2-Clause */
/* What the gate's body needs of its surroundings, for tests of what a program of ring 3 does with
 * it: it cannot wait by MWAIT, and nobody here tries. In one file of a test only. */
#ifndef POSTERN_TESTS_UNIT_GATE_PROGRAM_H
#define POSTERN_TESTS_UNIT_GATE_PROGRAM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vmfunc/gate/body.h"

void gate_test_monitor(const void *address)
{
    (void)address;
    fail();
}

void gate_test_mwait(void)
{
    fail();
}

bool gate_test_is_kernel(void)
{
    return false;
}

#endif
