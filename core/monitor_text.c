/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor at a dumb terminal. It uses no terminal's escape sequences: a log line that comes
 * while a command is being typed takes the prompt's place, and the prompt is drawn again below.
 */
#include "core/monitor_parts.h"

#include "lib/string.h"

#define PROMPT     "postern> "
#define CHUNK      256u  /* text is queued in pieces of so much; longer than any log line */
#define REPLAY_MAX 2048u /* of the log that came during a session */
#define KEY_CTRL_C 0x03
#define KEY_BACK   0x08
#define KEY_CTRL_U 0x15
#define KEY_ESCAPE 0x1b
#define KEY_LEAVE  0x1d /* Ctrl-] */
#define KEY_DELETE 0x7f

static void put_bytes(struct monitor *monitor, const char *bytes, size_t size)
{
    /* Echo is lost rather than waited for; what is queued in pieces finds the queue empty. */
    (void)monitor_put(monitor, bytes, size);
}

static void put_sink(void *context, const char *bytes, size_t size)
{
    put_bytes(context, bytes, size);
}

static void put_text(struct monitor *monitor, const char *text)
{
    put_bytes(monitor, text, strlen(text));
}

static void put_spaces(struct monitor *monitor, size_t count)
{
    while (count-- > 0) {
        put_bytes(monitor, " ", 1);
    }
}

/* Queues some bytes with their newlines as a terminal needs them. */
static void put_lines(struct monitor *monitor, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\n') {
            put_bytes(monitor, "\r", 1);
        }
        put_bytes(monitor, &bytes[i], 1);
    }
}

static void fill_output(struct monitor *monitor)
{
    for (unsigned i = 0; i < CHUNK; i++) {
        int c = table_next(&monitor->table);
        if (c < 0) {
            monitor->printing = false;
            if (monitor->output_cut) {
                put_text(monitor, "\r\n[the rest was too long]\r\n");
            }
            return;
        }
        char byte = (char)c;
        put_lines(monitor, &byte, 1);
    }
}

static void fill_console(struct monitor *monitor)
{
    char bytes[CHUNK];
    uint64_t offset = monitor->console_offset, end;
    size_t size =
        monitor->ops->stream_read(monitor->context, MONITOR_STREAM_CONSOLE + monitor->console_vm,
                                  &offset, bytes, sizeof(bytes), &end);

    /* From offset 0 a reader joins: what is gone by then was not lost to it. */
    if (offset > monitor->console_offset && monitor->console_offset != 0) {
        format_to(put_sink, monitor, "[%llu bytes lost]",
                  (unsigned long long)(offset - monitor->console_offset));
    }
    put_bytes(monitor, bytes, size);
    monitor->console_offset = offset + size;
}

/* Drops the rest of a line, if the log goes on in the middle of one. Returns what is left. */
static size_t skip_to_line(struct monitor *monitor, char *bytes, size_t size)
{
    size_t at = 0;

    while (monitor->log_skipped && at < size) {
        monitor->log_skipped = bytes[at++] != '\n';
    }
    monitor->log_offset += at;
    memmove(bytes, bytes + at, size - at);
    return size - at;
}

/* Queues the log's next line. Returns false if there is none. */
static bool fill_log(struct monitor *monitor)
{
    char bytes[CHUNK];
    uint64_t offset = monitor->log_offset, end;
    size_t size = monitor->ops->stream_read(monitor->context, MONITOR_STREAM_LOG, &offset, bytes,
                                            sizeof(bytes), &end);
    size_t length = 0;

    monitor->log_skipped |= offset > monitor->log_offset && monitor->log_offset != 0;
    monitor->log_offset = offset;
    size = skip_to_line(monitor, bytes, size);
    if (size == 0) {
        return monitor->log_offset < end;
    }
    while (length < size && bytes[length] != '\n') {
        length++;
    }
    size_t covered = strlen(PROMPT) + monitor->line_length;
    put_bytes(monitor, "\r", 1);
    put_bytes(monitor, bytes, length);
    if (monitor->prompt_shown && length < covered) {
        put_spaces(monitor, covered - length);
    }
    put_text(monitor, "\r\n");
    monitor->prompt_shown = false;
    monitor->log_offset += length + (length < size);
    return true;
}

void monitor_text_fill(struct monitor *monitor)
{
    if (monitor->session_active || monitor->transmit_used > 0) {
        return;
    }
    if (!monitor->text_started) {
        monitor->text_started = true;
        put_text(monitor, "\r\nThis is the monitor of Postern; 'help' lists its commands.\r\n");
    } else if (monitor->printing) {
        fill_output(monitor);
    } else if (monitor->mode == MONITOR_CONSOLE) {
        fill_console(monitor);
    } else if (!fill_log(monitor) && !monitor->prompt_shown) {
        put_text(monitor, PROMPT);
        put_bytes(monitor, monitor->line, monitor->line_length);
        monitor->prompt_shown = true;
    }
}

static void echo(struct monitor *monitor, const char *text)
{
    if (monitor->prompt_shown) {
        put_text(monitor, text);
    }
}

static void erase(struct monitor *monitor, size_t count)
{
    while (count-- > 0 && monitor->line_length > 0) {
        monitor->line_length--;
        echo(monitor, "\b \b");
    }
}

static void enter_console(struct monitor *monitor, const char *name)
{
    const char *found;

    for (unsigned i = 0; i < MONITOR_MAX_VMS; i++) {
        found = monitor->ops->vm_name(monitor->context, i);
        if (found == NULL) {
            break;
        }
        if (strcmp(found, name) == 0) {
            format_to(put_sink, monitor, "[the console of %s; Ctrl-] leaves it]\r\n", name);
            monitor->mode = MONITOR_CONSOLE;
            monitor->console_vm = i;
            monitor->console_offset = 0;
            return;
        }
    }
    format_to(put_sink, monitor, "there is no VM named '%s'\r\n", name);
}

static void leave_console(struct monitor *monitor)
{
    monitor->mode = MONITOR_PROMPT;
    monitor->prompt_shown = false;
    put_text(monitor, "\r\n");
}

/* Adds the commands that only a dumb terminal has to the output of `help`. */
static void add_help(struct monitor *monitor)
{
    static const char more[] = "console VM\tjoin the console of a VM; Ctrl-] leaves it\n"
                               "log\tshow the log from its start\n"
                               "line\tcount what went wrong on the serial line\n";
    size_t size = sizeof(more) - 1;

    if (size <= MONITOR_OUTPUT_SIZE - monitor->output_size) {
        memcpy(&monitor->output[monitor->output_size], more, size);
        monitor->output_size += size;
    }
}

static void submit(struct monitor *monitor)
{
    char *line = monitor->line;

    echo(monitor, "\r\n");
    monitor->prompt_shown = false;
    while (monitor->line_length > 0 && line[monitor->line_length - 1] == ' ') {
        monitor->line_length--;
    }
    line[monitor->line_length] = '\0';
    monitor->line_length = 0;
    while (*line == ' ') {
        line++;
    }
    if (*line == '\0') {
        return;
    }
    if (strncmp(line, "console ", 8) == 0) {
        enter_console(monitor, line + 8);
        return;
    }
    if (strcmp(line, "log") == 0) {
        monitor->log_offset = 0;
        return;
    }
    monitor_execute(monitor, line);
    if (strcmp(line, "help") == 0) {
        add_help(monitor);
    }
    table_init(&monitor->table, monitor->output, monitor->output_size);
    monitor->printing = true;
}

/* Passes over escape sequences, so that an arrow key types nothing. True: the byte was one's. */
static bool in_escape(struct monitor *monitor, uint8_t byte)
{
    if (byte == KEY_ESCAPE) {
        monitor->escape = 1;
        return true;
    }
    if (monitor->escape == 1) {
        monitor->escape = byte == '[' || byte == 'O' ? 2 : 0;
        return true;
    }
    if (monitor->escape == 2) {
        monitor->escape = byte >= '@' && byte <= '~' ? 0 : 2;
        return true;
    }
    return false;
}

static void edit(struct monitor *monitor, uint8_t byte)
{
    bool after_cr = monitor->last_was_cr;

    monitor->last_was_cr = byte == '\r';
    if (in_escape(monitor, byte)) {
        return;
    }
    switch (byte) {
    case '\n':
        if (!after_cr) {
            submit(monitor);
        }
        break;
    case '\r':
        submit(monitor);
        break;
    case KEY_BACK:
    case KEY_DELETE:
        erase(monitor, 1);
        break;
    case KEY_CTRL_C:
    case KEY_CTRL_U:
        erase(monitor, monitor->line_length);
        break;
    default:
        if (byte < ' ' || byte > '~') {
            break;
        }
        if (monitor->line_length == MONITOR_LINE_SIZE - 1) {
            echo(monitor, "\a");
            break;
        }
        monitor->line[monitor->line_length++] = (char)byte;
        echo(monitor, (char[]){(char)byte, '\0'});
    }
}

void monitor_text_process(struct monitor *monitor)
{
    while (monitor->typed_used > 0 && !monitor->printing) {
        char byte = monitor->typed[monitor->typed_at];
        if (monitor->mode == MONITOR_PROMPT) {
            edit(monitor, (uint8_t)byte);
        } else if (byte == KEY_LEAVE) {
            leave_console(monitor);
        } else if (monitor->ops->console_write(monitor->context, monitor->console_vm, &byte, 1) ==
                   0) {
            break;
        }
        monitor->typed_at = (monitor->typed_at + 1) % MONITOR_TYPED_SIZE;
        monitor->typed_used--;
    }
}

void monitor_text_typed(struct monitor *monitor, uint8_t byte)
{
    if (byte == KEY_LEAVE && monitor->mode == MONITOR_CONSOLE) {
        /* Leaving must not wait for a guest that does not read. */
        monitor->typed_used = 0;
    }
    if (monitor->typed_used == MONITOR_TYPED_SIZE) {
        put_text(monitor, "\a");
        return;
    }
    monitor->typed[(monitor->typed_at + monitor->typed_used++) % MONITOR_TYPED_SIZE] = (char)byte;
    monitor_text_process(monitor);
}

void monitor_text_suspend(struct monitor *monitor)
{
    monitor->mode = MONITOR_PROMPT;
    monitor->printing = false;
    monitor->prompt_shown = false;
    monitor->line_length = 0;
    monitor->typed_used = 0;
    monitor->escape = 0;
    monitor->last_was_cr = false;
}

void monitor_text_resume(struct monitor *monitor)
{
    char none;
    uint64_t offset = monitor->log_offset, end = 0;

    (void)monitor->ops->stream_read(monitor->context, MONITOR_STREAM_LOG, &offset, &none, 0, &end);
    if (end > monitor->log_offset && end - monitor->log_offset > REPLAY_MAX) {
        monitor->log_offset = end - REPLAY_MAX;
        monitor->log_skipped = true;
    }
    put_text(monitor, "\r\n");
}
