/* SPDX-License-Identifier: BSD-2-Clause */
/* A web server of one page: this guest's statistics, as they are when it is asked for. */
#ifndef POSTERN_GUESTS_LWIP_HTTP_H
#define POSTERN_GUESTS_LWIP_HTTP_H

#include "guests/lwip/statistics.h"

/* `source` is kept. */
void http_start(const struct statistics_source *source);

#endif
