/* SPDX-License-Identifier: BSD-2-Clause */
#include "machine/multiboot.h"
#include "tests/fuzz/fuzz_kernel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_kernel(data, size, multiboot_check, multiboot_load);
    return 0;
}
