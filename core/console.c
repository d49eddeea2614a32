/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/console.h"

void console_put(struct console *console, char byte)
{
    uint64_t end = atomic_load_explicit(&console->end, memory_order_relaxed);

    console->ring[end % CONSOLE_RING_SIZE] = byte;
    /* Release: pairs with the acquire in console_end(), so that a reader sees the byte. */
    atomic_store_explicit(&console->end, end + 1, memory_order_release);
}

uint64_t console_end(const struct console *console)
{
    /* Acquire: pairs with the release in console_put(). */
    return atomic_load_explicit(&console->end, memory_order_acquire);
}

size_t console_read(const struct console *console, uint64_t *offset, char *buffer, size_t size)
{
    uint64_t end = console_end(console);
    size_t count = 0;

    if (*offset > end) {
        *offset = end;
    }
    if (end - *offset > CONSOLE_RING_SIZE) {
        *offset = end - CONSOLE_RING_SIZE;
    }
    for (; count < size && *offset + count < end; count++) {
        buffer[count] = console->ring[(*offset + count) % CONSOLE_RING_SIZE];
    }
    /* The writer may have lapped this reader in the meantime: what it may have overwritten is
     * dropped. One byte more, since the writer stores a byte before it publishes it. */
    uint64_t newest = console_end(console) + 1;
    if (newest - *offset > CONSOLE_RING_SIZE) {
        uint64_t lost = newest - *offset - CONSOLE_RING_SIZE;
        lost = lost < count ? lost : count;
        for (size_t i = 0; i + lost < count; i++) {
            buffer[i] = buffer[i + lost];
        }
        *offset += lost;
        count -= (size_t)lost;
    }
    return count;
}
