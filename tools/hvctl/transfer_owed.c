/* SPDX-License-Identifier: BSD-2-Clause */
/* What has found no room in an overlay while the VM ran: blocks that it has discarded since were in
 * its place, and are told later. A disk is 64 regions, of which some are owed. */
#include <stdio.h>

#include "abi/snapshot.h"
#include "lib/word_runs.h"
#include "tools/hvctl/hvctl.h"
#include "tools/hvctl/transfer.h"

#define REGIONS 64u

static uint64_t region_size(const struct transfer *transfer, unsigned disk)
{
    uint64_t size = transfer->disks.disks[disk].size;

    return (size / REGIONS / SNAPSHOT_FILE_BLOCK + 1) * SNAPSHOT_FILE_BLOCK;
}

static void owe(struct transfer *transfer, unsigned disk, uint64_t from, uint64_t size)
{
    uint64_t region = region_size(transfer, disk), last = (from + size - 1) / region;

    for (uint64_t i = from / region; i <= last && i < REGIONS; i++) {
        transfer->owed[disk] |= 1ull << i;
    }
}

/* What the piece tells; what it skips found its room. One that was carried by the hypervisor may
 * tell all of it. */
static void owe_piece(struct transfer *transfer, unsigned disk, const struct client_piece *piece)
{
    uint64_t offset = piece->offset;
    struct word_runs_token token;
    size_t at = 0;

    if (transfer->sink->carry != NULL) {
        owe(transfer, disk, offset, piece->covered);
        return;
    }
    while (word_runs_next(piece->tokens, piece->used, &at, &token)) {
        uint64_t size = (uint64_t)token.count * WORD_RUNS_WORD;
        if (token.kind != WORD_RUNS_SKIP) {
            owe(transfer, disk, offset, size);
        }
        offset += size;
    }
}

int transfer_owe(struct transfer *transfer, const struct client_piece *piece, int code)
{
    unsigned disk = piece->section - POSTERN_SNAPSHOT_DISK;

    if (code != TRANSFER_NO_ROOM) {
        return code;
    }
    if (transfer->pays || disk >= transfer->disks.count) {
        progress_clear();
        fprintf(stderr,
                "hvctl: disk %u of %s holds more than there is room for in its overlay there\n",
                disk, transfer->vm);
        return EXIT_FAILED;
    }
    owe_piece(transfer, disk, piece);
    return EXIT_DONE;
}

int transfer_pay(struct transfer *transfer)
{
    int code = EXIT_DONE;

    transfer->pays = true;
    for (unsigned disk = 0; disk < transfer->disks.count; disk++) {
        uint64_t size = region_size(transfer, disk);
        for (unsigned i = 0; i < REGIONS && code == EXIT_DONE; i++) {
            if ((transfer->owed[disk] >> i & 1) != 0) {
                const struct transfer_part part = {.section =
                                                       (uint8_t)(POSTERN_SNAPSHOT_DISK + disk),
                                                   .offset = i * size,
                                                   .end = (i + 1) * size};
                code = transfer_send(transfer, &part);
            }
        }
        transfer->owed[disk] = 0;
    }
    transfer->pays = false;
    return code;
}
