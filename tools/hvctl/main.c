/* SPDX-License-Identifier: BSD-2-Clause */
/* hvctl: drives the hypervisor over its serial line. */
#define _DEFAULT_SOURCE
#include "tools/hvctl/hvctl.h"
#include "tools/hvctl/line.h"
#include "tools/hvctl/prompt.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_LINE       "build/run/line"
#define DEFAULT_TIMEOUT_MS 10000u
#define LINE_ENVIRONMENT   "POSTERN_LINE"
#define MAX_WORDS          32

volatile sig_atomic_t stop_requested;
bool json_wanted;

struct options {
    const char *line;
    unsigned timeout_ms;
};

static void request_stop(int number)
{
    stop_requested = number;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = request_stop};

    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGHUP, &action, NULL);
    action.sa_handler = SIG_IGN;
    (void)sigaction(SIGPIPE, &action, NULL);
}

static void print_verbs(void)
{
    for (unsigned i = 0; i < verb_count; i++) {
        printf("  %-10s %s\n", verbs[i].name, verbs[i].summary);
    }
}

const char option_help[] =
    "  -l, --line LINE        the line: DEVICE[@BAUD], tcp:HOST:PORT, unix:PATH, or the\n"
    "                         path of a pseudo-terminal or socket (default: $" LINE_ENVIRONMENT
    ",\n                         else " DEFAULT_LINE ")\n"
    "  -t, --timeout SECONDS  how long to wait for an answer (default 10)\n"
    "  -j, --json             print tables as JSON\n"
    "  -h, --help             a short help; behind a verb, more of that\n";

const char exit_help[] =
    "0 done, 1 the command failed, 2 wrong usage, 3 no answer or trouble with the line.\n";

_Static_assert(DEFAULT_TIMEOUT_MS == 10000, "option_help says 10 seconds");

static void print_help(void)
{
    printf("usage: hvctl [-l LINE] [-t SECONDS] [-j] [VERB [ARGUMENT...]]\n"
           "Drives the Postern hypervisor over its serial line. Without a verb it prompts for "
           "them.\n\n");
    print_verbs();
    printf("\n'hvctl VERB --help' tells more of one; 'hvctl manual | man -l -' tells all.\n\n%s\n"
           "Tables are aligned if they go to a terminal, and folded if it is narrower; else a\n"
           "TAB separates their fields.\n"
           "Exit code: %s",
           option_help, exit_help);
}

static int complain(const char *text, const char *what)
{
    fprintf(stderr, "hvctl: ");
    fprintf(stderr, text, what);
    fprintf(stderr, " (see 'hvctl --help')\n");
    return EXIT_USAGE;
}

/* Reads the options in front of the verb. False: `code` is what to exit with. */
static bool parse_options(int argc, char **argv, struct options *options, int *code)
{
    static const struct option longs[] = {{"line", required_argument, NULL, 'l'},
                                          {"timeout", required_argument, NULL, 't'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    double seconds;
    int option;

    *code = EXIT_USAGE;
    while ((option = getopt_long(argc, argv, "+l:t:jh", longs, NULL)) != -1) {
        switch (option) {
        case 'l':
            options->line = optarg;
            break;
        case 't':
            if (!number_within(optarg, 0.1, 86400, &seconds)) {
                *code = complain("'%s' is no time to wait, in seconds", optarg);
                return false;
            }
            options->timeout_ms = (unsigned)(seconds * 1000);
            break;
        case 'j':
            json_wanted = true;
            break;
        case 'h':
            print_help();
            *code = EXIT_DONE;
            return false;
        default: /* getopt_long() has said why */
            return false;
        }
    }
    return true;
}

/* `help [VERB]` at the prompt or on the command line. */
static int run_help(int argc, char **argv)
{
    const struct verb *verb = argc > 1 ? find_verb(argv[1]) : NULL;

    if (argc < 2) {
        print_verbs();
        printf("  %-10s %s\n", "help", "'help VERB' tells more of one");
        printf("  %-10s %s\n", "quit", "leave");
    } else if (verb == NULL) {
        return complain("there is no verb '%s'", argv[1]);
    } else {
        print_verb_help(verb);
    }
    return EXIT_DONE;
}

/* Finds the verb in argv[0]. NULL: `code` is the result already. */
static const struct verb *choose_verb(int argc, char **argv, int *code)
{
    if (strcmp(argv[0], "help") == 0) {
        *code = run_help(argc, argv);
        return NULL;
    }
    const struct verb *verb = find_verb(argv[0]);
    if (verb == NULL) {
        *code = complain("there is no verb '%s'", argv[0]);
        return NULL;
    }
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_verb_help(verb);
            *code = EXIT_DONE;
            return NULL;
        }
    }
    if (json_wanted && verb->kind == VERB_TALKS) {
        *code = complain("%s prints no tables, and so no JSON", argv[0]);
        return NULL;
    }
    return verb;
}

static int split_words(char *line, char **words)
{
    int count = 0;

    for (char *word = strtok(line, " \t\r\n"); word != NULL; word = strtok(NULL, " \t\r\n")) {
        if (count == MAX_WORDS) {
            return -1;
        }
        words[count++] = word;
    }
    return count;
}

/* Takes verbs from standard input until its end, `quit`, or the line is gone. */
static int run_lines(struct client *client, struct prompt *prompt)
{
    char *line, *words[MAX_WORDS];
    int result = EXIT_DONE;

    while ((line = prompt_read(prompt)) != NULL) {
        int code = EXIT_DONE, count = split_words(line, words);
        if (count < 0) {
            code = complain("more than %s words", "32");
        } else if (count > 0) {
            if (strcmp(words[0], "quit") == 0 || strcmp(words[0], "exit") == 0) {
                break;
            }
            const struct verb *verb = choose_verb(count, words, &code);
            if (verb != NULL) {
                code = verb->run(client, count, words);
            }
        }
        fflush(stdout);
        /* A person saw what failed; a script is told at its end. */
        result = code != EXIT_DONE && !prompt_is_terminal(prompt) ? code : result;
    }
    return result;
}

static int run_prompt(struct client *client)
{
    struct prompt *prompt = prompt_open(client);

    if (prompt == NULL) {
        fprintf(stderr, "hvctl: no memory for a prompt\n");
        return EXIT_FAILED;
    }
    int code = run_lines(client, prompt);
    prompt_close(prompt);
    return code;
}

static void report_line(const struct client *client, bool whole)
{
    uint64_t damaged = client->decoder.damaged;
    uint64_t lost = client->repeated > damaged ? client->repeated - damaged : 0;

    if (lost + damaged > 0) {
        fprintf(stderr, "line: %llu frames lost, %llu damaged%s\n", (unsigned long long)lost,
                (unsigned long long)damaged, whole ? ", all repeated" : "");
    }
}

static const char *choose_line(const char *line)
{
    if (line == NULL) {
        line = getenv(LINE_ENVIRONMENT);
        line = line != NULL && line[0] != '\0' ? line : NULL;
    }
    if (line == NULL && access(DEFAULT_LINE, F_OK) == 0) {
        line = DEFAULT_LINE;
    }
    return line;
}

static int run_on_line(const struct options *options, const struct verb *verb, int argc,
                       char **argv)
{
    static struct client client;
    struct line line;
    char error[256];
    int code;

    if (!line_open(&line, options->line, error, sizeof(error))) {
        fprintf(stderr, "hvctl: %s: %s\n", options->line, error);
        return EXIT_LINE;
    }
    client_init(&client, &line.functions, line_new_session(), options->timeout_ms);
    enum client_result result = client_connect(&client);
    if (result == CLIENT_OK) {
        code = verb != NULL ? verb->run(&client, argc, argv) : run_prompt(&client);
    } else {
        code = line_trouble(&client, result);
    }
    if (code != EXIT_LINE) {
        client_bye(&client);
    }
    report_line(&client, code != EXIT_LINE);
    client_free(&client);
    line_close(&line);
    return code;
}

int main(int argc, char **argv)
{
    struct options options = {.timeout_ms = DEFAULT_TIMEOUT_MS};
    const struct verb *verb = NULL;
    int code = EXIT_USAGE;

    if (!parse_options(argc, argv, &options, &code)) {
        return code;
    }
    argc -= optind;
    argv += optind;
    if (argc > 0) {
        verb = choose_verb(argc, argv, &code);
        if (verb == NULL) {
            return code;
        }
    }
    if (verb != NULL && verb->kind == VERB_OFFLINE) {
        return verb->run(NULL, argc, argv);
    }
    options.line = choose_line(options.line);
    if (options.line == NULL) {
        return complain("no line: give -l LINE or set %s; " DEFAULT_LINE " does not exist",
                        LINE_ENVIRONMENT);
    }
    catch_signals();
    return run_on_line(&options, verb, argc, argv);
}
