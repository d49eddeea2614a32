/* SPDX-License-Identifier: BSD-2-Clause */
/* Two processes on two cores, and a way to carry packets from one to the other. */
#ifndef POSTERN_TESTS_BENCH_HOST_HOST_H
#define POSTERN_TESTS_BENCH_HOST_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* What both processes see of the run. Each word has a line of its own: looking at one must not
 * slow the other. */
struct host_control {
    _Alignas(128) uint32_t stop;
    _Alignas(128) uint32_t receiver_ready;
    _Alignas(128) uint64_t packets; /* the receiver's, in the measured time */
    uint64_t nanoseconds;
    uint64_t wrong; /* packets that were not the next one */
};

#define HOST_BURST_MAX 128u

struct host_run {
    struct host_control *control;
    uint32_t size;
    uint32_t burst;       /* at most HOST_BURST_MAX */
    uint32_t window;      /* bytes of a section; a data area is half of it */
    uint64_t nanoseconds; /* to measure */
};

/* The processes' own packets, as many as a driver has under way. */
#define HOST_BUFFERS     128u
#define HOST_BUFFER_SIZE 9280u /* an odd number of lines, so that all sets of a cache are used */

struct host_buffers {
    _Alignas(128) uint8_t bytes[HOST_BUFFERS][HOST_BUFFER_SIZE];
};

static inline uint8_t *host_buffer(struct host_buffers *buffers, uint64_t number)
{
    return buffers->bytes[number % HOST_BUFFERS];
}

/* Fills the sender's packets: the first bytes of each are the number of its buffer. They stay as
 * they are, as those of a program that forwards what it got. */
static inline void host_fill(struct host_buffers *buffers)
{
    memset(buffers, 2, sizeof(*buffers));
    for (uint64_t i = 0; i < HOST_BUFFERS; i++) {
        memcpy(buffers->bytes[i], &i, sizeof(i));
    }
}

static inline bool host_stopped(const struct host_run *run)
{
    return __atomic_load_n(&run->control->stop, __ATOMIC_RELAXED) != 0;
}

/* The receiver's clock. It calls host_tick with the packets that came since the last call, and goes
 * on as long as that returns true. */
struct host_clock {
    struct host_run *run;
    uint64_t next; /* packets so far: the next one's buffer follows from it */
    uint64_t start, packets;
    uint32_t calls;
};

static inline void host_check(struct host_clock *clock, const uint8_t *packet)
{
    uint64_t number;

    memcpy(&number, packet, sizeof(number));
    clock->run->control->wrong += number != clock->next % HOST_BUFFERS;
    clock->next++;
}

bool host_tick(struct host_clock *clock, uint32_t packets);

/* A way to carry packets. `setup` comes before the processes part. */
struct host_way {
    const char *name;
    void (*setup)(struct host_run *run);
    void (*send)(struct host_run *run, struct host_buffers *buffers);
    void (*receive)(struct host_run *run, struct host_buffers *buffers);
};

extern const struct host_way host_postern, host_posted, host_descriptors, host_stream, host_flags;

/* A new piece of memory that both processes can map. */
int host_memory(size_t size);
void *host_map(int memory, size_t size, bool writable);

#endif
