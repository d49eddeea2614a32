/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest with a virtio disk. */
#ifndef POSTERN_TESTS_SNAPSHOT_DISK_H
#define POSTERN_TESTS_SNAPSHOT_DISK_H

#include "tests/kit/kit.h"

/* Writes to blocks of its disk, and discards some, all the time, and remembers in its RAM what each
 * has to read as. What it takes, a line each: "v" has it read all of them and print what is wrong;
 * "h" that it holds still, or goes on. */
NORETURN void disk_role(void);

#endif
