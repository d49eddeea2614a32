/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets between VMs while one of them does everything wrong: the soak's processes (tests/soak) as
 * VMs, and their links in mode direct. "victim" has a link with "friend", which is honest, and one
 * with "rogue".
 */
#ifndef POSTERN_TESTS_NEIGHBOURS_NEIGHBOURS_H
#define POSTERN_TESTS_NEIGHBOURS_NEIGHBOURS_H

#include "tests/kit/kit.h"

/* Does everything of tests/soak/misbehave.h TIMES times, and goes on after each end of its VM. */
NORETURN void rogue_role(void);

/* Ends of a link, as account_print() names them. */
struct account;
void account_print(const char *channel_out, const char *channel_in, const struct account *account);

#endif
