/* SPDX-License-Identifier: BSD-2-Clause */
#include "machine/linux_boot.h"
#include "tests/fuzz/fuzz_kernel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_kernel(data, size, linux_boot_check, linux_boot_load);
    return 0;
}
