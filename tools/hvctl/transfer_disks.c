/* SPDX-License-Identifier: BSD-2-Clause */
/* What hvctl knows of a VM's disks before it carries what they hold. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/hvctl/cells.h"
#include "tools/hvctl/hvctl.h"
#include "tools/hvctl/transfer.h"

/* Hexadecimal; 0 for what is no number. */
static uint64_t read_sum(struct span text)
{
    char copy[20] = "";

    memcpy(copy, text.text, text.size < sizeof(copy) ? text.size : sizeof(copy) - 1);
    return strtoull(copy, NULL, 16);
}

static int read_disk(const struct cells *cells, const char *vm, struct transfer_disks *disks)
{
    struct span image = cells_get(cells, "image");
    char *name = disks->images[disks->count];

    memset(name, 0, TRANSFER_IMAGE_SIZE);
    memcpy(name, image.text,
           image.size < TRANSFER_IMAGE_SIZE ? image.size : TRANSFER_IMAGE_SIZE - 1);
    bool written = span_equals(cells_get(cells, "mode"), "rw");
    if (written && cells_number(cells, "held") == 0) {
        fprintf(stderr,
                "hvctl: %s writes to the image of its disk %u (%s), which its hypervisor, an older "
                "one, does not carry\n",
                vm, disks->count, name);
        return EXIT_FAILED;
    }
    disks->half[disks->count] = span_equals(cells_get(cells, "content"), "half");
    disks->disks[disks->count] =
        (struct snapshot_file_disk){.size = cells_number(cells, "size"),
                                    .sum = written ? 0 : read_sum(cells_get(cells, "sum")),
                                    .flags = written ? SNAPSHOT_FILE_WRITTEN : 0};
    disks->count++;
    return EXIT_DONE;
}

/* `*left`: bytes of images that are not summed up yet. */
static int ask(struct client *client, const char *vm, struct transfer_disks *disks, uint64_t *left)
{
    struct client_output output;
    int code = transfer_output(client, "snapshot", vm, "disks", &output);

    if (code != EXIT_DONE) {
        return code;
    }
    struct cells cells = cells_find(span_of(output.text, output.size), "disk");
    disks->count = 0;
    *left = 0;
    while (code == EXIT_DONE && disks->count < SNAPSHOT_FILE_DISKS_MAX && cells_next(&cells)) {
        *left += cells_number(&cells, "left");
        code = read_disk(&cells, vm, disks);
    }
    free(output.text);
    return code;
}

int transfer_find_disks(struct client *client, const char *vm, uint64_t count,
                        struct transfer_disks *disks)
{
    uint64_t left = UINT64_MAX, before;
    int code = EXIT_DONE;

    memset(disks, 0, sizeof(*disks));
    while (count != 0 && code == EXIT_DONE && left != 0) {
        before = left;
        code = ask(client, vm, disks, &left);
        if (code == EXIT_DONE && left >= before) {
            return line_trouble(client, CLIENT_NONSENSE);
        }
        if (stop_requested) {
            fprintf(stderr, "hvctl: interrupted\n");
            return EXIT_FAILED;
        }
    }
    return code;
}

static int tell_other(const char *what, const char *vm, unsigned index, const char *image,
                      uint64_t ours, uint64_t theirs)
{
    fprintf(stderr,
            "hvctl: disk %u of %s (%s) is another one: its %s is %llx, the snapshot's %llx\n",
            index, vm, image, what, (unsigned long long)ours, (unsigned long long)theirs);
    return EXIT_FAILED;
}

static bool is_written(const struct snapshot_file_disk *disk)
{
    return (disk->flags & SNAPSHOT_FILE_WRITTEN) != 0;
}

static const char *mode_of(const struct snapshot_file_disk *disk)
{
    return is_written(disk) ? "rw" : "ro or an overlay";
}

bool transfer_is_meant(const char *verb, const char *vm, const struct snapshot_file_disk *disks,
                       unsigned count)
{
    bool replaces = false;

    for (unsigned i = 0; i < count; i++) {
        if (is_written(&disks[i])) {
            fprintf(stderr, "hvctl: %s: what disk %u of %s has, which is rw, is replaced\n", verb,
                    i, vm);
            replaces = true;
        }
    }
    return !replaces || is_meant(verb, vm);
}

void transfer_warn_half(struct client *client, const char *vm)
{
    struct transfer_status status;
    struct transfer_disks disks = {0};
    uint64_t left;

    if (transfer_get_status(client, vm, &status) != EXIT_DONE || status.disks == 0 ||
        ask(client, vm, &disks, &left) != EXIT_DONE) {
        return;
    }
    for (unsigned i = 0; i < disks.count; i++) {
        if (disks.half[i]) {
            fprintf(stderr,
                    "hvctl: disk %u of %s (%s) is half restored, and %s does not start: restore it "
                    "again; 'hvctl exec restore %s accept' has what is there count\n",
                    i, vm, disks.images[i], vm, vm);
        }
    }
}

int transfer_compare_disks(const struct transfer_disks *ours, const char *vm,
                           const struct snapshot_file_disk *theirs, unsigned count)
{
    if (ours->count != count) {
        fprintf(stderr, "hvctl: the snapshot is of a VM with %u disks; %s has %u\n", count, vm,
                ours->count);
        return EXIT_FAILED;
    }
    for (unsigned i = 0; i < count; i++) {
        if (ours->disks[i].size != theirs[i].size) {
            return tell_other("size", vm, i, ours->images[i], ours->disks[i].size, theirs[i].size);
        }
        if (ours->disks[i].flags != theirs[i].flags) {
            fprintf(stderr,
                    "hvctl: disk %u of %s (%s) is another one: it is %s, the snapshot's %s\n", i,
                    vm, ours->images[i], mode_of(&ours->disks[i]), mode_of(&theirs[i]));
            return EXIT_FAILED;
        }
        if (ours->disks[i].sum != theirs[i].sum) {
            return tell_other("image's sum", vm, i, ours->images[i], ours->disks[i].sum,
                              theirs[i].sum);
        }
    }
    return EXIT_DONE;
}
