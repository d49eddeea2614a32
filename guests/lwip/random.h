/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_GUESTS_LWIP_RANDOM_H
#define POSTERN_GUESTS_LWIP_RANDOM_H

#include <stdint.h>

/* From the CPU's generator; where there is none, from the TSC. */
uint32_t random_number(void);

#endif
