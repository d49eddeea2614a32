/* SPDX-License-Identifier: BSD-2-Clause */
/* The gate's functions (abi/gate.h), as they run in the view. */
#ifndef POSTERN_VMFUNC_GATE_BODY_H
#define POSTERN_VMFUNC_GATE_BODY_H

#include <stdint.h>

int64_t gate_function(uint32_t function, void *arguments);

#endif
