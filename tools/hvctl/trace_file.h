/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A trace as a file. It begins with the line "postern-trace 1"; then come parts, each a line and as
 * many bytes as that says:
 *     info BYTES             what the monitor's command `trace` prints
 *     cpu NUMBER LOST BYTES  the records of a pCPU, and how many older ones it no longer had
 */
#ifndef POSTERN_TOOLS_HVCTL_TRACE_FILE_H
#define POSTERN_TOOLS_HVCTL_TRACE_FILE_H

#include <stdint.h>
#include <stdio.h>

#include "abi/trace.h"
#include "tools/hvctl/cells.h"
#include "tools/hvctl/client.h"

#define TRACE_CPUS_MAX 256u

struct trace_cpu {
    struct postern_trace_record *records; /* by their time */
    size_t count;
    unsigned long long lost;
};

struct trace {
    char *bytes; /* of the file; info is in it */
    struct span info;
    unsigned cpu_count;
    struct trace_cpu cpus[TRACE_CPUS_MAX];
    uint64_t hz;    /* of the TSC */
    uint64_t start; /* the earliest record's time */
};

/* Fetches the trace and writes it to `file`. `*records` and `*lost` are sums. */
enum client_result trace_save(struct client *client, FILE *file, unsigned long long *records,
                              unsigned long long *lost);

/* Reads a file that may hold anything. False: `error` says what is wrong with it. */
bool trace_load(struct trace *trace, FILE *file, char *error, size_t error_size);

void trace_free(struct trace *trace);

/* The name of number `number` in the table whose first column is `table` (vm, exit or event). */
struct span trace_name(const struct trace *trace, const char *table, unsigned number);

#endif
