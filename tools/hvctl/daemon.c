/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verb `daemon`: shares a line among several hvctl by a UNIX socket. To each of them it speaks
 * the same protocol, by the hypervisor's own code (core/monitor.h): a monitor for each, with its
 * own session and its own output of the last command, and behind it the one session on the line.
 *
 * One request at a time goes over the line, from whom the loop below chooses. Those that follow
 * streams (consoles, the log, traces, memory) have a turn one by one, and between any two of their
 * turns all others have theirs: a command waits for one READ at most, however many consoles flood.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/monitor.h"
#include "tools/hvctl/hvctl.h"
#include "tools/hvctl/line.h"

#define PEERS_MAX 16u

struct peer {
    struct daemon *daemon;
    int fd;                  /* -1: none */
    struct monitor *monitor; /* NULL: none */
    bool follows;            /* its last request has read a stream */
    bool broken;             /* the line did not answer for it */
    uint8_t out[1024];       /* what the socket had no room for */
    size_t out_at, out_size;
};

struct daemon {
    struct client *client;
    enum client_result trouble; /* of the line, that the daemon cannot go on with */
    const char *path;
    int listener;
    unsigned turn; /* the peer after the one that followed a stream last */
    struct peer peers[PEERS_MAX];
    uint64_t typed[MONITOR_MAX_VMS]; /* into each console, as the hypervisor counts */
};

/* The line. */

/* Typed bytes go behind those of whoever typed before. */
static enum client_result find_typed(struct daemon *daemon)
{
    unsigned consoles = daemon->client->stream_count - MONITOR_STREAM_CONSOLE;
    enum client_result result = CLIENT_OK;

    for (unsigned i = 0; i < consoles && i < MONITOR_MAX_VMS && result == CLIENT_OK; i++) {
        result =
            client_write(daemon->client, MONITOR_STREAM_CONSOLE + i, &daemon->typed[i], NULL, 0);
    }
    return result;
}

/* Whether a request was answered. After a restart of the hypervisor each peer is to find out that
 * its session is over; after silence, the one that asked, that its request has no answer. */
static bool answered(struct peer *peer, enum client_result result)
{
    struct daemon *daemon = peer->daemon;

    if (result == CLIENT_RESTARTED) {
        fprintf(stderr, "hvctl: the hypervisor has restarted\n");
        result = client_connect(daemon->client);
        for (unsigned i = 0; i < PEERS_MAX; i++) {
            daemon->peers[i].broken = daemon->peers[i].fd >= 0;
        }
        if (result == CLIENT_OK) {
            result = find_typed(daemon);
        }
        peer->broken = true;
    } else if (result != CLIENT_OK && result != CLIENT_NO_STREAM) {
        peer->broken = true;
    }
    if (result == CLIENT_CLOSED || result == CLIENT_VERSION) {
        daemon->trouble = result;
    }
    return result == CLIENT_OK && !peer->broken;
}

/* What the monitors ask of their machine. */

static bool read_any(struct peer *peer, unsigned stream, uint64_t *offset, char *buffer,
                     size_t *size, uint64_t *end)
{
    size_t count = 0;

    peer->follows = true;
    if (!answered(peer,
                  client_read(peer->daemon->client, stream, offset, buffer, *size, &count, end))) {
        return false;
    }
    *size = count;
    return true;
}

static size_t stream_read(void *context, unsigned stream, uint64_t *offset, char *buffer,
                          size_t size, uint64_t *end)
{
    struct peer *peer = context;

    *end = *offset;
    /* What a person at a prompt would see of the log: nobody is one here. */
    return peer->monitor->session_active && read_any(peer, stream, offset, buffer, &size, end)
               ? size
               : 0;
}

static bool trace_read(void *context, unsigned cpu, uint64_t *offset, char *buffer, size_t *size,
                       uint64_t *end)
{
    return read_any(context, MONITOR_STREAM_TRACE + cpu, offset, buffer, size, end);
}

static bool memory_read(void *context, unsigned vm, uint64_t *offset, char *buffer, size_t *size,
                        uint64_t *end)
{
    return read_any(context, MONITOR_STREAM_MEMORY + vm, offset, buffer, size, end);
}

static size_t console_write(void *context, unsigned vm, const char *bytes, size_t size)
{
    struct peer *peer = context;
    uint64_t *typed = &peer->daemon->typed[vm], before = *typed;

    if (!answered(peer, client_write(peer->daemon->client, MONITOR_STREAM_CONSOLE + vm, typed,
                                     bytes, size))) {
        return 0;
    }
    return *typed - before <= size ? (size_t)(*typed - before) : 0;
}

static status_t execute(void *context, const char *line, format_sink_t out, void *out_context)
{
    struct peer *peer = context;
    struct client_output output;

    peer->follows = false;
    if (!answered(peer, client_execute(peer->daemon->client, line, &output))) {
        return STATUS_IO;
    }
    out(out_context, output.text, output.size);
    peer->monitor->output_cut |= output.cut;
    free(output.text);
    return output.failed ? STATUS_INVALID : STATUS_OK;
}

static const char *console_name(void *context, unsigned index)
{
    const struct client *client = ((struct peer *)context)->daemon->client;

    return index < client->stream_count - MONITOR_STREAM_CONSOLE
               ? client->streams[MONITOR_STREAM_CONSOLE + index]
               : NULL;
}

static const struct monitor_ops line_ops = {
    .stream_read = stream_read,
    .trace_read = trace_read,
    .memory_read = memory_read,
    .console_write = console_write,
    .execute = execute,
    .vm_name = console_name,
};

/* Peers. */

static void drop(struct peer *peer)
{
    close(peer->fd);
    free(peer->monitor);
    *peer = (struct peer){.daemon = peer->daemon, .fd = -1};
}

static void admit(struct daemon *daemon)
{
    static const char full[] = "the daemon has as many clients as it can have\n";
    int fd = accept4(daemon->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    for (unsigned i = 0; i < PEERS_MAX && fd >= 0; i++) {
        struct peer *peer = &daemon->peers[i];
        if (peer->fd < 0 && (peer->monitor = calloc(1, sizeof(*peer->monitor))) != NULL) {
            peer->fd = fd;
            monitor_init(peer->monitor, &line_ops, peer, 0);
            return;
        }
    }
    if (fd >= 0) {
        (void)!write(fd, full, sizeof(full) - 1);
        close(fd);
    }
}

/* Sends what there is as far as there is room; false if the peer is gone. */
static bool flush(struct peer *peer)
{
    for (;;) {
        if (peer->out_at == peer->out_size) {
            peer->out_at = 0;
            peer->out_size = monitor_transmit(peer->monitor, peer->out, sizeof(peer->out));
        }
        if (peer->out_size == 0) {
            return true;
        }
        ssize_t count = write(peer->fd, peer->out + peer->out_at, peer->out_size - peer->out_at);
        if (count < 0) {
            return errno == EAGAIN || errno == EINTR;
        }
        peer->out_at += (size_t)count;
    }
}

/* Takes what a peer has sent and carries it out; false if the peer is gone. */
static bool serve(struct peer *peer)
{
    uint8_t bytes[1024];
    ssize_t count = read(peer->fd, bytes, sizeof(bytes));

    if (count <= 0) {
        return count < 0 && (errno == EAGAIN || errno == EINTR);
    }
    (void)monitor_poll(peer->monitor, line_now_ms(NULL) * 1000);
    for (ssize_t i = 0; i < count && !peer->broken; i++) {
        monitor_receive(peer->monitor, bytes[i]);
    }
    return !peer->broken && flush(peer);
}

static void serve_or_drop(struct peer *peer, short events)
{
    bool good = (events & POLLOUT) == 0 || flush(peer);

    if (good && (events & (POLLIN | POLLHUP | POLLERR)) != 0) {
        good = serve(peer);
    }
    if (!good) {
        drop(peer);
    }
}

/* All that ask for something, then one of those that follow streams. */
static void serve_round(struct daemon *daemon, const struct pollfd *ready)
{
    for (unsigned i = 0; i < PEERS_MAX; i++) {
        struct peer *peer = &daemon->peers[i];
        if (peer->fd >= 0 && ready[i].revents != 0 && !peer->follows) {
            serve_or_drop(peer, ready[i].revents);
        }
    }
    for (unsigned i = 0; i < PEERS_MAX; i++) {
        unsigned number = (daemon->turn + i) % PEERS_MAX;
        struct peer *peer = &daemon->peers[number];
        if (peer->fd >= 0 && ready[number].revents != 0 && peer->follows) {
            daemon->turn = number + 1;
            serve_or_drop(peer, ready[number].revents);
            break;
        }
    }
    for (unsigned i = 0; i < PEERS_MAX; i++) {
        if (daemon->peers[i].broken) {
            drop(&daemon->peers[i]);
        }
    }
}

static int run(struct daemon *daemon)
{
    struct pollfd ready[PEERS_MAX + 1];

    while (!stop_requested && daemon->trouble == CLIENT_OK) {
        for (unsigned i = 0; i < PEERS_MAX; i++) {
            const struct peer *peer = &daemon->peers[i];
            short output = peer->out_at < peer->out_size ? POLLOUT : 0;
            ready[i] = (struct pollfd){.fd = peer->fd, .events = (short)(POLLIN | output)};
        }
        ready[PEERS_MAX] = (struct pollfd){.fd = daemon->listener, .events = POLLIN};
        if (poll(ready, PEERS_MAX + 1, -1) <= 0) {
            continue;
        }
        serve_round(daemon, ready);
        if (ready[PEERS_MAX].revents != 0) {
            admit(daemon);
        }
    }
    return daemon->trouble == CLIENT_OK ? EXIT_DONE : line_trouble(daemon->client, daemon->trouble);
}

/* The socket. */

static int complain(const char *path, const char *why)
{
    fprintf(stderr, "hvctl: %s: %s\n", path, why);
    return -1;
}

/* Takes away a socket that a daemon has left behind; false if that is not what is there. */
static bool clear_way(const char *path, const struct sockaddr_un *address)
{
    struct stat status;

    if (lstat(path, &status) != 0) {
        return true;
    }
    int fd = S_ISSOCK(status.st_mode) ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    if (fd < 0) {
        (void)complain(path, "something else is there");
        return false;
    }
    bool served = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;
    close(fd);
    if (served) {
        (void)complain(path, "another daemon serves it");
        return false;
    }
    return unlink(path) == 0;
}

/* Only this user may connect, and the members of a group if there is one. */
static int open_socket(const char *path, const struct group *group)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(address.sun_path)) {
        return complain(path, "the path is too long for a socket: give a relative one");
    }
    strcpy(address.sun_path, path);
    if (!clear_way(path, &address)) {
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t before = umask(0177);
    bool good = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    (void)umask(before);
    if (good && group != NULL) {
        good = chown(path, (uid_t)-1, group->gr_gid) == 0 && chmod(path, 0660) == 0;
    }
    if (!good || listen(fd, PEERS_MAX) != 0) {
        (void)complain(path, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

static int parse(int argc, char **argv, struct daemon *daemon, const struct group **group)
{
    for (int i = 1; i < argc; i += 2) {
        bool socket = strcmp(argv[i], "--socket") == 0;
        if ((!socket && strcmp(argv[i], "--group") != 0) || i + 1 == argc) {
            return wrong_usage(argv[0], "it takes --socket PATH, and may take --group GROUP");
        }
        if (socket) {
            daemon->path = argv[i + 1];
        } else if ((*group = getgrnam(argv[i + 1])) == NULL) {
            return wrong_usage(argv[0], "there is no group '%s'", argv[i + 1]);
        }
    }
    return daemon->path != NULL ? EXIT_DONE : wrong_usage(argv[0], "it takes --socket PATH");
}

int run_daemon(struct client *client, int argc, char **argv)
{
    struct daemon daemon = {.client = client};
    const struct group *group = NULL;
    int code = parse(argc, argv, &daemon, &group);

    for (unsigned i = 0; i < PEERS_MAX; i++) {
        daemon.peers[i] = (struct peer){.daemon = &daemon, .fd = -1};
    }
    if (code != EXIT_DONE) {
        return code;
    }
    enum client_result result = find_typed(&daemon);
    if (result != CLIENT_OK) {
        return line_trouble(client, result);
    }
    daemon.listener = open_socket(daemon.path, group);
    if (daemon.listener < 0) {
        return EXIT_FAILED;
    }
    printf("the line is shared: hvctl -l %s\n", daemon.path);
    fflush(stdout);
    code = run(&daemon);
    for (unsigned i = 0; i < PEERS_MAX; i++) {
        if (daemon.peers[i].fd >= 0) {
            drop(&daemon.peers[i]);
        }
    }
    (void)unlink(daemon.path);
    close(daemon.listener);
    return code;
}
