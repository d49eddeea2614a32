/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/pcpu.h"
#include "core/commands_parts.h"
#include "core/exits.h"
#include "core/machine.h"
#include "core/trace.h"
#include "lib/string.h"

#define ALL_EVENTS (BIT32(POSTERN_TRACE_EVENTS) - 1)

static const char *const names[POSTERN_TRACE_EVENTS] = {
    [POSTERN_TRACE_EXIT] = "exit",         [POSTERN_TRACE_RUN] = "run",
    [POSTERN_TRACE_IDLE] = "idle",         [POSTERN_TRACE_INJECT] = "inject",
    [POSTERN_TRACE_DOORBELL] = "doorbell", [POSTERN_TRACE_VIEW] = "view",
};

/* The bit of the event that the first `length` bytes name; 0 for none. */
static uint32_t find_event(const char *name, size_t length)
{
    for (unsigned i = 0; i < POSTERN_TRACE_EVENTS; i++) {
        if (strlen(names[i]) == length && strncmp(names[i], name, length) == 0) {
            return BIT32(i);
        }
    }
    return 0;
}

/* Events with commas between them; none: all. 0 after a complaint. */
static uint32_t parse_events(const char *text, const struct output *out)
{
    uint32_t events = 0;

    if (*text == '\0') {
        return ALL_EVENTS;
    }
    for (;;) {
        size_t length = 0;
        while (text[length] != '\0' && text[length] != ',') {
            length++;
        }
        uint32_t event = find_event(text, length);
        if (event == 0) {
            print(out, "there is no event \"%s\"; there are:", text);
            for (unsigned i = 0; i < POSTERN_TRACE_EVENTS; i++) {
                print(out, " %s", names[i]);
            }
            print(out, "\n");
            return 0;
        }
        events |= event;
        if (text[length] == '\0') {
            return events;
        }
        text += length + 1;
    }
}

static status_t start(const char *text, const struct output *out)
{
    uint32_t events = parse_events(text, out);

    if (events == 0) {
        return STATUS_INVALID;
    }
    status_t status = trace_start(events);
    if (status != STATUS_OK) {
        print(out, "no memory for %u KiB of records on each CPU\n", TRACE_RING_SIZE >> 10);
    }
    return status;
}

/* All that reading the records takes. */
static void show(const struct output *out)
{
    print(out, "what\tvalue\ntsc_hz\t%llu\n", (unsigned long long)machine_get()->info->tsc_hz);
    print(out, "cpus\t%u\nrecords\t%u\n", pcpu_count(), TRACE_RING_RECORDS);
    print(out, "\nevent\tname\ton\n");
    for (unsigned i = 0; i < POSTERN_TRACE_EVENTS; i++) {
        print(out, "%u\t%s\t%s\n", i, names[i], trace_wants(i) ? "yes" : "no");
    }
    print(out, "\nvm\tname\n");
    for (uint32_t i = 0; i < vm_count(); i++) {
        print(out, "%u\t%s\n", i, vm_get(i)->config->name);
    }
    print(out, "\nexit\tname\n");
    for (uint32_t i = 0; i < EXIT_REASON_COUNT; i++) {
        if (strcmp(exit_reason_name(i), "unknown") != 0) {
            print(out, "%u\t%s\n", i, exit_reason_name(i));
        }
    }
}

status_t command_trace(const char *argument, const struct output *out)
{
    if (strcmp(argument, "stop") == 0) {
        trace_stop();
        return STATUS_OK;
    }
    if (strncmp(argument, "start", 5) == 0 && (argument[5] == ' ' || argument[5] == '\0')) {
        return start(argument + (argument[5] == ' ' ? 6 : 5), out);
    }
    if (argument[0] != '\0') {
        print(out, "\"%s\": start, stop or nothing is wanted\n", argument);
        return STATUS_INVALID;
    }
    show(out);
    return STATUS_OK;
}
