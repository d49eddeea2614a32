/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines to the hypervisor: a serial device, a pseudo-terminal, a TCP or a UNIX socket. */
#ifndef POSTERN_TOOLS_HVCTL_LINE_H
#define POSTERN_TOOLS_HVCTL_LINE_H

#include "tools/hvctl/client.h"

struct line {
    int fd;
    struct client_line functions;
};

/* Opens `name`: tcp:HOST:PORT, unix:PATH, DEVICE[@BAUD] or the path of a UNIX socket. On failure
 * writes the reason to `error` and returns false. */
bool line_open(struct line *line, const char *name, char *error, size_t error_size);

void line_close(struct line *line);

/* A number for a session on it that other runs are unlikely to choose; not 0. */
uint32_t line_new_session(void);

/* Milliseconds since any fixed moment. */
uint64_t line_now_ms(void *unused);

#endif
