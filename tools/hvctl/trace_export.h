/* SPDX-License-Identifier: BSD-2-Clause */
/* A trace for other programs to show. */
#ifndef POSTERN_TOOLS_HVCTL_TRACE_EXPORT_H
#define POSTERN_TOOLS_HVCTL_TRACE_EXPORT_H

#include "tools/hvctl/trace_file.h"

/* A line for each record, in the order of their times on each CPU. */
void trace_export_text(const struct trace *trace, FILE *out);

/* The Trace Event Format that Chrome's tracing and Perfetto read: a process for each VM with a
 * thread for each vCPU, and one for the CPUs. */
void trace_export_chrome(const struct trace *trace, FILE *out);

/* The Common Trace Format, version 1.8: `metadata` is its file of that name, and each CPU has a
 * stream. */
void trace_export_ctf_metadata(const struct trace *trace, FILE *metadata);
void trace_export_ctf_stream(const struct trace *trace, unsigned cpu, FILE *out);

#endif
