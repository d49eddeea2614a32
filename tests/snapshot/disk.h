/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest with one or two virtio disks. */
#ifndef POSTERN_TESTS_SNAPSHOT_DISK_H
#define POSTERN_TESTS_SNAPSHOT_DISK_H

#include "tests/kit/kit.h"

/* Writes to blocks of its disks, and has some read as zeros, all the time, and remembers in its RAM
 * what each has to read as. What it takes, a line each: "v" has it read all of them and print what
 * is wrong; "h" that it holds still, or goes on. */
NORETURN void disk_role(void);

#endif
