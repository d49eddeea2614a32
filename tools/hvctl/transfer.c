/* SPDX-License-Identifier: BSD-2-Clause */
#define _DEFAULT_SOURCE
#include "tools/hvctl/transfer.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/snapshot.h"
#include "lib/word_runs.h"
#include "tools/hvctl/cells.h"
#include "tools/hvctl/hvctl.h"

/* Another round while it runs: if more pages than this are left, and a quarter fewer than before,
 * or than there were in the round before that. */
#define PAGES_FEW    64u
#define ROUNDS_MAX   30u
#define POLL_MS      2
#define POLLS_MAX    5000u
#define STATE_MAX    (1u << 20)
#define COMMAND_SIZE 128

static int complain(const struct client_output *output)
{
    progress_clear();
    fprintf(stderr, "hvctl: %.*s", (int)output->size, output->text);
    return EXIT_FAILED;
}

static void read_status(const struct client_output *output, struct transfer_status *status)
{
    struct cells cells = cells_find(span_of(output->text, output->size), "vm");

    memset(status, 0, sizeof(*status));
    if (!cells_next(&cells)) {
        return;
    }
    struct span state = cells_get(&cells, "state");
    size_t size = state.size < sizeof(status->state) ? state.size : sizeof(status->state) - 1;
    memcpy(status->state, state.text, size);
    status->memory = cells_number(&cells, "memory");
    status->state_size = cells_number(&cells, "state_size");
    status->tracking = cells_number(&cells, "tracking");
    status->harvests = cells_number(&cells, "harvests");
    status->paused = cells_number(&cells, "paused");
    status->hz = cells_number(&cells, "hz");
    status->disks = cells_number(&cells, "disks");
    struct span hindrance = cells_get(&cells, "hindrance");
    if (hindrance.size != 0 && !(hindrance.size == 1 && hindrance.text[0] == '-')) {
        (void)snprintf(status->hindrance, sizeof(status->hindrance), "%.*s", (int)hindrance.size,
                       hindrance.text);
    }
}

int transfer_output(struct client *client, const char *verb, const char *vm, const char *rest,
                    struct client_output *output)
{
    char command[COMMAND_SIZE];

    if (snprintf(command, sizeof(command), "%s %s%s%s", verb, vm, rest[0] != '\0' ? " " : "",
                 rest) >= (int)sizeof(command)) {
        return wrong_usage(verb, "the name is too long");
    }
    enum client_result result = client_execute(client, command, output);
    if (result != CLIENT_OK) {
        return line_trouble(client, result);
    }
    if (output->failed) {
        (void)complain(output);
        free(output->text);
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}

int transfer_execute(struct client *client, const char *verb, const char *vm, const char *rest,
                     struct transfer_status *status)
{
    struct client_output output;
    int code = transfer_output(client, verb, vm, rest, &output);

    if (code != EXIT_DONE) {
        return code;
    }
    if (status != NULL) {
        read_status(&output, status);
    }
    free(output.text);
    return EXIT_DONE;
}

int transfer_get_status(struct client *client, const char *vm, struct transfer_status *status)
{
    return transfer_execute(client, "snapshot", vm, "", status);
}

int transfer_begin(struct transfer *transfer, struct transfer_status *status)
{
    int code = transfer_get_status(transfer->client, transfer->vm, status);

    if (code != EXIT_DONE) {
        return code;
    }
    transfer->was_running = strcmp(status->state, "running") == 0;
    if (!transfer->was_running && strcmp(status->state, "paused") != 0) {
        fprintf(stderr, "hvctl: %s is %s: only a VM that runs or is paused can be saved\n",
                transfer->vm, status->state);
        return EXIT_FAILED;
    }
    transfer->progress = (struct progress){.name = transfer->vm, .total = status->memory};
    /* It would be refused at the end, too, when all of its memory has come. */
    if (status->hindrance[0] != '\0') {
        fprintf(stderr, "hvctl: %s\n", status->hindrance);
        return EXIT_FAILED;
    }
    code = transfer_find_disks(transfer->client, transfer->vm, status->disks, &transfer->disks);
    for (unsigned i = 0; i < transfer->disks.count; i++) {
        transfer->progress.total += transfer->disks.disks[i].size;
    }
    return code;
}

/* Where a piece is in its round: sections come one behind the other. */
static void show_progress(struct transfer *transfer, const struct client_piece *piece)
{
    bool is_ram = piece->section == POSTERN_SNAPSHOT_RAM;
    uint64_t from_here = 0; /* bytes of this section and those behind it */

    for (unsigned i = is_ram ? 0 : piece->section - POSTERN_SNAPSHOT_DISK;
         i < transfer->disks.count; i++) {
        from_here += transfer->disks.disks[i].size;
    }
    transfer->progress.done = (is_ram ? 0 : transfer->progress.total - from_here) + piece->offset;
    transfer->progress.round = transfer->rounds;
    transfer->progress.bytes_on_line = transfer->bytes;
    progress_show(&transfer->progress);
}

/* A piece, fetched and given on. */
static int pass_on(struct transfer *transfer, struct client_piece *piece, enum transfer_left *left)
{
    enum client_result result = client_fetch(transfer->client, piece);

    if (result != CLIENT_OK) {
        return line_trouble(transfer->client, result);
    }
    if (piece->covered == 0) {
        *left = TRANSFER_LEFT_NONE;
        return EXIT_DONE;
    }
    *left = TRANSFER_LEFT_MORE;
    transfer->bytes += piece->used;
    return transfer->sink->piece(transfer->sink->context, piece);
}

static int carry(struct transfer *transfer, struct client_piece *piece, enum transfer_left *left)
{
    const struct transfer_sink *sink = transfer->sink;

    return sink->carry != NULL ? sink->carry(sink->context, piece, left)
                               : pass_on(transfer, piece, left);
}

int transfer_send(struct transfer *transfer, const struct transfer_part *part)
{
    struct client_piece piece = {.stream = transfer->stream,
                                 .section = part->section,
                                 .flags = part->flags,
                                 .offset = part->offset};
    enum transfer_left left = TRANSFER_LEFT_MORE;

    while (left != TRANSFER_LEFT_NONE && piece.offset < part->end) {
        int code = transfer_owe(transfer, &piece, carry(transfer, &piece, &left));
        if (code != EXIT_DONE) {
            return code;
        }
        if (left != TRANSFER_LEFT_NONE && piece.covered == 0) {
            return line_trouble(transfer->client, CLIENT_NONSENSE);
        }
        piece.offset += piece.covered;
        show_progress(transfer, &piece);
        if (stop_requested) {
            progress_clear();
            fprintf(stderr, "hvctl: interrupted\n");
            return EXIT_FAILED;
        }
    }
    return EXIT_DONE;
}

/* Carries the rest of RAM or a disk over, from `offset` on. */
static int send_section(struct transfer *transfer, uint8_t section, uint64_t offset, uint8_t flags)
{
    const struct transfer_part part = {section, flags, offset, UINT64_MAX};

    return transfer_send(transfer, &part);
}

/* Carries the rest of a round over: what is left of the section there, and those behind it. */
static int send_round(struct transfer *transfer, uint8_t section, uint64_t offset, uint8_t flags)
{
    unsigned next = section == POSTERN_SNAPSHOT_RAM ? 0 : section - POSTERN_SNAPSHOT_DISK + 1u;
    int code = send_section(transfer, section, offset, flags);

    for (; code == EXIT_DONE && next < transfer->disks.count; next++) {
        code = send_section(transfer, (uint8_t)(POSTERN_SNAPSHOT_DISK + next), 0, flags);
    }
    return code;
}

static int tell_round(const struct transfer *transfer, uint64_t round)
{
    const struct transfer_sink *sink = transfer->sink;

    return sink->round != NULL ? sink->round(sink->context, round) : EXIT_DONE;
}

/* Takes a harvest and begins a round for it; how many pages and blocks there are in it. */
static int begin_round(struct transfer *transfer, uint64_t *pages)
{
    struct client_output output;
    int code = transfer_output(transfer->client, "dirty", transfer->vm, "", &output);

    if (code != EXIT_DONE) {
        return code;
    }
    struct cells cells = cells_find(span_of(output.text, output.size), "vm");
    if (cells_next(&cells)) {
        *pages = cells_number(&cells, "pages") + cells_number(&cells, "blocks");
        transfer->place.round = cells_number(&cells, "harvest");
    }
    free(output.text);
    transfer->rounds++;
    return tell_round(transfer, transfer->place.round);
}

static int dirty_round(struct transfer *transfer, uint64_t *pages)
{
    int code = begin_round(transfer, pages);

    return code == EXIT_DONE ? send_round(transfer, POSTERN_SNAPSHOT_RAM, 0, POSTERN_SNAPSHOT_DIRTY)
                             : code;
}

/* The first round is all of its memory and disks; one that broke off goes on where it did. */
static int first_round(struct transfer *transfer)
{
    const struct snapshot_file_place *place = &transfer->place;
    bool goes_on = place->round != 0 || place->offset != 0;

    if (!goes_on) {
        int code = tell_round(transfer, 0);
        if (code != EXIT_DONE) {
            return code;
        }
    }
    transfer->rounds = 1;
    return send_round(transfer, place->section, place->offset,
                      place->round != 0 ? POSTERN_SNAPSHOT_DIRTY : 0);
}

/* While it runs: until few pages are left, or they do not become fewer. */
static int precopy(struct transfer *transfer)
{
    uint64_t before = UINT64_MAX, pages = 0;
    int code = first_round(transfer);

    while (code == EXIT_DONE && transfer->was_running && transfer->rounds < ROUNDS_MAX) {
        code = dirty_round(transfer, &pages);
        if (pages <= PAGES_FEW || pages > before - before / 4) {
            break;
        }
        before = pages;
    }
    return code;
}

static int wait_for_state(struct transfer *transfer, const char *state)
{
    struct transfer_status status;

    for (unsigned i = 0; i < POLLS_MAX; i++) {
        int code = transfer_get_status(transfer->client, transfer->vm, &status);
        if (code != EXIT_DONE || strcmp(status.state, state) == 0) {
            return code;
        }
        (void)poll(NULL, 0, POLL_MS);
    }
    progress_clear();
    fprintf(stderr, "hvctl: %s does not become %s\n", transfer->vm, state);
    return EXIT_FAILED;
}

/* Fetches its state, of which its vCPUs write a part soon after they were asked. */
static int fetch_state(struct transfer *transfer, uint8_t *state, size_t *size)
{
    struct client_piece piece = {.stream = transfer->stream, .section = POSTERN_SNAPSHOT_STATE};
    unsigned polls = 0;

    for (;;) {
        size_t told = 0;
        enum client_result result = client_fetch(transfer->client, &piece);
        if (result == CLIENT_NOT_NOW && polls++ < POLLS_MAX) {
            (void)poll(NULL, 0, POLL_MS);
            continue;
        }
        if (result != CLIENT_OK || piece.size > STATE_MAX) {
            return line_trouble(transfer->client, result == CLIENT_OK ? CLIENT_NONSENSE : result);
        }
        if (piece.covered == 0) {
            *size = piece.size;
            return EXIT_DONE;
        }
        if (!word_runs_read(piece.tokens, piece.used, state + piece.offset, piece.covered / 8,
                            &told) ||
            told * 8 != piece.covered) {
            return line_trouble(transfer->client, CLIENT_NONSENSE);
        }
        transfer->bytes += piece.used;
        piece.offset += piece.covered;
    }
}

/* Has it carried by the hypervisor itself. */
static int carry_state(struct transfer *transfer)
{
    struct client_piece piece = {.stream = transfer->stream, .section = POSTERN_SNAPSHOT_STATE};
    enum transfer_left left = TRANSFER_LEFT_MORE;
    unsigned late = 0;

    while (left != TRANSFER_LEFT_NONE) {
        int code = carry(transfer, &piece, &left);
        if (code != EXIT_DONE) {
            return code;
        }
        if (left == TRANSFER_LEFT_LATE && late++ < POLLS_MAX) {
            (void)poll(NULL, 0, POLL_MS);
        } else if (left != TRANSFER_LEFT_NONE && piece.covered == 0) {
            return line_trouble(transfer->client, CLIENT_NONSENSE);
        }
        piece.offset += piece.covered;
    }
    return EXIT_DONE;
}

static int send_state(struct transfer *transfer)
{
    if (transfer->sink->carry != NULL) {
        return carry_state(transfer);
    }
    uint8_t *state = calloc(1, STATE_MAX);
    size_t size = 0;

    if (state == NULL) {
        return line_trouble(transfer->client, CLIENT_NO_MEMORY);
    }
    int code = fetch_state(transfer, state, &size);
    if (code == EXIT_DONE) {
        code = transfer->sink->state(transfer->sink->context, state, size);
    }
    free(state);
    return code;
}

/* Of a VM that stands still. Its devices are held still, too, before its memory is harvested. */
static int send_rest(struct transfer *transfer)
{
    uint64_t pages;
    int code = transfer_execute(transfer->client, "snapshot", transfer->vm,
                                transfer->disks.count != 0 ? "save disks" : "save", NULL);

    if (code == EXIT_DONE) {
        code = dirty_round(transfer, &pages);
    }
    if (code == EXIT_DONE) {
        code = transfer_pay(transfer);
    }
    return code == EXIT_DONE ? send_state(transfer) : code;
}

static int pause_vm(struct transfer *transfer)
{
    int code = EXIT_DONE;

    if (transfer->was_running) {
        code = transfer_execute(transfer->client, "pause", transfer->vm, "", NULL);
        transfer->paused = code == EXIT_DONE;
    }
    return code == EXIT_DONE ? wait_for_state(transfer, "paused") : code;
}

int transfer_resume(struct transfer *transfer)
{
    if (!transfer->paused) {
        return EXIT_DONE;
    }
    transfer->paused = false;
    return transfer_execute(transfer->client, "resume", transfer->vm, "", NULL);
}

int transfer_track(struct transfer *transfer)
{
    int code = transfer_execute(transfer->client, "dirty", transfer->vm, "start", NULL);

    transfer->tracked = code == EXIT_DONE;
    return code;
}

int transfer_untrack(struct transfer *transfer)
{
    if (!transfer->tracked) {
        return EXIT_DONE;
    }
    transfer->tracked = false;
    return transfer_execute(transfer->client, "dirty", transfer->vm, "stop", NULL);
}

int transfer_run(struct transfer *transfer, bool stop)
{
    struct transfer_status status;
    int code = precopy(transfer);

    if (code == EXIT_DONE) {
        code = pause_vm(transfer);
    }
    if (code == EXIT_DONE) {
        code = send_rest(transfer);
    }
    progress_clear();
    if (code == EXIT_DONE && stop) {
        return EXIT_DONE;
    }
    bool paused = transfer->paused;
    int resumed = transfer_resume(transfer);
    code = code == EXIT_DONE ? resumed : code;
    if (code == EXIT_DONE && paused &&
        transfer_get_status(transfer->client, transfer->vm, &status) == EXIT_DONE) {
        transfer->pause = status.paused;
        transfer->hz = status.hz;
    }
    return code;
}

void transfer_report(const struct transfer *transfer)
{
    printf("%s: %llu rounds", transfer->vm, (unsigned long long)transfer->rounds);
    if (transfer->sink->carry == NULL) {
        printf(", %llu bytes on the line", (unsigned long long)transfer->bytes);
    }
    if (transfer->hz != 0) {
        printf(", paused for %llu ticks (%.3f s)", (unsigned long long)transfer->pause,
               (double)transfer->pause / (double)transfer->hz);
    }
    printf("\n");
}
