/* SPDX-License-Identifier: BSD-2-Clause */
/* The verb `log`. */
#define _DEFAULT_SOURCE
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "tools/hvctl/hvctl.h"

/* Lines begin with their level's letter and a blank (lib/log.h), most important first. */
static const struct level {
    const char *name;
    char letter;
} levels[] = {{"error", 'E'}, {"warning", 'W'}, {"info", 'I'}, {"debug", 'D'}};

#define LEVELS (sizeof(levels) / sizeof(levels[0]))

struct log {
    bool follow;
    unsigned level; /* the least important one that is shown */
    bool line_begins;
    bool shown; /* whether the present line is */
};

/* A line without a level goes with the one before it. */
static void begin_line(struct log *log, char letter)
{
    for (unsigned i = 0; i < LEVELS; i++) {
        if (levels[i].letter == letter) {
            log->shown = i <= log->level;
        }
    }
}

/* Leaves out what is not important enough; false if nobody reads. */
static bool show(struct log *log, const char *bytes, size_t size)
{
    char kept[CLIENT_READ_MAX];
    size_t count = 0;

    for (size_t i = 0; i < size; i++) {
        if (log->line_begins) {
            begin_line(log, bytes[i]);
        }
        log->line_begins = bytes[i] == '\n';
        if (log->shown) {
            kept[count++] = bytes[i];
        }
    }
    return write_out(kept, count);
}

static bool parse_level(const char *text, struct log *log)
{
    for (log->level = 0; log->level < LEVELS; log->level++) {
        if (strcmp(levels[log->level].name, text) == 0) {
            return true;
        }
    }
    return false;
}

static int parse(int argc, char **argv, struct log *log)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-f") == 0 || strcmp(argv[i], "--follow") == 0) {
            log->follow = true;
        } else if (strcmp(argv[i], "--level") == 0) {
            if (++i == argc || !parse_level(argv[i], log)) {
                return wrong_usage(argv[0], "--level takes error, warning, info or debug");
            }
        } else {
            return wrong_usage(argv[0], "'%s' is not an argument of it", argv[i]);
        }
    }
    return EXIT_DONE;
}

int run_log(struct client *client, int argc, char **argv)
{
    struct log log = {.level = LEVELS - 1, .line_begins = true, .shown = true};
    uint64_t offset = 0, expected = 0, end = 0;
    unsigned interval = next_interval(0, true);
    enum client_result result = CLIENT_OK;
    char bytes[CLIENT_READ_MAX];
    size_t count;
    int code = parse(argc, argv, &log);

    if (code != EXIT_DONE) {
        return code;
    }
    do {
        result =
            client_read(client, MONITOR_STREAM_LOG, &offset, bytes, sizeof(bytes), &count, &end);
        if (result == CLIENT_RESTARTED && log.follow) {
            fprintf(stderr, "[the hypervisor has restarted]\n");
            offset = expected = 0;
            count = 0;
            result = client_connect(client);
        }
        if (result != CLIENT_OK) {
            return line_trouble(client, result);
        }
        report_gap(expected, offset);
        if (!show(&log, bytes, count)) {
            break;
        }
        expected = offset += count;
        interval = next_interval(interval, count > 0);
        if (log.follow && offset >= end) {
            (void)poll(NULL, 0, (int)interval);
        }
    } while (!stop_requested && (log.follow || (offset < end && count > 0)));
    return EXIT_DONE;
}
