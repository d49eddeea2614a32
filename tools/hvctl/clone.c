/* SPDX-License-Identifier: BSD-2-Clause */
/* The verb `clone`: from one VM into another of the same hypervisor, which carries the pieces
 * itself. Over the line goes only what asks for them. */
#define _DEFAULT_SOURCE
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "abi/snapshot.h"
#include "tools/hvctl/cells.h"
#include "tools/hvctl/hvctl.h"
#include "tools/hvctl/target.h"

#define ORDER_SIZE 128
/* While the target is still on its way to its end. */
#define POLL_MS   10
#define POLLS_MAX 1000u

/* Who has a piece carried. */
struct carrier {
    struct client *client;
    const char *from, *to;
};

static enum transfer_left read_left(const struct cells *cells)
{
    struct span left = cells_get(cells, "left");

    return span_equals(left, "more")   ? TRANSFER_LEFT_MORE
           : span_equals(left, "late") ? TRANSFER_LEFT_LATE
                                       : TRANSFER_LEFT_NONE;
}

static int carry(void *context, struct client_piece *piece, enum transfer_left *left)
{
    const struct carrier *carrier = context;
    struct client_output output;
    char order[ORDER_SIZE];

    (void)snprintf(order, sizeof(order), "%s %u %llu%s", carrier->to, piece->section,
                   (unsigned long long)piece->offset,
                   (piece->flags & POSTERN_SNAPSHOT_DIRTY) != 0 ? " dirty" : "");
    int code = transfer_output(carrier->client, "clone", carrier->from, order, &output);
    if (code != EXIT_DONE) {
        return code;
    }
    struct cells cells = cells_find(span_of(output.text, output.size), "covered");
    bool told = cells_next(&cells), has_room = true;
    if (told) {
        has_room = !span_equals(cells_get(&cells, "room"), "short");
        piece->covered = cells_number(&cells, "covered");
        piece->size = cells_number(&cells, "size");
        *left = read_left(&cells);
    }
    free(output.text);
    if (!told) {
        return line_trouble(carrier->client, CLIENT_NONSENSE);
    }
    return has_room ? EXIT_DONE : TRANSFER_NO_ROOM;
}

/* Says why the hypervisor has refused. An earlier one is told by its answer. */
static int complain(const struct client_output *output)
{
    static const char unknown[] = "unknown command";

    if (output->size >= sizeof(unknown) - 1 &&
        memcmp(output->text, unknown, sizeof(unknown) - 1) == 0) {
        fprintf(stderr, "hvctl: this hypervisor is an earlier one, which cannot clone VMs\n");
    } else {
        fprintf(stderr, "hvctl: %.*s", (int)output->size, output->text);
    }
    return EXIT_FAILED;
}

/* Asks whether it can be, before anything is done to the target. `*ending`: that was destroyed just
 * now, and is not gone yet. */
static int ask(struct client *client, const char *command, bool *ending)
{
    struct client_output output;
    enum client_result result = client_execute(client, command, &output);

    *ending = false;
    if (result != CLIENT_OK) {
        return line_trouble(client, result);
    }
    int code = output.failed ? complain(&output) : EXIT_DONE;
    struct cells cells = cells_find(span_of(output.text, output.size), "vm");
    if (code == EXIT_DONE && cells_next(&cells)) {
        *ending = span_equals(cells_get(&cells, "state"), "ending");
    }
    free(output.text);
    return code;
}

static int check(struct client *client, const char *from, const char *to)
{
    char command[2 * ORDER_SIZE];
    bool ending = true;
    int code = EXIT_DONE;

    if (snprintf(command, sizeof(command), "clone %s %s", from, to) >= (int)sizeof(command)) {
        return wrong_usage("clone", "the names are too long");
    }
    for (unsigned i = 0; i < POLLS_MAX && ending && code == EXIT_DONE; i++) {
        (void)poll(NULL, 0, i == 0 ? 0 : POLL_MS);
        code = ask(client, command, &ending);
    }
    return code;
}

/* The first one goes on, if that can still be said to anybody. */
static void give_up(struct transfer *transfer, const char *to, int code)
{
    if (code != EXIT_LINE) {
        (void)transfer_resume(transfer);
        (void)transfer_untrack(transfer);
    } else if (transfer->tracked) {
        fprintf(stderr, "hvctl: %s may be left %s, and %s half there: see 'hvctl list'\n",
                transfer->vm, transfer->paused ? "paused and tracked" : "tracked", to);
    }
}

static int clone(struct transfer *transfer, struct target *target, bool stop)
{
    struct carrier carrier = {transfer->client, transfer->vm, target->vm};
    const struct transfer_sink sink = {.context = &carrier, .carry = carry};

    transfer->sink = &sink;
    int code = target_take(target, transfer, stop);
    if (code != EXIT_DONE) {
        give_up(transfer, target->vm, code);
        return code;
    }
    code = transfer_untrack(transfer);
    transfer_report(transfer);
    printf("%s: is paused where %s was: 'hvctl resume %s' has it go on\n", target->vm, transfer->vm,
           target->vm);
    return code;
}

int run_clone(struct client *client, int argc, char **argv)
{
    struct words words;

    if (!take_words(argc, argv, "--stop", 2, &words)) {
        return EXIT_USAGE;
    }
    const char *from = words.words[0], *to = words.words[1];
    if (words.count != 2) {
        return wrong_usage(argv[0], "it takes a VM's name, and that of another to become its twin");
    }
    if (strcmp(from, to) == 0) {
        return wrong_usage(argv[0], "'%s' cannot be cloned onto itself", from);
    }
    int streams[] = {require_console(client, from), -1};
    if (streams[0] < 0 || (streams[1] = require_console(client, to)) < 0) {
        return EXIT_FAILED;
    }
    int code = check(client, from, to);
    if (code != EXIT_DONE) {
        return code;
    }
    struct transfer transfer = {.client = client, .vm = from, .stream = (unsigned)streams[0]};
    struct target target = {.client = client,
                            .vm = to,
                            .stream = (unsigned)streams[1],
                            .asks = words.yes ? NULL : argv[0]};
    return clone(&transfer, &target, words.option);
}
