/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host WAY SIZE BURST MILLISECONDS WINDOW: sends packets of SIZE bytes from a process on CPU 0 to
 * one on CPU 1, over sections of WINDOW bytes, and prints "packets N nanoseconds N". `host probe`
 * prints how long a cache line takes from one to the other and back.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/host/host.h"

#define WARM_UP_NS 50000000ull
#define PROBES     200000u

static const struct host_way *const ways[] = {&host_postern, &host_posted, &host_descriptors,
                                              &host_stream, &host_flags};

static uint64_t now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

int host_memory(size_t size)
{
    int memory = memfd_create("postern-bench", 0);

    if (memory < 0 || ftruncate(memory, (off_t)size) != 0) {
        fail("memfd");
    }
    return memory;
}

void *host_map(int memory, size_t size, bool writable)
{
    void *at = mmap(NULL, size, writable ? PROT_READ | PROT_WRITE : PROT_READ,
                    MAP_SHARED | MAP_POPULATE, memory, 0);

    if (at == MAP_FAILED) {
        fail("mmap");
    }
    return at;
}

bool host_tick(struct host_clock *clock, uint32_t packets)
{
    clock->packets += packets;
    /* The time is looked at now and then only: it costs as much as a small packet. */
    if (++clock->calls % 64 != 0) {
        return true;
    }
    uint64_t time = now();
    if (clock->start == 0) {
        clock->start = time + WARM_UP_NS;
    }
    if (time < clock->start) {
        clock->packets = 0;
        return true;
    }
    if (time - clock->start < clock->run->nanoseconds) {
        return true;
    }
    clock->run->control->packets = clock->packets;
    clock->run->control->nanoseconds = time - clock->start;
    return false;
}

static void pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0) {
        fail("sched_setaffinity");
    }
}

/* Each end waits until the line holds its number, and writes the other's. */
static void probe(struct host_run *run, bool first)
{
    uint32_t *line = &run->control->receiver_ready;

    for (uint32_t i = 0; i < PROBES; i++) {
        uint32_t mine = 2 * i + (first ? 0 : 1);
        while (__atomic_load_n(line, __ATOMIC_ACQUIRE) != mine) {
        }
        __atomic_store_n(line, mine + 1, __ATOMIC_RELEASE);
    }
}

static void receive(struct host_run *run, const struct host_way *way)
{
    static struct host_buffers buffers;

    memset(&buffers, 1, sizeof(buffers));
    way->receive(run, &buffers);
    __atomic_store_n(&run->control->stop, 1, __ATOMIC_RELAXED);
}

static void send(struct host_run *run, const struct host_way *way)
{
    static struct host_buffers buffers;

    host_fill(&buffers);
    way->send(run, &buffers);
}

static pid_t start_child(void)
{
    pid_t child = fork();

    if (child < 0) {
        fail("fork");
    }
    if (child == 0) {
        /* A run that is broken off leaves no busy process behind. */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    }
    pin(child == 0 ? 1 : 0);
    return child;
}

static void run_probe(struct host_run *run)
{
    pid_t child = start_child();
    uint64_t start = now();

    probe(run, child != 0);
    if (child == 0) {
        _exit(0);
    }
    (void)waitpid(child, NULL, 0);
    printf("nanoseconds %.1f\n", (double)(now() - start) / PROBES);
}

static int run_way(struct host_run *run, const struct host_way *way)
{
    int status;

    way->setup(run);
    pid_t child = start_child();
    if (child == 0) {
        receive(run, way);
        _exit(0);
    }
    send(run, way);
    (void)waitpid(child, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || run->control->wrong != 0) {
        fprintf(stderr, "%s: packets were lost or wrong\n", way->name);
        return 1;
    }
    printf("packets %llu nanoseconds %llu\n", (unsigned long long)run->control->packets,
           (unsigned long long)run->control->nanoseconds);
    return 0;
}

int main(int count, char **arguments)
{
    struct host_run run = {0};

    run.control = host_map(host_memory(sizeof(*run.control)), sizeof(*run.control), true);
    if (count == 2 && strcmp(arguments[1], "probe") == 0) {
        run_probe(&run);
        return 0;
    }
    if (count == 6) {
        run.size = (uint32_t)atoi(arguments[2]);
        run.burst = (uint32_t)atoi(arguments[3]);
        run.nanoseconds = (uint64_t)atoi(arguments[4]) * 1000000u;
        run.window = (uint32_t)atoi(arguments[5]);
    }
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        if (run.size >= 8 && run.size <= HOST_BUFFER_SIZE && run.burst >= 1 &&
            run.burst <= HOST_BURST_MAX && run.window >= 0x10000 &&
            strcmp(arguments[1], ways[i]->name) == 0) {
            return run_way(&run, ways[i]);
        }
    }
    fprintf(stderr, "usage: host probe | host WAY SIZE BURST MILLISECONDS WINDOW\n");
    return 2;
}
