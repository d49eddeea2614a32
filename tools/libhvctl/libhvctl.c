/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/libhvctl/libhvctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/hvctl/client.h"
#include "tools/hvctl/line.h"

struct hvctl {
    struct client client;
    struct line line;
    char error[256];
    char *output; /* of the last command */
};

static int explain(struct hvctl *hvctl, enum client_result result)
{
    snprintf(hvctl->error, sizeof(hvctl->error), "%s", client_result_text(result));
    switch (result) {
    case CLIENT_NO_STREAM:
        return HVCTL_ERR_STREAM;
    case CLIENT_RESTARTED:
        return HVCTL_ERR_RESTART;
    case CLIENT_NO_MEMORY:
        return HVCTL_ERR_MEMORY;
    default:
        return HVCTL_ERR_LINE;
    }
}

/* After CLIENT_RESTARTED the next call finds a session again. */
static int finish(struct hvctl *hvctl, enum client_result result)
{
    if (result == CLIENT_RESTARTED) {
        enum client_result again = client_connect(&hvctl->client);
        result = again == CLIENT_OK ? result : again;
    }
    return explain(hvctl, result);
}

struct hvctl *hvctl_open(const char *line, unsigned timeout_ms, char *error, size_t error_size)
{
    struct hvctl *hvctl = calloc(1, sizeof(*hvctl));

    if (hvctl == NULL) {
        snprintf(error, error_size, "out of memory");
        return NULL;
    }
    if (!line_open(&hvctl->line, line, error, error_size)) {
        free(hvctl);
        return NULL;
    }
    client_init(&hvctl->client, &hvctl->line.functions, line_new_session(), timeout_ms);
    enum client_result result = client_connect(&hvctl->client);
    if (result != CLIENT_OK) {
        snprintf(error, error_size, "%s", client_result_text(result));
        client_free(&hvctl->client);
        line_close(&hvctl->line);
        free(hvctl);
        return NULL;
    }
    return hvctl;
}

void hvctl_close(struct hvctl *hvctl)
{
    if (hvctl != NULL) {
        client_bye(&hvctl->client);
        client_free(&hvctl->client);
        line_close(&hvctl->line);
        free(hvctl->output);
        free(hvctl);
    }
}

const char *hvctl_error(const struct hvctl *hvctl)
{
    return hvctl->error;
}

int hvctl_execute(struct hvctl *hvctl, const char *command, const char **output, size_t *size)
{
    struct client_output answer;
    enum client_result result;

    free(hvctl->output);
    hvctl->output = NULL;
    *output = "";
    *size = 0;
    result = client_execute(&hvctl->client, command, &answer);
    if (result != CLIENT_OK) {
        return finish(hvctl, result);
    }
    hvctl->output = realloc(answer.text, answer.size + 1);
    if (hvctl->output == NULL) {
        free(answer.text);
        return explain(hvctl, CLIENT_NO_MEMORY);
    }
    hvctl->output[answer.size] = '\0';
    *output = hvctl->output;
    *size = answer.size;
    if (answer.failed) {
        snprintf(hvctl->error, sizeof(hvctl->error), "%s", hvctl->output);
        return HVCTL_ERR_FAILED;
    }
    return 0;
}

const char *hvctl_console(const struct hvctl *hvctl, unsigned index)
{
    unsigned stream = MONITOR_STREAM_CONSOLE + index;

    return stream < hvctl->client.stream_count ? hvctl->client.streams[stream] : NULL;
}

/* The console's stream; negative after an explanation. */
static int find(struct hvctl *hvctl, const char *console)
{
    int stream = client_find_console(&hvctl->client, console);

    return stream >= 0 ? stream : explain(hvctl, CLIENT_NO_STREAM);
}

ssize_t hvctl_read(struct hvctl *hvctl, const char *console, uint64_t *offset, void *bytes,
                   size_t size, uint64_t *lost)
{
    uint64_t from = *offset, end;
    size_t count;
    int stream = find(hvctl, console);

    *lost = 0;
    if (stream < 0) {
        return stream;
    }
    enum client_result result =
        client_read(&hvctl->client, (unsigned)stream, offset, bytes,
                    size < CLIENT_READ_MAX ? size : CLIENT_READ_MAX, &count, &end);
    if (result != CLIENT_OK) {
        return finish(hvctl, result);
    }
    *lost = *offset > from ? *offset - from : 0;
    *offset += count;
    return (ssize_t)count;
}

ssize_t hvctl_write(struct hvctl *hvctl, const char *console, const void *bytes, size_t size)
{
    uint64_t offset = 0, start;
    int stream = find(hvctl, console);

    if (stream < 0) {
        return stream;
    }
    enum client_result result = client_write(&hvctl->client, (unsigned)stream, &offset, NULL, 0);
    start = offset;
    if (result == CLIENT_OK) {
        result = client_write(&hvctl->client, (unsigned)stream, &offset, bytes, size);
    }
    if (result != CLIENT_OK) {
        return finish(hvctl, result);
    }
    return offset >= start && offset - start <= size ? (ssize_t)(offset - start)
                                                     : explain(hvctl, CLIENT_NONSENSE);
}

ssize_t hvctl_memory(struct hvctl *hvctl, const char *vm, uint64_t address, void *bytes,
                     size_t size)
{
    uint64_t at = address, end;
    size_t count;
    int console = find(hvctl, vm);

    if (console < 0) {
        return console;
    }
    unsigned stream = MONITOR_STREAM_MEMORY + (unsigned)console - MONITOR_STREAM_CONSOLE;
    enum client_result result =
        client_read(&hvctl->client, stream, &at, bytes,
                    size < CLIENT_READ_MAX ? size : CLIENT_READ_MAX, &count, &end);
    if (result != CLIENT_OK) {
        return finish(hvctl, result);
    }
    /* Behind the end the answer is of another address. */
    return at == address ? (ssize_t)count : 0;
}
