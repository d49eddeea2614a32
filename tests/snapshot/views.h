/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest of two vCPUs with views and a handler of #VE. */
#ifndef POSTERN_TESTS_SNAPSHOT_VIEWS_H
#define POSTERN_TESTS_SNAPSHOT_VIEWS_H

#include "tests/kit/kit.h"

/* Opens the views of its two gated ports once, the second port's first and to vCPU 1, too, and
 * registers vCPU 0 for #VE; then it crosses again and again. It knows nothing of restores. What it
 * takes, a line: "v" has it try all that its views allow and refuse, on both vCPUs, and print what
 * of it is not as it was at first. */
NORETURN void views_role(void);

#endif
