/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * packets WHAT [KEY=NUMBER...]: packets over a port by libpostern, as an example and for tests.
 *
 *   exchange  sends packets and takes them back from a peer that returns them, in their order and
 *             as they were, but for swapped MAC addresses; checks each byte
 *   send      sends packets, and prints what it took
 *   receive   receives packets, and prints what it took
 *
 *   count=10000  packets                size=64    bytes of each; 0: of all from 60 to 1514
 *   burst=32     packets at once        ahead=256  exchange: packets on their way
 *   port=N       the port; any          wait=20    seconds, for the peer and for packets
 *   queue=0      the port's queue; those behind it are not used
 *
 * What a burst takes is the difference of two TSCs, in Bochs instructions. Exit codes: 0 done; 1 it
 * failed, or nothing came; 2 wrong usage.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "guests/libpostern/postern_port.h"

#define BURST_MAX   128u
#define FRAME_MIN   60u
#define FRAME_USUAL 1514u
#define FRAME_MAX   9018u
#define BUFFER      9088u
#define ETHERTYPE   0x88b5u /* IEEE 802: local experimental, 1 */

/* After the MAC addresses and the type. */
struct mark {
    uint32_t run; /* a packet of an earlier run may still come back */
    uint32_t number;
};
#define MARK_AT    14u
#define CONTENT_AT (MARK_AT + sizeof(struct mark))

static struct {
    uint64_t count, size, burst, port, ahead, wait, queue;
} options = {10000, 64, 32, POSTERN_DEV_ANY, 256, 20, 0};

static struct postern_port *port;
static struct postern_queue *queue;
static uint32_t run;

/* A burst's packets. */
struct burst {
    struct postern_gate_frame frames[BURST_MAX];
    uint8_t buffers[BURST_MAX][BUFFER];
};
static struct burst out, in;

/* What bursts took: those that moved packets, and those that did not. */
struct cost {
    uint64_t ticks, packets, bursts;
    uint64_t empty_ticks, empty_bursts;
};

/* Touches all of it, so that no burst is the first to. */
static void set_up(struct burst *burst)
{
    for (unsigned i = 0; i < BURST_MAX; i++) {
        memset(burst->buffers[i], 0xff, BUFFER);
        burst->frames[i] = (struct postern_gate_frame){.address = burst->buffers[i]};
    }
}

static void count_burst(struct cost *cost, uint64_t start, unsigned packets)
{
    uint64_t ticks = __builtin_ia32_rdtsc() - start;

    if (packets != 0) {
        cost->ticks += ticks;
        cost->packets += packets;
        cost->bursts++;
    } else {
        cost->empty_ticks += ticks;
        cost->empty_bursts++;
    }
}

static uint32_t frame_size(uint32_t number)
{
    return options.size != 0 ? (uint32_t)options.size
                             : FRAME_MIN + number * 2654435761u % (FRAME_USUAL - FRAME_MIN + 1);
}

/* Byte `i` of packet `number`'s content. */
static uint8_t content(uint32_t number, uint32_t i)
{
    return (uint8_t)((number * 2654435761u >> 16) + i * 7);
}

static void make_frame(struct burst *burst, unsigned slot, uint32_t number)
{
    uint8_t *frame = burst->buffers[slot];
    uint32_t size = frame_size(number);
    const struct mark mark = {run, number};

    memset(frame, 0xff, 6);
    memcpy(frame + 6, postern_port_info(port)->mac, 6);
    frame[12] = ETHERTYPE >> 8;
    frame[13] = ETHERTYPE & 0xff;
    memcpy(frame + MARK_AT, &mark, sizeof(mark));
    for (uint32_t i = CONTENT_AT; i < size; i++) {
        frame[i] = content(number, i);
    }
    burst->frames[slot].record = (struct postern_record){.length = size};
}

/* Is it packet `number` as it was sent, or with its addresses swapped? */
static bool is_frame(const uint8_t *frame, uint32_t length, uint32_t number)
{
    static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    const uint8_t *own = postern_port_info(port)->mac;
    bool swapped = memcmp(frame, own, 6) == 0 && memcmp(frame + 6, everybody, 6) == 0;
    bool same = memcmp(frame, everybody, 6) == 0 && memcmp(frame + 6, own, 6) == 0;

    if (length != frame_size(number) || !(swapped || same) || frame[12] != ETHERTYPE >> 8 ||
        frame[13] != (ETHERTYPE & 0xff)) {
        return false;
    }
    for (uint32_t i = CONTENT_AT; i < length; i++) {
        if (frame[i] != content(number, i)) {
            return false;
        }
    }
    return true;
}

static bool is_stalled(bool progress)
{
    static time_t last;
    static unsigned polls;
    struct timespec now;

    if (!progress && ++polls % 1024 != 0) {
        return false;
    }
    if (progress) {
        last = 0;
        return false;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    if (last == 0) {
        last = now.tv_sec;
    }
    return (uint64_t)(now.tv_sec - last) > options.wait;
}

static void print_cost(const char *name, const struct cost *cost)
{
    printf("packets: %s.packets %" PRIu64 "\npackets: %s.bursts %" PRIu64
           "\npackets: %s.ticks %" PRIu64 "\n",
           name, cost->packets, name, cost->bursts, name, cost->ticks);
    printf("packets: %s.empty_bursts %" PRIu64 "\npackets: %s.empty_ticks %" PRIu64 "\n", name,
           cost->empty_bursts, name, cost->empty_ticks);
}

static void print_stats(void)
{
    struct postern_port_stats stats;

    postern_port_stats(port, &stats);
    printf("packets: sent %" PRIu64 " (%" PRIu64 " bytes, %" PRIu64 " refused), received %" PRIu64
           " (%" PRIu64 " bytes, %" PRIu64 " dropped)\n",
           stats.tx_packets, stats.tx_bytes, stats.tx_refused, stats.rx_packets, stats.rx_bytes,
           stats.rx_dropped);
    printf("packets: crossings %" PRIu64 ", doorbells %" PRIu64 ", syncs %" PRIu64
           ", errors %" PRIu64 "\n",
           stats.crossings, stats.doorbells, stats.syncs, stats.errors);
}

static int finish(bool good, const char *what, uint64_t done)
{
    print_stats();
    printf("packets: %" PRIu64 " of %" PRIu64 " %s: %s\n", done, options.count, what,
           good ? "ok" : "FAILED");
    return good ? 0 : 1;
}

static int do_send(void)
{
    struct cost cost = {0};
    uint64_t sent = 0;

    for (unsigned i = 0; i < options.burst; i++) {
        make_frame(&out, i, i);
    }
    while (sent < options.count) {
        uint64_t left = options.count - sent;
        unsigned wanted = (unsigned)(left < options.burst ? left : options.burst);
        uint64_t start = __builtin_ia32_rdtsc();
        unsigned done = postern_tx_burst(queue, out.frames, wanted);

        count_burst(&cost, start, done);
        sent += done;
        if (is_stalled(done != 0)) {
            break;
        }
    }
    /* The peer skips what it has not received when this end closes. */
    while (!postern_tx_done(queue) && !is_stalled(false)) {
    }
    print_cost("send", &cost);
    return finish(sent == options.count, "sent", sent);
}

static int do_receive(void)
{
    struct cost cost = {0};
    uint64_t received = 0;

    while (received < options.count) {
        uint64_t start = __builtin_ia32_rdtsc();
        unsigned done = postern_rx_burst(queue, in.frames, (unsigned)options.burst, BUFFER);

        count_burst(&cost, start, done);
        received += done;
        if (is_stalled(done != 0)) {
            break;
        }
    }
    print_cost("receive", &cost);
    return finish(received == options.count, "received", received);
}

/* Checks what came back. False: it is not what was sent. */
static bool check_burst(unsigned count, uint64_t *back)
{
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *frame = in.buffers[i];
        uint32_t length = in.frames[i].record.length;
        struct mark mark;

        memcpy(&mark, frame + MARK_AT, sizeof(mark));
        if (length >= FRAME_MIN && mark.run != run) {
            continue;
        }
        if (length < FRAME_MIN || mark.number != (uint32_t)*back ||
            !is_frame(frame, length, mark.number)) {
            printf("packets: packet %" PRIu64 " came back wrong: %u bytes, number %u\n", *back,
                   length, mark.number);
            return false;
        }
        (*back)++;
    }
    return true;
}

static unsigned send_more(uint64_t sent, uint64_t back)
{
    uint64_t most = options.count - sent;

    if (most > options.ahead - (sent - back)) {
        most = options.ahead - (sent - back);
    }
    if (most > options.burst) {
        most = options.burst;
    }
    for (unsigned i = 0; i < most; i++) {
        make_frame(&out, i, (uint32_t)(sent + i));
    }
    return most != 0 ? postern_tx_burst(queue, out.frames, (unsigned)most) : 0;
}

static int do_exchange(void)
{
    uint64_t sent = 0, back = 0;

    while (back < options.count) {
        unsigned done = send_more(sent, back);
        unsigned came = postern_rx_burst(queue, in.frames, (unsigned)options.burst, BUFFER);

        sent += done;
        if (!check_burst(came, &back) || is_stalled(came != 0)) {
            break;
        }
    }
    return finish(back == options.count, "came back", back);
}

static bool wait_for_link(void)
{
    while (!postern_port_link(port) || !postern_queue_link(queue)) {
        if (is_stalled(false)) {
            printf("packets: there is no peer\n");
            return false;
        }
    }
    (void)is_stalled(true);
    return true;
}

static bool read_option(const char *word)
{
    static const struct {
        const char *name;
        uint64_t *value, least, most;
    } known[] = {
        {"count", &options.count, 1, UINT32_MAX}, {"size", &options.size, 0, FRAME_MAX},
        {"burst", &options.burst, 1, BURST_MAX},  {"port", &options.port, 0, UINT32_MAX},
        {"ahead", &options.ahead, 1, UINT32_MAX}, {"wait", &options.wait, 1, 3600},
        {"queue", &options.queue, 0, 255},
    };
    const char *equals = strchr(word, '=');
    char *end;

    for (size_t i = 0; equals != NULL && i < sizeof(known) / sizeof(known[0]); i++) {
        if (strncmp(word, known[i].name, (size_t)(equals - word)) == 0 &&
            known[i].name[equals - word] == '\0') {
            *known[i].value = strtoull(equals + 1, &end, 10);
            return *end == '\0' && end != equals + 1 && *known[i].value >= known[i].least &&
                   *known[i].value <= known[i].most &&
                   (options.size == 0 || options.size >= FRAME_MIN);
        }
    }
    return false;
}

/* The queues behind the one that is used are closed: nobody receives from them. */
static bool use_queue(void)
{
    queue = postern_port_queue(port, (unsigned)options.queue);
    if (queue == NULL) {
        printf("packets: the port has %u queues\n", postern_port_info(port)->queues);
        return false;
    }
    postern_port_use_queues(port, (unsigned)options.queue + 1);
    return postern_port_set_link(port, true);
}

static int work(int (*what)(void))
{
    int error = postern_port_open((uint32_t)options.port, FRAME_MAX - MARK_AT, &port);
    int code = 1;

    if (error != 0) {
        printf("packets: no port is to be had: %s\n", strerror(-error));
        return 1;
    }
    run = (uint32_t)__builtin_ia32_rdtsc();
    set_up(&out);
    set_up(&in);
    if (use_queue() && wait_for_link()) {
        code = what();
    }
    postern_port_close(port);
    return code;
}

int main(int count, char **words)
{
    static const struct {
        const char *name;
        int (*what)(void);
    } known[] = {{"exchange", do_exchange}, {"send", do_send}, {"receive", do_receive}};

    for (int i = 2; i < count; i++) {
        if (!read_option(words[i])) {
            fprintf(stderr, "packets: %s is no option, or not in its range\n", words[i]);
            return 2;
        }
    }
    for (size_t i = 0; count > 1 && i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(words[1], known[i].name) == 0) {
            return work(known[i].what);
        }
    }
    fprintf(stderr, "usage: packets exchange|send|receive [count=] [size=] [burst=] [port=] "
                    "[ahead=] [wait=] "
                    "[queue=]\n");
    return 2;
}
