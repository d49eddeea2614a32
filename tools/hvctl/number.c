/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers among the arguments. */
#include <stdlib.h>

#include "tools/hvctl/hvctl.h"

bool number_within(const char *text, double min, double max, double *value)
{
    char *end;

    *value = strtod(text, &end);
    return end != text && *end == '\0' && *value >= min && *value <= max;
}
