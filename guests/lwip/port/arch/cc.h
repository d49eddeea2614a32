/* SPDX-License-Identifier: BSD-2-Clause */
/* What lwIP asks of a compiler and a platform. */
#ifndef POSTERN_GUESTS_LWIP_PORT_ARCH_CC_H
#define POSTERN_GUESTS_LWIP_PORT_ARCH_CC_H

#include "guests/lwip/console.h"
#include "guests/lwip/random.h"

#define LWIP_NO_CTYPE_H  1
#define LWIP_NO_UNISTD_H 1
#define LWIP_PLATFORM_DIAG(x) \
    do {                      \
        print x;              \
    } while (0)
#define LWIP_PLATFORM_ASSERT(x) crash("postern-lwip: lwIP: %s\n", x)
#define LWIP_RAND()             random_number()

#endif
