/* SPDX-License-Identifier: BSD-2-Clause */
/* A saved trace: the input is the file. What is taken is exported in each form. */
#define _GNU_SOURCE
#include "tests/fuzz/fuzz.h"

#include "tools/hvctl/trace_export.h"

static void export_all(const struct trace *trace)
{
    char *bytes = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&bytes, &size);

    FUZZ_CHECK(out != NULL);
    trace_export_text(trace, out);
    trace_export_chrome(trace, out);
    trace_export_ctf_metadata(trace, out);
    for (unsigned cpu = 0; cpu < trace->cpu_count; cpu++) {
        trace_export_ctf_stream(trace, cpu, out);
    }
    fclose(out);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct trace trace;
    char error[256] = "";
    FILE *file = size > 0 ? fmemopen((void *)(uintptr_t)data, size, "rb") : NULL;

    if (file == NULL) {
        return 0;
    }
    if (trace_load(&trace, file, error, sizeof(error))) {
        export_all(&trace);
    } else {
        FUZZ_CHECK(error[0] != '\0');
    }
    fclose(file);
    trace_free(&trace);
    return 0;
}
