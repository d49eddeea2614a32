/* SPDX-License-Identifier: BSD-2-Clause */
/* What a guest printed on its serial console, kept in a ring for readers that come later. */
#ifndef POSTERN_CORE_CONSOLE_H
#define POSTERN_CORE_CONSOLE_H

#include "lib/types.h"

#define CONSOLE_RING_SIZE KIB(64)

/* One writer, the CPU that holds the VM's lock; readers take no lock. */
struct console {
    char *ring;           /* CONSOLE_RING_SIZE bytes */
    _Atomic uint64_t end; /* bytes written since the start */
};

void console_put(struct console *console, char byte);

/* Copies up to `size` bytes from position `*offset` on. Where they were overwritten already,
 * `*offset` is moved to the oldest byte kept. Returns the count. */
size_t console_read(const struct console *console, uint64_t *offset, char *buffer, size_t size);

uint64_t console_end(const struct console *console);

#endif
