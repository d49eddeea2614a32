/* SPDX-License-Identifier: BSD-2-Clause */
/* The verbs `snapshot`, `restore` and `migrate`. */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/snapshot.h"
#include "tools/hvctl/hvctl.h"
#include "tools/hvctl/line.h"
#include "tools/hvctl/target.h"
#include "tools/hvctl/transfer.h"

#define PATH_SIZE 4096

/* To a file. */

static int file_round(void *context, uint64_t round)
{
    snapshot_file_round(context, round);
    return EXIT_DONE;
}

static int file_piece(void *context, const struct client_piece *piece)
{
    snapshot_file_piece(context, piece->section, piece->offset, piece->covered, piece->tokens,
                        piece->used);
    return EXIT_DONE;
}

static int file_state(void *context, const uint8_t *state, size_t size)
{
    snapshot_file_state(context, state, size);
    return EXIT_DONE;
}

/* Whether a file that broke off is of the tracking that goes on still, so that nothing was missed.
 */
static bool can_go_on(const struct snapshot_file_head *head,
                      const struct snapshot_file_place *place, const struct transfer_status *status)
{
    return status->tracking != 0 && head->tracking == status->tracking &&
           head->memory == status->memory && head->disk_count == status->disks &&
           place->round == status->harvests;
}

static int fail_on_file(const char *path)
{
    fprintf(stderr, "hvctl: %s: %s\n", path, strerror(errno));
    return EXIT_FAILED;
}

/* Goes on with the file that is there, if it can: `*done`. A tracking that is that file's ends
 * otherwise. */
static int go_on(struct transfer *transfer, const char *path, struct snapshot_file *file,
                 struct transfer_status *status, bool *done)
{
    struct snapshot_file_head head = {0};

    *done = false;
    if (!snapshot_file_reopen(file, path, &head, &transfer->place)) {
        return EXIT_DONE;
    }
    if (can_go_on(&head, &transfer->place, status)) {
        fprintf(stderr, "%s: goes on in round %llu at %llu MiB%s\n", path,
                (unsigned long long)transfer->place.round,
                (unsigned long long)(transfer->place.offset >> 20),
                transfer->place.section != POSTERN_SNAPSHOT_RAM ? " of a disk" : "");
        /* It may have been left paused. */
        transfer->paused = head.was_running && !transfer->was_running;
        *done = true;
        return EXIT_DONE;
    }
    (void)snapshot_file_close(file, false);
    fprintf(stderr, "%s: is of an earlier time: begins anew\n", path);
    memset(&transfer->place, 0, sizeof(transfer->place));
    if (status->tracking == 0 || head.tracking != status->tracking) {
        return EXIT_DONE;
    }
    status->tracking = 0;
    return transfer_execute(transfer->client, "dirty", transfer->vm, "stop", NULL);
}

static int begin_file(struct transfer *transfer, const char *path, struct snapshot_file *file)
{
    struct snapshot_file_head head = {.was_running = transfer->was_running,
                                      .disk_count = transfer->disks.count};
    struct transfer_status status;
    int code = transfer_execute(transfer->client, "dirty", transfer->vm, "start", NULL);

    if (code == EXIT_DONE) {
        code = transfer_get_status(transfer->client, transfer->vm, &status);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    head.memory = status.memory;
    head.tracking = status.tracking;
    memcpy(head.disks, transfer->disks.disks, sizeof(head.disks));
    memcpy(head.name, transfer->vm, strnlen(transfer->vm, sizeof(head.name) - 1));
    return snapshot_file_create(file, path, &head) ? EXIT_DONE : fail_on_file(path);
}

/* Tracking begins, or goes on for the file that is there. */
static int open_file(struct transfer *transfer, const char *path, struct snapshot_file *file)
{
    struct transfer_status status;
    bool done = false;
    int code = transfer_begin(transfer, &status);

    if (code == EXIT_DONE) {
        code = go_on(transfer, path, file, &status, &done);
    }
    if (code != EXIT_DONE || done) {
        return code;
    }
    if (status.tracking != 0) {
        fprintf(stderr, "hvctl: %s is tracked already: 'hvctl dirty %s stop' ends that\n",
                transfer->vm, transfer->vm);
        return EXIT_FAILED;
    }
    return begin_file(transfer, path, file);
}

static int save(struct transfer *transfer, const char *path, bool stop)
{
    struct snapshot_file file;
    const struct transfer_sink sink = {
        .context = &file, .round = file_round, .piece = file_piece, .state = file_state};
    char part[PATH_SIZE];

    if (snprintf(part, sizeof(part), "%s.part", path) >= (int)sizeof(part)) {
        return wrong_usage("snapshot", "the file's name is too long");
    }
    transfer->sink = &sink;
    int code = open_file(transfer, part, &file);
    if (code != EXIT_DONE) {
        return code;
    }
    code = transfer_run(transfer, stop);
    bool written = snapshot_file_close(&file, code == EXIT_DONE);
    if (code == EXIT_DONE && (!written || rename(part, path) != 0)) {
        return fail_on_file(part);
    }
    if (code != EXIT_DONE) {
        fprintf(stderr,
                "hvctl: what came is in %s: the same command goes on, 'hvctl dirty %s stop' gives "
                "up\n",
                part, transfer->vm);
        return code;
    }
    transfer_report(transfer);
    return transfer_execute(transfer->client, "dirty", transfer->vm, "stop", NULL);
}

bool take_words(int argc, char **argv, const char *option, unsigned max, struct words *words)
{
    bool saves = strcmp(argv[0], "snapshot") == 0;

    memset(words, 0, sizeof(*words));
    for (int i = 1; i < argc; i++) {
        if (option != NULL && strcmp(argv[i], option) == 0) {
            words->option = true;
        } else if (!saves && strcmp(argv[i], "--yes") == 0) {
            words->yes = true;
        } else if (argv[i][0] == '-' || words->count == max) {
            (void)wrong_usage(argv[0], "'%s' is not an argument of it", argv[i]);
            return false;
        } else {
            words->words[words->count++] = argv[i];
        }
    }
    return true;
}

int run_snapshot(struct client *client, int argc, char **argv)
{
    struct words words;

    if (!take_words(argc, argv, "--stop", 2, &words)) {
        return EXIT_USAGE;
    }
    if (words.count != 2) {
        return wrong_usage(argv[0], "it takes a VM's name and a file's");
    }
    int stream = require_console(client, words.words[0]);
    if (stream < 0) {
        return EXIT_FAILED;
    }
    struct transfer transfer = {.client = client, .vm = words.words[0], .stream = (unsigned)stream};
    return save(&transfer, words.words[1], words.option);
}

/* From a file into a hypervisor. */

static int restore(struct target *target, const struct snapshot_image_in *image, bool paused)
{
    int code = target_begin(target, &image->head);

    if (code != EXIT_DONE) {
        return code;
    }
    code = target_store_image(target, image);
    code = target_finish(target, code);
    if (code == EXIT_DONE && !paused) {
        code = transfer_execute(target->client, "resume", target->vm, "", NULL);
    }
    if (code == EXIT_DONE) {
        printf("%s: restored, %llu bytes on the line\n", target->vm,
               (unsigned long long)target->bytes);
    }
    return code;
}

int run_restore(struct client *client, int argc, char **argv)
{
    char error[SNAPSHOT_FILE_ERROR_SIZE];
    struct snapshot_image_in image;
    struct words words;

    if (!take_words(argc, argv, "--paused", 2, &words)) {
        return EXIT_USAGE;
    }
    if (words.count == 0) {
        return wrong_usage(argv[0], "it takes a file, and a VM's name if that is another");
    }
    if (!snapshot_file_load(&image, words.words[0], error)) {
        fprintf(stderr, "hvctl: %s: %s\n", words.words[0], error);
        return EXIT_FAILED;
    }
    const char *vm = words.count == 2 ? words.words[1] : image.head.name;
    int stream = require_console(client, vm), code = EXIT_FAILED;
    if (stream >= 0) {
        struct target target = {
            .client = client, .vm = vm, .stream = (unsigned)stream, .room = CLIENT_TOKENS_MAX};
        bool meant =
            words.yes || transfer_is_meant(argv[0], vm, image.head.disks, image.head.disk_count);
        code = meant ? restore(&target, &image, words.option) : EXIT_USAGE;
    }
    snapshot_file_free(&image);
    return code;
}

/* From one hypervisor into another: the tokens as they come. */

static int target_piece(void *context, const struct client_piece *piece)
{
    struct target *target = context;
    struct client_piece copy = *piece;

    copy.stream = target->stream;
    copy.flags = 0;
    return target_store(target, &copy);
}

static int target_state(void *context, const uint8_t *state, size_t size)
{
    return target_store_state(context, state, size);
}

/* The VM is there: here it is not needed any more. */
static int hand_over(struct transfer *transfer, struct target *target)
{
    int code = transfer_execute(target->client, "resume", target->vm, "", NULL);

    if (code == EXIT_DONE) {
        transfer->paused = false;
        code = transfer_execute(transfer->client, "destroy", transfer->vm, "--yes", NULL);
        transfer_report(transfer);
        printf("%s: runs there as %s\n", transfer->vm, target->vm);
    }
    return code;
}

static int migrate(struct transfer *transfer, struct target *target)
{
    const struct transfer_sink sink = {
        .context = target, .piece = target_piece, .state = target_state};

    transfer->sink = &sink;
    int code = target_take(target, transfer, true);
    if (code == EXIT_DONE) {
        code = hand_over(transfer, target);
    }
    if (code != EXIT_DONE && transfer->tracked) {
        (void)transfer_resume(transfer);
        (void)transfer_untrack(transfer);
        fprintf(stderr, "hvctl: %s stays where it is\n", transfer->vm);
    }
    return code;
}

/* `asks`: as that of a target. */
static int migrate_over(struct transfer *transfer, struct client *other, const char *vm,
                        const char *asks)
{
    enum client_result result = client_connect(other);

    if (result != CLIENT_OK) {
        return line_trouble(other, result);
    }
    int stream = require_console(other, vm), code = EXIT_FAILED;
    if (stream >= 0) {
        struct target target = {.client = other,
                                .vm = vm,
                                .stream = (unsigned)stream,
                                .room = CLIENT_TOKENS_MAX,
                                .asks = asks};
        code = migrate(transfer, &target);
    }
    if (code != EXIT_LINE) {
        client_bye(other);
    }
    return code;
}

int run_migrate(struct client *client, int argc, char **argv)
{
    static struct client other;
    struct words words;
    struct line line;
    char error[256];

    if (!take_words(argc, argv, NULL, 3, &words)) {
        return EXIT_USAGE;
    }
    if (words.count < 2) {
        return wrong_usage(argv[0], "it takes a VM's name, and the line of another hypervisor");
    }
    int stream = require_console(client, words.words[0]);
    if (stream < 0) {
        return EXIT_FAILED;
    }
    if (!line_open(&line, words.words[1], error, sizeof(error))) {
        fprintf(stderr, "hvctl: %s: %s\n", words.words[1], error);
        return EXIT_LINE;
    }
    client_init(&other, &line.functions, line_new_session(), client->timeout_ms);
    struct transfer transfer = {.client = client, .vm = words.words[0], .stream = (unsigned)stream};
    int code = migrate_over(&transfer, &other, words.words[words.count - 1 == 2 ? 2 : 0],
                            words.yes ? NULL : argv[0]);
    client_free(&other);
    line_close(&line);
    return code;
}
