/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's end of the monitor protocol (abi/monitor.h): one request at a time, sent again until
 * its answer comes. Knows nothing of terminals or devices: the line is a few functions.
 */
#ifndef POSTERN_TOOLS_HVCTL_CLIENT_H
#define POSTERN_TOOLS_HVCTL_CLIENT_H

#include "abi/monitor.h"
#include "lib/hdlc.h"

#define CLIENT_TEXT_SIZE 512u
#define CLIENT_READ_MAX  (MONITOR_MAX_PAYLOAD - MONITOR_READ_DONE)

/* A line, in raw mode. */
struct client_line {
    void *context;
    /* Sends all bytes; false if the line is gone or takes none. */
    bool (*send)(void *context, const uint8_t *bytes, size_t size);
    /* Waits up to `wait_ms` for bytes and takes up to `size`. 0: none came; -1: the line is gone.
     */
    long (*receive)(void *context, uint8_t *bytes, size_t size, unsigned wait_ms);
    uint64_t (*now_ms)(void *context);
};

enum client_result {
    CLIENT_OK,
    CLIENT_SILENT,    /* no answer in time, however often it was asked */
    CLIENT_CLOSED,    /* the line is gone */
    CLIENT_VERSION,   /* the hypervisor speaks another version of the protocol */
    CLIENT_RESTARTED, /* it no longer knows the session: connect again */
    CLIENT_NO_STREAM, /* there is no such stream */
    CLIENT_REFUSED,   /* it does not take the request */
    CLIENT_NONSENSE,  /* its answer does not fit the request */
    CLIENT_NO_MEMORY,
    CLIENT_NOT_NOW, /* of pieces of a VM: it has no such thing now */
    CLIENT_NO_ROOM  /* of a piece that is stored: its disk's overlay is used up */
};

struct client {
    const struct client_line *line;
    unsigned timeout_ms; /* for one request, all its repetitions included */
    unsigned retry_ms;   /* before a repetition; grows when answers come late */

    uint32_t session;
    uint16_t sequence;
    uint16_t version; /* the hypervisor's, known after CLIENT_VERSION */
    char **streams;   /* names; NULL before client_connect() */
    unsigned stream_count;
    size_t write_max; /* bytes in one WRITE: fewer while the line loses long frames */
    size_t read_max;  /* and in the answer of one READ */

    /* The line's state. */
    struct hdlc_decoder decoder;
    uint8_t frame[MONITOR_MAX_PAYLOAD + 4];
    uint8_t request[MONITOR_MAX_PAYLOAD];
    uint8_t encoded[HDLC_ENCODED_MAX(MONITOR_MAX_PAYLOAD)];
    uint8_t input[4096]; /* received, not yet decoded */
    size_t input_at, input_size;

    /* For reports. */
    uint64_t repeated;           /* requests that were sent again */
    uint64_t late;               /* answers that came after their request was sent again */
    char text[CLIENT_TEXT_SIZE]; /* the newest text outside frames, a ring */
    uint64_t text_end;
};

struct client_output {
    char *text; /* free() it; not terminated */
    size_t size;
    bool failed; /* the command did; the text says why */
    bool cut;    /* there was more */
};

/* `line` must stay. `session` is a number that other runs are unlikely to choose, not 0. */
void client_init(struct client *client, const struct client_line *line, uint32_t session,
                 unsigned timeout_ms);

/* Releases what the client holds; says nothing to the hypervisor. */
void client_free(struct client *client);

/* Begins the session, or begins it again after CLIENT_RESTARTED, and fetches the streams' names. */
enum client_result client_connect(struct client *client);

/* Ends the session: the line goes back to text. Waits a second at most. */
void client_bye(struct client *client);

/* Runs a command. `output` is to be freed only after CLIENT_OK. */
enum client_result client_execute(struct client *client, const char *command,
                                  struct client_output *output);

/* Reads up to `size` bytes from `*offset` on: fewer, if the line loses long frames. `*offset`
 * becomes the offset of the first of them: higher than asked for if bytes are lost. `*end`: of the
 * stream, so far. */
enum client_result client_read(struct client *client, unsigned stream, uint64_t *offset,
                               void *buffer, size_t size, size_t *count, uint64_t *end);

/* Types bytes, the first at `*offset` of the console's input; `*offset` becomes the offset up to
 * which it took them, which may be none of them. With no bytes it asks for the offset alone. Not
 * all bytes are sent at once if there are many. */
enum client_result client_write(struct client *client, unsigned stream, uint64_t *offset,
                                const void *bytes, size_t size);

/* A piece of a VM (abi/snapshot.h), and the tokens that tell it (lib/word_runs.h). */
#define CLIENT_TOKENS_MAX (MONITOR_MAX_PAYLOAD - MONITOR_FETCH_DONE)

struct client_piece {
    unsigned stream;        /* the VM's console */
    uint8_t section, flags; /* POSTERN_SNAPSHOT_ */
    uint64_t offset;        /* bytes */
    uint64_t covered;       /* bytes that the tokens tell */
    uint64_t size;          /* of the section, after a fetch */
    size_t used;            /* bytes of tokens */
    uint8_t tokens[CLIENT_TOKENS_MAX];
};

/* Fetches what is from piece->offset on; stores it, all of it. */
enum client_result client_fetch(struct client *client, struct client_piece *piece);
enum client_result client_store(struct client *client, const struct client_piece *piece);

/* The number of the console of `vm`, or -1. */
int client_find_console(const struct client *client, const char *vm);

const char *client_result_text(enum client_result result);

/* Copies the newest text that came outside frames, printable, terminated. */
void client_last_text(const struct client *client, char *buffer, size_t size);

#endif
