/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/status.h"

const char *status_name(status_t status)
{
    static const char *const names[STATUS_COUNT] = {
        [STATUS_OK] = "ok",
        [STATUS_INVALID] = "invalid",
        [STATUS_NO_MEMORY] = "out of memory",
        [STATUS_NOT_FOUND] = "not found",
        [STATUS_EXISTS] = "exists already",
        [STATUS_UNSUPPORTED] = "unsupported",
        [STATUS_BUSY] = "busy",
        [STATUS_DENIED] = "denied",
        [STATUS_IO] = "I/O error",
    };
    unsigned index = (unsigned)status;

    return index < ARRAY_SIZE(names) ? names[index] : "unknown status";
}
