/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/log.h"

#include "lib/format.h"
#include "lib/spinlock.h"
#include "lib/string.h"

#define LINE_SIZE 240u
#define SINKS     4u
/* A CPU that died while it held the lock must not silence the others: after so many tries (some
 * milliseconds) a line is written without it. */
#define LOCK_TRIES 1000000u

static struct {
    struct spinlock lock;
    uint64_t end;
    uint64_t (*microseconds)(void);
    log_sink_t sinks[SINKS];
    char ring[LOG_RING_SIZE];
} log_state;

void log_add_sink(log_sink_t sink)
{
    for (unsigned i = 0; i < SINKS; i++) {
        if (log_state.sinks[i] == NULL) {
            log_state.sinks[i] = sink;
            return;
        }
    }
}

void log_clear_sinks(void)
{
    memset(log_state.sinks, 0, sizeof(log_state.sinks));
}

void log_set_clock(uint64_t (*microseconds)(void))
{
    log_state.microseconds = microseconds;
}

static bool lock_log(void)
{
    for (unsigned i = 0; i < LOCK_TRIES; i++) {
        if (spin_trylock(&log_state.lock)) {
            return true;
        }
        __builtin_ia32_pause();
    }
    return false;
}

static void append(const char *line, size_t size)
{
    bool locked = lock_log();

    for (size_t i = 0; i < size; i++) {
        log_state.ring[(log_state.end + i) % LOG_RING_SIZE] = line[i];
    }
    log_state.end += size;
    for (unsigned i = 0; i < SINKS; i++) {
        if (log_state.sinks[i] != NULL) {
            log_state.sinks[i](line, size);
        }
    }
    if (locked) {
        spin_unlock(&log_state.lock);
    }
}

void log_line(enum log_level level, const char *format, ...)
{
    static const char letters[] = {'E', 'W', 'I', 'D'};
    char line[LINE_SIZE];
    uint64_t now = log_state.microseconds != NULL ? log_state.microseconds() : 0;
    size_t length =
        format_string(line, sizeof(line), "%c %4llu.%06llu ", letters[level],
                      (unsigned long long)(now / 1000000), (unsigned long long)(now % 1000000));
    va_list arguments;

    va_start(arguments, format);
    length += format_string_v(line + length, sizeof(line) - length, format, arguments);
    va_end(arguments);
    if (length > sizeof(line) - 2) {
        length = sizeof(line) - 2;
    }
    line[length++] = '\n';
    append(line, length);
}

size_t log_read(uint64_t *offset, char *buffer, size_t size)
{
    bool locked = lock_log();
    uint64_t end = log_state.end;
    size_t count = 0;

    if (*offset > end) {
        *offset = end;
    }
    if (end - *offset > LOG_RING_SIZE) {
        *offset = end - LOG_RING_SIZE;
    }
    for (; count < size && *offset + count < end; count++) {
        buffer[count] = log_state.ring[(*offset + count) % LOG_RING_SIZE];
    }
    if (locked) {
        spin_unlock(&log_state.lock);
    }
    return count;
}

uint64_t log_end(void)
{
    bool locked = lock_log();
    uint64_t end = log_state.end;

    if (locked) {
        spin_unlock(&log_state.lock);
    }
    return end;
}
