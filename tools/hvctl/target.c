/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/hvctl/target.h"

#include <stdio.h>
#include <string.h>

#include "abi/snapshot.h"
#include "lib/word_runs.h"
#include "tools/hvctl/hvctl.h"

/* Frames that are lost again and again are made shorter, down to this. */
#define TOKENS_MIN 64u

int target_store(struct target *target, const struct client_piece *piece)
{
    uint64_t repeated = target->client->repeated;
    enum client_result result = client_store(target->client, piece);

    if (target->client->repeated > repeated && target->room / 2 >= TOKENS_MIN) {
        target->room /= 2;
    }
    target->bytes += piece->used;
    if (result == CLIENT_NO_ROOM && piece->section >= POSTERN_SNAPSHOT_DISK) {
        return TRANSFER_NO_ROOM;
    }
    return result == CLIENT_OK ? EXIT_DONE : line_trouble(target->client, result);
}

/* What is to be stored: bytes of a section, of a disk only those of blocks that were told. */
struct content {
    uint8_t section;
    const uint8_t *bytes;
    uint64_t size;
    const uint8_t *told; /* NULL: all */
};

/* Of a disk: one block of zeros is told whole, for which its overlay has to take none. */
static const void *find_block(const void *context, uint64_t at)
{
    const struct content *content = context;

    return content->told[at / SNAPSHOT_FILE_BLOCK] != 0 ? content->bytes + at : NULL;
}

static void encode(struct word_runs_writer *writer, const struct content *content, uint64_t at)
{
    static const struct word_runs_limits limits = {.looked = POSTERN_SNAPSHOT_PIECE_MAX,
                                                   .told = POSTERN_SNAPSHOT_SKIP_MAX};
    const struct word_runs_source disk = {
        .size = content->size, .unit = SNAPSHOT_FILE_BLOCK, .find = find_block, .context = content};
    uint64_t left = content->size - at;

    if (content->told != NULL) {
        word_runs_tell(writer, &disk, at, &limits);
        return;
    }
    if (left > POSTERN_SNAPSHOT_PIECE_MAX) {
        left = POSTERN_SNAPSHOT_PIECE_MAX;
    }
    (void)word_runs_put(writer, content->bytes + at, (size_t)left / WORD_RUNS_WORD);
}

/* `progress` goes on with it; NULL: nothing is shown. */
static int store_section(struct target *target, const struct content *content,
                         struct progress *progress)
{
    struct client_piece piece = {.stream = target->stream, .section = content->section};
    struct word_runs_writer writer;
    int code = EXIT_DONE;

    while (piece.offset < content->size && code == EXIT_DONE && !stop_requested) {
        word_runs_begin(&writer, piece.tokens, target->room);
        encode(&writer, content, piece.offset);
        piece.used = writer.used;
        piece.covered = writer.words * WORD_RUNS_WORD;
        code = target_store(target, &piece);
        piece.offset += piece.covered;
        if (progress != NULL) {
            progress->done += piece.covered;
            progress->bytes_on_line = target->bytes;
            progress_show(progress);
        }
    }
    if (code == TRANSFER_NO_ROOM) {
        progress_clear();
        fprintf(stderr, "hvctl: %s: its disk %u has less room in its overlay than is held\n",
                target->vm, content->section - POSTERN_SNAPSHOT_DISK);
        return EXIT_FAILED;
    }
    if (code == EXIT_DONE && stop_requested) {
        progress_clear();
        fprintf(stderr, "hvctl: interrupted\n");
        return EXIT_FAILED;
    }
    return code;
}

int target_store_state(struct target *target, const uint8_t *state, size_t size)
{
    const struct content content = {
        .section = POSTERN_SNAPSHOT_STATE, .bytes = state, .size = size};

    return store_section(target, &content, NULL);
}

/* Whether the VM has the disks of what is to come. That is known before any of it is lost. */
static int check_disks(const struct target *target, const struct snapshot_file_head *head)
{
    struct transfer_status status;
    struct transfer_disks disks;
    int code = transfer_get_status(target->client, target->vm, &status);

    if (code == EXIT_DONE) {
        code = transfer_find_disks(target->client, target->vm, status.disks, &disks);
    }
    return code == EXIT_DONE
               ? transfer_compare_disks(&disks, target->vm, head->disks, head->disk_count)
               : code;
}

int target_begin(struct target *target, const struct snapshot_file_head *head)
{
    struct transfer_status status;
    int code = head->disk_count != 0 ? check_disks(target, head) : EXIT_DONE;

    if (code == EXIT_DONE) {
        code = transfer_execute(target->client, "restore", target->vm, "begin", &status);
    }
    if (code == EXIT_DONE && status.memory != head->memory) {
        fprintf(stderr, "hvctl: the snapshot is of a VM with %llu KiB of memory; %s has %llu\n",
                (unsigned long long)(head->memory >> 10), target->vm,
                (unsigned long long)(status.memory >> 10));
        (void)transfer_execute(target->client, "restore", target->vm, "drop", NULL);
        return EXIT_FAILED;
    }
    return code;
}

int target_finish(struct target *target, int code)
{
    if (code == EXIT_DONE) {
        code = transfer_execute(target->client, "restore", target->vm, "finish", NULL);
    } else if (code != EXIT_LINE) {
        (void)transfer_execute(target->client, "restore", target->vm, "drop", NULL);
    }
    if (code != EXIT_DONE && code != EXIT_LINE) {
        transfer_warn_half(target->client, target->vm);
    }
    return code;
}

int target_take(struct target *target, struct transfer *transfer, bool stop)
{
    struct transfer_status status;
    int code = transfer_begin(transfer, &status);

    if (code == EXIT_DONE && target->asks != NULL &&
        !transfer_is_meant(target->asks, target->vm, transfer->disks.disks,
                           transfer->disks.count)) {
        code = EXIT_USAGE;
    }
    if (code == EXIT_DONE) {
        struct snapshot_file_head head = {.memory = status.memory,
                                          .disk_count = transfer->disks.count};
        memcpy(head.disks, transfer->disks.disks, sizeof(head.disks));
        code = target_begin(target, &head);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    code = transfer_track(transfer);
    if (code == EXIT_DONE) {
        code = transfer_run(transfer, stop);
    }
    return target_finish(target, code);
}

static bool replaces_images(const struct snapshot_file_head *head)
{
    for (unsigned i = 0; i < head->disk_count; i++) {
        if ((head->disks[i].flags & SNAPSHOT_FILE_WRITTEN) != 0) {
            return true;
        }
    }
    return false;
}

/* The state comes first, so that one that does not fit replaces no image. An earlier hypervisor
 * takes no images, and is not asked. */
static int store_state_first(struct target *target, const struct snapshot_image_in *image)
{
    int code = target_store_state(target, image->state, image->state_size);

    return code == EXIT_DONE && replaces_images(&image->head)
               ? transfer_execute(target->client, "restore", target->vm, "check", NULL)
               : code;
}

int target_store_image(struct target *target, const struct snapshot_image_in *image)
{
    const struct content ram = {
        .section = POSTERN_SNAPSHOT_RAM, .bytes = image->ram, .size = image->head.memory};
    uint64_t total = image->head.memory;

    for (unsigned i = 0; i < image->head.disk_count; i++) {
        total += image->head.disks[i].size;
    }
    target->progress = (struct progress){.name = target->vm, .total = total};
    int code = store_state_first(target, image);
    if (code == EXIT_DONE) {
        code = store_section(target, &ram, &target->progress);
    }

    for (unsigned i = 0; i < image->head.disk_count && code == EXIT_DONE; i++) {
        const struct content disk = {.section = (uint8_t)(POSTERN_SNAPSHOT_DISK + i),
                                     .bytes = image->disks[i].bytes,
                                     .size = image->head.disks[i].size,
                                     .told = image->disks[i].told};
        code = store_section(target, &disk, &target->progress);
    }
    progress_clear();
    return code;
}
