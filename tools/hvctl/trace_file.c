/* SPDX-License-Identifier: BSD-2-Clause */
#define _DEFAULT_SOURCE
#include "tools/hvctl/trace_file.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC    "postern-trace 1\n"
#define FILE_MAX ((size_t)1 << 30)
#define RECORD   POSTERN_TRACE_RECORD_SIZE

/* Reads what a pCPU has at the time of the first answer. */
static enum client_result read_cpu(struct client *client, unsigned cpu, FILE *to,
                                   unsigned long long *lost)
{
    uint64_t offset = 0, expected = 0, end = 1, last = UINT64_MAX;
    char bytes[CLIENT_READ_MAX];
    size_t count = 1;

    while (count > 0 && offset < last) {
        size_t wanted = last - offset < sizeof(bytes) ? (size_t)(last - offset) : sizeof(bytes);
        enum client_result result =
            client_read(client, MONITOR_STREAM_TRACE + cpu, &offset, bytes, wanted, &count, &end);
        if (result != CLIENT_OK) {
            return result;
        }
        last = last == UINT64_MAX ? end : last;
        /* Bytes are lost by whole records, but behind half of one that was read before. */
        if (offset > expected) {
            *lost += (offset - expected) / RECORD;
            uint64_t odd = expected % RECORD;
            (void)fseek(to, -(long)odd, SEEK_CUR);
        }
        fwrite(bytes, 1, count, to);
        expected = offset += count;
    }
    return CLIENT_OK;
}

static enum client_result save_cpu(struct client *client, unsigned cpu, FILE *file,
                                   unsigned long long *records, unsigned long long *lost)
{
    char *bytes = NULL;
    size_t size = 0;
    unsigned long long missing = 0;
    FILE *part = open_memstream(&bytes, &size);

    if (part == NULL) {
        return CLIENT_NO_MEMORY;
    }
    enum client_result result = read_cpu(client, cpu, part, &missing);
    fclose(part);
    /* Tracing was never on. */
    result = result == CLIENT_NO_STREAM ? CLIENT_OK : result;
    if (result == CLIENT_OK) {
        size -= size % RECORD;
        fprintf(file, "cpu %u %llu %zu\n", cpu, missing, size);
        fwrite(bytes, 1, size, file);
        *records += size / RECORD;
        *lost += missing;
    }
    free(bytes);
    return result;
}

enum client_result trace_save(struct client *client, FILE *file, unsigned long long *records,
                              unsigned long long *lost)
{
    struct client_output info;
    enum client_result result = client_execute(client, "trace", &info);

    *records = *lost = 0;
    if (result != CLIENT_OK) {
        return result;
    }
    fprintf(file, MAGIC "info %zu\n", info.size);
    fwrite(info.text, 1, info.size, file);
    unsigned long long cpus = cells_value(span_of(info.text, info.size), "cpus");
    for (unsigned cpu = 0; cpu < cpus && cpu < TRACE_CPUS_MAX && result == CLIENT_OK; cpu++) {
        result = save_cpu(client, cpu, file, records, lost);
    }
    free(info.text);
    return result;
}

struct loader {
    struct trace *trace;
    struct span rest;
    char *error;
    size_t error_size;
};

static bool fail(struct loader *loader, const char *format, ...) PRINTF(2, 3);

static bool fail(struct loader *loader, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(loader->error, loader->error_size, format, arguments);
    va_end(arguments);
    return false;
}

static int compare(const void *left, const void *right)
{
    const struct postern_trace_record *a = left, *b = right;

    return a->tsc != b->tsc ? (a->tsc > b->tsc) - (a->tsc < b->tsc)
                            : (a->event > b->event) - (a->event < b->event);
}

/* Takes `size` bytes out of the rest of the file. */
static bool take_bytes(struct loader *loader, unsigned long long size, struct span *bytes)
{
    if (size > loader->rest.size) {
        return fail(loader, "it ends in the middle of a part");
    }
    if (size == 0) {
        *bytes = (struct span){0};
        return true;
    }
    *bytes = (struct span){loader->rest.text, (size_t)size};
    loader->rest = span_of(loader->rest.text + size, loader->rest.size - (size_t)size);
    return true;
}

static bool load_cpu(struct loader *loader, unsigned long long number, unsigned long long lost,
                     unsigned long long size)
{
    struct trace *trace = loader->trace;
    struct span bytes = {NULL, 0};

    if (number != trace->cpu_count || number >= TRACE_CPUS_MAX) {
        return fail(loader, "CPU %llu is not the next", number);
    }
    if (size % RECORD != 0) {
        return fail(loader, "CPU %llu: %llu bytes are not whole records", number, size);
    }
    if (!take_bytes(loader, size, &bytes)) {
        return false;
    }
    struct trace_cpu *cpu = &trace->cpus[trace->cpu_count++];
    cpu->records = malloc(bytes.size + 1);
    if (cpu->records == NULL) {
        return fail(loader, "out of memory");
    }
    if (bytes.size > 0) {
        memcpy(cpu->records, bytes.text, bytes.size);
    }
    cpu->count = bytes.size / RECORD;
    cpu->lost = lost;
    /* A span is written when it ends. */
    qsort(cpu->records, cpu->count, RECORD, compare);
    if (cpu->count > 0 && cpu->records[0].tsc < trace->start) {
        trace->start = cpu->records[0].tsc;
    }
    return true;
}

static bool load_part(struct loader *loader, struct span line)
{
    unsigned long long number, lost, size;
    char words[80], end;

    snprintf(words, sizeof(words), "%.*s", (int)(line.size < 79 ? line.size : 79), line.text);
    if (sscanf(words, "info %llu %c", &size, &end) == 1) {
        return take_bytes(loader, size, &loader->trace->info);
    }
    if (sscanf(words, "cpu %llu %llu %llu %c", &number, &lost, &size, &end) == 3) {
        return load_cpu(loader, number, lost, size);
    }
    return fail(loader, "\"%s\" begins no part", words);
}

/* All bytes of the file; NULL after a complaint. */
static char *read_all(struct loader *loader, FILE *file, size_t *size)
{
    char *bytes = NULL;
    FILE *to = open_memstream(&bytes, size);
    char buffer[65536];
    size_t count, sum = 0;

    if (to == NULL) {
        (void)fail(loader, "out of memory");
        return NULL;
    }
    while ((count = fread(buffer, 1, sizeof(buffer), file)) > 0 && sum <= FILE_MAX) {
        sum += fwrite(buffer, 1, count, to);
    }
    fclose(to);
    if (ferror(file) || sum > FILE_MAX) {
        (void)fail(loader, "it cannot be read, or is too large");
        free(bytes);
        return NULL;
    }
    return bytes;
}

bool trace_load(struct trace *trace, FILE *file, char *error, size_t error_size)
{
    struct loader loader = {.trace = trace, .error = error, .error_size = error_size};
    struct span line;
    size_t size;

    memset(trace, 0, sizeof(*trace));
    trace->start = UINT64_MAX;
    trace->bytes = read_all(&loader, file, &size);
    if (trace->bytes == NULL) {
        return false;
    }
    loader.rest = span_of(trace->bytes, size);
    if (size < strlen(MAGIC) || memcmp(trace->bytes, MAGIC, strlen(MAGIC)) != 0) {
        return fail(&loader, "it is no trace of version 1");
    }
    (void)span_take(&loader.rest, '\n', &line);
    while (loader.rest.size > 0 && span_take(&loader.rest, '\n', &line)) {
        if (!load_part(&loader, line)) {
            return false;
        }
    }
    trace->hz = cells_value(trace->info, "tsc_hz");
    if (trace->hz == 0) {
        return fail(&loader, "it does not say how fast its clock is");
    }
    return true;
}

void trace_free(struct trace *trace)
{
    for (unsigned i = 0; i < trace->cpu_count; i++) {
        free(trace->cpus[i].records);
    }
    free(trace->bytes);
}

struct span trace_name(const struct trace *trace, const char *table, unsigned number)
{
    struct cells names = cells_find(trace->info, table);
    char text[16];

    snprintf(text, sizeof(text), "%u", number);
    return cells_seek(&names, span_of(text, strlen(text))) ? cells_get(&names, "name")
                                                           : (struct span){"?", 1};
}
