/* SPDX-License-Identifier: BSD-2-Clause */
/* What the hypervisor's commands print: for people or for programs. */
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/table.h"
#include "tools/hvctl/fold.h"
#include "tools/hvctl/hvctl.h"
#include "tools/hvctl/json.h"

static void print_aligned(const char *text, size_t size)
{
    struct table table;
    int c;

    table_init(&table, text, size);
    while ((c = table_next(&table)) >= 0) {
        putchar(c);
    }
}

/* For people: aligned, and folded where the terminal is too narrow. */
static void print_on_terminal(const char *text, size_t size)
{
    struct winsize terminal = {0};
    size_t folded_size = 0;
    char *folded = NULL;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &terminal) == 0 && terminal.ws_col != 0) {
        folded = fold_tables(text, size, terminal.ws_col, &folded_size);
    }
    print_aligned(folded != NULL ? folded : text, folded != NULL ? folded_size : size);
    free(folded);
}

void print_tables(const char *text, size_t size)
{
    if (json_wanted) {
        json_print_output(stdout, text, size);
    } else if (isatty(STDOUT_FILENO)) {
        print_on_terminal(text, size);
    } else {
        fwrite(text, 1, size, stdout);
    }
    if (!json_wanted && size > 0 && text[size - 1] != '\n') {
        putchar('\n');
    }
    fflush(stdout);
}
