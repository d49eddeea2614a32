/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmfunc/gate.h"

#include "vmfunc/gate/layout.h"

/* gate_image.S. */
extern const uint8_t gate_native[GATE_PAGES * PAGE_SIZE];
extern const uint8_t gate_fallback[GATE_PAGES * PAGE_SIZE];

const struct gate_image *gate_image(bool fallback)
{
    static const struct gate_image native = {gate_native, GATE_PAGES};
    static const struct gate_image by_hypercall = {gate_fallback, GATE_PAGES};

    return fallback ? &by_hypercall : &native;
}
