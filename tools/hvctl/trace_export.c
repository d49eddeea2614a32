/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/hvctl/trace_export.h"

#include <string.h>

/* Chrome's number of the process that stands for the machine. */
#define MACHINE 1000u

static double microseconds(const struct trace *trace, uint64_t ticks)
{
    return (double)ticks * 1e6 / (double)trace->hz;
}

/* Of a record: its exit reason, or its event. */
static struct span name_of(const struct trace *trace, const struct postern_trace_record *record)
{
    return record->event == POSTERN_TRACE_EXIT ? trace_name(trace, "exit", record->detail)
                                               : trace_name(trace, "event", record->event);
}

static void print_owner(const struct trace *trace, const struct postern_trace_record *record,
                        FILE *out)
{
    if (record->vm == POSTERN_TRACE_NOBODY) {
        fputc('-', out);
    } else {
        struct span vm = trace_name(trace, "vm", record->vm);
        fprintf(out, "%.*s/%u", (int)vm.size, vm.text, record->vcpu);
    }
}

void trace_export_text(const struct trace *trace, FILE *out)
{
    fputs("us\tcpu\tvcpu\tevent\tdetail\ttook_us\targument\n", out);
    for (unsigned cpu = 0; cpu < trace->cpu_count; cpu++) {
        for (size_t i = 0; i < trace->cpus[cpu].count; i++) {
            const struct postern_trace_record *record = &trace->cpus[cpu].records[i];
            struct span event = trace_name(trace, "event", record->event);
            fprintf(out, "%.3f\t%u\t", microseconds(trace, record->tsc - trace->start), cpu);
            print_owner(trace, record, out);
            fprintf(out, "\t%.*s\t", (int)event.size, event.text);
            if (record->event == POSTERN_TRACE_EXIT) {
                struct span reason = trace_name(trace, "exit", record->detail);
                fprintf(out, "%.*s", (int)reason.size, reason.text);
            } else {
                fprintf(out, "%u", record->detail);
            }
            fprintf(out, "\t%.3f\t0x%llx\n", microseconds(trace, record->ticks),
                    (unsigned long long)record->argument);
        }
    }
}

/* Begins an event of Chrome's; the first has no comma before it. */
static void begin(FILE *out, bool *first)
{
    fputs(*first ? "\n" : ",\n", out);
    *first = false;
}

/* Names come out of a file: what JSON would take for its own is left out. */
static void print_name(FILE *out, struct span name)
{
    for (size_t i = 0; i < name.size; i++) {
        if (name.text[i] > ' ' && name.text[i] < 0x7f && name.text[i] != '"' &&
            name.text[i] != '\\') {
            fputc(name.text[i], out);
        }
    }
}

static void name_track(FILE *out, bool *first, const char *kind, unsigned process, unsigned thread,
                       struct span name, const char *suffix)
{
    begin(out, first);
    fprintf(out, "{\"ph\":\"M\",\"name\":\"%s\",\"pid\":%u,\"tid\":%u,\"args\":{\"name\":\"", kind,
            process, thread);
    print_name(out, name);
    fprintf(out, "%s\"}}", suffix);
}

/* A thread for each vCPU that appears. */
static void name_vcpus(const struct trace *trace, FILE *out, bool *first)
{
    static bool seen[256][256];

    memset(seen, 0, sizeof(seen));
    for (unsigned cpu = 0; cpu < trace->cpu_count; cpu++) {
        for (size_t i = 0; i < trace->cpus[cpu].count; i++) {
            const struct postern_trace_record *record = &trace->cpus[cpu].records[i];
            if (record->vm == POSTERN_TRACE_NOBODY || seen[record->vm][record->vcpu]) {
                continue;
            }
            seen[record->vm][record->vcpu] = true;
            char vcpu[16];
            snprintf(vcpu, sizeof(vcpu), "%u", record->vcpu);
            name_track(out, first, "process_name", record->vm, record->vcpu,
                       trace_name(trace, "vm", record->vm), "");
            name_track(out, first, "thread_name", record->vm, record->vcpu,
                       (struct span){"vcpu", 4}, vcpu);
        }
    }
}

static void print_chrome(const struct trace *trace, unsigned cpu,
                         const struct postern_trace_record *record, FILE *out, bool *first)
{
    bool machine = record->vm == POSTERN_TRACE_NOBODY;
    bool span = record->event == POSTERN_TRACE_EXIT || record->event == POSTERN_TRACE_IDLE;

    begin(out, first);
    fputs("{\"name\":\"", out);
    print_name(out, name_of(trace, record));
    fprintf(out, "\",\"cat\":\"");
    print_name(out, trace_name(trace, "event", record->event));
    fprintf(out, "\",\"pid\":%u,\"tid\":%u,\"ts\":%.3f,", machine ? MACHINE : record->vm,
            machine ? cpu : record->vcpu, microseconds(trace, record->tsc - trace->start));
    if (span) {
        fprintf(out, "\"ph\":\"X\",\"dur\":%.3f,", microseconds(trace, record->ticks));
    } else {
        fputs("\"ph\":\"i\",\"s\":\"t\",", out);
    }
    fprintf(out, "\"args\":{\"cpu\":%u,\"detail\":%u,\"argument\":\"0x%llx\"}}", cpu,
            record->detail, (unsigned long long)record->argument);
}

/* From one vCPU's turn on a CPU to the next one's. */
static void print_turns(const struct trace *trace, unsigned cpu, FILE *out, bool *first)
{
    const struct trace_cpu *on = &trace->cpus[cpu];
    const struct postern_trace_record *turn = NULL;

    for (size_t i = 0; i <= on->count && on->count > 0; i++) {
        const struct postern_trace_record *next = i < on->count ? &on->records[i] : NULL;
        if (next != NULL && next->event != POSTERN_TRACE_RUN) {
            continue;
        }
        if (turn != NULL) {
            uint64_t end = next != NULL ? next->tsc : on->records[on->count - 1].tsc;
            begin(out, first);
            fputs("{\"name\":\"", out);
            print_name(out, trace_name(trace, "vm", turn->vm));
            fprintf(out,
                    "/%u\",\"cat\":\"turn\",\"ph\":\"X\",\"pid\":%u,\"tid\":%u,\"ts\":%.3f,"
                    "\"dur\":%.3f}",
                    turn->vcpu, MACHINE, cpu, microseconds(trace, turn->tsc - trace->start),
                    microseconds(trace, end - turn->tsc));
        }
        turn = next;
    }
}

void trace_export_chrome(const struct trace *trace, FILE *out)
{
    bool first = true;

    fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", out);
    name_vcpus(trace, out, &first);
    name_track(out, &first, "process_name", MACHINE, 0, (struct span){"CPUs", 4}, "");
    for (unsigned cpu = 0; cpu < trace->cpu_count; cpu++) {
        char number[16];
        snprintf(number, sizeof(number), "%u", cpu);
        name_track(out, &first, "thread_name", MACHINE, cpu, (struct span){"cpu", 3}, number);
        print_turns(trace, cpu, out, &first);
        for (size_t i = 0; i < trace->cpus[cpu].count; i++) {
            print_chrome(trace, cpu, &trace->cpus[cpu].records[i], out, &first);
        }
    }
    fputs("\n]}\n", out);
}

/* CTF. A stream's file is one packet: a header, a context, and an event for each record. Those that
 * were lost are older than it, which is none of the format's discarded events. */

#define CTF_MAGIC       0xc1fc1fc1u
#define CTF_HEADER_SIZE (4 + 4 + 8 + 8 + 8 + 8 + 4)
#define CTF_EVENT_SIZE  (1 + 8 + 4 + 1 + 1 + 1 + 8)

static void put(FILE *out, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        fputc((int)(value >> 8 * i & 0xff), out);
    }
}

void trace_export_ctf_stream(const struct trace *trace, unsigned cpu, FILE *out)
{
    const struct trace_cpu *on = &trace->cpus[cpu];
    uint64_t bits = (CTF_HEADER_SIZE + (uint64_t)CTF_EVENT_SIZE * on->count) * 8;

    put(out, CTF_MAGIC, 4);
    put(out, 0, 4); /* stream_id */
    put(out, on->count > 0 ? on->records[0].tsc : trace->start, 8);
    put(out, on->count > 0 ? on->records[on->count - 1].tsc : trace->start, 8);
    put(out, bits, 8); /* content_size */
    put(out, bits, 8); /* packet_size */
    put(out, cpu, 4);
    for (size_t i = 0; i < on->count; i++) {
        const struct postern_trace_record *record = &on->records[i];
        put(out, record->event, 1);
        put(out, record->tsc, 8);
        put(out, record->ticks, 4);
        put(out, record->vm, 1);
        put(out, record->vcpu, 1);
        put(out, record->detail, 1);
        put(out, record->argument, 8);
    }
}

/* The names of a table as an enumeration of TSDL; its numbers are below 256. */
static void print_enum(const struct trace *trace, const char *table, const char *name, FILE *out)
{
    struct cells names = cells_find(trace->info, table);

    fprintf(out, "typealias enum : u8 {\n");
    while (cells_next(&names)) {
        fputs("    \"", out);
        print_name(out, cells_get(&names, "name"));
        fprintf(out, "\" = %llu,\n", cells_number(&names, table) & 0xff);
    }
    fprintf(out, "    \"-\" = 255\n} := %s;\n", name);
}

void trace_export_ctf_metadata(const struct trace *trace, FILE *out)
{
    fputs("/* CTF 1.8 */\n"
          "typealias integer { size = 8; align = 8; signed = false; } := u8;\n"
          "typealias integer { size = 32; align = 8; signed = false; } := u32;\n"
          "typealias integer { size = 64; align = 8; signed = false; } := u64;\n"
          "typealias integer { size = 64; align = 8; signed = false; base = 16; } := x64;\n"
          "trace {\n    major = 1;\n    minor = 8;\n    byte_order = le;\n"
          "    packet.header := struct { u32 magic; u32 stream_id; };\n};\n",
          out);
    fprintf(out,
            "clock {\n    name = tsc;\n    freq = %llu;\n    offset = 0;\n};\n"
            "typealias integer { size = 64; align = 8; map = clock.tsc.value; } := tsc_t;\n",
            (unsigned long long)trace->hz);
    print_enum(trace, "vm", "vm_t", out);
    print_enum(trace, "exit", "reason_t", out);
    fputs("stream {\n    id = 0;\n"
          "    packet.context := struct {\n        tsc_t timestamp_begin; tsc_t timestamp_end;\n"
          "        u64 content_size; u64 packet_size; u32 cpu_id;\n    };\n"
          "    event.header := struct { u8 id; tsc_t timestamp; };\n};\n",
          out);
    for (unsigned event = 0; event < POSTERN_TRACE_EVENTS; event++) {
        bool exit = event == POSTERN_TRACE_EXIT;
        fprintf(out, "event {\n    id = %u;\n    name = \"", event);
        print_name(out, trace_name(trace, "event", event));
        fprintf(
            out,
            "\";\n    stream_id = 0;\n    fields := struct {\n        u32 ticks; vm_t vm; u8 vcpu; "
            "%s; x64 %s;\n    };\n};\n",
            exit ? "reason_t reason" : "u8 detail", exit ? "rip" : "argument");
    }
}
