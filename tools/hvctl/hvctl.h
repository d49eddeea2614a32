/* SPDX-License-Identifier: BSD-2-Clause */
/* What hvctl's files share. */
#ifndef POSTERN_TOOLS_HVCTL_HVCTL_H
#define POSTERN_TOOLS_HVCTL_HVCTL_H

#include <signal.h>

#include "tools/hvctl/client.h"

enum exit_code {
    EXIT_DONE,
    EXIT_FAILED, /* the hypervisor carried the command out, and it failed */
    EXIT_USAGE,
    EXIT_LINE /* no answer, or trouble with the line */
};

/* Set by SIGINT, SIGTERM and SIGHUP: leave what goes on. */
extern volatile sig_atomic_t stop_requested;

struct verb {
    const char *name;
    const char *arguments; /* for usage texts */
    const char *summary;
    const char *help;
    int (*run)(struct client *client, int argc, char **argv); /* argv[0]: its name; an exit code */
};

extern const struct verb verbs[];
extern const unsigned verb_count;

/* NULL if there is none of that name. */
const struct verb *find_verb(const char *name);

/* `hvctl VERB --help`. */
void print_verb_help(const struct verb *verb);

/* Complains of a verb's arguments; EXIT_USAGE. */
int wrong_usage(const char *verb, const char *format, ...) PRINTF(2, 3);

/* Says why a request failed; its exit code. */
int line_trouble(const struct client *client, enum client_result result);

/* The number of a VM's console stream; complains and returns -1 if there is no such VM. */
int require_console(const struct client *client, const char *vm);

/* Polling: soon again while bytes flow, ever later while none do. */
unsigned next_interval(unsigned interval_ms, bool active);

/* Writes all of it to standard output; false if nobody reads it. */
bool write_out(const void *bytes, size_t size);

/* Prints "[N bytes lost]" if the stream went on behind `expected`. */
void report_gap(uint64_t expected, uint64_t offset);

/* The verb `console`, in console.c. */
int run_console(struct client *client, int argc, char **argv);

#endif
