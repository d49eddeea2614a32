/* SPDX-License-Identifier: BSD-2-Clause */
/* The serial line's place in the machine: it joins the UART, its interrupt, the monitor and the
 * streams that the monitor reads. All of it runs on pCPU 0, but for the log's wake-up. */
#ifndef POSTERN_CORE_LINE_H
#define POSTERN_CORE_LINE_H

#include "arch/x86/boot_info.h"

/* Hands the line over from the polled log to the monitor. On the CPU that boots, before it runs its
 * scheduler. */
void line_start(const struct boot_info *info);

/* Sends what the monitor still has to say, polled, for at most a second: before the machine goes
 * off. */
void line_flush(void);

#endif
