/* SPDX-License-Identifier: BSD-2-Clause */
#define _DEFAULT_SOURCE
#include "tools/hvctl/line.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define SEND_MS      3000 /* a line that takes nothing for so long is stuck */
#define DEFAULT_BAUD 115200u

uint32_t line_new_session(void)
{
    uint32_t session = 0;

    if (getrandom(&session, sizeof(session), 0) != (ssize_t)sizeof(session) || session == 0) {
        session = (uint32_t)getpid();
    }
    return session;
}

uint64_t line_now_ms(void *unused)
{
    struct timespec now;

    (void)unused;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool wait_for(int fd, short events, int wait_ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};

    return poll(&poll_fd, 1, wait_ms) > 0;
}

static bool send_bytes(void *context, const uint8_t *bytes, size_t size)
{
    const struct line *line = context;

    while (size > 0) {
        ssize_t count = write(line->fd, bytes, size);
        if (count > 0) {
            bytes += count;
            size -= (size_t)count;
        } else if (count < 0 && errno == EAGAIN) {
            /* A stuck line is not a closed one: the request goes unanswered, which tells. */
            if (!wait_for(line->fd, POLLOUT, SEND_MS)) {
                return true;
            }
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

static long receive_bytes(void *context, uint8_t *bytes, size_t size, unsigned wait_ms)
{
    const struct line *line = context;

    if (!wait_for(line->fd, POLLIN, (int)wait_ms)) {
        return 0;
    }
    ssize_t count = read(line->fd, bytes, size);
    if (count > 0) {
        return count;
    }
    return count < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static bool find_speed(unsigned long baud, speed_t *speed)
{
    static const struct {
        unsigned long baud;
        speed_t speed;
    } speeds[] = {
        {9600, B9600},     {19200, B19200},   {38400, B38400},   {57600, B57600},
        {115200, B115200}, {230400, B230400}, {460800, B460800}, {921600, B921600},
    };

    for (size_t i = 0; i < sizeof(speeds) / sizeof(speeds[0]); i++) {
        if (speeds[i].baud == baud) {
            *speed = speeds[i].speed;
            return true;
        }
    }
    return false;
}

static int set_up_terminal(int fd, speed_t speed, char *error, size_t error_size)
{
    struct termios termios;

    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        snprintf(error, error_size, "in use by another program");
        return -1;
    }
    if (tcgetattr(fd, &termios) != 0) {
        snprintf(error, error_size, "not a serial line: %s", strerror(errno));
        return -1;
    }
    cfmakeraw(&termios);
    termios.c_cflag &= ~(tcflag_t)(CRTSCTS | CSTOPB);
    termios.c_cflag |= CLOCAL | CREAD;
    cfsetispeed(&termios, speed);
    cfsetospeed(&termios, speed);
    if (tcsetattr(fd, TCSANOW, &termios) != 0) {
        snprintf(error, error_size, "cannot be set up: %s", strerror(errno));
        return -1;
    }
    (void)ioctl(fd, TIOCEXCL);
    return 0;
}

static int open_device(const char *path, unsigned long baud, char *error, size_t error_size)
{
    speed_t speed;

    if (!find_speed(baud, &speed)) {
        snprintf(error, error_size, "%lu is no baud rate that is supported", baud);
        return -1;
    }
    int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        snprintf(error, error_size, "%s",
                 errno == EBUSY ? "in use by another program" : strerror(errno));
        return -1;
    }
    if (set_up_terminal(fd, speed, error, error_size) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int open_unix(const char *path, char *error, size_t error_size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(address.sun_path)) {
        snprintf(error, error_size, "the path is too long for a socket: give a relative one");
        return -1;
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        snprintf(error, error_size, "%s",
                 errno == ECONNREFUSED ? "nobody serves this socket any more" : strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

static int open_tcp(const char *target, char *error, size_t error_size)
{
    const char *colon = strrchr(target, ':');
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
    char host[256];
    int fd = -1, on = 1;

    if (colon == NULL || (size_t)(colon - target) >= sizeof(host) || colon[1] == '\0') {
        snprintf(error, error_size, "expected tcp:HOST:PORT");
        return -1;
    }
    memcpy(host, target, (size_t)(colon - target));
    host[colon - target] = '\0';
    int failure = getaddrinfo(host[0] != '\0' ? host : NULL, colon + 1, &hints, &list);
    if (failure != 0) {
        snprintf(error, error_size, "%s", gai_strerror(failure));
        return -1;
    }
    for (struct addrinfo *at = list; at != NULL && fd < 0; at = at->ai_next) {
        fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
        if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) != 0) {
            snprintf(error, error_size, "%s", strerror(errno));
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(list);
    if (fd >= 0) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    return fd;
}

/* A path: a socket, or a device with or without @BAUD. */
static int open_path(const char *name, char *error, size_t error_size)
{
    unsigned long baud = DEFAULT_BAUD;
    const char *at = strrchr(name, '@');
    struct stat status;
    char path[256], *end;

    snprintf(path, sizeof(path), "%s", name);
    if (stat(path, &status) != 0 && at != NULL && (size_t)(at - name) < sizeof(path)) {
        path[at - name] = '\0';
        baud = strtoul(at + 1, &end, 10);
        if (at[1] == '\0' || *end != '\0') {
            snprintf(error, error_size, "'%s' is no baud rate", at + 1);
            return -1;
        }
    }
    if (stat(path, &status) != 0) {
        snprintf(error, error_size, "%s", strerror(errno));
        return -1;
    }
    if (S_ISSOCK(status.st_mode)) {
        return open_unix(path, error, error_size);
    }
    if (!S_ISCHR(status.st_mode)) {
        snprintf(error, error_size, "neither a serial device nor a socket");
        return -1;
    }
    return open_device(path, baud, error, error_size);
}

bool line_open(struct line *line, const char *name, char *error, size_t error_size)
{
    if (strncmp(name, "tcp:", 4) == 0) {
        line->fd = open_tcp(name + 4, error, error_size);
    } else if (strncmp(name, "unix:", 5) == 0) {
        line->fd = open_unix(name + 5, error, error_size);
    } else {
        line->fd = open_path(name, error, error_size);
    }
    if (line->fd < 0) {
        return false;
    }
    (void)fcntl(line->fd, F_SETFL, fcntl(line->fd, F_GETFL) | O_NONBLOCK);
    line->functions = (struct client_line){
        .context = line, .send = send_bytes, .receive = receive_bytes, .now_ms = line_now_ms};
    return true;
}

void line_close(struct line *line)
{
    close(line->fd);
    line->fd = -1;
}
