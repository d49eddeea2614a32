/* SPDX-License-Identifier: BSD-2-Clause */
/* The verb `top`: the view of top_view.c again and again, on a screen or as text. */
#define _DEFAULT_SOURCE
#include <curses.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/table.h"
#include "tools/hvctl/hvctl.h"
#include "tools/hvctl/top_view.h"

#define SECONDS_DEFAULT 2.0
#define SECONDS_MIN     0.2
#define SECONDS_MAX     3600.0

enum colour { COLOUR_GOOD = 1, COLOUR_BAD, COLOUR_DIM };

struct top {
    double seconds;
    long rounds; /* how many to show; 0: until somebody ends it */
    bool screen;
};

static int parse(int argc, char **argv, struct top *top)
{
    *top = (struct top){.seconds = SECONDS_DEFAULT, .screen = true};
    for (int i = 1; i < argc; i++) {
        bool batch = strcmp(argv[i], "--batch") == 0;
        bool interval = strcmp(argv[i], "--interval") == 0;
        double value = 0;
        if (!batch && !interval) {
            return wrong_usage(argv[0], "'%s' is not an argument of it", argv[i]);
        }
        if (i + 1 == argc || !number_within(argv[i + 1], batch ? 1 : SECONDS_MIN,
                                            batch ? 1e6 : SECONDS_MAX, &value)) {
            return wrong_usage(argv[0], "%s takes a number%s", argv[i],
                               batch ? ", 1 at least" : " of seconds, from 0.2 to 3600");
        }
        if (batch) {
            top->rounds = (long)value;
            top->screen = false;
        } else {
            top->seconds = value;
        }
        i++;
    }
    if (top->screen && !isatty(STDOUT_FILENO)) {
        return wrong_usage(argv[0], "its screen needs a terminal; --batch N prints text");
    }
    return EXIT_DONE;
}

/* The view, as aligned text, to be freed; NULL without memory. */
static char *render(const struct top_sample *before, const struct top_sample *now)
{
    char *raw = NULL, *text = NULL;
    size_t raw_size = 0, size = 0;
    struct table table;
    FILE *out = open_memstream(&raw, &raw_size);
    int c;

    if (out == NULL) {
        return NULL;
    }
    top_render(out, before, now);
    fclose(out);
    out = open_memstream(&text, &size);
    if (out != NULL) {
        table_init(&table, raw, raw_size);
        while ((c = table_next(&table)) >= 0) {
            fputc(c, out);
        }
        fclose(out);
    }
    free(raw);
    return text;
}

static void begin_screen(void)
{
    (void)initscr();
    (void)cbreak();
    (void)noecho();
    (void)curs_set(0);
    (void)keypad(stdscr, TRUE);
    if (has_colors()) {
        (void)start_color();
        (void)use_default_colors();
        (void)init_pair(COLOUR_GOOD, COLOR_GREEN, -1);
        (void)init_pair(COLOUR_BAD, COLOR_RED, -1);
        (void)init_pair(COLOUR_DIM, COLOR_YELLOW, -1);
    }
}

/* How a line of a VM is coloured: its second word is the state. */
static int line_colour(const char *line)
{
    static const struct {
        const char *word;
        int colour;
    } states[] = {{" running ", COLOUR_GOOD}, {" crashed ", COLOUR_BAD}, {" off ", COLOUR_DIM}};

    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        if (strstr(line, states[i].word) != NULL) {
            return COLOR_PAIR(states[i].colour);
        }
    }
    return 0;
}

/* Lines are cut at the screen's edge: what matters most is on the left. */
static void draw(char *text, double seconds)
{
    int row = 0;

    (void)erase();
    for (char *line = strsep(&text, "\n"); line != NULL && row < LINES - 1;
         line = strsep(&text, "\n"), row++) {
        bool header = strncmp(line, "vm ", 3) == 0 || strncmp(line, "link ", 5) == 0;
        int attributes = header ? (int)A_REVERSE : has_colors() ? line_colour(line) : 0;
        (void)attron(attributes);
        (void)mvaddnstr(row, 0, line, COLS);
        (void)attroff(attributes);
    }
    (void)move(LINES - 1, 0);
    (void)attron(A_DIM);
    (void)printw("%.*s", COLS - 1, "q: leave   +, -: slower, faster   space: now");
    if (COLS > 70) {
        (void)printw("   every %.1f s", seconds);
    }
    (void)attroff(A_DIM);
    (void)refresh();
}

/* Waits for a key until the next round is due; false: to leave. */
static bool wait_for_key(struct top *top)
{
    timeout((int)(top->seconds * 1000));
    switch (getch()) {
    case 'q':
    case 'Q':
        return false;
    case '+':
        top->seconds = top->seconds * 2 <= SECONDS_MAX ? top->seconds * 2 : SECONDS_MAX;
        return true;
    case '-':
        top->seconds = top->seconds / 2 >= SECONDS_MIN ? top->seconds / 2 : SECONDS_MIN;
        return true;
    default:
        return !stop_requested;
    }
}

/* Shows a round; false: to leave. */
static bool show(struct top *top, char *text, long round)
{
    if (top->screen) {
        draw(text, top->seconds);
        return wait_for_key(top);
    }
    printf("%s%s", round > 0 ? "\n" : "", text);
    fflush(stdout);
    if (round + 1 == top->rounds) {
        return false;
    }
    (void)poll(NULL, 0, (int)(top->seconds * 1000));
    return !stop_requested;
}

/* Fetches and shows until the end. `*message` is what to say when the screen is gone. */
static enum client_result run(struct client *client, struct top *top)
{
    struct top_sample before, now;
    enum client_result result = top_fetch(client, &before);
    bool more = result == CLIENT_OK;

    /* A first round has no rates before some time has passed. */
    if (more) {
        (void)poll(NULL, 0, (int)(1000 * SECONDS_MIN));
    }
    for (long round = 0; more; round++) {
        result = top_fetch(client, &now);
        if (result == CLIENT_RESTARTED) {
            top_free(&now);
            result = client_connect(client);
            if (result != CLIENT_OK) {
                break;
            }
            continue;
        }
        char *text = result == CLIENT_OK ? render(&before, &now) : NULL;
        more = text != NULL && show(top, text, round);
        free(text);
        top_free(&before);
        before = now;
    }
    top_free(&before);
    return result;
}

int run_top(struct client *client, int argc, char **argv)
{
    struct top top;
    int code = parse(argc, argv, &top);

    if (code != EXIT_DONE) {
        return code;
    }
    if (top.screen) {
        begin_screen();
    }
    enum client_result result = run(client, &top);
    if (top.screen) {
        (void)endwin();
    }
    return result == CLIENT_OK ? EXIT_DONE : line_trouble(client, result);
}
