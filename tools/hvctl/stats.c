/* SPDX-License-Identifier: BSD-2-Clause */
/* The verb `stats`. */
#include <string.h>

#include "tools/hvctl/rates.h"

#define COMMAND_SIZE 128u

static void print_rates(FILE *out, const struct rates *rates)
{
    static const char *const columns[] = {"vcpu", "exit"};
    struct cells exits = cells_find(rates->now, "vcpu");

    fputs("vcpu\texit\tcount/s\n", out);
    while (cells_next(&exits)) {
        const struct span keys[] = {cells_get(&exits, "vcpu"), cells_get(&exits, "exit")};
        fprintf(out, "%.*s\t%.*s", (int)keys[0].size, keys[0].text, (int)keys[1].size,
                keys[1].text);
        rates_print(out, rates, cells_pair_number(rates->before, columns, keys, "count"),
                    cells_number(&exits, "count"), 1);
        fputc('\n', out);
    }
}

/* They are counted for all VMs, as long as somebody wants them. */
static int show_costs(struct client *client, const char *command, double seconds)
{
    int code = run_quietly(client, "costs start");

    if (code != EXIT_DONE) {
        return code;
    }
    rates_wait(seconds);
    code = run_command(client, command);
    int stopped = run_quietly(client, "costs stop");
    return code != EXIT_DONE ? code : stopped;
}

int run_stats(struct client *client, int argc, char **argv)
{
    char command[COMMAND_SIZE];
    double seconds = 0;
    bool rates = argc == 4 && strcmp(argv[1], "--rates") == 0;
    bool costs = argc == 4 && strcmp(argv[1], "--costs") == 0;

    if (argc != 2 && !((rates || costs) && rates_seconds(argv[2], &seconds))) {
        return wrong_usage(argv[0], "it takes a VM's name, before it '--rates' or '--costs' and"
                                    " seconds from 0.1 to 3600");
    }
    if (require_console(client, argv[argc - 1]) < 0) {
        return EXIT_FAILED;
    }
    snprintf(command, sizeof(command), "%s %s", costs ? "costs" : argv[0], argv[argc - 1]);
    if (costs) {
        return show_costs(client, command, seconds);
    }
    return rates ? rates_show(client, command, seconds, print_rates) : run_command(client, command);
}
