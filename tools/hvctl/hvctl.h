/* SPDX-License-Identifier: BSD-2-Clause */
/* What hvctl's files share. */
#ifndef POSTERN_TOOLS_HVCTL_HVCTL_H
#define POSTERN_TOOLS_HVCTL_HVCTL_H

#include <signal.h>

#include "tools/hvctl/client.h"

struct config;

enum exit_code {
    EXIT_DONE,
    EXIT_FAILED, /* the hypervisor carried the command out, and it failed */
    EXIT_USAGE,
    EXIT_LINE /* no answer, or trouble with the line */
};

/* The signal, of SIGINT, SIGTERM and SIGHUP, that came; else 0: leave what goes on. */
extern volatile sig_atomic_t stop_requested;

/* Tables are to be printed as JSON. */
extern bool json_wanted;

/* What a verb is like. */
enum verb_kind {
    VERB_TABLES, /* prints tables, as JSON too */
    VERB_TALKS,  /* prints no tables */
    VERB_OFFLINE /* needs no line: its client is NULL */
};

struct verb {
    const char *name;
    const char
        *arguments; /* for usage texts and completion: `verb_names` and FILE have a meaning */
    const char *summary;
    const char *help;
    int (*run)(struct client *client, int argc, char **argv); /* argv[0]: its name; an exit code */
    enum verb_kind kind;
    const char *const *words; /* that an argument may be, ended by NULL; NULL: none */
};

extern const struct verb verbs[];
extern const unsigned verb_count;

/* NULL if there is none of that name. */
const struct verb *find_verb(const char *name);

/* What stands for a name in a usage text, and the command that prints those names first in its
 * table; the last one has NULL. */
struct verb_names {
    const char *placeholder, *command;
};

extern const struct verb_names verb_names[];

/* The next option in a verb's usage text from `at` on, such as "--yes", and its length; NULL: there
 * is none. */
const char *next_option(const char *at, size_t *length);

/* Parts of `hvctl --help`: the options, and the exit codes. */
extern const char option_help[], exit_help[];

/* `hvctl VERB --help`. */
void print_verb_help(const struct verb *verb);

/* Reads the whole of `text` as a number from `min` to `max`; false for anything else. */
bool number_within(const char *text, double min, double max, double *value);

/* Complains of a verb's arguments; EXIT_USAGE. */
int wrong_usage(const char *verb, const char *format, ...) PRINTF(2, 3);

/* Says why a request failed; its exit code. */
int line_trouble(const struct client *client, enum client_result result);

/* The number of a VM's console stream; complains and returns -1 if there is no such VM. */
int require_console(const struct client *client, const char *vm);

/* Polling: soon again while bytes flow, ever later while none do. */
unsigned next_interval(unsigned interval_ms, bool active);

/* Runs a command of the monitor and prints its output; its exit code. */
int run_command(struct client *client, const char *command);
/* The same, but what it prints only if it fails. */
int run_quietly(struct client *client, const char *command);

/* Joins the words with spaces and runs that. */
int execute_words(struct client *client, int count, char **words);

/* Whether the verb is to take something away for good: asks a person at a terminal; without one it
 * is no. */
bool is_meant(const char *verb, const char *name);

/* The words of a verb, at most three, and whether its own option and --yes are among them. */
struct words {
    const char *words[3];
    unsigned count;
    bool option, yes;
};

/* Takes them out of its arguments, at most `max` words; false: complains. `option`: one of its own,
 * or NULL. --yes is for those that bring a VM to somewhere. In snapshot.c. */
bool take_words(int argc, char **argv, const char *option, unsigned max, struct words *words);

/* Prints a command's output: aligned for a person, as it came for a program, or as JSON. */
void print_tables(const char *text, size_t size);

/* Writes all of it to standard output; false if nobody reads it. */
bool write_out(const void *bytes, size_t size);

/* Prints "[N bytes lost]" if the stream went on behind `expected`. */
void report_gap(uint64_t expected, uint64_t offset);

/* The verb `console`, in console.c; `daemon`, in daemon.c; `links` and `link`, in links.c; `log`,
 * in log.c; `mem`, in memory.c; `stats`, in stats.c; `top`, in top.c; `decode`, in trace.c;
 * `config`, in configuration.c; `hardware`, in hardware.c; `image`, in image.c; `manual` and
 * `completion`, in manual.c; `snapshot`, `restore` and `migrate`, in snapshot.c; `clone`, in
 * clone.c. */
int run_clone(struct client *client, int argc, char **argv);
int run_snapshot(struct client *client, int argc, char **argv);
int run_restore(struct client *client, int argc, char **argv);
int run_migrate(struct client *client, int argc, char **argv);
int run_console(struct client *client, int argc, char **argv);
int run_daemon(struct client *client, int argc, char **argv);
int run_links(struct client *client, int argc, char **argv);
int run_link(struct client *client, int argc, char **argv);
int run_log(struct client *client, int argc, char **argv);
int run_mem(struct client *client, int argc, char **argv);
int run_stats(struct client *client, int argc, char **argv);
int run_top(struct client *client, int argc, char **argv);
int run_decode(struct client *client, int argc, char **argv);
int run_config(struct client *client, int argc, char **argv);
int run_hardware(struct client *client, int argc, char **argv);
int run_image(struct client *client, int argc, char **argv);
int run_manual(struct client *client, int argc, char **argv);
int run_completion(struct client *client, int argc, char **argv);

/* Parses a configuration's file; false after a complaint. In configuration.c. */
bool load_configuration(const char *path, struct config *config);

/* The part of the verb `trace` that fetches it, in trace.c. */
int run_trace_save(struct client *client, const char *path);

#endif
