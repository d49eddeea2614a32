/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/hvctl/fake_core.h"

#include "lib/string.h"
#include "lib/trace_ring.h"

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
            echo(core, vm, core->plain && bytes[count] == (char)0xff ? '?' : bytes[count]);
        }
        count++;
    }
    return count;
}

static void print_exits(const struct fake_core *core, format_sink_t out, void *out_context)
{
    format_to(out, out_context, "vcpu\texit\tcount\n0\tcpuid\t12\n0\thlt\t34567\n");
    /* For who wants rates, and so asks for the time. */
    if (core->infos > 0) {
        format_to(out, out_context, "1\tvmcall\t%u\n", 60 * core->infos);
    }
}

/* Counted between start and stop. */
static status_t execute_costs(struct fake_core *core, const char *what, format_sink_t out,
                              void *out_context)
{
    if (strcmp(what, "start") == 0 || strcmp(what, "stop") == 0) {
        core->counts_costs = what[2] == 'a';
        return STATUS_OK;
    }
    format_to(out, out_context, "vcpu\texit\tcount\tmean_ticks\t<256\tmore\n%s",
              core->counts_costs ? "0\tcpuid\t3\t150\t2\t1\n" : "");
    return STATUS_OK;
}

/* More than the monitor can keep. */
static void print_flood(format_sink_t out, void *out_context)
{
    for (unsigned i = 0; i < 1000; i++) {
        format_to(out, out_context, "line %u of a thousand lines\n", i);
    }
}

static void log_line(struct fake_core *core, const char *line)
{
    fake_print_text(core, MONITOR_STREAM_LOG, "I    1.000000 ");
    fake_print_text(core, MONITOR_STREAM_LOG, line);
    fake_print_text(core, MONITOR_STREAM_LOG, "\n");
}

/* There is one link, called wire. */
static status_t execute_link(struct fake_core *core, const char *line, format_sink_t out,
                             void *out_context)
{
    log_line(core, line);
    if (strncmp(line, "link add wire ", 14) == 0) {
        format_to(out, out_context, "there is a link \"wire\" already\n");
        return STATUS_EXISTS;
    }
    if (strncmp(line, "link add ", 9) == 0) {
        format_to(out, out_context, "link\tvm\tmode\tstate\nnew\talpha\topen\toff\n");
        return STATUS_OK;
    }
    bool is_wire =
        strcmp(line, "link del wire --yes") == 0 || strcmp(line, "link mode wire open") == 0;
    return is_wire ? STATUS_OK : STATUS_INVALID;
}

static status_t fake_execute(void *context, const char *line, format_sink_t out, void *out_context)
{
    struct fake_core *core = context;
    status_t status;

    core->executions++;
    (void)string_copy(core->last_line, sizeof(core->last_line), line);
    if (strcmp(line, "list") == 0) {
        format_to(out, out_context, "name\tstate\tvcpus\nalpha\trunning\t1\nbeta\toff\t12\n");
        return STATUS_OK;
    }
    if (strcmp(line, "stats alpha") == 0) {
        print_exits(core, out, out_context);
        return STATUS_OK;
    }
    if (strncmp(line, "costs ", 6) == 0) {
        return execute_costs(core, line + 6, out, out_context);
    }
    if (strcmp(line, "flood") == 0) {
        print_flood(out, out_context);
        return STATUS_OK;
    }
    if (strcmp(line, "info") == 0) {
        core->infos++;
        /* A second for each command. */
        format_to(out, out_context,
                  "what\tvalue\ncpus\t2\nuptime_ms\t%u\nmemory.guests_kib\t524288\n"
                  "memory.hypervisor_kib\t1500\ncpu0.idle_ms\t%u\ncpu1.idle_ms\t0\n",
                  1000 * core->executions, 250 * core->executions);
        return STATUS_OK;
    }
    if (strcmp(line, "links") == 0) {
        format_to(out, out_context,
                  "name\tmode\tend0\tend1\tdoorbells0\tdoorbells1\n"
                  "wire\tgated\talpha\tbeta\t%u\t7\n\n"
                  "link\tvm\tmode\tinterrupts\tdoorbells\tsent_bytes\n"
                  "wire\talpha\topen\t3\t%u\t%u\nwire\tbeta\tgated\t3\t7\t%u\n",
                  100 * core->executions, 100 * core->executions, 2048 * core->executions,
                  1000000 - 4096 * core->executions);
        return STATUS_OK;
    }
    if (strcmp(line, "trace") == 0) {
        format_to(out, out_context,
                  "what\tvalue\ntsc_hz\t1000000000\ncpus\t2\n\n"
                  "event\tname\ton\n0\texit\tyes\n1\trun\tyes\n2\tidle\tyes\n3\tinject\tyes\n"
                  "4\tdoorbell\tyes\n5\tview\tyes\n\nvm\tname\n0\talpha\n1\tbeta\n\n"
                  "exit\tname\n10\tcpuid\n");
        return STATUS_OK;
    }
    if (strcmp(line, "odd") == 0) {
        format_to(out, out_context,
                  "a line\nname\tvalue\na\"b\\\t007\n\x01\t-\n\nsecond\ttable\n"
                  "-1.50\t1.\ttoo many\n18446744073709551615\n\xff\t0\n");
        return STATUS_OK;
    }
    if (strcmp(line, "help") == 0) {
        format_to(out, out_context, "command\tmeaning\nlist\tlist the VMs\n");
        return STATUS_OK;
    }
    if (strncmp(line, "link ", 5) == 0) {
        return execute_link(core, line, out, out_context);
    }
    if (strncmp(line, "shutdown ", 9) == 0 || strncmp(line, "destroy ", 8) == 0) {
        log_line(core, line);
        return fake_vm_execute(core, line, out, out_context, &status) ? status : STATUS_OK;
    }
    if (fake_vm_execute(core, line, out, out_context, &status)) {
        return status;
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

/* CPU 0 has a record in each microsecond, CPU 1 none. */
static bool fake_trace_read(void *context, unsigned cpu, uint64_t *offset, char *buffer,
                            size_t *size, uint64_t *end)
{
    static uint64_t words[TRACE_RING_SIZE / sizeof(uint64_t)];
    static struct trace_ring ring = {.words = words}, empty = {.words = words};

    (void)context;
    for (uint64_t i = atomic_load(&ring.end); i < FAKE_RECORDS; i++) {
        bool idle = i % POSTERN_TRACE_EVENTS == POSTERN_TRACE_IDLE;
        const struct postern_trace_record record = {
            .tsc = 1000000000 + i * 1000,
            .ticks = 300,
            .event = (uint8_t)(i % POSTERN_TRACE_EVENTS),
            .vm = idle ? POSTERN_TRACE_NOBODY : (uint8_t)(i % FAKE_VMS),
            .vcpu = idle ? POSTERN_TRACE_NOBODY : 0,
            .detail = 10,
            .argument = i,
        };
        trace_ring_put(&ring, &record);
    }
    if (cpu < 2) {
        *size = trace_ring_read(cpu == 0 ? &ring : &empty, offset, buffer, *size, end);
    }
    return cpu < 2;
}

uint8_t fake_memory_byte(uint64_t address)
{
    return (uint8_t)(address * 7 + (address >> 8));
}

/* alpha has some, beta is absent. */
static bool fake_memory_read(void *context, unsigned vm, uint64_t *offset, char *buffer,
                             size_t *size, uint64_t *end)
{
    size_t count = 0;

    (void)context;
    if (vm >= FAKE_VMS) {
        return false;
    }
    *end = vm == 0 ? FAKE_MEMORY : 0;
    *offset = *offset < *end ? *offset : *end;
    for (; count < *size && *offset + count < *end; count++) {
        buffer[count] = (char)fake_memory_byte(*offset + count);
    }
    *size = count;
    return true;
}

const struct monitor_ops fake_core_ops = {
    .stream_read = fake_read,
    .trace_read = fake_trace_read,
    .memory_read = fake_memory_read,
    .console_write = fake_write,
    .fetch = fake_vm_fetch,
    .store = fake_vm_store,
    .execute = fake_execute,
    .vm_name = fake_name,
};
