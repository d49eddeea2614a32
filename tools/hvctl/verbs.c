/* SPDX-License-Identifier: BSD-2-Clause */
#define _DEFAULT_SOURCE
#include "tools/hvctl/hvctl.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/table.h"

#define INTERVAL_MIN_MS 1u
#define INTERVAL_MAX_MS 50u
#define COMMAND_SIZE    1024u

int wrong_usage(const char *verb, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "hvctl: %s: ", verb);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, " (see 'hvctl help %s')\n", verb);
    return EXIT_USAGE;
}

int line_trouble(const struct client *client, enum client_result result)
{
    char text[CLIENT_TEXT_SIZE];

    if (result == CLIENT_VERSION) {
        fprintf(stderr, "hvctl: %s: its is %u, this program's %u\n", client_result_text(result),
                client->version, MONITOR_VERSION);
        return EXIT_LINE;
    }
    fprintf(stderr, "hvctl: %s", client_result_text(result));
    if (result == CLIENT_SILENT) {
        fprintf(stderr, " within %u.%u s", client->timeout_ms / 1000,
                client->timeout_ms % 1000 / 100);
    }
    fputc('\n', stderr);
    client_last_text(client, text, sizeof(text));
    if (client->decoder.frames == 0 && text[strspn(text, " \n")] != '\0') {
        fprintf(stderr, "the line ended with this text:\n%s\n", text + strspn(text, " \n"));
    }
    return EXIT_LINE;
}

int require_console(const struct client *client, const char *vm)
{
    int stream = client_find_console(client, vm);

    if (stream < 0) {
        fprintf(stderr, "hvctl: there is no VM named '%s'; there are:", vm);
        for (unsigned i = MONITOR_STREAM_CONSOLE; i < client->stream_count; i++) {
            fprintf(stderr, " %s", client->streams[i]);
        }
        fputc('\n', stderr);
    }
    return stream;
}

unsigned next_interval(unsigned interval_ms, bool active)
{
    if (active) {
        return INTERVAL_MIN_MS;
    }
    return interval_ms * 2 < INTERVAL_MAX_MS ? interval_ms * 2 : INTERVAL_MAX_MS;
}

bool write_out(const void *bytes, size_t size)
{
    const char *at = bytes;

    while (size > 0) {
        ssize_t count = write(STDOUT_FILENO, at, size);
        if (count >= 0) {
            at += count;
            size -= (size_t)count;
        } else if (errno == EAGAIN) {
            (void)poll(&(struct pollfd){.fd = STDOUT_FILENO, .events = POLLOUT}, 1, -1);
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

void report_gap(uint64_t expected, uint64_t offset)
{
    char text[64];

    if (offset > expected) {
        int size = snprintf(text, sizeof(text), "[%llu bytes lost]",
                            (unsigned long long)(offset - expected));
        (void)write_out(text, (size_t)size);
    }
}

/* A command's output: aligned for a person, as it came for a program. */
static void print_output(const struct client_output *output)
{
    struct table table;
    int c;

    if (isatty(STDOUT_FILENO)) {
        table_init(&table, output->text, output->size);
        while ((c = table_next(&table)) >= 0) {
            putchar(c);
        }
    } else {
        fwrite(output->text, 1, output->size, stdout);
    }
    if (output->size > 0 && output->text[output->size - 1] != '\n') {
        putchar('\n');
    }
    fflush(stdout);
    if (output->cut) {
        fprintf(stderr, "hvctl: the hypervisor had no room for the rest of the output\n");
    }
}

static int execute(struct client *client, const char *command)
{
    struct client_output output;
    enum client_result result = client_execute(client, command, &output);

    if (result == CLIENT_RESTARTED) {
        result = client_connect(client);
        if (result == CLIENT_OK) {
            result = client_execute(client, command, &output);
        }
    }
    if (result != CLIENT_OK) {
        return line_trouble(client, result);
    }
    if (output.failed) {
        /* The reason, where programs do not take it for the result. */
        fwrite(output.text, 1, output.size, stderr);
    } else {
        print_output(&output);
    }
    free(output.text);
    return output.failed ? EXIT_FAILED : EXIT_DONE;
}

/* Joins the verb's words with spaces and executes them. */
static int execute_words(struct client *client, int count, char **words)
{
    char command[COMMAND_SIZE] = "";

    for (int i = 0; i < count; i++) {
        if (strlen(command) + strlen(words[i]) + 2 > sizeof(command)) {
            fprintf(stderr, "hvctl: the command is too long\n");
            return EXIT_USAGE;
        }
        strcat(strcat(command, i > 0 ? " " : ""), words[i]);
    }
    return execute(client, command);
}

static int run_without_arguments(struct client *client, int argc, char **argv)
{
    if (argc > 1) {
        return wrong_usage(argv[0], "it takes no arguments");
    }
    return execute(client, argv[0]);
}

static int run_with_vm(struct client *client, int argc, char **argv)
{
    if (argc != 2) {
        return wrong_usage(argv[0], "it takes a VM's name");
    }
    if (require_console(client, argv[1]) < 0) {
        return EXIT_FAILED;
    }
    return execute_words(client, argc, argv);
}

static int run_with_network(struct client *client, int argc, char **argv)
{
    return argc == 2 ? execute_words(client, argc, argv)
                     : wrong_usage(argv[0], "it takes a network's name");
}

static int run_shutdown(struct client *client, int argc, char **argv)
{
    if (argc > 2) {
        return wrong_usage(argv[0], "'%s' is one argument too many", argv[2]);
    }
    if (argc < 2 || strcmp(argv[1], "all") == 0) {
        return execute(client, "shutdown all");
    }
    if (require_console(client, argv[1]) < 0) {
        return EXIT_FAILED;
    }
    return execute_words(client, argc, argv);
}

static int run_exec(struct client *client, int argc, char **argv)
{
    if (argc < 2) {
        return wrong_usage(argv[0], "it takes a command");
    }
    return execute_words(client, argc - 1, argv + 1);
}

static int run_log(struct client *client, int argc, char **argv)
{
    bool follow = argc == 2 && (strcmp(argv[1], "-f") == 0 || strcmp(argv[1], "--follow") == 0);
    uint64_t offset = 0, expected = 0, end = 0;
    unsigned interval = INTERVAL_MIN_MS;
    enum client_result result = CLIENT_OK;
    char bytes[CLIENT_READ_MAX];
    size_t count;

    if (argc > 1 && !follow) {
        return wrong_usage(argv[0], "'%s' is not an argument of it", argv[1]);
    }
    do {
        result =
            client_read(client, MONITOR_STREAM_LOG, &offset, bytes, sizeof(bytes), &count, &end);
        if (result == CLIENT_RESTARTED && follow) {
            fprintf(stderr, "[the hypervisor has restarted]\n");
            offset = expected = 0;
            count = 0;
            result = client_connect(client);
        }
        if (result != CLIENT_OK) {
            return line_trouble(client, result);
        }
        report_gap(expected, offset);
        if (!write_out(bytes, count)) {
            break;
        }
        expected = offset += count;
        interval = next_interval(interval, count > 0);
        if (follow && offset >= end) {
            (void)poll(NULL, 0, (int)interval);
        }
    } while (!stop_requested && (follow || (offset < end && count > 0)));
    return EXIT_DONE;
}

const struct verb verbs[] = {
    {"list", "", "list the VMs", "One line for each VM: its name, state, vCPUs and so on.\n",
     run_without_arguments},
    {"console", "[--no-scrollback] [--quiet SECONDS] VM", "join the console of a VM",
     "Shows what the VM printed before and what it prints, and types into it. Ctrl-] and then '.'\n"
     "or 'q' leaves; Ctrl-] twice sends one. Bytes that the hypervisor could not keep until they\n"
     "were read are marked [N bytes lost].\n"
     "If standard input is no terminal, it is sent, and hvctl ends when it is at its end and the\n"
     "console was quiet for a while.\n"
     "  --no-scrollback  do not show what was printed before\n"
     "  --quiet SECONDS  how long that while is (default 2)\n",
     run_console},
    {"stats", "VM", "count the exits and interrupts of a VM",
     "Exits by reason, for each vCPU; interrupts that were injected (not those that the CPU\n"
     "delivers itself); accesses that its memory's permissions refused.\n",
     run_with_vm},
    {"links", "", "list the links between VMs",
     "Each link's ends and how often they rang; what exits did for each of them.\n",
     run_without_arguments},
    {"networks", "", "list the networks and their members",
     "What each member sent by the switch, and what of it was flooded or dropped.\n",
     run_without_arguments},
    {"fdb", "NETWORK", "show a network's forwarding database",
     "Each address that its switch knows, with the VLAN (0: they are not kept apart), the port "
     "and\n"
     "the VM. A held address moves too often to be believed; a foreign one was written by a VM.\n",
     run_with_network},
    {"log", "[-f]", "show the hypervisor's log",
     "  -f, --follow  go on as lines come, until interrupted\n", run_log},
    {"caps", "", "show what the CPU offers and what is used of it",
     "The capabilities that the hypervisor requires, wants and found.\n", run_without_arguments},
    {"info", "", "show CPUs, memory and time", "What the hypervisor and its guests hold.\n",
     run_without_arguments},
    {"start", "VM", "start a VM that is off", "Its kernel and initramfs are loaded anew.\n",
     run_with_vm},
    {"shutdown", "[VM | all]", "switch a VM off, or all of them",
     "At once, as if its plug were pulled. Without a name: all VMs, and then the machine.\n",
     run_shutdown},
    {"exec", "COMMAND...", "run any command of the hypervisor's monitor",
     "'exec help' lists them.\n", run_exec},
};

const unsigned verb_count = sizeof(verbs) / sizeof(verbs[0]);

const struct verb *find_verb(const char *name)
{
    for (unsigned i = 0; i < verb_count; i++) {
        if (strcmp(verbs[i].name, name) == 0) {
            return &verbs[i];
        }
    }
    return NULL;
}

void print_verb_help(const struct verb *verb)
{
    printf("usage: hvctl [-l LINE] %s%s%s\n%s.\n\n%s", verb->name,
           verb->arguments[0] != '\0' ? " " : "", verb->arguments, verb->summary, verb->help);
}
