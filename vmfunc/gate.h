/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gate's image (abi/gate.h): code that runs in guests, built of vmfunc/gate/ apart from the
 * hypervisor. Page 0 is the trampoline, the pages after it are the protected code.
 */
#ifndef POSTERN_VMFUNC_GATE_H
#define POSTERN_VMFUNC_GATE_H

/* Where in the trampoline a crossing goes on that cannot be finished: in the default view, with
 * RAX = the crossing's result and the other registers as they are. */
#define GATE_ABORT_OFFSET 0x40

#ifndef __ASSEMBLER__
#include "lib/types.h"

struct gate_image {
    const uint8_t *bytes; /* whole pages, page aligned */
    uint32_t pages;
};

/* The image that switches views with VMFUNC, or the one that asks the hypervisor to. */
const struct gate_image *gate_image(bool fallback);
#endif

#endif
