/* SPDX-License-Identifier: BSD-2-Clause */
/* What counters that the monitor tells come to in a second. */
#ifndef POSTERN_TOOLS_HVCTL_RATES_H
#define POSTERN_TOOLS_HVCTL_RATES_H

#include <stdio.h>

#include "tools/hvctl/cells.h"
#include "tools/hvctl/hvctl.h"

/* Two outputs of a command, and the milliseconds between them; 0: they make no rate. */
struct rates {
    struct span before, now;
    unsigned long long ms;
};

/* Seconds from 0.1 to 3600; false for another text. */
bool rates_seconds(const char *text, double *seconds);

/* Waits for so many, or until a signal. */
void rates_wait(double seconds);

/* Executes `command`, waits, executes it again, and prints the tables that `print` makes of both
 * outputs. An exit code. */
int rates_show(struct client *client, const char *command, double seconds,
               void (*print)(FILE *out, const struct rates *rates));

/* A tab and what it is in a second, in units of `unit`; or a dash where the counter went back, as
 * it does if it is another one now. */
void rates_print(FILE *out, const struct rates *rates, unsigned long long before,
                 unsigned long long now, unsigned unit);

#endif
