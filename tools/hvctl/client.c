/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/hvctl/client.h"

#include <stdlib.h>
#include <string.h>

#define RETRY_MS      500u
#define RETRY_MAX_MS  4000u
#define BYE_MS        1000u
#define WRITE_MIN     8u
#define WRITE_MAX     512u
#define READ_MIN      128u
#define OUTPUT_MAX    (1u << 20)
#define STREAMS_LIMIT 1024u

void client_init(struct client *client, const struct client_line *line, uint32_t session,
                 unsigned timeout_ms)
{
    memset(client, 0, sizeof(*client));
    client->line = line;
    client->session = session;
    client->timeout_ms = timeout_ms;
    client->retry_ms = RETRY_MS;
    client->write_max = WRITE_MAX;
    client->read_max = CLIENT_READ_MAX;
    hdlc_decoder_init(&client->decoder, client->frame, sizeof(client->frame));
}

static void forget_streams(struct client *client)
{
    for (unsigned i = 0; i < client->stream_count; i++) {
        free(client->streams[i]);
    }
    free(client->streams);
    client->streams = NULL;
    client->stream_count = 0;
}

void client_free(struct client *client)
{
    forget_streams(client);
}

static uint64_t now_ms(const struct client *client)
{
    return client->line->now_ms(client->line->context);
}

/* Whether the frame just decoded answers the request. */
static bool is_answer(struct client *client)
{
    const uint8_t *frame = client->frame, *request = client->request;

    if (client->decoder.payload_size < MONITOR_HEADER_SIZE ||
        frame[0] != (request[0] | MONITOR_ANSWER) ||
        memcmp(frame + 2, request + 2, MONITOR_HEADER_SIZE - 2) != 0) {
        client->late++;
        if (client->retry_ms < RETRY_MAX_MS) {
            client->retry_ms *= 2;
        }
        return false;
    }
    return true;
}

/* Decodes what was received, up to the answer. */
static bool decode_input(struct client *client)
{
    while (client->input_at < client->input_size) {
        switch (hdlc_decode(&client->decoder, client->input[client->input_at++])) {
        case HDLC_FRAME:
            if (is_answer(client)) {
                return true;
            }
            break;
        case HDLC_TEXT:
            for (unsigned i = 0; i < client->decoder.text_size; i++) {
                client->text[client->text_end++ % CLIENT_TEXT_SIZE] = (char)client->decoder.text[i];
            }
            break;
        case HDLC_NOTHING:
            break;
        }
    }
    return false;
}

/* Waits for the answer to a request that was just sent. The request counts as lost after a silence
 * of retry_ms; while the line is busy, after four times as long. */
static enum client_result await_answer(struct client *client, uint64_t deadline)
{
    uint64_t start = now_ms(client), heard = start;

    for (;;) {
        if (decode_input(client)) {
            return CLIENT_OK;
        }
        uint64_t now = now_ms(client);
        uint64_t until = heard + client->retry_ms;
        if (until > start + 4ull * client->retry_ms) {
            until = start + 4ull * client->retry_ms;
        }
        if (until > deadline) {
            until = deadline;
        }
        if (now >= until) {
            return CLIENT_SILENT;
        }
        long count = client->line->receive(client->line->context, client->input,
                                           sizeof(client->input), (unsigned)(until - now));
        if (count < 0) {
            return CLIENT_CLOSED;
        }
        if (count > 0) {
            heard = now_ms(client);
        }
        client->input_at = 0;
        client->input_size = (size_t)count;
    }
}

static enum client_result status_result(uint8_t status)
{
    switch (status) {
    case MONITOR_OK:
        return CLIENT_OK;
    case MONITOR_BAD_VERSION:
        return CLIENT_VERSION;
    case MONITOR_BAD_REQUEST:
        return CLIENT_REFUSED;
    case MONITOR_NO_SESSION:
        return CLIENT_RESTARTED;
    case MONITOR_NO_STREAM:
        return CLIENT_NO_STREAM;
    case MONITOR_NOT_NOW:
        return CLIENT_NOT_NOW;
    case MONITOR_NO_ROOM:
        return CLIENT_NO_ROOM;
    default:
        return CLIENT_NONSENSE;
    }
}

/* Sends the request of `size` bytes whose body is in place, until its answer is in client->frame.
 * `least`: the size of an answer that is CLIENT_OK. */
static enum client_result exchange(struct client *client, uint8_t type, size_t size, size_t least,
                                   unsigned timeout_ms)
{
    uint64_t deadline = now_ms(client) + timeout_ms;
    enum client_result result = CLIENT_SILENT;

    client->request[0] = type;
    client->request[1] = 0;
    monitor_put16(client->request + 2, ++client->sequence);
    monitor_put32(client->request + 4, client->session);
    /* No control character may come raw, lest a damaged frame types commands into the monitor. */
    size_t length = hdlc_encode(client->encoded, client->request, size, HDLC_ESCAPE_ALL);
    for (unsigned tries = 0; result == CLIENT_SILENT && now_ms(client) < deadline; tries++) {
        client->repeated += tries > 0;
        if (!client->line->send(client->line->context, client->encoded, length)) {
            /* What the line said last may tell why. */
            (void)await_answer(client, now_ms(client) + 1);
            return CLIENT_CLOSED;
        }
        result = await_answer(client, deadline);
    }
    if (result != CLIENT_OK) {
        return result;
    }
    result = status_result(client->frame[1]);
    return result == CLIENT_OK && client->decoder.payload_size < least ? CLIENT_NONSENSE : result;
}

/* Adds the names of a STREAMS answer to the list. */
static enum client_result take_streams(struct client *client, unsigned *total)
{
    const uint8_t *at = client->frame + MONITOR_STREAMS_DONE;
    size_t left = client->decoder.payload_size - MONITOR_STREAMS_DONE;
    unsigned count = monitor_get16(client->frame + 10);

    *total = monitor_get16(client->frame + 8);
    if (count == 0 || *total > STREAMS_LIMIT || client->stream_count + count > *total) {
        return CLIENT_NONSENSE;
    }
    char **streams = realloc(client->streams, *total * sizeof(*streams));
    if (streams == NULL) {
        return CLIENT_NO_MEMORY;
    }
    client->streams = streams;
    while (count-- > 0) {
        const uint8_t *nul = memchr(at, '\0', left);
        if (nul == NULL) {
            return CLIENT_NONSENSE;
        }
        char *name = malloc((size_t)(nul - at) + 1);
        if (name == NULL) {
            return CLIENT_NO_MEMORY;
        }
        memcpy(name, at, (size_t)(nul - at) + 1);
        client->streams[client->stream_count++] = name;
        left -= (size_t)(nul - at) + 1;
        at = nul + 1;
    }
    return CLIENT_OK;
}

enum client_result client_connect(struct client *client)
{
    unsigned total = 1;

    monitor_put16(client->request + 8, MONITOR_VERSION);
    enum client_result result =
        exchange(client, MONITOR_HELLO, MONITOR_HELLO_SIZE, MONITOR_HELLO_DONE, client->timeout_ms);
    if (result == CLIENT_VERSION && client->decoder.payload_size >= MONITOR_HELLO_DONE) {
        client->version = monitor_get16(client->frame + 8);
    }
    forget_streams(client);
    while (result == CLIENT_OK && client->stream_count < total) {
        monitor_put16(client->request + 8, (uint16_t)client->stream_count);
        result = exchange(client, MONITOR_STREAMS, MONITOR_STREAMS_SIZE, MONITOR_STREAMS_DONE,
                          client->timeout_ms);
        if (result == CLIENT_OK) {
            result = take_streams(client, &total);
        }
    }
    return result;
}

void client_bye(struct client *client)
{
    unsigned timeout_ms = client->timeout_ms < BYE_MS ? client->timeout_ms : BYE_MS;

    (void)exchange(client, MONITOR_BYE, MONITOR_HEADER_SIZE, MONITOR_HEADER_SIZE, timeout_ms);
}

/* Reads what a command printed. */
static enum client_result read_output(struct client *client, uint64_t offset,
                                      struct client_output *output)
{
    size_t done = 0, count;
    uint64_t end;

    output->text = malloc(output->size + 1);
    if (output->text == NULL) {
        return CLIENT_NO_MEMORY;
    }
    while (done < output->size) {
        uint64_t at = offset + done;
        enum client_result result =
            client_read(client, MONITOR_STREAM_OUTPUT, &at, output->text + done,
                        output->size - done, &count, &end);
        if (result == CLIENT_OK && (at != offset + done || count == 0)) {
            result = CLIENT_NONSENSE;
        }
        if (result != CLIENT_OK) {
            free(output->text);
            output->text = NULL;
            return result;
        }
        done += count;
    }
    return CLIENT_OK;
}

enum client_result client_execute(struct client *client, const char *command,
                                  struct client_output *output)
{
    size_t size = strlen(command);

    memset(output, 0, sizeof(*output));
    if (size > MONITOR_MAX_PAYLOAD - MONITOR_HEADER_SIZE) {
        return CLIENT_REFUSED;
    }
    memcpy(client->request + MONITOR_HEADER_SIZE, command, size);
    enum client_result result = exchange(client, MONITOR_EXEC, MONITOR_HEADER_SIZE + size,
                                         MONITOR_EXEC_DONE, client->timeout_ms);
    if (result != CLIENT_OK) {
        return result;
    }
    output->failed = client->frame[8] != 0;
    output->cut = (client->frame[9] & MONITOR_EXEC_CUT) != 0;
    output->size = monitor_get32(client->frame + 12);
    if (output->size > OUTPUT_MAX) {
        return CLIENT_NONSENSE;
    }
    return read_output(client, monitor_get64(client->frame + 16), output);
}

/* A receiver that cannot keep up, or a line that damages much, loses every long frame: short ones
 * get through. */
static void adapt(size_t *size, size_t min, size_t max, bool was_repeated)
{
    size_t next = was_repeated ? *size / 2 : *size + 1;

    *size = next < min ? min : next > max ? max : next;
}

/* How long to ask for a frame of one size before a shorter one is tried. */
static unsigned patience_of(const struct client *client, uint64_t deadline)
{
    uint64_t now = now_ms(client), left = deadline > now ? deadline - now : 0;

    return 3 * client->retry_ms < left ? 3 * client->retry_ms : (unsigned)left;
}

/* The answer of a READ. */
static enum client_result take_bytes(struct client *client, unsigned stream, uint64_t *offset,
                                     void *buffer, size_t size, size_t *count, uint64_t *end)
{
    *count = monitor_get16(client->frame + 10);
    if (monitor_get16(client->frame + 8) != stream || *count > size ||
        *count > client->decoder.payload_size - MONITOR_READ_DONE) {
        return CLIENT_NONSENSE;
    }
    *offset = monitor_get64(client->frame + 12);
    *end = monitor_get64(client->frame + 20);
    memcpy(buffer, client->frame + MONITOR_READ_DONE, *count);
    return CLIENT_OK;
}

enum client_result client_read(struct client *client, unsigned stream, uint64_t *offset,
                               void *buffer, size_t size, size_t *count, uint64_t *end)
{
    uint64_t deadline = now_ms(client) + client->timeout_ms;
    enum client_result result;

    do {
        uint64_t repeated = client->repeated;
        if (size > client->read_max) {
            size = client->read_max;
        }
        monitor_put16(client->request + 8, (uint16_t)stream);
        monitor_put16(client->request + 10, (uint16_t)size);
        monitor_put64(client->request + 12, *offset);
        result = exchange(client, MONITOR_READ, MONITOR_READ_SIZE, MONITOR_READ_DONE,
                          patience_of(client, deadline));
        adapt(&client->read_max, READ_MIN, CLIENT_READ_MAX,
              client->repeated > repeated || result == CLIENT_SILENT);
    } while (result == CLIENT_SILENT && now_ms(client) < deadline);
    return result == CLIENT_OK ? take_bytes(client, stream, offset, buffer, size, count, end)
                               : result;
}

enum client_result client_write(struct client *client, unsigned stream, uint64_t *offset,
                                const void *bytes, size_t size)
{
    uint64_t deadline = now_ms(client) + client->timeout_ms;
    enum client_result result;

    do {
        uint64_t repeated = client->repeated;
        if (size > client->write_max) {
            size = client->write_max;
        }
        monitor_put16(client->request + 8, (uint16_t)stream);
        monitor_put16(client->request + 10, 0);
        monitor_put64(client->request + 12, *offset);
        if (size > 0) {
            memcpy(client->request + MONITOR_WRITE_SIZE, bytes, size);
        }
        result = exchange(client, MONITOR_WRITE, MONITOR_WRITE_SIZE + size, MONITOR_WRITE_DONE,
                          patience_of(client, deadline));
        adapt(&client->write_max, WRITE_MIN, WRITE_MAX,
              client->repeated > repeated || result == CLIENT_SILENT);
    } while (result == CLIENT_SILENT && now_ms(client) < deadline);
    if (result == CLIENT_OK) {
        *offset = monitor_get64(client->frame + 12);
    }
    return result;
}

static void put_piece(struct client *client, const struct client_piece *piece)
{
    monitor_put16(client->request + 8, (uint16_t)piece->stream);
    client->request[10] = piece->section;
    client->request[11] = piece->flags;
    monitor_put64(client->request + 12, piece->offset);
}

/* Whether the answer is about what was asked. */
static bool is_same_piece(const struct client *client)
{
    return memcmp(client->frame + 8, client->request + 8, 4) == 0;
}

enum client_result client_fetch(struct client *client, struct client_piece *piece)
{
    put_piece(client, piece);
    enum client_result result =
        exchange(client, MONITOR_FETCH, MONITOR_FETCH_SIZE, MONITOR_FETCH_DONE, client->timeout_ms);
    if (result != CLIENT_OK) {
        return result;
    }
    piece->size = monitor_get64(client->frame + 20);
    piece->covered = monitor_get32(client->frame + 28);
    piece->used = client->decoder.payload_size - MONITOR_FETCH_DONE;
    if (!is_same_piece(client) || piece->used > sizeof(piece->tokens) ||
        monitor_get64(client->frame + 12) != piece->offset || piece->offset > piece->size ||
        piece->covered > piece->size - piece->offset ||
        (piece->covered == 0) != (piece->offset == piece->size)) {
        return CLIENT_NONSENSE;
    }
    memcpy(piece->tokens, client->frame + MONITOR_FETCH_DONE, piece->used);
    return CLIENT_OK;
}

enum client_result client_store(struct client *client, const struct client_piece *piece)
{
    put_piece(client, piece);
    memcpy(client->request + MONITOR_STORE_SIZE, piece->tokens, piece->used);
    enum client_result result = exchange(client, MONITOR_STORE, MONITOR_STORE_SIZE + piece->used,
                                         MONITOR_STORE_DONE, client->timeout_ms);
    if (result == CLIENT_OK && (!is_same_piece(client) || monitor_get64(client->frame + 12) !=
                                                              piece->offset + piece->covered)) {
        return CLIENT_NONSENSE;
    }
    return result;
}

int client_find_console(const struct client *client, const char *vm)
{
    for (unsigned i = MONITOR_STREAM_CONSOLE; i < client->stream_count; i++) {
        if (strcmp(client->streams[i], vm) == 0) {
            return (int)i;
        }
    }
    return -1;
}

const char *client_result_text(enum client_result result)
{
    switch (result) {
    case CLIENT_OK:
        return "done";
    case CLIENT_SILENT:
        return "the hypervisor does not answer";
    case CLIENT_CLOSED:
        return "the line was closed by the other side";
    case CLIENT_VERSION:
        return "the hypervisor speaks another version of the monitor protocol";
    case CLIENT_RESTARTED:
        return "the hypervisor has restarted, or another program took the line over";
    case CLIENT_NO_STREAM:
        return "the hypervisor has no such stream";
    case CLIENT_REFUSED:
        return "the hypervisor does not take the request";
    case CLIENT_NONSENSE:
        return "the hypervisor's answer makes no sense";
    case CLIENT_NO_MEMORY:
        return "out of memory";
    case CLIENT_NOT_NOW:
        return "the VM is in no state for it";
    case CLIENT_NO_ROOM:
        return "the disk's overlay has no room for it";
    }
    return "unknown error";
}

void client_last_text(const struct client *client, char *buffer, size_t size)
{
    uint64_t at = client->text_end > CLIENT_TEXT_SIZE ? client->text_end - CLIENT_TEXT_SIZE : 0;
    size_t used = 0;

    for (; at < client->text_end && used + 1 < size; at++) {
        char c = client->text[at % CLIENT_TEXT_SIZE];
        if ((c >= ' ' && c <= '~') || c == '\n') {
            buffer[used++] = c;
        }
    }
    if (size > 0) {
        buffer[used] = '\0';
    }
}
