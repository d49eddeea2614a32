/* SPDX-License-Identifier: BSD-2-Clause */
/* The gate's functions (abi/gate.h), as they run in the view. */
#ifndef POSTERN_VMFUNC_GATE_BODY_H
#define POSTERN_VMFUNC_GATE_BODY_H

#include <stdbool.h>
#include <stdint.h>

#ifdef POSTERN_HOST
/* A test's own, in the place of what it cannot execute or be. */
void gate_test_monitor(const void *address);
void gate_test_mwait(void);
bool gate_test_is_kernel(void);
#endif

int64_t gate_function(uint32_t function, void *arguments);
/* burst.c: those of abi/gate_burst.h. */
int64_t gate_burst_function(uint32_t function, void *arguments);

#endif
