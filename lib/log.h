/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log: a ring in memory that never blocks, from which outputs (serial line, framebuffer,
 * hvctl) read at their own speed. Lines are prefixed with a level letter and the time since the
 * hypervisor's start. Any CPU may log at any time, from exception handlers too.
 */
#ifndef POSTERN_LIB_LOG_H
#define POSTERN_LIB_LOG_H

#include <stdarg.h>

#include "lib/types.h"

#define LOG_RING_SIZE 65536u /* bytes, a power of two */

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* Called with each finished line, its newline included, while the log's lock is held: it must not
 * log and must not wait. One sink per output; NULL entries are passed over. */
typedef void (*log_sink_t)(const char *line, size_t size);

/* Registers `sink`; at most four. Not to be called from two CPUs at once. */
void log_add_sink(log_sink_t sink);
/* Takes all sinks away; lines go on into the ring. */
void log_clear_sinks(void);

/* Gives the log its clock: microseconds since any fixed moment. Until then lines bear 0. */
void log_set_clock(uint64_t (*microseconds)(void));

void log_line(enum log_level level, const char *format, ...) PRINTF(2, 3);

/* Copies up to `size` bytes from position `*offset` on, counted from the log's first byte. Where
 * they were overwritten already, `*offset` is moved to the oldest byte kept. Returns the count. */
size_t log_read(uint64_t *offset, char *buffer, size_t size);
/* The position behind the newest byte. */
uint64_t log_end(void);

#define log_error(...)   log_line(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_info(...)    log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_DEBUG, __VA_ARGS__)

#endif
