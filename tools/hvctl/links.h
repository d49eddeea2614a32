/* SPDX-License-Identifier: BSD-2-Clause */
/* The output of the monitor's command `links`: a table of links, and one of their ends. */
#ifndef POSTERN_TOOLS_HVCTL_LINKS_H
#define POSTERN_TOOLS_HVCTL_LINKS_H

#include "tools/hvctl/cells.h"

/* What the table of ends has in `column` for `vm`'s end of `link`; 0 if it has none. */
unsigned long long links_end_number(struct span output, struct span link, struct span vm,
                                    const char *column);

#endif
