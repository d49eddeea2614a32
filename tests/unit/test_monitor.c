/* SPDX-License-Identifier: BSD-2-Clause */
/* The monitor's requests, over a line that damages and loses what it carries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/word_runs.h"
#include "tests/unit/monitor_host.h"
#include "tests/unit/random.h"

#define FRAME_MAX HDLC_ENCODED_MAX(MONITOR_MAX_PAYLOAD)

static size_t make_request(uint8_t *payload, uint8_t type, uint16_t sequence, uint32_t session,
                           const void *body, size_t size)
{
    payload[0] = type;
    payload[1] = 0;
    monitor_put16(payload + 2, sequence);
    monitor_put32(payload + 4, session);
    if (size > 0) {
        memcpy(payload + 8, body, size);
    }
    return 8 + size;
}

static size_t make_frame(uint8_t *frame, uint8_t type, uint16_t sequence, uint32_t session,
                         const void *body, size_t size)
{
    uint8_t payload[MONITOR_MAX_PAYLOAD];

    size = make_request(payload, type, sequence, session, body, size);
    return hdlc_encode(frame, payload, size, HDLC_ESCAPE_FLOW);
}

/* Sends a request and returns the answer's status; 0xff if there was none. */
static unsigned ask_in(struct host *h, uint32_t session, uint8_t type, uint16_t sequence,
                       const void *body, size_t size)
{
    uint8_t frame[FRAME_MAX];
    unsigned answers = h->answers;

    host_send(h, frame, make_frame(frame, type, sequence, session, body, size));
    host_run(h);
    if (h->answers == answers) {
        return 0xff;
    }
    assert_int_equal(h->answers, answers + 1);
    assert_true(h->answer_size >= MONITOR_HEADER_SIZE);
    assert_int_equal(h->answer[0], type | MONITOR_ANSWER);
    assert_int_equal(monitor_get16(h->answer + 2), sequence);
    assert_int_equal(monitor_get32(h->answer + 4), session);
    return h->answer[1];
}

static unsigned ask(struct host *h, uint8_t type, uint16_t sequence, const void *body, size_t size)
{
    return ask_in(h, HOST_SESSION, type, sequence, body, size);
}

static unsigned hello(struct host *h, uint32_t session, uint16_t version)
{
    uint8_t body[2];

    monitor_put16(body, version);
    return ask_in(h, session, MONITOR_HELLO, 1, body, 2);
}

static struct host *start(void)
{
    struct host *h = host_new();

    assert_int_equal(hello(h, HOST_SESSION, MONITOR_VERSION), MONITOR_OK);
    return h;
}

static unsigned exec(struct host *h, uint16_t sequence, const char *line)
{
    return ask(h, MONITOR_EXEC, sequence, line, strlen(line));
}

static unsigned read_stream(struct host *h, unsigned stream, unsigned max, uint64_t offset)
{
    uint8_t body[12];

    monitor_put16(body, (uint16_t)stream);
    monitor_put16(body + 2, (uint16_t)max);
    monitor_put64(body + 4, offset);
    return ask(h, MONITOR_READ, 7, body, sizeof(body));
}

static void expect_read(struct host *h, unsigned stream, uint64_t offset, const char *text)
{
    size_t size = strlen(text);

    assert_int_equal(read_stream(h, stream, 1000, offset), MONITOR_OK);
    assert_int_equal(h->answer_size, MONITOR_READ_DONE + size);
    assert_int_equal(monitor_get16(h->answer + 8), stream);
    assert_int_equal(monitor_get16(h->answer + 10), size);
    assert_memory_equal(h->answer + MONITOR_READ_DONE, text, size);
}

static unsigned write_console(struct host *h, unsigned stream, uint64_t offset, const char *text)
{
    uint8_t body[256] = {0};

    monitor_put16(body, (uint16_t)stream);
    monitor_put64(body + 4, offset);
    memcpy(body + 12, text, strlen(text));
    return ask(h, MONITOR_WRITE, 9, body, 12 + strlen(text));
}

static void test_hello(void **state)
{
    struct host *h = host_new();

    (void)state;
    assert_int_equal(hello(h, HOST_SESSION, MONITOR_VERSION + 1), MONITOR_BAD_VERSION);
    assert_int_equal(monitor_get16(h->answer + 8), MONITOR_VERSION); /* what it would take */
    assert_int_equal(exec(h, 2, "list"), MONITOR_NO_SESSION);
    assert_int_equal(hello(h, 0, MONITOR_VERSION), MONITOR_BAD_REQUEST);
    assert_int_equal(hello(h, HOST_SESSION, MONITOR_VERSION), MONITOR_OK);
    assert_int_equal(h->answer_size, MONITOR_HELLO_DONE);
    assert_int_equal(monitor_get16(h->answer + 10), MONITOR_MAX_PAYLOAD);
    assert_int_equal(hello(h, HOST_SESSION, MONITOR_VERSION), MONITOR_OK); /* asked again */
    /* Another host takes over; the first learns it from its next request. */
    assert_int_equal(hello(h, 99, MONITOR_VERSION), MONITOR_OK);
    assert_int_equal(exec(h, 2, "list"), MONITOR_NO_SESSION);
    assert_int_equal(ask_in(h, 99, MONITOR_EXEC, 2, "list", 4), MONITOR_OK);
    assert_int_equal(h->core.executions, 1);
    free(h);
}

static void test_streams(void **state)
{
    static const char names[] = "log\0output\0alpha\0beta";
    struct host *h = start();
    uint8_t body[2] = {0, 0};

    (void)state;
    assert_int_equal(ask(h, MONITOR_STREAMS, 2, body, 2), MONITOR_OK);
    assert_int_equal(monitor_get16(h->answer + 8), 4);
    assert_int_equal(monitor_get16(h->answer + 10), 4);
    assert_int_equal(h->answer_size, MONITOR_STREAMS_DONE + sizeof(names));
    assert_memory_equal(h->answer + MONITOR_STREAMS_DONE, names, sizeof(names));
    body[0] = 3;
    assert_int_equal(ask(h, MONITOR_STREAMS, 3, body, 2), MONITOR_OK);
    assert_memory_equal(h->answer + MONITOR_STREAMS_DONE, "beta", 5);
    body[1] = 0xff; /* behind the last */
    assert_int_equal(ask(h, MONITOR_STREAMS, 4, body, 2), MONITOR_OK);
    assert_int_equal(monitor_get16(h->answer + 10), 0);
    free(h);
}

static void test_exec(void **state)
{
    struct host *h = start();

    (void)state;
    assert_int_equal(exec(h, 2, "list"), MONITOR_OK);
    assert_int_equal(h->answer_size, MONITOR_EXEC_DONE);
    assert_int_equal(h->answer[8], STATUS_OK);
    uint64_t offset = monitor_get64(h->answer + 16);
    assert_int_equal(offset, 0);
    expect_read(h, MONITOR_STREAM_OUTPUT, offset,
                "name\tstate\tvcpus\nalpha\trunning\t1\nbeta\toff\t12\n");
    /* A failure with a reason of its own, one with none, and no command at all. */
    assert_int_equal(exec(h, 3, "stats beta"), MONITOR_OK);
    assert_int_equal(h->answer[8], STATUS_BUSY);
    offset = monitor_get64(h->answer + 16);
    expect_read(h, MONITOR_STREAM_OUTPUT, offset, "beta is off\n");
    expect_read(h, MONITOR_STREAM_OUTPUT, 0, "beta is off\n"); /* what came before is gone */
    assert_int_equal(monitor_get64(h->answer + 12), offset);
    assert_int_equal(exec(h, 4, "silent"), MONITOR_OK);
    expect_read(h, MONITOR_STREAM_OUTPUT, offset + 12, "silent: busy\n");
    assert_int_equal(exec(h, 5, "bogus"), MONITOR_OK);
    assert_int_equal(h->answer[8], STATUS_NOT_FOUND);
    expect_read(h, MONITOR_STREAM_OUTPUT, monitor_get64(h->answer + 16),
                "unknown command: bogus ('help' lists the commands)\n");
    /* One that the monitor answers itself. */
    assert_int_equal(exec(h, 50, "line"), MONITOR_OK);
    expect_read(h, MONITOR_STREAM_OUTPUT, monitor_get64(h->answer + 16),
                "counter\tvalue\nframes\t11\ndamaged frames\t0\nrequests dropped\t0\n");
    assert_int_equal(h->core.executions, 4);
    /* Far more output than can be kept. */
    assert_int_equal(exec(h, 6, "flood"), MONITOR_OK);
    assert_int_equal(h->answer[9], MONITOR_EXEC_CUT);
    assert_int_equal(monitor_get32(h->answer + 12), MONITOR_OUTPUT_SIZE);
    free(h);
}

/* The host asks again when an answer was lost: the command must not run twice. */
static void test_retries(void **state)
{
    struct host *h = start();
    uint8_t first[MONITOR_EXEC_DONE];

    (void)state;
    assert_int_equal(exec(h, 2, "list"), MONITOR_OK);
    memcpy(first, h->answer, sizeof(first));
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(exec(h, 2, "list"), MONITOR_OK);
        assert_memory_equal(h->answer, first, sizeof(first));
    }
    assert_int_equal(h->core.executions, 1);
    assert_int_equal(exec(h, 3, "list"), MONITOR_OK);
    assert_int_equal(h->core.executions, 2);
    /* The count comes round; a request between makes it a new one. */
    assert_int_equal(read_stream(h, 0, 0, 0), MONITOR_OK);
    assert_int_equal(exec(h, 3, "list"), MONITOR_OK);
    assert_int_equal(h->core.executions, 3);
    /* A new session forgets the old one's. */
    assert_int_equal(hello(h, 42, MONITOR_VERSION), MONITOR_OK);
    assert_int_equal(ask_in(h, 42, MONITOR_EXEC, 3, "list", 4), MONITOR_OK);
    assert_int_equal(h->core.executions, 4);
    free(h);
}

static void test_read(void **state)
{
    struct host *h = start();

    (void)state;
    fake_print_text(&h->core, MONITOR_STREAM_CONSOLE, "login: ");
    expect_read(h, MONITOR_STREAM_CONSOLE, 0, "login: ");
    assert_int_equal(monitor_get64(h->answer + 20), 7);
    expect_read(h, MONITOR_STREAM_CONSOLE, 3, "in: ");
    expect_read(h, MONITOR_STREAM_CONSOLE, UINT64_MAX, "");
    assert_int_equal(monitor_get64(h->answer + 12), 7);
    assert_int_equal(read_stream(h, MONITOR_STREAM_CONSOLE, 0, 0), MONITOR_OK);
    assert_int_equal(h->answer_size, MONITOR_READ_DONE);
    assert_int_equal(read_stream(h, MONITOR_STREAM_CONSOLE + FAKE_VMS, 10, 0), MONITOR_NO_STREAM);
    assert_int_equal(read_stream(h, 0xffff, 10, 0), MONITOR_NO_STREAM);
    /* More than a message holds, of a stream that has lost its start. */
    for (unsigned i = 0; i < FAKE_RING_SIZE; i++) {
        fake_print(&h->core, MONITOR_STREAM_CONSOLE + 1, "x~", 2);
    }
    assert_int_equal(read_stream(h, MONITOR_STREAM_CONSOLE + 1, 0xffff, 5), MONITOR_OK);
    assert_int_equal(h->answer_size, MONITOR_MAX_PAYLOAD);
    assert_int_equal(monitor_get64(h->answer + 12), FAKE_RING_SIZE);
    assert_int_equal(monitor_get64(h->answer + 20), 2 * FAKE_RING_SIZE);
    free(h);
}

/* A VM's memory by addresses: no more than there is, whatever is asked for. */
static void test_memory(void **state)
{
    struct host *h = start();
    const uint64_t hostile[] = {FAKE_MEMORY, FAKE_MEMORY + 1, UINT64_MAX, UINT64_MAX - 7};

    (void)state;
    assert_int_equal(read_stream(h, MONITOR_STREAM_MEMORY, 0xffff, 0x1234), MONITOR_OK);
    assert_int_equal(h->answer_size, MONITOR_MAX_PAYLOAD);
    assert_int_equal(monitor_get64(h->answer + 12), 0x1234);
    assert_int_equal(monitor_get64(h->answer + 20), FAKE_MEMORY);
    for (size_t i = MONITOR_READ_DONE; i < h->answer_size; i++) {
        assert_int_equal(h->answer[i], fake_memory_byte(0x1234 + i - MONITOR_READ_DONE));
    }
    assert_int_equal(read_stream(h, MONITOR_STREAM_MEMORY, 0xffff, FAKE_MEMORY - 3), MONITOR_OK);
    assert_int_equal(h->answer_size, MONITOR_READ_DONE + 3);
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        assert_int_equal(read_stream(h, MONITOR_STREAM_MEMORY, 0xffff, hostile[i]), MONITOR_OK);
        assert_int_equal(h->answer_size, MONITOR_READ_DONE);
        assert_int_equal(monitor_get64(h->answer + 12), FAKE_MEMORY);
    }
    assert_int_equal(read_stream(h, MONITOR_STREAM_MEMORY + 1, 1, 0), MONITOR_OK);
    assert_int_equal(monitor_get64(h->answer + 20), 0);
    assert_int_equal(read_stream(h, MONITOR_STREAM_MEMORY + FAKE_VMS, 1, 0), MONITOR_NO_STREAM);
    assert_int_equal(read_stream(h, MONITOR_STREAM_TRACE - 1, 1, 0), MONITOR_NO_STREAM);
    assert_int_equal(write_console(h, MONITOR_STREAM_MEMORY, 0, "x"), MONITOR_NO_STREAM);
    free(h);
}

static void test_write(void **state)
{
    struct host *h = start();

    (void)state;
    assert_int_equal(write_console(h, MONITOR_STREAM_CONSOLE, 0, "root\n"), MONITOR_OK);
    assert_int_equal(monitor_get64(h->answer + 12), 5);
    /* Sent again, the answer lost; then with more; then with a gap. */
    assert_int_equal(write_console(h, MONITOR_STREAM_CONSOLE, 0, "root\n"), MONITOR_OK);
    assert_int_equal(write_console(h, MONITOR_STREAM_CONSOLE, 3, "t\nls\n"), MONITOR_OK);
    assert_int_equal(monitor_get64(h->answer + 12), 8);
    assert_int_equal(write_console(h, MONITOR_STREAM_CONSOLE, 9, "lost"), MONITOR_OK);
    assert_int_equal(monitor_get64(h->answer + 12), 8);
    assert_int_equal(h->core.typed_size[0], 8);
    assert_memory_equal(h->core.typed[0], "root\nls\n", 8);
    /* A slow guest takes some of it: the answer says how much. */
    assert_int_equal(write_console(h, MONITOR_STREAM_CONSOLE + 1, 0, "0123456789abcdefXYZ"),
                     MONITOR_OK);
    assert_int_equal(monitor_get64(h->answer + 12), FAKE_UART_ROOM);
    h->core.deaf = true;
    assert_int_equal(write_console(h, MONITOR_STREAM_CONSOLE, 8, "x"), MONITOR_OK);
    assert_int_equal(monitor_get64(h->answer + 12), 8);
    assert_int_equal(write_console(h, MONITOR_STREAM_LOG, 0, "x"), MONITOR_NO_STREAM);
    assert_int_equal(write_console(h, MONITOR_STREAM_OUTPUT, 0, "x"), MONITOR_NO_STREAM);
    assert_int_equal(write_console(h, MONITOR_STREAM_CONSOLE + FAKE_VMS, 0, "x"),
                     MONITOR_NO_STREAM);
    assert_int_equal(write_console(h, 0xffff, UINT64_MAX, "x"), MONITOR_NO_STREAM);
    assert_int_equal(write_console(h, MONITOR_STREAM_CONSOLE, UINT64_MAX, "x"), MONITOR_OK);
    free(h);
}

/* A FETCH, or the head of a STORE with `size` bytes of tokens; the answer's status. */
static unsigned piece(struct host *h, uint8_t type, unsigned stream, unsigned section,
                      uint64_t offset, const void *tokens, size_t size)
{
    uint8_t body[MONITOR_MAX_PAYLOAD];

    monitor_put16(body, (uint16_t)stream);
    body[2] = (uint8_t)section;
    body[3] = 0;
    monitor_put64(body + 4, offset);
    if (size != 0) {
        memcpy(body + 12, tokens, size);
    }
    return ask(h, type, 8, body, 12 + size);
}

static void test_pieces(void **state)
{
    const uint32_t zeros[1] = {2u << 30 | 16}, none[1] = {2u << 30};
    struct host *h = start();
    size_t told;

    (void)state;
    for (unsigned i = 0; i < FAKE_WORDS; i++) {
        h->core.vms[0].memory[i] = i < 1000 ? 0 : i;
    }
    uint64_t offset = 0, words[FAKE_WORDS] = {0};
    while (offset < sizeof(words)) {
        assert_int_equal(piece(h, MONITOR_FETCH, MONITOR_STREAM_CONSOLE, 0, offset, NULL, 0),
                         MONITOR_OK);
        assert_int_equal(monitor_get64(h->answer + 12), offset);
        assert_int_equal(monitor_get64(h->answer + 20), sizeof(words));
        assert_true(word_runs_read(h->answer + MONITOR_FETCH_DONE,
                                   h->answer_size - MONITOR_FETCH_DONE, words + offset / 8,
                                   FAKE_WORDS - offset / 8, &told));
        assert_int_equal(8 * told, monitor_get32(h->answer + 28));
        assert_true(told > 0);
        offset += 8 * told;
    }
    assert_memory_equal(words, h->core.vms[0].memory, sizeof(words));
    assert_int_equal(piece(h, MONITOR_FETCH, MONITOR_STREAM_CONSOLE, 0, offset, NULL, 0),
                     MONITOR_OK);
    assert_int_equal(monitor_get32(h->answer + 28), 0);
    /* What makes no sense, or not now, is told. */
    assert_int_equal(piece(h, MONITOR_FETCH, MONITOR_STREAM_CONSOLE, 0, offset + 8, NULL, 0),
                     MONITOR_BAD_REQUEST);
    assert_int_equal(piece(h, MONITOR_FETCH, MONITOR_STREAM_CONSOLE, 9, 0, NULL, 0),
                     MONITOR_BAD_REQUEST);
    assert_int_equal(piece(h, MONITOR_FETCH, MONITOR_STREAM_CONSOLE, 1, 0, NULL, 0),
                     MONITOR_NOT_NOW);
    assert_int_equal(piece(h, MONITOR_FETCH, MONITOR_STREAM_CONSOLE + 1, 0, 0, NULL, 0),
                     MONITOR_NOT_NOW);
    assert_int_equal(piece(h, MONITOR_FETCH, MONITOR_STREAM_LOG, 0, 0, NULL, 0), MONITOR_NO_STREAM);
    assert_int_equal(piece(h, MONITOR_FETCH, MONITOR_STREAM_CONSOLE + FAKE_VMS, 0, 0, NULL, 0),
                     MONITOR_NO_STREAM);
    assert_int_equal(piece(h, MONITOR_STORE, MONITOR_STREAM_CONSOLE, 0, 8192, zeros, 4),
                     MONITOR_NOT_NOW);
    h->core.vms[0].state = FAKE_RESTORING;
    assert_int_equal(piece(h, MONITOR_STORE, MONITOR_STREAM_CONSOLE, 0, 8192, zeros, 4),
                     MONITOR_OK);
    assert_int_equal(monitor_get64(h->answer + 12), 8192 + 128);
    assert_true(h->core.vms[0].memory[1023] == 1023 && h->core.vms[0].memory[1024] == 0 &&
                h->core.vms[0].memory[1039] == 0 && h->core.vms[0].memory[1040] == 1040);
    assert_int_equal(piece(h, MONITOR_STORE, MONITOR_STREAM_CONSOLE, 0, 8192, none, 4),
                     MONITOR_BAD_REQUEST);
    assert_int_equal(piece(h, MONITOR_STORE, MONITOR_STREAM_CONSOLE, 0, 8192, zeros, 3),
                     MONITOR_BAD_REQUEST);
    assert_int_equal(piece(h, MONITOR_STORE, MONITOR_STREAM_OUTPUT, 0, 0, zeros, 4),
                     MONITOR_NO_STREAM);
    free(h);
}

static void test_malformed(void **state)
{
    struct host *h = start();
    uint8_t body[MONITOR_MAX_PAYLOAD] = {0};

    (void)state;
    for (unsigned type = 0; type < 0x80; type++) {
        bool known = type >= MONITOR_HELLO && type <= MONITOR_STORE;
        if (!known) {
            assert_int_equal(ask(h, (uint8_t)type, 2, body, 40), MONITOR_BAD_REQUEST);
        }
    }
    static const struct {
        uint8_t type;
        size_t size; /* of the shortest body that is right */
    } shortest[] = {{MONITOR_HELLO, 2}, {MONITOR_STREAMS, 2}, {MONITOR_EXEC, 1},
                    {MONITOR_READ, 12}, {MONITOR_WRITE, 12},  {MONITOR_FETCH, 12},
                    {MONITOR_STORE, 12}};
    for (unsigned i = 0; i < ARRAY_SIZE(shortest); i++) {
        for (size_t size = 0; size < shortest[i].size; size++) {
            assert_int_equal(ask(h, shortest[i].type, 3, body, size), MONITOR_BAD_REQUEST);
        }
    }
    /* Command lines: too long, and with bytes that are no text. */
    memset(body, 'x', sizeof(body));
    assert_int_equal(ask(h, MONITOR_EXEC, 4, body, MONITOR_LINE_SIZE), MONITOR_BAD_REQUEST);
    assert_int_equal(ask(h, MONITOR_EXEC, 5, body, MONITOR_LINE_SIZE - 1), MONITOR_OK);
    assert_int_equal(ask(h, MONITOR_EXEC, 6, "li\nst", 5), MONITOR_BAD_REQUEST);
    assert_int_equal(ask(h, MONITOR_EXEC, 7, "list\0", 5), MONITOR_BAD_REQUEST);
    assert_int_equal(h->core.executions, 1);
    /* Shorter than the header, or an answer (this end's echo): no word. */
    uint8_t frame[FRAME_MAX];
    unsigned answers = h->answers;
    for (size_t size = 0; size < MONITOR_HEADER_SIZE; size++) {
        host_send(h, frame, hdlc_encode(frame, body, size, 0));
    }
    host_send(h, frame, make_frame(frame, MONITOR_EXEC | MONITOR_ANSWER, 8, HOST_SESSION, "x", 1));
    host_run(h);
    assert_int_equal(h->answers, answers);
    free(h);
}

/* Every bit of a frame wrong, in turn: no such frame does anything. */
static void test_corrupted_frames(void **state)
{
    struct host *h = start();
    uint8_t frame[FRAME_MAX];
    size_t size = make_frame(frame, MONITOR_EXEC, 2, HOST_SESSION, "list", 4);

    (void)state;
    for (size_t bit = 0; bit < 8 * size; bit++) {
        uint16_t sequence = (uint16_t)(100 + bit);
        size = make_frame(frame, MONITOR_EXEC, sequence, HOST_SESSION, "list", 4);
        if (bit >= 8 * size) {
            break;
        }
        frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
        unsigned executions = h->core.executions, answers = h->answers;
        host_send(h, frame, size);
        host_run(h);
        assert_int_equal(h->core.executions, executions);
        assert_int_equal(h->answers, answers);
        /* After the time that a host waits, the request goes through. */
        host_wait(h, 2 * MONITOR_SILENCE_US);
        assert_int_equal(exec(h, sequence, "list"), MONITOR_OK);
        assert_int_equal(h->core.executions, executions + 1);
    }
    free(h);
}

/* Each byte of a frame lost; and each run of bytes that begins it. */
static void test_lost_bytes(void **state)
{
    struct host *h = start();
    uint8_t frame[FRAME_MAX];
    uint16_t sequence = 100;

    (void)state;
    for (size_t lost = 0;; lost++) {
        for (unsigned rest = 0; rest < 2; rest++, sequence++) {
            size_t size = make_frame(frame, MONITOR_EXEC, sequence, HOST_SESSION, "list", 4);
            unsigned executions = h->core.executions;
            if (lost >= size) {
                free(h);
                return;
            }
            host_send(h, frame, lost);
            if (rest != 0) {
                host_send(h, frame + lost + 1, size - lost - 1);
            }
            host_wait(h, 2 * MONITOR_SILENCE_US);
            /* Flags may be missing where another frame's stand beside; no other byte may. Asked
             * again or not, it is carried out once. */
            assert_true(h->core.executions == executions || lost == 0 || lost == size - 1);
            assert_int_equal(exec(h, sequence, "list"), MONITOR_OK);
            assert_int_equal(h->core.executions, executions + 1);
        }
    }
}

/* Answers that find no room are dropped and counted, and the line is usable when it has room. */
static void test_no_room(void **state)
{
    struct host *h = start();
    uint8_t frame[FRAME_MAX], body[12] = {MONITOR_STREAM_CONSOLE};

    (void)state;
    for (unsigned i = 0; i < 500; i++) {
        fake_print_text(&h->core, MONITOR_STREAM_CONSOLE, "0123456789");
    }
    monitor_put16(body + 2, 1000);
    unsigned answers = h->answers;
    for (unsigned i = 0; i < 20; i++) {
        host_send(h, frame, make_frame(frame, MONITOR_READ, 5, HOST_SESSION, body, sizeof(body)));
    }
    assert_true(h->monitor.dropped > 0);
    host_run(h);
    assert_int_equal(h->answers - answers + h->monitor.dropped, 20);
    assert_true(h->answers > answers);
    assert_int_equal(read_stream(h, MONITOR_STREAM_CONSOLE, 1000, 0), MONITOR_OK);
    free(h);
}

static void test_bye_and_timeout(void **state)
{
    struct host *h = start();

    (void)state;
    host_forget_text(h);
    fake_print_text(&h->core, MONITOR_STREAM_LOG, "I    1.0 told in the session\n");
    host_run(h);
    assert_string_equal(h->text, ""); /* the line is the session's */
    assert_int_equal(ask(h, MONITOR_BYE, 3, NULL, 0), MONITOR_OK);
    assert_non_null(strstr(h->text, "told in the session"));
    assert_non_null(strstr(h->text, "postern> "));
    assert_int_equal(ask(h, MONITOR_BYE, 3, NULL, 0), MONITOR_OK); /* its answer was lost */
    /* A session goes on after a pause; one that stays silent ends. */
    assert_int_equal(hello(h, HOST_SESSION, MONITOR_VERSION), MONITOR_OK);
    host_wait(h, MONITOR_SESSION_US - 1000);
    host_forget_text(h);
    assert_int_equal(exec(h, 4, "list"), MONITOR_OK);
    assert_string_equal(h->text, "");
    host_wait(h, MONITOR_SESSION_US + 1000);
    assert_non_null(strstr(h->text, "postern> "));
    host_forget_text(h);
    assert_int_equal(exec(h, 5, "list"), MONITOR_OK); /* it was only slow: taken up again */
    assert_string_equal(h->text, "");
    free(h);
}

/* Random messages in sound frames, broken ones, text and noise: whatever the monitor sends is a
 * frame or text, and a session can be begun at the end of each round. */
static void test_random_line(void **state)
{
    struct random random = {0x7e};
    struct host *h = host_new();

    (void)state;
    h->core.echo = true;
    for (unsigned round = 0; round < 3000; round++) {
        uint8_t payload[MONITOR_MAX_PAYLOAD], frame[FRAME_MAX];
        size_t size = random_below(&random, random_below(&random, 10) == 0 ? 1024 : 40);
        for (size_t i = 0; i < size; i++) {
            payload[i] = (uint8_t)(random_below(&random, 3) == 0 ? random_next(&random) : 0);
        }
        if (size >= 8 && random_below(&random, 4) != 0) {
            payload[0] = (uint8_t)random_below(&random, 8);
            monitor_put32(payload + 4, HOST_SESSION);
            payload[8 % size] = (uint8_t)random_below(&random, 5);
        }
        size = hdlc_encode(frame, payload, size, HDLC_ESCAPE_FLOW);
        if (random_below(&random, 3) == 0) {
            size -= random_below(&random, 4);
            frame[random_below(&random, (uint32_t)size)] = (uint8_t)random_next(&random);
        }
        host_send(h, frame, size);
        if (random_below(&random, 8) == 0) {
            host_send(h, "help\rconsole alpha\rls\r~\x1d", 25);
        }
        if (random_below(&random, 8) == 0) {
            fake_print_text(&h->core, MONITOR_STREAM_LOG, "I 1 something\n");
        }
        if (random_below(&random, 4) == 0) {
            host_wait(h, random_below(&random, 3000000));
        }
        if (round % 100 == 0) {
            host_wait(h, 2 * MONITOR_SILENCE_US);
            host_forget_text(h);
            assert_int_equal(hello(h, HOST_SESSION, MONITOR_VERSION), MONITOR_OK);
        }
    }
    assert_int_equal(h->decoder.damaged, 0); /* what it sent was sound */
    free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_exec),
        cmocka_unit_test(test_retries),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_corrupted_frames),
        cmocka_unit_test(test_lost_bytes),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_bye_and_timeout),
        cmocka_unit_test(test_random_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
