/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/vmx_probe.h"

#include "arch/x86/cpu.h"
#include "lib/log.h"

static uint64_t read_msr(void *context, uint32_t msr)
{
    (void)context;
    return rdmsr(msr);
}

void vmx_probe(struct vmx_raw *raw)
{
    vmx_raw_read(raw, cpuid(1, 0).ecx, read_msr, NULL);
}

struct line {
    char text[220];
    size_t length;
};

/* Turns the report's pieces into one log line each. */
static void log_report(void *context, const char *bytes, size_t size)
{
    struct line *line = context;

    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\n') {
            line->text[line->length] = '\0';
            log_error("  %s", line->text);
            line->length = 0;
        } else if (line->length < sizeof(line->text) - 1) {
            line->text[line->length++] = bytes[i] == '\t' ? ' ' : bytes[i];
        }
    }
}

status_t vmx_check_this_cpu(void)
{
    struct vmx_raw raw;
    struct line line = {.length = 0};

    vmx_probe(&raw);
    if (vmx_caps_missing(&raw) == 0) {
        return STATUS_OK;
    }
    log_error("this CPU cannot run Postern; missing:");
    vmx_caps_report(&raw, true, log_report, &line);
    return STATUS_UNSUPPORTED;
}

status_t vmx_check_same(const struct vmx_raw *raw)
{
    struct vmx_raw mine;

    vmx_probe(&mine);
    return vmx_caps_same(raw, &mine) ? STATUS_OK : STATUS_UNSUPPORTED;
}
