/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a function that can fail returns. A status must be used: the compiler warns of one that is
 * dropped. Panic is for the hypervisor's own broken invariants only.
 */
#ifndef POSTERN_LIB_STATUS_H
#define POSTERN_LIB_STATUS_H

#include "lib/types.h"

typedef enum status {
    STATUS_OK = 0,
    STATUS_INVALID,     /* an argument or an input is malformed */
    STATUS_NO_MEMORY,   /* memory or a table's room ran out */
    STATUS_NOT_FOUND,   /* nothing under that name, address or number */
    STATUS_EXISTS,      /* it is there already */
    STATUS_UNSUPPORTED, /* the CPU, the firmware or this version lacks it */
    STATUS_BUSY,        /* not now; the same call may go through later */
    STATUS_DENIED,      /* the caller may not do that */
    STATUS_IO,          /* a device or the firmware failed */
    STATUS_COUNT
} status_t;

/* A short English word for `status`, for messages. Never NULL. */
const char *status_name(status_t status);

#endif
