/* SPDX-License-Identifier: BSD-2-Clause */
/* The verb `trace`. */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/hvctl/hvctl.h"
#include "tools/hvctl/trace_export.h"

/* Opens for writing; complains. */
static FILE *create(const char *path)
{
    FILE *file = fopen(path, "wb");

    if (file == NULL) {
        fprintf(stderr, "hvctl: %s: %s\n", path, strerror(errno));
    }
    return file;
}

/* Whether all of it was written; complains if not. */
static bool finish(FILE *file, const char *path)
{
    bool good = ferror(file) == 0;

    good = fclose(file) == 0 && good;
    if (!good) {
        fprintf(stderr, "hvctl: %s: %s\n", path, strerror(errno));
    }
    return good;
}

int run_trace_save(struct client *client, const char *path)
{
    unsigned long long records, lost;
    FILE *file = create(path);

    if (file == NULL) {
        return EXIT_FAILED;
    }
    enum client_result result = trace_save(client, file, &records, &lost);
    bool written = finish(file, path);
    if (result != CLIENT_OK) {
        return line_trouble(client, result);
    }
    if (!written) {
        return EXIT_FAILED;
    }
    printf("%s: %llu records, %llu older ones were overwritten\n", path, records, lost);
    return EXIT_DONE;
}

static int export_ctf(const struct trace *trace, const char *directory)
{
    char path[4096];

    if (mkdir(directory, 0777) != 0 && errno != EEXIST) {
        fprintf(stderr, "hvctl: %s: %s\n", directory, strerror(errno));
        return EXIT_FAILED;
    }
    for (unsigned cpu = 0; cpu <= trace->cpu_count; cpu++) {
        bool metadata = cpu == trace->cpu_count;
        int length = metadata ? snprintf(path, sizeof(path), "%s/metadata", directory)
                              : snprintf(path, sizeof(path), "%s/cpu%u", directory, cpu);
        FILE *file = length < (int)sizeof(path) ? create(path) : NULL;
        if (file == NULL) {
            return EXIT_FAILED;
        }
        if (metadata) {
            trace_export_ctf_metadata(trace, file);
        } else {
            trace_export_ctf_stream(trace, cpu, file);
        }
        if (!finish(file, path)) {
            return EXIT_FAILED;
        }
    }
    return EXIT_DONE;
}

/* As text, aligned for a person. */
static int show(const struct trace *trace)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (out == NULL) {
        perror("hvctl");
        return EXIT_FAILED;
    }
    trace_export_text(trace, out);
    fclose(out);
    print_tables(text, size);
    free(text);
    return EXIT_DONE;
}

static int decode(const char *path, const char *format, const char *directory)
{
    static struct trace trace;
    char error[256];
    FILE *file = fopen(path, "rb");
    int code = EXIT_FAILED;

    if (file == NULL) {
        fprintf(stderr, "hvctl: %s: %s\n", path, strerror(errno));
        return EXIT_FAILED;
    }
    if (!trace_load(&trace, file, error, sizeof(error))) {
        fprintf(stderr, "hvctl: %s: %s\n", path, error);
    } else if (directory != NULL) {
        code = export_ctf(&trace, directory);
    } else if (strcmp(format, "--chrome") == 0) {
        trace_export_chrome(&trace, stdout);
        code = EXIT_DONE;
    } else {
        code = show(&trace);
    }
    fclose(file);
    trace_free(&trace);
    return code;
}

/* Offline: `decode [--text | --chrome | --ctf DIR] FILE`. */
int run_decode(struct client *client, int argc, char **argv)
{
    (void)client;
    if (argc == 2) {
        return decode(argv[1], "--text", NULL);
    }
    if (argc == 3 && (strcmp(argv[1], "--text") == 0 || strcmp(argv[1], "--chrome") == 0)) {
        return decode(argv[2], argv[1], NULL);
    }
    if (argc == 4 && strcmp(argv[1], "--ctf") == 0) {
        return decode(argv[3], argv[1], argv[2]);
    }
    return wrong_usage(argv[0], "it takes [--text | --chrome | --ctf DIR] FILE");
}
