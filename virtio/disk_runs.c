/* SPDX-License-Identifier: BSD-2-Clause */
#include "virtio/disk_runs.h"

#include "lib/string.h"

struct view {
    const struct disk *disk;
    bool harvested;
};

static const void *find(const void *context, uint64_t at)
{
    const struct view *view = context;
    const uint8_t *bytes;

    return disk_holds(view->disk, at, view->harvested, &bytes) ? bytes : NULL;
}

/* A block that reads as zeros is told by one token, or by none: in two parts it would take a block
 * of the pool of who takes them. */
void disk_runs_tell(const struct disk *disk, uint64_t at, bool harvested,
                    const struct word_runs_limits *limits, struct word_runs_writer *writer)
{
    const struct view view = {disk, harvested};
    const struct word_runs_source source = {
        .size = disk->size, .unit = DISK_BLOCK, .find = find, .context = &view};

    word_runs_tell(writer, &source, at, limits);
}

/* One word again and again. */
static status_t take_repeat(struct disk *disk, uint64_t at, const uint8_t *word, uint64_t size)
{
    uint8_t words[DISK_SECTOR];
    status_t status = STATUS_OK;

    for (unsigned i = 0; i < sizeof(words); i += WORD_RUNS_WORD) {
        memcpy(words + i, word, WORD_RUNS_WORD);
    }
    while (size > 0 && status == STATUS_OK) {
        uint64_t part = size < sizeof(words) ? size : sizeof(words);
        status = disk_write(disk, at, words, part);
        at += part;
        size -= part;
    }
    return status;
}

static status_t take(struct disk *disk, uint64_t at, const struct word_runs_token *token)
{
    uint64_t size = (uint64_t)token->count * WORD_RUNS_WORD;

    if (token->kind == WORD_RUNS_SKIP) {
        return STATUS_OK;
    }
    if (disk->mode == DISK_READ_ONLY) {
        return STATUS_DENIED;
    }
    return token->kind == WORD_RUNS_LITERAL  ? disk_write(disk, at, token->words, size)
           : token->kind == WORD_RUNS_REPEAT ? take_repeat(disk, at, token->words, size)
                                             : disk_zero(disk, at, size);
}

status_t disk_runs_take(struct disk *disk, uint64_t at, uint64_t room, const uint8_t *tokens,
                        size_t size, uint64_t *covered)
{
    struct word_runs_token token;
    bool fits = true;
    size_t next = 0;

    *covered = 0;
    while (word_runs_next(tokens, size, &next, &token)) {
        uint64_t bytes = (uint64_t)token.count * WORD_RUNS_WORD;
        if (bytes > room - *covered) {
            return STATUS_INVALID;
        }
        status_t status = take(disk, at + *covered, &token);
        if (status != STATUS_OK && status != STATUS_NO_MEMORY) {
            return status;
        }
        /* Blocks of zeros may come that give back what others have. */
        fits = fits && status == STATUS_OK;
        *covered += bytes;
    }
    return next != size ? STATUS_INVALID : fits ? STATUS_OK : STATUS_NO_MEMORY;
}
