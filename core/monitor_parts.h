/* SPDX-License-Identifier: BSD-2-Clause */
/* What the monitor's two files share: monitor.c has the line and the requests, monitor_text.c the
 * dumb terminal. Nobody else includes this. */
#ifndef POSTERN_CORE_MONITOR_PARTS_H
#define POSTERN_CORE_MONITOR_PARTS_H

#include "core/monitor.h"

/* Queues bytes for the line: all, or none and false. */
bool monitor_put(struct monitor *monitor, const void *bytes, size_t size);

/* Runs `line` and leaves result and output in the monitor. */
void monitor_execute(struct monitor *monitor, const char *line);

/* Queues more text to send, if there is any and the queue is empty. */
void monitor_text_fill(struct monitor *monitor);

/* A byte that a person typed. */
void monitor_text_typed(struct monitor *monitor, uint8_t byte);

/* Looks at what was typed and could not be dealt with at once. */
void monitor_text_process(struct monitor *monitor);

/* A session takes the line; a session has ended. */
void monitor_text_suspend(struct monitor *monitor);
void monitor_text_resume(struct monitor *monitor);

#endif
