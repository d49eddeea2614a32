/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/monitor_parts.h"

#include "lib/string.h"

void monitor_init(struct monitor *monitor, const struct monitor_ops *ops, void *context,
                  uint64_t log_offset)
{
    memset(monitor, 0, sizeof(*monitor));
    monitor->ops = ops;
    monitor->context = context;
    monitor->log_offset = log_offset;
    hdlc_decoder_init(&monitor->decoder, monitor->frame, sizeof(monitor->frame));
}

bool monitor_put(struct monitor *monitor, const void *bytes, size_t size)
{
    const uint8_t *from = bytes;

    if (size > MONITOR_TRANSMIT_SIZE - monitor->transmit_used) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        size_t at = (monitor->transmit_at + monitor->transmit_used++) % MONITOR_TRANSMIT_SIZE;
        monitor->transmit[at] = from[i];
    }
    return true;
}

size_t monitor_transmit(struct monitor *monitor, void *buffer, size_t size)
{
    uint8_t *to = buffer;
    size_t count = 0;

    while (count < size) {
        if (monitor->transmit_used == 0) {
            monitor_text_fill(monitor);
            if (monitor->transmit_used == 0) {
                break;
            }
        }
        to[count++] = monitor->transmit[monitor->transmit_at];
        monitor->transmit_at = (monitor->transmit_at + 1) % MONITOR_TRANSMIT_SIZE;
        monitor->transmit_used--;
    }
    return count;
}

/* Keeps what a command prints, up to the buffer's end. */
static void take_output(void *context, const char *bytes, size_t size)
{
    struct monitor *monitor = context;
    size_t room = MONITOR_OUTPUT_SIZE - monitor->output_size;

    if (size > room) {
        monitor->output_cut = true;
        size = room;
    }
    memcpy(&monitor->output[monitor->output_size], bytes, size);
    monitor->output_size += size;
}

static void print_line_counters(struct monitor *monitor)
{
    format_to(take_output, monitor,
              "counter\tvalue\nframes\t%llu\ndamaged frames\t%llu\nrequests dropped\t%llu\n",
              (unsigned long long)monitor->decoder.frames,
              (unsigned long long)monitor->decoder.damaged, (unsigned long long)monitor->dropped);
}

void monitor_execute(struct monitor *monitor, const char *line)
{
    monitor->output_start += monitor->output_size;
    monitor->output_size = 0;
    monitor->output_cut = false;
    if (strcmp(line, "line") == 0) {
        print_line_counters(monitor);
        monitor->result = STATUS_OK;
        return;
    }
    monitor->result = monitor->ops->execute(monitor->context, line, take_output, monitor);
    if (monitor->result == STATUS_OK || monitor->output_size != 0) {
        return;
    }
    if (monitor->result == STATUS_NOT_FOUND) {
        format_to(take_output, monitor, "unknown command: %s ('help' lists the commands)\n", line);
    } else {
        format_to(take_output, monitor, "%s: %s\n", line, status_name(monitor->result));
    }
}

/* Sends the answer whose body of `size` bytes is in place behind the header. */
static void answer(struct monitor *monitor, const uint8_t *request, enum monitor_status status,
                   size_t size)
{
    uint8_t *message = monitor->answer;

    memcpy(message, request, MONITOR_HEADER_SIZE);
    message[0] |= MONITOR_ANSWER;
    message[1] = (uint8_t)status;
    size = hdlc_encode(monitor->encoded, message, size, HDLC_ESCAPE_FLOW);
    if (!monitor_put(monitor, monitor->encoded, size)) {
        monitor->dropped++;
    }
}

static void refuse(struct monitor *monitor, const uint8_t *request, enum monitor_status status)
{
    answer(monitor, request, status, MONITOR_HEADER_SIZE);
}

static void do_hello(struct monitor *monitor, const uint8_t *request, size_t size)
{
    uint32_t session = monitor_get32(request + 4);
    enum monitor_status status = MONITOR_OK;

    if (size < MONITOR_HELLO_SIZE || session == 0) {
        refuse(monitor, request, MONITOR_BAD_REQUEST);
        return;
    }
    if (monitor_get16(request + 8) != MONITOR_VERSION) {
        status = MONITOR_BAD_VERSION;
    } else if (session != monitor->session || !monitor->session_active) {
        monitor_text_suspend(monitor);
        monitor->session = session;
        monitor->session_active = true;
        monitor->executed = false;
    }
    monitor_put16(monitor->answer + 8, MONITOR_VERSION);
    monitor_put16(monitor->answer + 10, MONITOR_MAX_PAYLOAD);
    answer(monitor, request, status, MONITOR_HELLO_DONE);
}

static unsigned count_vms(const struct monitor *monitor)
{
    unsigned count = 0;

    while (count < MONITOR_MAX_VMS && monitor->ops->vm_name(monitor->context, count) != NULL) {
        count++;
    }
    return count;
}

static const char *stream_name(const struct monitor *monitor, unsigned stream)
{
    switch (stream) {
    case MONITOR_STREAM_LOG:
        return "log";
    case MONITOR_STREAM_OUTPUT:
        return "output";
    default:
        return monitor->ops->vm_name(monitor->context, stream - MONITOR_STREAM_CONSOLE);
    }
}

static void do_streams(struct monitor *monitor, const uint8_t *request, size_t size)
{
    unsigned streams = MONITOR_STREAM_CONSOLE + count_vms(monitor);
    size_t used = MONITOR_STREAMS_DONE;
    uint16_t count = 0;

    if (size < MONITOR_STREAMS_SIZE) {
        refuse(monitor, request, MONITOR_BAD_REQUEST);
        return;
    }
    for (unsigned i = monitor_get16(request + 8); i < streams; i++) {
        const char *name = stream_name(monitor, i);
        size_t length = strlen(name) + 1;
        if (length > MONITOR_MAX_PAYLOAD - used) {
            break;
        }
        memcpy(monitor->answer + used, name, length);
        used += length;
        count++;
    }
    monitor_put16(monitor->answer + 8, (uint16_t)streams);
    monitor_put16(monitor->answer + 10, count);
    answer(monitor, request, MONITOR_OK, used);
}

/* Copies the command line of an EXEC out of its frame; false unless it is a line of text. */
static bool take_line(struct monitor *monitor, const uint8_t *bytes, size_t size)
{
    if (size == 0 || size >= MONITOR_LINE_SIZE) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] < ' ') {
            return false;
        }
        monitor->line[i] = (char)bytes[i];
    }
    monitor->line[size] = '\0';
    return true;
}

static void do_exec(struct monitor *monitor, const uint8_t *request, size_t size)
{
    uint16_t sequence = monitor_get16(request + 2);
    uint8_t *body = monitor->answer + MONITOR_HEADER_SIZE;

    if (!monitor->executed) {
        if (!take_line(monitor, request + MONITOR_HEADER_SIZE, size - MONITOR_HEADER_SIZE)) {
            refuse(monitor, request, MONITOR_BAD_REQUEST);
            return;
        }
        monitor_execute(monitor, monitor->line);
        monitor->executed = true;
        monitor->executed_sequence = sequence;
    }
    memset(body, 0, MONITOR_EXEC_DONE - MONITOR_HEADER_SIZE);
    body[0] = (uint8_t)monitor->result;
    body[1] = monitor->output_cut ? MONITOR_EXEC_CUT : 0;
    monitor_put32(body + 4, (uint32_t)monitor->output_size);
    monitor_put64(body + 8, monitor->output_start);
    answer(monitor, request, MONITOR_OK, MONITOR_EXEC_DONE);
}

static size_t read_output(const struct monitor *monitor, uint64_t *offset, char *buffer,
                          size_t size, uint64_t *end)
{
    *end = monitor->output_start + monitor->output_size;
    if (*offset < monitor->output_start) {
        *offset = monitor->output_start;
    }
    if (*offset > *end) {
        *offset = *end;
    }
    if (size > *end - *offset) {
        size = (size_t)(*end - *offset);
    }
    memcpy(buffer, &monitor->output[*offset - monitor->output_start], size);
    return size;
}

/* Reads any stream; false if there is none of that number. */
static bool read_stream(struct monitor *monitor, unsigned stream, uint64_t *offset, char *bytes,
                        size_t *size, uint64_t *end)
{
    if (stream >= MONITOR_STREAM_TRACE) {
        return monitor->ops->trace_read != NULL &&
               monitor->ops->trace_read(monitor->context, stream - MONITOR_STREAM_TRACE, offset,
                                        bytes, size, end);
    }
    if (stream >= MONITOR_STREAM_MEMORY) {
        return monitor->ops->memory_read != NULL &&
               monitor->ops->memory_read(monitor->context, stream - MONITOR_STREAM_MEMORY, offset,
                                         bytes, size, end);
    }
    if (stream >= MONITOR_STREAM_CONSOLE + count_vms(monitor)) {
        return false;
    }
    *size = stream == MONITOR_STREAM_OUTPUT
                ? read_output(monitor, offset, bytes, *size, end)
                : monitor->ops->stream_read(monitor->context, stream, offset, bytes, *size, end);
    return true;
}

static void do_read(struct monitor *monitor, const uint8_t *request, size_t size)
{
    uint8_t *body = monitor->answer;
    char *bytes = (char *)body + MONITOR_READ_DONE;

    if (size < MONITOR_READ_SIZE) {
        refuse(monitor, request, MONITOR_BAD_REQUEST);
        return;
    }
    unsigned stream = monitor_get16(request + 8);
    size_t max = monitor_get16(request + 10);
    uint64_t offset = monitor_get64(request + 12), end = 0;
    if (max > MONITOR_MAX_PAYLOAD - MONITOR_READ_DONE) {
        max = MONITOR_MAX_PAYLOAD - MONITOR_READ_DONE;
    }
    if (!read_stream(monitor, stream, &offset, bytes, &max, &end)) {
        refuse(monitor, request, MONITOR_NO_STREAM);
        return;
    }
    monitor_put16(body + 8, (uint16_t)stream);
    monitor_put16(body + 10, (uint16_t)max);
    monitor_put64(body + 12, offset);
    monitor_put64(body + 20, end);
    answer(monitor, request, MONITOR_OK, MONITOR_READ_DONE + max);
}

static void do_write(struct monitor *monitor, const uint8_t *request, size_t size)
{
    const char *bytes = (const char *)request + MONITOR_WRITE_SIZE;
    uint8_t *body = monitor->answer;

    if (size < MONITOR_WRITE_SIZE) {
        refuse(monitor, request, MONITOR_BAD_REQUEST);
        return;
    }
    unsigned stream = monitor_get16(request + 8);
    uint64_t offset = monitor_get64(request + 12);
    unsigned vm = stream - MONITOR_STREAM_CONSOLE;
    if (stream < MONITOR_STREAM_CONSOLE || vm >= count_vms(monitor)) {
        refuse(monitor, request, MONITOR_NO_STREAM);
        return;
    }
    uint64_t *typed = &monitor->typed_offset[vm];
    size -= MONITOR_WRITE_SIZE;
    /* Bytes behind a gap are not taken: the host has lost count and learns it from the answer. */
    if (offset <= *typed && size > *typed - offset) {
        size_t known = (size_t)(*typed - offset);
        *typed += monitor->ops->console_write(monitor->context, vm, bytes + known, size - known);
    }
    monitor_put16(body + 8, (uint16_t)stream);
    monitor_put16(body + 10, 0);
    monitor_put64(body + 12, *typed);
    answer(monitor, request, MONITOR_OK, MONITOR_WRITE_DONE);
}

/* The head of FETCH and STORE. False: it is refused. */
static bool take_piece(struct monitor *monitor, const uint8_t *request, size_t size, bool possible,
                       struct monitor_piece *piece, unsigned *vm)
{
    if (size < MONITOR_STORE_SIZE || !possible) {
        refuse(monitor, request, MONITOR_BAD_REQUEST);
        return false;
    }
    unsigned stream = monitor_get16(request + 8);
    if (stream < MONITOR_STREAM_CONSOLE || stream >= MONITOR_STREAM_CONSOLE + count_vms(monitor)) {
        refuse(monitor, request, MONITOR_NO_STREAM);
        return false;
    }
    *vm = stream - MONITOR_STREAM_CONSOLE;
    *piece = (struct monitor_piece){
        .section = request[10], .flags = request[11], .offset = monitor_get64(request + 12)};
    return true;
}

static enum monitor_status piece_status(status_t status)
{
    return status == STATUS_OK          ? MONITOR_OK
           : status == STATUS_BUSY      ? MONITOR_NOT_NOW
           : status == STATUS_NOT_FOUND ? MONITOR_NO_STREAM
           : status == STATUS_NO_MEMORY ? MONITOR_NO_ROOM
                                        : MONITOR_BAD_REQUEST;
}

_Static_assert(MONITOR_FETCH_SIZE == MONITOR_STORE_SIZE, "one head");

static void do_fetch(struct monitor *monitor, const uint8_t *request, size_t size)
{
    size_t used = MONITOR_MAX_PAYLOAD - MONITOR_FETCH_DONE;
    struct monitor_piece piece;
    unsigned vm;

    if (!take_piece(monitor, request, size, monitor->ops->fetch != NULL, &piece, &vm)) {
        return;
    }
    uint8_t *body = monitor->answer;
    enum monitor_status status = piece_status(
        monitor->ops->fetch(monitor->context, vm, &piece, body + MONITOR_FETCH_DONE, &used));
    if (status != MONITOR_OK) {
        refuse(monitor, request, status);
        return;
    }
    memcpy(body + 8, request + 8, MONITOR_FETCH_SIZE - 8);
    monitor_put64(body + 20, piece.size);
    monitor_put32(body + 28, (uint32_t)piece.covered);
    answer(monitor, request, MONITOR_OK, MONITOR_FETCH_DONE + used);
}

static void do_store(struct monitor *monitor, const uint8_t *request, size_t size)
{
    struct monitor_piece piece;
    unsigned vm;

    if (!take_piece(monitor, request, size, monitor->ops->store != NULL, &piece, &vm)) {
        return;
    }
    enum monitor_status status = piece_status(monitor->ops->store(
        monitor->context, vm, &piece, request + MONITOR_STORE_SIZE, size - MONITOR_STORE_SIZE));
    if (status != MONITOR_OK) {
        refuse(monitor, request, status);
        return;
    }
    memcpy(monitor->answer + 8, request + 8, MONITOR_STORE_DONE - 8);
    monitor_put64(monitor->answer + 12, piece.offset + piece.covered);
    answer(monitor, request, MONITOR_OK, MONITOR_STORE_DONE);
}

/* A request of the current session. */
static void do_request(struct monitor *monitor, const uint8_t *request, size_t size)
{
    if (monitor->executed && monitor->executed_sequence != monitor_get16(request + 2)) {
        monitor->executed = false;
    }
    switch (request[0]) {
    case MONITOR_STREAMS:
        do_streams(monitor, request, size);
        break;
    case MONITOR_EXEC:
        do_exec(monitor, request, size);
        break;
    case MONITOR_READ:
        do_read(monitor, request, size);
        break;
    case MONITOR_WRITE:
        do_write(monitor, request, size);
        break;
    case MONITOR_FETCH:
        do_fetch(monitor, request, size);
        break;
    case MONITOR_STORE:
        do_store(monitor, request, size);
        break;
    case MONITOR_BYE:
        monitor->session_active = false;
        answer(monitor, request, MONITOR_OK, MONITOR_HEADER_SIZE);
        monitor_text_resume(monitor);
        break;
    default:
        refuse(monitor, request, MONITOR_BAD_REQUEST);
    }
}

static void take_frame(struct monitor *monitor, const uint8_t *request, size_t size)
{
    /* An answer is this end's own echo, or another hypervisor's: never answer one. */
    if (size < MONITOR_HEADER_SIZE || (request[0] & MONITOR_ANSWER)) {
        return;
    }
    monitor->session_us = monitor->now_us;
    if (request[0] == MONITOR_HELLO) {
        do_hello(monitor, request, size);
        return;
    }
    if (monitor->session == 0 || monitor->session != monitor_get32(request + 4)) {
        refuse(monitor, request, MONITOR_NO_SESSION);
        return;
    }
    if (!monitor->session_active && request[0] != MONITOR_BYE) {
        monitor_text_suspend(monitor);
        monitor->session_active = true;
    }
    do_request(monitor, request, size);
}

static void take_event(struct monitor *monitor, enum hdlc_event event)
{
    if (event == HDLC_FRAME) {
        take_frame(monitor, monitor->frame, monitor->decoder.payload_size);
    } else if (event == HDLC_TEXT && !monitor->session_active) {
        for (unsigned i = 0; i < monitor->decoder.text_size; i++) {
            monitor_text_typed(monitor, monitor->decoder.text[i]);
        }
    }
}

void monitor_receive(struct monitor *monitor, uint8_t byte)
{
    monitor->received_us = monitor->now_us;
    take_event(monitor, hdlc_decode(&monitor->decoder, byte));
}

bool monitor_poll(struct monitor *monitor, uint64_t now_us)
{
    monitor->now_us = now_us;
    if (monitor->session_active && now_us - monitor->session_us > MONITOR_SESSION_US) {
        monitor->session_active = false;
        monitor_text_resume(monitor);
    }
    if (monitor->decoder.state != HDLC_IN_TEXT &&
        now_us - monitor->received_us > MONITOR_SILENCE_US) {
        take_event(monitor, hdlc_decode_silence(&monitor->decoder));
    }
    monitor_text_process(monitor);
    monitor_text_fill(monitor);
    return monitor->transmit_used > 0;
}
