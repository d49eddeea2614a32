/* SPDX-License-Identifier: BSD-2-Clause */
/* A core for the monitor with no hypervisor behind it: two VMs whose consoles echo, and a log. */
#ifndef POSTERN_TESTS_HVCTL_FAKE_CORE_H
#define POSTERN_TESTS_HVCTL_FAKE_CORE_H

#include "core/monitor.h"

#define FAKE_VMS         2u
#define FAKE_RING_SIZE   8192u
#define FAKE_TYPED_MAX   65536u
#define FAKE_UART_ROOM   16u /* bytes that a console takes at once */
#define FAKE_LAST_STREAM (MONITOR_STREAM_CONSOLE + FAKE_VMS)

struct fake_stream {
    char ring[FAKE_RING_SIZE];
    uint64_t end;
};

struct fake_core {
    struct fake_stream streams[FAKE_LAST_STREAM]; /* by stream number; the output's is not used */
    char typed[FAKE_VMS][FAKE_TYPED_MAX];         /* all that was typed */
    size_t typed_size[FAKE_VMS];
    bool echo;
    bool deaf;           /* consoles take nothing */
    unsigned executions; /* commands that ran */
    char last_line[MONITOR_LINE_SIZE];
};

extern const struct monitor_ops fake_core_ops; /* their context is a struct fake_core */

void fake_print(struct fake_core *core, unsigned stream, const char *bytes, size_t size);
void fake_print_text(struct fake_core *core, unsigned stream, const char *text);

#endif
