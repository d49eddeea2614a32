/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/hvctl/fake_core.h"

#include "lib/string.h"

static const char *const names[FAKE_VMS] = {"alpha", "beta"};

void fake_print(struct fake_core *core, unsigned stream, const char *bytes, size_t size)
{
    struct fake_stream *to = &core->streams[stream];

    for (size_t i = 0; i < size; i++) {
        to->ring[to->end++ % FAKE_RING_SIZE] = bytes[i];
    }
}

void fake_print_text(struct fake_core *core, unsigned stream, const char *text)
{
    fake_print(core, stream, text, strlen(text));
}

static size_t fake_read(void *context, unsigned stream, uint64_t *offset, char *buffer, size_t size,
                        uint64_t *end)
{
    struct fake_core *core = context;
    const struct fake_stream *from = &core->streams[stream];
    size_t count = 0;

    *end = from->end;
    if (*offset > from->end) {
        *offset = from->end;
    }
    if (from->end - *offset > FAKE_RING_SIZE) {
        *offset = from->end - FAKE_RING_SIZE;
    }
    for (; count < size && *offset + count < from->end; count++) {
        buffer[count] = from->ring[(*offset + count) % FAKE_RING_SIZE];
    }
    return count;
}

/* What a shell would: echo, and a prompt after each line. */
static void echo(struct fake_core *core, unsigned vm, char byte)
{
    unsigned stream = MONITOR_STREAM_CONSOLE + vm;

    if (byte == '\r' || byte == '\n') {
        fake_print_text(core, stream, "\r\n");
        fake_print_text(core, stream, names[vm]);
        fake_print_text(core, stream, "# ");
    } else {
        fake_print(core, stream, &byte, 1);
    }
}

static size_t fake_write(void *context, unsigned vm, const char *bytes, size_t size)
{
    struct fake_core *core = context;
    size_t count = 0;

    while (!core->deaf && count < size && count < FAKE_UART_ROOM &&
           core->typed_size[vm] < FAKE_TYPED_MAX) {
        core->typed[vm][core->typed_size[vm]++] = bytes[count];
        if (core->echo) {
            echo(core, vm, bytes[count]);
        }
        count++;
    }
    return count;
}

static void print_exits(format_sink_t out, void *out_context)
{
    format_to(out, out_context, "vcpu\texit\tcount\n0\tcpuid\t12\n0\thlt\t34567\n");
}

/* More than the monitor can keep. */
static void print_flood(format_sink_t out, void *out_context)
{
    for (unsigned i = 0; i < 1000; i++) {
        format_to(out, out_context, "line %u of a thousand lines\n", i);
    }
}

static status_t fake_execute(void *context, const char *line, format_sink_t out, void *out_context)
{
    struct fake_core *core = context;

    core->executions++;
    (void)string_copy(core->last_line, sizeof(core->last_line), line);
    if (strcmp(line, "list") == 0) {
        format_to(out, out_context, "name\tstate\tvcpus\nalpha\trunning\t1\nbeta\toff\t12\n");
        return STATUS_OK;
    }
    if (strcmp(line, "stats alpha") == 0) {
        print_exits(out, out_context);
        return STATUS_OK;
    }
    if (strcmp(line, "flood") == 0) {
        print_flood(out, out_context);
        return STATUS_OK;
    }
    if (strcmp(line, "help") == 0) {
        format_to(out, out_context, "command\tmeaning\nlist\tlist the VMs\n");
        return STATUS_OK;
    }
    if (strncmp(line, "shutdown ", 9) == 0) {
        fake_print_text(core, MONITOR_STREAM_LOG, "I    1.000000 ");
        fake_print_text(core, MONITOR_STREAM_LOG, line);
        fake_print_text(core, MONITOR_STREAM_LOG, "\n");
        return STATUS_OK;
    }
    if (strcmp(line, "stats beta") == 0) {
        format_to(out, out_context, "beta is off\n");
        return STATUS_BUSY;
    }
    return strcmp(line, "silent") == 0 ? STATUS_BUSY : STATUS_NOT_FOUND;
}

static const char *fake_name(void *context, unsigned index)
{
    (void)context;
    return index < FAKE_VMS ? names[index] : NULL;
}

const struct monitor_ops fake_core_ops = {
    .stream_read = fake_read,
    .console_write = fake_write,
    .execute = fake_execute,
    .vm_name = fake_name,
};
