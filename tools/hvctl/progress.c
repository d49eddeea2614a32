/* SPDX-License-Identifier: BSD-2-Clause */
#define _DEFAULT_SOURCE
#include "tools/hvctl/progress.h"

#include "tools/hvctl/line.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define INTERVAL_MS     200u /* between two looks of the line */
#define RATE_MS         1000u
#define COLUMNS_DEFAULT 80u
#define TEXT_SIZE       256

/* What is on the terminal, of which there is one. */
static struct {
    size_t size;       /* characters of the line that is shown; 0: none is */
    uint64_t shown_ms; /* when it was */
    uint64_t
        since_ms; /* where the rate is counted from: then, and with so many bytes on the line */
    uint64_t since_bytes;
} line;

/* Appends a part if there is room for all of it; false: there is none, nor for what follows. */
static bool append(char *text, size_t room, const char *part)
{
    size_t at = strlen(text);

    if (at + strlen(part) > room) {
        return false;
    }
    memcpy(text + at, part, strlen(part) + 1);
    return true;
}

/* With one decimal where that tells something. */
static void format_rate(char *part, size_t size, uint64_t rate)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB"};
    double value = (double)rate;
    unsigned unit = 0;

    while (value >= 1000 && unit < 3) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(part, size, ", %.*f %s/s", unit == 0 || value >= 100 ? 0 : 1, value,
                   units[unit]);
}

void progress_format(const struct progress *progress, char *text, size_t size, size_t columns)
{
    size_t room = columns < size ? columns : size - 1;
    uint64_t done = progress->done < progress->total ? progress->done : progress->total;
    char parts[4][TEXT_SIZE] = {"", "", "", ""};

    (void)snprintf(parts[0], sizeof(parts[0]), "%s: ", progress->name);
    if (progress->round != 0) {
        (void)snprintf(parts[1], sizeof(parts[1]), "round %llu, ",
                       (unsigned long long)progress->round);
    }
    (void)snprintf(parts[2], sizeof(parts[2]), "%llu of %llu MiB", (unsigned long long)(done >> 20),
                   (unsigned long long)((progress->total + (1u << 20) - 1) >> 20));
    if (progress->bytes_in_second != 0) {
        format_rate(parts[3], sizeof(parts[3]), progress->bytes_in_second);
    }
    char percent[32];
    (void)snprintf(percent, sizeof(percent), "%3.0f%% ",
                   progress->total == 0 ? 100 : 100.0 * (double)done / (double)progress->total);
    text[0] = '\0';
    (void)(append(text, room, percent) && append(text, room, parts[0]) &&
           append(text, room, parts[1]) && append(text, room, parts[2]) &&
           append(text, room, parts[3]));
}

/* How many characters a line may have; 0: nothing is to be shown. One in the last column would
 * have some terminals begin another line. A job in the background leaves the terminal alone. */
static size_t find_columns(void)
{
    struct winsize terminal = {0};

    if (!isatty(STDERR_FILENO) || tcgetpgrp(STDERR_FILENO) != getpgrp()) {
        return 0;
    }
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &terminal) != 0 || terminal.ws_col == 0) {
        return COLUMNS_DEFAULT - 1;
    }
    return terminal.ws_col - 1u;
}

/* Of the last second or so: a round that has little to tell is another one than that before. */
static void find_rate(struct progress *progress, uint64_t now)
{
    uint64_t ms = now - line.since_ms;

    if (line.since_ms == 0 || progress->bytes_on_line < line.since_bytes) {
        line.since_ms = now;
        line.since_bytes = progress->bytes_on_line;
        progress->bytes_in_second = 0;
    } else if (ms >= RATE_MS) {
        progress->bytes_in_second = (progress->bytes_on_line - line.since_bytes) * 1000 / ms;
        line.since_ms = now;
        line.since_bytes = progress->bytes_on_line;
    }
}

void progress_show(struct progress *progress)
{
    uint64_t now = line_now_ms(NULL);
    char text[TEXT_SIZE];
    size_t columns;

    find_rate(progress, now);
    if (line.shown_ms != 0 && now - line.shown_ms < INTERVAL_MS) {
        return;
    }
    columns = find_columns();
    line.shown_ms = now;
    if (columns == 0) {
        return;
    }
    progress_format(progress, text, sizeof(text), columns);
    size_t size = strlen(text);
    /* Spaces over what the line before had more: a dumb terminal knows them, too. */
    size_t more = line.size > size && line.size <= columns ? line.size - size : 0;
    fprintf(stderr, "\r%s%*s", text, (int)more, "");
    fflush(stderr);
    line.size = size;
}

void progress_clear(void)
{
    size_t columns = line.size != 0 ? find_columns() : 0;

    if (columns != 0) {
        fprintf(stderr, "\r%*s\r", (int)(line.size < columns ? line.size : columns), "");
        fflush(stderr);
    }
    memset(&line, 0, sizeof(line));
}
