/* SPDX-License-Identifier: BSD-2-Clause */
/* The gate's functions for frames (abi/gate_burst.h): compiled apart, since they alone may use
 * vector registers. What body.c says holds here too. */
#include "vmfunc/gate/body.h"
#include "vmfunc/gate/copy.h"

/* A string instruction takes tens of cycles to begin, and copies more than that faster. */
#define POSTERN_VECTORS_MAX          2048u
#define POSTERN_COPY(to, from, size) copy_string((to), (from), (size))

#include "abi/gate_burst_ops.h"

int64_t gate_burst_function(uint32_t function, void *arguments)
{
    return postern_gate_burst_function(function, arguments);
}
