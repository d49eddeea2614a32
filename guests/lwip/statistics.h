/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_GUESTS_LWIP_STATISTICS_H
#define POSTERN_GUESTS_LWIP_STATISTICS_H

#include "guests/lwip/nic.h"
#include "guests/lwip/text.h"

/* Whose statistics. */
struct statistics_source {
    const char *name;
    const struct nic *nic;
};

/* Appends a line "NAME VALUE" for each number. */
void statistics_add(struct text *text, const struct statistics_source *source);

#endif
