/* SPDX-License-Identifier: BSD-2-Clause */
/* The other end of the monitor's line, for its tests: sends requests and bytes, hears frames and
 * text. */
#ifndef POSTERN_TESTS_UNIT_MONITOR_HOST_H
#define POSTERN_TESTS_UNIT_MONITOR_HOST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/hvctl/fake_core.h"

#define HOST_TEXT_SIZE 65536u
#define HOST_SESSION   0x1234abcdu

struct host {
    struct monitor monitor;
    struct fake_core core;
    uint64_t now;
    struct hdlc_decoder decoder;
    uint8_t frame[MONITOR_MAX_PAYLOAD + 4];
    unsigned answers;
    uint8_t answer[MONITOR_MAX_PAYLOAD]; /* the last one */
    size_t answer_size;
    char text[HOST_TEXT_SIZE]; /* what came outside frames */
    size_t text_size;
};

static inline void host_take(struct host *host, enum hdlc_event event)
{
    if (event == HDLC_FRAME) {
        host->answers++;
        host->answer_size = host->decoder.payload_size;
        memcpy(host->answer, host->frame, host->answer_size);
    } else if (event == HDLC_TEXT) {
        for (unsigned i = 0; i < host->decoder.text_size; i++) {
            if (host->text_size < HOST_TEXT_SIZE - 1) {
                host->text[host->text_size++] = (char)host->decoder.text[i];
            }
        }
        host->text[host->text_size] = '\0';
    }
}

/* Lets the line run until the monitor has nothing more to say. */
static inline void host_run(struct host *host)
{
    uint8_t bytes[37];
    size_t size;

    for (unsigned idle = 0; idle < 3;) {
        idle = monitor_poll(&host->monitor, host->now) ? 0 : idle + 1;
        while ((size = monitor_transmit(&host->monitor, bytes, sizeof(bytes))) > 0) {
            for (size_t i = 0; i < size; i++) {
                host_take(host, hdlc_decode(&host->decoder, bytes[i]));
            }
        }
        host->now += 10;
    }
}

static inline void host_wait(struct host *host, uint64_t microseconds)
{
    host->now += microseconds;
    host_run(host);
    host_take(host, hdlc_decode_silence(&host->decoder));
}

static inline void host_send(struct host *host, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        monitor_receive(&host->monitor, ((const uint8_t *)bytes)[i]);
    }
}

static inline void host_type(struct host *host, const char *text)
{
    host_send(host, text, strlen(text));
    host_run(host);
}

static inline void host_forget_text(struct host *host)
{
    host->text_size = 0;
    host->text[0] = '\0';
}

static inline struct host *host_new(void)
{
    struct host *host = calloc(1, sizeof(*host));

    assert_non_null(host);
    monitor_init(&host->monitor, &fake_core_ops, &host->core, 0);
    hdlc_decoder_init(&host->decoder, host->frame, sizeof(host->frame));
    return host;
}

#endif
