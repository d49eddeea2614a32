/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands of the monitor, for hvctl and for a terminal alike. Their output is text: tables
 * with a header line and tabs between fields, or plain lines. docs/running.md lists them. */
#ifndef POSTERN_CORE_COMMANDS_H
#define POSTERN_CORE_COMMANDS_H

#include "lib/format.h"
#include "lib/status.h"

/* Runs one command line. STATUS_NOT_FOUND with no output for an unknown command; every other
 * failure prints its reason. pCPU 0 only. `context` is not used. */
status_t commands_execute(void *context, const char *line, format_sink_t out,
                          void *out_context) MUST_CHECK;

#endif
