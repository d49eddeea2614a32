/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/snapshot_clone.h"

#include "lib/format.h"

/* Room for a piece on its way. Under a VM's lock no more than this is copied at once. */
#define TOKENS_SIZE KIB(32)

/* To skip a page is so much less work than to look at it. */
#define SKIPS_OF_A_LOOK 64u

/* What a piece has cost, bytes that were looked at: how many those are its fetch does not tell. */
static uint64_t cost_of(const struct snapshot_piece *piece)
{
    uint64_t looked =
        piece->covered < POSTERN_SNAPSHOT_PIECE_MAX ? piece->covered : POSTERN_SNAPSHOT_PIECE_MAX;

    return looked + piece->covered / SKIPS_OF_A_LOOK;
}

static status_t explain_fetch(const struct vm *from, const struct snapshot_piece *piece,
                              status_t status, char error[SNAPSHOT_ERROR_SIZE])
{
    const char *name = from->config->name;

    if (status != STATUS_BUSY) {
        (void)format_string(error, SNAPSHOT_ERROR_SIZE,
                            "%s has no section %u with a byte 0x%llx that is a word's first, or "
                            "none with flags %x",
                            name, piece->section, (unsigned long long)piece->offset, piece->flags);
    } else if (from->vcpu_count == 0) {
        (void)format_string(error, SNAPSHOT_ERROR_SIZE, "%s is %s", name, vm_state_name(from));
    } else {
        (void)format_string(error, SNAPSHOT_ERROR_SIZE, "%s is not %s", name,
                            piece->section == POSTERN_SNAPSHOT_STATE ? "saved" : "tracked");
    }
    return status;
}

static status_t explain_store(const struct vm *to, const struct snapshot_piece *piece,
                              status_t status, char error[SNAPSHOT_ERROR_SIZE])
{
    const char *name = to->config->name;
    uint32_t disk = piece->section - POSTERN_SNAPSHOT_DISK;

    if (status == STATUS_DENIED) {
        (void)format_string(error, SNAPSHOT_ERROR_SIZE, "%s: its disk %u takes nothing", name,
                            disk);
    } else {
        (void)format_string(error, SNAPSHOT_ERROR_SIZE,
                            "%s has no place for byte 0x%llx of section %u: it is of another shape",
                            name, (unsigned long long)piece->offset, piece->section);
    }
    return status;
}

/* One piece there and in again. `*cost`: what of the call's work it was. STATUS_NO_MEMORY: not all
 * of it found room in an overlay. */
static status_t carry(struct vm *from, struct vm *to, struct snapshot_piece *piece, uint64_t *cost,
                      char error[SNAPSHOT_ERROR_SIZE])
{
    static uint8_t tokens[TOKENS_SIZE]; /* the monitor's CPU alone is here */
    struct snapshot_piece stored = {.section = piece->section, .offset = piece->offset};
    size_t used = 0;

    status_t status = snapshot_fetch(from, piece, tokens, sizeof(tokens), &used);
    if (status != STATUS_OK) {
        return explain_fetch(from, piece, status, error);
    }
    *cost = cost_of(piece);
    if (piece->covered == 0) {
        return STATUS_OK;
    }
    status = snapshot_store(to, &stored, tokens, used);
    return status == STATUS_OK || status == STATUS_NO_MEMORY
               ? status
               : explain_store(to, piece, status, error);
}

/* Whether its vCPUs are still to write what was asked of them. */
static bool is_late(const struct vm *from)
{
    return atomic_load(&from->state) == VM_PAUSED && from->snapshot.size != 0 &&
           !snapshot_is_saved(from);
}

status_t snapshot_clone(struct vm *from, struct vm *to, struct snapshot_piece *piece,
                        enum snapshot_left *left, char error[SNAPSHOT_ERROR_SIZE])
{
    struct snapshot_piece part = *piece;
    uint64_t work = 0, cost = 0;
    status_t status = STATUS_OK;

    piece->covered = 0;
    piece->size = 0;
    *left = SNAPSHOT_LEFT_LATE;
    if (atomic_load(&to->state) != VM_RESTORING) {
        (void)format_string(error, SNAPSHOT_ERROR_SIZE, "%s is not being restored",
                            to->config->name);
        return STATUS_BUSY;
    }
    if (piece->section == POSTERN_SNAPSHOT_STATE && is_late(from)) {
        return STATUS_OK;
    }
    do {
        status = carry(from, to, &part, &cost, error);
        part.offset += part.covered;
        work += cost;
    } while (status == STATUS_OK && part.offset < part.size && work < SNAPSHOT_CLONE_STEP);
    piece->covered = part.offset - piece->offset;
    piece->size = part.size;
    *left = part.offset < part.size ? SNAPSHOT_LEFT_MORE : SNAPSHOT_LEFT_NONE;
    return status;
}
