/* SPDX-License-Identifier: BSD-2-Clause */
#define _XOPEN_SOURCE 600
#define _DEFAULT_SOURCE
#include "tools/hvctl/console_until.h"
#include "tools/hvctl/hvctl.h"
#include "tools/hvctl/line.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define KEY_ESCAPE       0x1d /* Ctrl-] */
#define DEFAULT_QUIET_MS 2000u
#define UNTIL_QUIET_MS   60000u

struct console {
    struct client *client;
    unsigned stream;
    const char *name;
    int in, out;   /* standard input and output, or a pseudo-terminal's master */
    bool terminal; /* standard input is one: raw mode and the escape key */
    unsigned quiet_ms;

    uint64_t read_offset, write_offset;
    bool joined; /* something was read: a gap is a loss from now on */
    bool behind; /* there was more than the last answer had room for */
    char pending[1024];
    size_t pending_size; /* typed, not yet taken by the guest */
    bool input_ended;
    bool after_escape;
    bool leave;
    uint64_t heard_ms; /* when bytes last went either way */
    struct console_until *until;
};

static struct termios saved_termios;
static bool termios_saved;

static void restore_terminal(void)
{
    if (termios_saved) {
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &saved_termios);
        termios_saved = false;
    }
}

static void make_terminal_raw(void)
{
    struct termios raw;

    if (tcgetattr(STDIN_FILENO, &saved_termios) != 0) {
        return;
    }
    if (!termios_saved) {
        termios_saved = true;
        (void)atexit(restore_terminal);
    }
    raw = saved_termios;
    cfmakeraw(&raw);
    (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
}

/* Takes what was typed; the escape key and what follows it stay here. */
static void take_input(struct console *console, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size && !console->leave; i++) {
        char c = bytes[i];
        if (console->terminal && !console->after_escape && c == KEY_ESCAPE) {
            console->after_escape = true;
            continue;
        }
        if (console->after_escape) {
            console->after_escape = false;
            if (c == '.' || c == 'q') {
                console->leave = true;
                continue;
            }
            if (c != KEY_ESCAPE) {
                fprintf(stderr, "\r\n[Ctrl-] then: '.' or 'q' leaves, Ctrl-] sends itself]\r\n");
                continue;
            }
        }
        if (console->pending_size == sizeof(console->pending)) {
            fputc('\a', stderr);
            continue;
        }
        console->pending[console->pending_size++] = c;
    }
}

static void read_input(struct console *console)
{
    char bytes[256];
    size_t room = sizeof(console->pending) - console->pending_size;
    ssize_t count =
        read(console->in, bytes, console->terminal || room > sizeof(bytes) ? sizeof(bytes) : room);

    if (count > 0) {
        take_input(console, bytes, (size_t)count);
        console->heard_ms = line_now_ms(NULL);
    } else if (count == 0 || (errno != EINTR && errno != EAGAIN)) {
        console->input_ended = true;
    }
}

/* Waits for input, `wait_ms` at most. What comes from a file is left there until the guest takes
 * it; a terminal is always read, for the escape key's sake. */
static void wait_for_input(struct console *console, unsigned wait_ms)
{
    bool wanted = console->terminal || console->pending_size < sizeof(console->pending);
    struct pollfd input = {.fd = wanted && !console->input_ended ? console->in : -1,
                           .events = POLLIN};

    if (poll(&input, 1, (int)wait_ms) > 0) {
        read_input(console);
    }
}

/* Whether what is read can be passed on. Nobody may have opened the pseudo-terminal: meanwhile it
 * stays where it is. */
static bool has_reader(const struct console *console)
{
    struct pollfd output = {.fd = console->out, .events = POLLOUT};

    return console->out == STDOUT_FILENO || poll(&output, 1, 0) > 0;
}

/* All of it, or what there is room for at a pseudo-terminal; -1 if nobody is there any more. */
static ssize_t put(const struct console *console, const char *bytes, size_t size)
{
    if (console->out == STDOUT_FILENO) {
        return write_out(bytes, size) ? (ssize_t)size : -1;
    }
    ssize_t count = write(console->out, bytes, size);
    return count < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : count;
}

static enum client_result pass_output(struct console *console, bool *active)
{
    char bytes[CLIENT_READ_MAX];
    uint64_t expected = console->read_offset, end;
    size_t count;
    if (!has_reader(console)) {
        return CLIENT_OK;
    }
    enum client_result result = client_read(console->client, console->stream, &console->read_offset,
                                            bytes, sizeof(bytes), &count, &end);

    if (result != CLIENT_OK) {
        return result;
    }
    if (console->joined && console->out == STDOUT_FILENO) {
        report_gap(expected, console->read_offset);
    }
    console->joined = true;
    if (count > 0) {
        ssize_t written = put(console, bytes, count);
        *active = written > 0;
        console->heard_ms = line_now_ms(NULL);
        console->leave |= written < 0;
        console->read_offset += written > 0 ? (size_t)written : 0;
        if (console->until != NULL && written > 0) {
            console_until_add(console->until, bytes, (size_t)written);
        }
    }
    console->behind = console->read_offset < end;
    return CLIENT_OK;
}

static enum client_result pass_input(struct console *console, bool *active)
{
    uint64_t before = console->write_offset;
    enum client_result result =
        client_write(console->client, console->stream, &console->write_offset, console->pending,
                     console->pending_size);

    if (result != CLIENT_OK) {
        return result;
    }
    uint64_t taken = console->write_offset - before;
    if (console->write_offset < before || taken > console->pending_size) {
        return CLIENT_NONSENSE;
    }
    if (taken > 0) {
        *active = true;
        console->heard_ms = line_now_ms(NULL);
        console->pending_size -= (size_t)taken;
        memmove(console->pending, console->pending + taken, console->pending_size);
    }
    return CLIENT_OK;
}

/* Finds the place to read and to type at. */
static enum client_result join(struct console *console, bool scrollback)
{
    uint64_t end = 0;
    size_t count;
    char none;
    enum client_result result;

    console->read_offset = 0;
    console->joined = false;
    console->write_offset = 0;
    result = client_read(console->client, console->stream, &console->read_offset, &none, 0, &count,
                         &end);
    if (result != CLIENT_OK) {
        return result;
    }
    if (!scrollback) {
        console->read_offset = end;
    }
    return client_write(console->client, console->stream, &console->write_offset, NULL, 0);
}

/* The hypervisor is another one now: its streams begin again, and what was typed for the old one
 * is not for the new one. */
static enum client_result rejoin(struct console *console)
{
    enum client_result result = client_connect(console->client);
    int stream = client_find_console(console->client, console->name);

    if (result != CLIENT_OK) {
        return result;
    }
    if (stream < 0) {
        return CLIENT_NO_STREAM;
    }
    fprintf(stderr, "\r\n[the hypervisor has restarted]\r\n");
    console->stream = (unsigned)stream;
    console->pending_size = 0;
    return join(console, true);
}

/* However slowly it comes, what the console has is shown before it counts as quiet. */
static bool finished(const struct console *console)
{
    bool sent = console->input_ended && console->pending_size == 0;
    bool found = console->until != NULL && console->until->found;

    return console->leave || stop_requested || (found && (sent || console->terminal)) ||
           (sent && !console->behind && line_now_ms(NULL) - console->heard_ms >= console->quiet_ms);
}

static enum client_result serve(struct console *console)
{
    enum client_result result = CLIENT_OK;
    unsigned interval = 1;

    console->heard_ms = line_now_ms(NULL);
    while (result == CLIENT_OK && !finished(console)) {
        bool active = false;
        result = pass_output(console, &active);
        if (result == CLIENT_OK && console->pending_size > 0) {
            result = pass_input(console, &active);
        }
        if (result == CLIENT_RESTARTED) {
            result = rejoin(console);
        }
        interval = next_interval(interval, active);
        size_t pending = console->pending_size;
        wait_for_input(console, interval);
        if (console->pending_size != pending) {
            interval = 1;
        }
    }
    return result;
}

/* Makes a pseudo-terminal for other programs; complains. */
static bool open_pty(struct console *console)
{
    struct termios raw;
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    const char *path =
        master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0 ? ptsname(master) : NULL;
    /* Held open: the master then sees no end when a program leaves. */
    int slave = path != NULL ? open(path, O_RDWR | O_NOCTTY | O_CLOEXEC) : -1;

    if (slave < 0 || tcgetattr(slave, &raw) != 0) {
        fprintf(stderr, "hvctl: no pseudo-terminal: %s\n", strerror(errno));
        return false;
    }
    cfmakeraw(&raw);
    (void)tcsetattr(slave, TCSANOW, &raw);
    console->in = console->out = master;
    printf("%s\n", path);
    fflush(stdout);
    return true;
}

struct options {
    bool scrollback;
    double quiet_s; /* below 0: not given */
    const char *until;
};

/* The value of the option at `*i`, or NULL. */
static const char *option_value(int argc, char **argv, int *i)
{
    return *i + 1 < argc ? argv[++*i] : NULL;
}

static int parse_console(struct console *console, int argc, char **argv, struct options *options)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--no-scrollback") == 0) {
            options->scrollback = false;
        } else if (strcmp(argv[i], "--pty") == 0) {
            console->out = -1;
        } else if (strcmp(argv[i], "--quiet") == 0) {
            const char *value = option_value(argc, argv, &i);
            if (value == NULL || !number_within(value, 0, 86400, &options->quiet_s)) {
                return wrong_usage(argv[0], "--quiet takes seconds");
            }
        } else if (strcmp(argv[i], "--until") == 0) {
            options->until = option_value(argc, argv, &i);
            if (options->until == NULL) {
                return wrong_usage(argv[0], "--until takes a regular expression");
            }
        } else if (argv[i][0] == '-') {
            return wrong_usage(argv[0], "there is no option '%s'", argv[i]);
        } else if (console->name != NULL) {
            return wrong_usage(argv[0], "'%s' is one argument too many", argv[i]);
        } else {
            console->name = argv[i];
        }
    }
    if (options->until != NULL && console->out < 0) {
        return wrong_usage(argv[0], "--until is not for a pseudo-terminal");
    }
    return console->name != NULL ? EXIT_DONE : wrong_usage(argv[0], "it takes a VM's name");
}

/* Joins the console and passes bytes until it is left; an exit code. */
static int talk(struct console *console, bool scrollback)
{
    enum client_result result = join(console, scrollback);

    if (result == CLIENT_OK) {
        if (console->terminal) {
            make_terminal_raw();
            /* Whoever has read this may type. */
            fprintf(stderr, "[the console of %s; Ctrl-] then '.' leaves it]\r\n", console->name);
        }
        result = serve(console);
    }
    if (console->terminal) {
        restore_terminal();
        fprintf(stderr, "\n[left the console of %s]\n", console->name);
    }
    return result == CLIENT_OK ? EXIT_DONE : line_trouble(console->client, result);
}

/* The same, until `pattern` is printed. */
static int talk_until(struct console *console, bool scrollback, const char *pattern)
{
    static struct console_until until;
    char why[128];

    if (!console_until_open(&until, pattern, why, sizeof(why))) {
        return wrong_usage("console", "'%s' is no regular expression: %s", pattern, why);
    }
    console->until = &until;
    int code = talk(console, scrollback);
    console_until_close(&until);
    if (code == EXIT_DONE && !until.found) {
        fprintf(stderr, "hvctl: console: %s has printed nothing that matches '%s'\n", console->name,
                pattern);
        code = EXIT_FAILED;
    }
    return code;
}

int run_console(struct client *client, int argc, char **argv)
{
    struct console console = {.client = client, .in = STDIN_FILENO, .out = STDOUT_FILENO};
    struct options options = {.scrollback = true, .quiet_s = -1};
    int code = parse_console(&console, argc, argv, &options);

    if (code != EXIT_DONE) {
        return code;
    }
    console.quiet_ms = options.quiet_s >= 0    ? (unsigned)(options.quiet_s * 1000)
                       : options.until != NULL ? UNTIL_QUIET_MS
                                               : DEFAULT_QUIET_MS;
    int stream = require_console(client, console.name);
    if (stream < 0) {
        return EXIT_FAILED;
    }
    console.stream = (unsigned)stream;
    if (console.out < 0 && !open_pty(&console)) {
        return EXIT_FAILED;
    }
    console.terminal = console.out == STDOUT_FILENO && isatty(STDIN_FILENO);
    return options.until != NULL ? talk_until(&console, options.scrollback, options.until)
                                 : talk(&console, options.scrollback);
}
