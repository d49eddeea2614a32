/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor with a fake core behind a pseudo-terminal or a UNIX socket, to try hvctl on.
 * usage: server [--lossy N] [--slow] [--chatter] unix:PATH | pty
 * --lossy N drops, flips or doubles one byte in N, both ways. --slow sends 16 bytes in
 * half a millisecond. --chatter writes into log and consoles all the time. Prints the line's name,
 * then serves until it is killed.
 */
#define _GNU_SOURCE
#include "tests/hvctl/fake_core.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define FIFO_SIZE 16

static struct fake_core core;
static struct monitor monitor;
static long lossy;
static bool slow;

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Passes bytes on with the line's faults; `out` has room for twice as many. */
static size_t damage(const uint8_t *in, size_t size, uint8_t *out)
{
    size_t count = 0;

    for (size_t i = 0; i < size; i++) {
        long fault = lossy > 0 && random() % lossy == 0 ? random() % 3 : -1;
        if (fault == 0) {
            continue;
        }
        out[count++] = (uint8_t)(fault == 1 ? in[i] ^ 1u << random() % 8 : in[i]);
        if (fault == 2) {
            out[count++] = in[i];
        }
    }
    return count;
}

static void chatter(void)
{
    static uint64_t next, count;
    char text[80];

    if (now_us() < next) {
        return;
    }
    next = now_us() + 20000;
    /* What looks as if a frame began. */
    snprintf(text, sizeof(text), "I    0.%06llu tick ~\xff\x03 tock ~\xff~\n",
             (unsigned long long)count++);
    fake_print_text(&core, MONITOR_STREAM_LOG, text);
    fake_print_text(&core, MONITOR_STREAM_CONSOLE, "tick\r\n");
}

/* About as slow as a line of 30,000 bytes a second, so that there is something to see. */
static void be_slow(void)
{
    if (slow) {
        (void)usleep(400);
    }
}

/* Serves one connection until it ends. */
static void serve(int fd, bool chatters)
{
    uint8_t in[256], out[2 * sizeof(in)];

    for (;;) {
        bool sending = monitor_poll(&monitor, now_us());
        struct pollfd ready = {.fd = fd, .events = (short)(POLLIN | (sending ? POLLOUT : 0))};
        (void)poll(&ready, 1, 10);
        if (chatters) {
            chatter();
        }
        monitor_poll(&monitor, now_us());
        if (ready.revents & (POLLIN | POLLHUP | POLLERR)) {
            ssize_t count = read(fd, in, sizeof(in));
            if (count <= 0) {
                return;
            }
            size_t size = damage(in, (size_t)count, out);
            for (size_t i = 0; i < size; i++) {
                monitor_receive(&monitor, out[i]);
            }
        }
        if (ready.revents & POLLOUT) {
            size_t size = damage(in, monitor_transmit(&monitor, in, FIFO_SIZE), out);
            if (size > 0 && write(fd, out, size) < 0) {
                return;
            }
            be_slow();
        }
    }
}

static int serve_pty(bool chatters)
{
    struct termios termios;
    int master = posix_openpt(O_RDWR | O_NOCTTY);

    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) {
        return 1;
    }
    /* Held open, so that the master sees no end of file between two clients. */
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    if (slave < 0 || tcgetattr(slave, &termios) != 0) {
        return 1;
    }
    cfmakeraw(&termios);
    tcsetattr(slave, TCSANOW, &termios);
    printf("%s\n", ptsname(master));
    fflush(stdout);
    serve(master, chatters);
    return 0;
}

static int serve_unix(const char *path, bool chatters)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);

    if (listener < 0 || strlen(path) >= sizeof(address.sun_path)) {
        return 1;
    }
    strcpy(address.sun_path, path);
    unlink(path);
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(listener, 1) != 0) {
        return 1;
    }
    printf("unix:%s\n", path);
    fflush(stdout);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) {
            return 1;
        }
        serve(fd, chatters);
        close(fd);
    }
}

int main(int argc, char **argv)
{
    bool chatters = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--lossy") == 0 && i + 1 < argc) {
            lossy = atol(argv[++i]);
        } else if (strcmp(argv[i], "--slow") == 0) {
            slow = true;
        } else if (strcmp(argv[i], "--chatter") == 0) {
            chatters = true;
        } else {
            signal(SIGPIPE, SIG_IGN);
            core.echo = true;
            fake_print_text(&core, MONITOR_STREAM_LOG, "I    0.000000 the fake core starts\n");
            fake_print_text(&core, MONITOR_STREAM_CONSOLE, "alpha booted\r\nalpha# ");
            fake_print_text(&core, MONITOR_STREAM_CONSOLE + 1, "beta booted\r\nbeta# ");
            monitor_init(&monitor, &fake_core_ops, &core, 0);
            return strcmp(argv[i], "pty") == 0 ? serve_pty(chatters)
                                               : serve_unix(argv[i] + strlen("unix:"), chatters);
        }
    }
    fprintf(stderr, "usage: server [--lossy N] [--slow] [--chatter] unix:PATH | pty\n");
    return 2;
}
