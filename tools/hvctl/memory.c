/* SPDX-License-Identifier: BSD-2-Clause */
/* The verb `mem`: a VM's memory, by guest-physical addresses. */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/config.h"
#include "tools/hvctl/hvctl.h"

#define DUMP_DEFAULT 256u
#define DUMP_MAX     (1u << 20)
#define LINE_BYTES   16u

struct piece {
    const char *vm;
    unsigned stream;
    uint64_t address, size;
    const char *path; /* of the file; NULL: a dump */
    FILE *out;
    uint8_t line[LINE_BYTES]; /* of a dump: what is not yet printed */
    size_t line_size;
};

/* As xxd prints it. */
static void dump_line(FILE *out, uint64_t address, const uint8_t *bytes, size_t size)
{
    fprintf(out, "%08llx:", (unsigned long long)address);
    for (size_t i = 0; i < LINE_BYTES; i++) {
        fputs(i % 2 == 0 ? " " : "", out);
        if (i < size) {
            fprintf(out, "%02x", bytes[i]);
        } else {
            fputs("  ", out);
        }
    }
    fputs("  ", out);
    for (size_t i = 0; i < size; i++) {
        fputc(bytes[i] >= 0x20 && bytes[i] < 0x7f ? bytes[i] : '.', out);
    }
    fputc('\n', out);
}

/* `end`: the address behind what it has. */
static void end_line(struct piece *piece, uint64_t end)
{
    if (piece->line_size > 0) {
        dump_line(piece->out, end - piece->line_size, piece->line, piece->line_size);
        piece->line_size = 0;
    }
}

static void pass_on(struct piece *piece, uint64_t address, const uint8_t *bytes, size_t size)
{
    if (piece->path != NULL) {
        (void)fwrite(bytes, 1, size, piece->out);
        return;
    }
    for (size_t i = 0; i < size; i++) {
        piece->line[piece->line_size++] = bytes[i];
        if (piece->line_size == LINE_BYTES) {
            end_line(piece, address + i + 1);
        }
    }
}

static int out_of_range(const struct piece *piece, uint64_t end)
{
    if (end == 0) {
        fprintf(stderr, "hvctl: %s has no memory: it is absent\n", piece->vm);
    } else {
        fprintf(stderr, "hvctl: %s has memory from 0 to 0x%llx: not all of that\n", piece->vm,
                (unsigned long long)end);
    }
    return EXIT_FAILED;
}

/* A range that wraps has been refused. */
static int fetch(struct client *client, struct piece *piece)
{
    uint8_t bytes[CLIENT_READ_MAX];
    uint64_t done = 0;

    while (done < piece->size && !stop_requested) {
        uint64_t offset = piece->address + done, end;
        size_t count, wanted = sizeof(bytes);
        if (piece->size - done < wanted) {
            wanted = (size_t)(piece->size - done);
        }
        enum client_result result =
            client_read(client, piece->stream, &offset, bytes, wanted, &count, &end);
        if (result != CLIENT_OK) {
            return line_trouble(client, result);
        }
        /* Its size may change: it is destroyed, and made again. */
        if (offset != piece->address + done || end < piece->address + piece->size) {
            return out_of_range(piece, end);
        }
        if (count == 0) {
            return line_trouble(client, CLIENT_NONSENSE);
        }
        pass_on(piece, offset, bytes, count);
        done += count;
    }
    end_line(piece, piece->address + done);
    return done == piece->size ? EXIT_DONE : EXIT_FAILED;
}

static int parse(int argc, char **argv, struct piece *piece)
{
    bool dump = argc > 1 && strcmp(argv[1], "dump") == 0;

    if (dump ? argc < 4 || argc > 5 : argc != 6 || strcmp(argv[1], "read") != 0) {
        return wrong_usage(argv[0], "it takes 'dump VM ADDRESS [SIZE]' or 'read VM ADDRESS SIZE "
                                    "FILE'");
    }
    piece->vm = argv[2];
    piece->path = dump ? NULL : argv[5];
    piece->size = DUMP_DEFAULT;
    if (!config_parse_size(argv[3], &piece->address)) {
        return wrong_usage(argv[0], "'%s' is no address", argv[3]);
    }
    if (argc > 4 && (!config_parse_size(argv[4], &piece->size) || piece->size == 0 ||
                     piece->size > UINT64_MAX - piece->address)) {
        return wrong_usage(argv[0], "'%s' is no size", argv[4]);
    }
    if (dump && piece->size > DUMP_MAX) {
        return wrong_usage(argv[0], "a dump has 1M at most; 'read' takes more");
    }
    return EXIT_DONE;
}

/* Whatever went wrong, what was written so far stays. */
static int fetch_to_file(struct client *client, struct piece *piece)
{
    bool standard = strcmp(piece->path, "-") == 0;

    piece->out = standard ? stdout : fopen(piece->path, "wb");
    if (piece->out == NULL) {
        fprintf(stderr, "hvctl: %s: %s\n", piece->path, strerror(errno));
        return EXIT_FAILED;
    }
    int code = fetch(client, piece);
    bool good = fflush(piece->out) == 0 && ferror(piece->out) == 0;
    if (!standard) {
        good = fclose(piece->out) == 0 && good;
    }
    if (!good) {
        fprintf(stderr, "hvctl: %s: %s\n", piece->path, strerror(errno));
        return EXIT_FAILED;
    }
    return code;
}

int run_mem(struct client *client, int argc, char **argv)
{
    struct piece piece = {.out = stdout};
    int code = parse(argc, argv, &piece);

    if (code != EXIT_DONE) {
        return code;
    }
    int console = require_console(client, piece.vm);
    if (console < 0) {
        return EXIT_FAILED;
    }
    piece.stream = MONITOR_STREAM_MEMORY + (unsigned)console - MONITOR_STREAM_CONSOLE;
    code = piece.path != NULL ? fetch_to_file(client, &piece) : fetch(client, &piece);
    fflush(stdout);
    return code;
}
