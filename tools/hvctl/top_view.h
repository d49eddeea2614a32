/* SPDX-License-Identifier: BSD-2-Clause */
/* What `hvctl top` shows, as text: rates between two samples of the hypervisor's counters. */
#ifndef POSTERN_TOOLS_HVCTL_TOP_VIEW_H
#define POSTERN_TOOLS_HVCTL_TOP_VIEW_H

#include <stdio.h>

#include "tools/hvctl/client.h"

#define TOP_VMS_MAX 8u

/* Outputs of the commands of those names at about one time. */
struct top_sample {
    struct client_output info, list, links;
    unsigned vm_count;
    struct client_output stats[TOP_VMS_MAX]; /* in the order of `list` */
};

/* Asks for one; it is to be freed whatever the result. */
enum client_result top_fetch(struct client *client, struct top_sample *sample);
void top_free(struct top_sample *sample);

/* Writes it, tables with TABs. Rates are per second of the hypervisor's clock; '-' if `before` and
 * `now` do not make one, because they are of the same moment or the hypervisor has restarted. */
void top_render(FILE *out, const struct top_sample *before, const struct top_sample *now);

#endif
