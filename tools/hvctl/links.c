/* SPDX-License-Identifier: BSD-2-Clause */
/* The verbs `links` and `link`. */
#include "tools/hvctl/links.h"

#include <string.h>

#include "tools/hvctl/rates.h"

static const char *const end_columns[] = {"link", "vm"};

unsigned long long links_end_number(struct span output, struct span link, struct span vm,
                                    const char *column)
{
    return cells_pair_number(output, end_columns, (const struct span[]){link, vm}, column);
}

static void print_rates(FILE *out, const struct rates *rates)
{
    static const struct {
        const char *column;
        unsigned unit;
    } shown[] = {{"doorbells", 1}, {"interrupts", 1}, {"violations", 1}, {"sent_bytes", 1024}};
    struct cells ends = cells_find(rates->now, "link");

    fputs("link\tvm\tmode\tdoorbells/s\tinterrupts/s\tviolations/s\tsent_kib/s\n", out);
    while (cells_next(&ends)) {
        struct span link = cells_get(&ends, "link"), vm = cells_get(&ends, "vm");
        struct span mode = cells_get(&ends, "mode");
        fprintf(out, "%.*s\t%.*s\t%.*s", (int)link.size, link.text, (int)vm.size, vm.text,
                (int)mode.size, mode.text);
        for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
            rates_print(out, rates, links_end_number(rates->before, link, vm, shown[i].column),
                        cells_number(&ends, shown[i].column), shown[i].unit);
        }
        fputc('\n', out);
    }
}

int run_links(struct client *client, int argc, char **argv)
{
    double seconds;

    if (argc == 1) {
        return run_command(client, argv[0]);
    }
    if (argc != 3 || strcmp(argv[1], "--rates") != 0 || !rates_seconds(argv[2], &seconds)) {
        return wrong_usage(argv[0], "it takes nothing, or '--rates' and seconds from 0.1 to 3600");
    }
    return rates_show(client, argv[0], seconds, print_rates);
}

/* del [--yes] LINK, or the other way round. */
static int run_delete(struct client *client, int argc, char **argv)
{
    bool first = strcmp(argv[2], "--yes") == 0;
    bool yes = first || (argc == 4 && strcmp(argv[3], "--yes") == 0);

    if (argc != (yes ? 4 : 3)) {
        return wrong_usage(argv[0], "del takes a link's name, and perhaps --yes");
    }
    char *words[] = {argv[0], argv[1], argv[first ? 3 : 2], "--yes"};
    if (words[2][0] == '-') {
        return wrong_usage(argv[0], "'%s' is no link's name", words[2]);
    }
    return yes || is_meant("link del", words[2]) ? execute_words(client, 4, words) : EXIT_USAGE;
}

int run_link(struct client *client, int argc, char **argv)
{
    if (argc >= 5 && argc % 2 == 1 && strcmp(argv[1], "add") == 0) {
        return execute_words(client, argc, argv);
    }
    if ((argc == 3 || argc == 4) && strcmp(argv[1], "del") == 0) {
        return run_delete(client, argc, argv);
    }
    if (argc == 4 && strcmp(argv[1], "mode") == 0) {
        return execute_words(client, argc, argv);
    }
    return wrong_usage(argv[0], "it takes 'add NAME VM VM', with keys and their values behind; "
                                "'del [--yes] LINK'; or 'mode LINK open' or 'gated'");
}
