/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor: the hypervisor's face on its serial line. It answers hvctl's requests
 * (abi/monitor.h), and to a person at a dumb terminal it is a prompt. Pure logic: bytes in, bytes
 * out, and the operations that the core gives it, so that the host's tests run the same code.
 *
 * It never waits and never allocates. A request that finds no room for its answer is dropped, and
 * hvctl asks again. One CPU at a time may call it for one struct; the caller sees to that.
 *
 * How to drive it: give monitor_receive() each byte that the UART received. Whenever the
 * transmitter has room, send what monitor_transmit() gives. Call monitor_poll() before either with
 * the time, and every now and then besides (at least each 100 ms, if text is to appear as it
 * comes): it tells whether there is something to send.
 */
#ifndef POSTERN_CORE_MONITOR_H
#define POSTERN_CORE_MONITOR_H

#include "abi/monitor.h"
#include "lib/format.h"
#include "lib/hdlc.h"
#include "lib/status.h"
#include "lib/table.h"

#define MONITOR_MAX_VMS       32u
#define MONITOR_OUTPUT_SIZE   16384u
#define MONITOR_TRANSMIT_SIZE 4096u
#define MONITOR_TYPED_SIZE    256u
#define MONITOR_LINE_SIZE     256u
/* Without a frame for so long a session is over, and the line goes back to text. */
#define MONITOR_SESSION_US 5000000ull
/* After so long a silence a '~' is a '~'. */
#define MONITOR_SILENCE_US 300000ull

/* A piece of a VM on its way from or to the host. */
struct monitor_piece {
    uint8_t section, flags; /* abi/snapshot.h */
    uint64_t offset;        /* bytes */
    uint64_t covered;       /* bytes that its tokens tell */
    uint64_t size;          /* of the section, bytes */
};

/* What the monitor asks of the core. All of it must return at once. */
struct monitor_ops {
    /* Copies up to `size` bytes of a stream (MONITOR_STREAM_LOG or MONITOR_STREAM_CONSOLE + n with
     * an existing console n) from `*offset` on, moves `*offset` to the oldest byte kept if those
     * are overwritten, or to the end if it lies behind it, and sets `*end` to the stream's end.
     * Returns the count. */
    size_t (*stream_read)(void *context, unsigned stream, uint64_t *offset, char *buffer,
                          size_t size, uint64_t *end);
    /* The same for the trace of a pCPU (MONITOR_STREAM_TRACE); false if there is none. NULL: there
     * are no traces. */
    bool (*trace_read)(void *context, unsigned cpu, uint64_t *offset, char *buffer, size_t *size,
                       uint64_t *end);
    /* The same for the RAM of a VM (MONITOR_STREAM_MEMORY), whose offsets are guest-physical
     * addresses, and its end its size; false if there is no such VM. NULL: nobody may read it. */
    bool (*memory_read)(void *context, unsigned vm, uint64_t *offset, char *buffer, size_t *size,
                        uint64_t *end);
    /* Types into console `vm`; returns how many bytes there was room for. */
    size_t (*console_write)(void *context, unsigned vm, const char *bytes, size_t size);
    /* Runs a command line (never empty, no newline) and prints its result. A failure's reason
     * should be printed too; if nothing is, the monitor prints the status. An unknown command
     * prints nothing and is STATUS_NOT_FOUND: the monitor says so. */
    status_t (*execute)(void *context, const char *line, format_sink_t out, void *out_context);
    /* Reads a piece of VM `vm`, and writes one (abi/snapshot.h): `bytes` are tokens, of which fetch
     * has room for `*size` and sets it to what it used. Both set piece->covered, fetch also
     * piece->size. STATUS_BUSY: not now; STATUS_INVALID: it makes no sense; STATUS_NOT_FOUND: there
     * is no such VM. NULL: there are no snapshots. */
    status_t (*fetch)(void *context, unsigned vm, struct monitor_piece *piece, uint8_t *bytes,
                      size_t *size);
    status_t (*store)(void *context, unsigned vm, struct monitor_piece *piece, const uint8_t *bytes,
                      size_t size);
    /* The name of console `index`, which is VM `index`'s, and behind those of all VMs other
     * consoles of theirs; NULL for any behind the last. Names neither move nor change. */
    const char *(*vm_name)(void *context, unsigned index);
};

enum monitor_mode {
    MONITOR_PROMPT, /* text: a line is being typed, log lines appear above it */
    MONITOR_CONSOLE /* text: joined to a VM's console */
};

struct monitor {
    const struct monitor_ops *ops;
    void *context;
    uint64_t now_us;

    /* The line. */
    struct hdlc_decoder decoder;
    uint8_t frame[MONITOR_MAX_PAYLOAD + 4];
    uint64_t received_us; /* when the last byte came */
    uint8_t answer[MONITOR_MAX_PAYLOAD];
    uint8_t encoded[HDLC_ENCODED_MAX(MONITOR_MAX_PAYLOAD)];
    uint8_t transmit[MONITOR_TRANSMIT_SIZE]; /* a ring */
    size_t transmit_at, transmit_used;
    uint64_t dropped; /* requests for whose answer there was no room */

    /* The session with hvctl. */
    bool session_active;
    uint32_t session;
    uint64_t session_us; /* when its last frame came */
    uint64_t typed_offset[MONITOR_MAX_VMS];

    /* The last command. Its output is a stream too: `output_start` is the offset of its byte 0. */
    bool executed; /* by the request before, which may come again */
    uint16_t executed_sequence;
    status_t result;
    bool output_cut;
    uint64_t output_start;
    size_t output_size;
    char output[MONITOR_OUTPUT_SIZE];

    /* The dumb terminal. */
    enum monitor_mode mode;
    bool text_started; /* the greeting was shown */
    bool prompt_shown;
    bool printing; /* `table` walks over the command's output */
    bool last_was_cr;
    unsigned escape; /* inside an escape sequence, of an arrow key for example: how far */
    struct table table;
    uint64_t log_offset;
    bool log_skipped; /* go on at the start of a line */
    unsigned console_vm;
    uint64_t console_offset;
    char line[MONITOR_LINE_SIZE];
    size_t line_length;
    char typed[MONITOR_TYPED_SIZE]; /* a ring of what was typed and not yet looked at */
    size_t typed_at, typed_used;
};

/* `log_offset`: the part of the log before it was shown on the line already. `ops` must stay. */
void monitor_init(struct monitor *monitor, const struct monitor_ops *ops, void *context,
                  uint64_t log_offset);

/* Tells the time, microseconds since any fixed moment. Returns whether monitor_transmit() has
 * something. */
bool monitor_poll(struct monitor *monitor, uint64_t now_us);

/* A byte that the line received. May run a command. */
void monitor_receive(struct monitor *monitor, uint8_t byte);

/* Up to `size` bytes to send next. Returns the count; 0: nothing. */
size_t monitor_transmit(struct monitor *monitor, void *buffer, size_t size);

#endif
