/* SPDX-License-Identifier: BSD-2-Clause */
#define _DEFAULT_SOURCE
#include "tools/hvctl/snapshot_file_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "abi/monitor.h"
#include "abi/snapshot.h"
#include "lib/format.h"
#include "lib/word_runs.h"

#define WORD       8u
#define MEMORY_MAX (1ull << 40)
#define DISK_UNIT  512u

/* A file that is read chunk by chunk. */
struct reader {
    FILE *file;
    uint64_t at; /* of the chunk, in the file */
    uint32_t version;
    struct chunk chunk;
    uint8_t *stored; /* STORED_MAX bytes */
    uint8_t *bytes;  /* decompressed, likewise */
    const char *problem;
};

static bool fail(struct reader *reader, const char *problem)
{
    reader->problem = problem;
    return false;
}

static bool open_reader(struct reader *reader, const char *path)
{
    uint8_t header[HEADER_SIZE];

    memset(reader, 0, sizeof(*reader));
    reader->file = fopen(path, "rb");
    if (reader->file == NULL) {
        return fail(reader, strerror(errno));
    }
    reader->stored = malloc(STORED_MAX);
    reader->bytes = malloc(STORED_MAX);
    if (reader->stored == NULL || reader->bytes == NULL) {
        return fail(reader, "out of memory");
    }
    if (fread(header, 1, sizeof(header), reader->file) != sizeof(header) ||
        memcmp(header, MAGIC, MAGIC_SIZE) != 0 || monitor_get32(header + 12) != 0) {
        return fail(reader, "it is no snapshot of a VM");
    }
    reader->version = monitor_get32(header + MAGIC_SIZE);
    if (reader->version < VERSION_WITHOUT_DISKS || reader->version > SNAPSHOT_FILE_VERSION) {
        return fail(reader, "it is a snapshot of another version");
    }
    reader->at = sizeof(header);
    return true;
}

static void close_reader(struct reader *reader)
{
    if (reader->file != NULL) {
        fclose(reader->file);
    }
    free(reader->stored);
    free(reader->bytes);
}

static bool decompress(struct reader *reader)
{
    struct chunk *chunk = &reader->chunk;
    uLongf size = STORED_MAX;

    if (chunk->kind != CHUNK_RAM && chunk->kind != CHUNK_DISK && chunk->kind != CHUNK_STATE) {
        memcpy(reader->bytes, reader->stored, chunk->stored);
        return chunk->size == chunk->stored ||
               fail(reader, "a chunk's sizes contradict each other");
    }
    if (uncompress(reader->bytes, &size, reader->stored, chunk->stored) != Z_OK ||
        size != chunk->size) {
        return fail(reader, "a chunk cannot be decompressed");
    }
    return true;
}

/* Takes the next chunk. */
static bool next_chunk(struct reader *reader)
{
    uint8_t head[CHUNK_HEAD];
    struct chunk *chunk = &reader->chunk;

    if (fread(head, 1, sizeof(head), reader->file) != sizeof(head)) {
        return fail(reader, "it breaks off");
    }
    *chunk = (struct chunk){.kind = monitor_get32(head),
                            .stored = monitor_get32(head + 4),
                            .size = monitor_get32(head + 8),
                            .disk = monitor_get32(head + 12),
                            .offset = monitor_get64(head + 16),
                            .covered = monitor_get64(head + 24)};
    if (chunk->kind < CHUNK_BEGIN || chunk->kind > CHUNK_DISK || chunk->stored > STORED_MAX ||
        chunk->size > STORED_MAX) {
        return fail(reader, "a chunk is of no known kind, or too large");
    }
    if (fread(reader->stored, 1, chunk->stored, reader->file) != chunk->stored) {
        return fail(reader, "it breaks off");
    }
    if (snapshot_file_checksum(head, reader->stored, chunk->stored) !=
        monitor_get32(head + CHUNK_HEAD - 8)) {
        return fail(reader, "a chunk's checksum is wrong");
    }
    reader->at += sizeof(head) + chunk->stored;
    return decompress(reader);
}

static bool is_possible_size(uint64_t size, uint64_t unit)
{
    return size != 0 && size % unit == 0 && size <= MEMORY_MAX;
}

/* Of each disk, behind the rest. */
static bool take_disks(struct reader *reader, struct snapshot_file_head *head)
{
    uint32_t size = reader->chunk.size - BEGIN_SIZE, disk_size = begin_disk_size(reader->version);

    if ((disk_size == 0) != (size == 0) || (disk_size != 0 && size % disk_size != 0) ||
        size > SNAPSHOT_FILE_DISKS_MAX * disk_size) {
        return fail(reader, "it does not begin as a snapshot");
    }
    head->disk_count = disk_size != 0 ? size / disk_size : 0;
    for (unsigned i = 0; i < head->disk_count; i++) {
        const uint8_t *disk = reader->bytes + BEGIN_SIZE + i * disk_size;
        head->disks[i] = (struct snapshot_file_disk){
            .size = monitor_get64(disk),
            .sum = monitor_get64(disk + 8),
            .flags = disk_size == BEGIN_DISK_SIZE ? monitor_get64(disk + 16) : 0};
        if (!is_possible_size(head->disks[i].size, DISK_UNIT) ||
            (head->disks[i].flags & ~(uint64_t)SNAPSHOT_FILE_WRITTEN) != 0) {
            return fail(reader, "it has a disk of an impossible size or kind");
        }
    }
    return true;
}

static bool take_begin(struct reader *reader, struct snapshot_file_head *head)
{
    const uint8_t *bytes = reader->bytes;

    if (!next_chunk(reader)) {
        return false;
    }
    if (reader->chunk.kind != CHUNK_BEGIN || reader->chunk.size < BEGIN_SIZE) {
        return fail(reader, "it does not begin as a snapshot");
    }
    head->memory = monitor_get64(bytes);
    head->tracking = monitor_get64(bytes + 8);
    head->was_running = bytes[16] != 0;
    memcpy(head->name, bytes + 24, sizeof(head->name));
    if (memchr(head->name, '\0', sizeof(head->name)) == NULL ||
        !is_possible_size(head->memory, 4096)) {
        return fail(reader, "it names no VM, or one of an impossible size");
    }
    return take_disks(reader, head);
}

/* Where a file is gone on with behind its last chunk. False: that is of what is fetched again. */
static bool note_place(const struct chunk *chunk, struct snapshot_file_place *place)
{
    switch (chunk->kind) {
    case CHUNK_ROUND:
        *place = (struct snapshot_file_place){.round = chunk->offset};
        return true;
    case CHUNK_RAM:
        place->section = POSTERN_SNAPSHOT_RAM;
        place->offset = chunk->offset + chunk->covered;
        return true;
    case CHUNK_DISK:
        place->section = (uint8_t)(POSTERN_SNAPSHOT_DISK + chunk->disk);
        place->offset = chunk->offset + chunk->covered;
        return chunk->disk < SNAPSHOT_FILE_DISKS_MAX;
    default:
        return false;
    }
}

bool snapshot_file_scan(const char *path, struct snapshot_file_head *head,
                        struct snapshot_file_place *place, uint64_t *end)
{
    struct reader reader;

    memset(place, 0, sizeof(*place));
    bool good = open_reader(&reader, path) && take_begin(&reader, head);
    while (good) {
        *end = reader.at;
        if (!next_chunk(&reader) || !note_place(&reader.chunk, place)) {
            break;
        }
    }
    close_reader(&reader);
    return good;
}

/* Carries a chunk out on so many bytes. */
static bool take_words(struct reader *reader, uint8_t *bytes, uint64_t size)
{
    const struct chunk *chunk = &reader->chunk;
    size_t told = 0;

    if (chunk->offset % WORD != 0 || chunk->offset > size) {
        return fail(reader, "a chunk lies outside the VM's memory, or its disk");
    }
    size_t room = (size_t)(size - chunk->offset) / WORD;
    if (!word_runs_read(reader->bytes, chunk->size, bytes + chunk->offset, room, &told) ||
        told * WORD != chunk->covered) {
        return fail(reader, "a chunk's tokens make no sense");
    }
    return true;
}

static void note_told(const struct reader *reader, uint8_t *told)
{
    uint64_t offset = reader->chunk.offset;
    struct word_runs_token token;
    size_t at = 0;

    while (word_runs_next(reader->bytes, reader->chunk.size, &at, &token)) {
        uint64_t end = offset + (uint64_t)token.count * WORD;
        if (token.kind != WORD_RUNS_SKIP) {
            uint64_t first = offset / SNAPSHOT_FILE_BLOCK;
            memset(told + first, 1, (end - 1) / SNAPSHOT_FILE_BLOCK - first + 1);
        }
        offset = end;
    }
}

static bool take_disk(struct reader *reader, struct snapshot_image_in *image)
{
    uint32_t index = reader->chunk.disk;

    if (index >= image->head.disk_count) {
        return fail(reader, "a chunk is of a disk that the VM does not have");
    }
    const struct snapshot_disk_in *disk = &image->disks[index];
    if (!take_words(reader, disk->bytes, image->head.disks[index].size)) {
        return false;
    }
    note_told(reader, disk->told);
    return true;
}

static bool allocate_image(struct snapshot_image_in *image)
{
    image->ram = calloc(1, image->head.memory);
    bool good = image->ram != NULL;
    for (unsigned i = 0; i < image->head.disk_count; i++) {
        struct snapshot_disk_in *disk = &image->disks[i];
        uint64_t size = image->head.disks[i].size;
        disk->bytes = calloc(1, size);
        disk->told = calloc(1, size / SNAPSHOT_FILE_BLOCK + 1);
        good = good && disk->bytes != NULL && disk->told != NULL;
    }
    return good;
}

static bool take_state(struct reader *reader, struct snapshot_image_in *image)
{
    if (image->state != NULL || reader->chunk.size == 0 || reader->chunk.size > STATE_MAX ||
        reader->chunk.size % WORD != 0) {
        return fail(reader, "it has no state, or more than one");
    }
    image->state = malloc(reader->chunk.size);
    if (image->state == NULL) {
        return fail(reader, "out of memory");
    }
    memcpy(image->state, reader->bytes, reader->chunk.size);
    image->state_size = reader->chunk.size;
    return true;
}

/* Whether all of each image came that was written to: a part of it is none. */
static bool has_images(const struct snapshot_image_in *image)
{
    for (unsigned i = 0; i < image->head.disk_count; i++) {
        const struct snapshot_file_disk *disk = &image->head.disks[i];
        uint64_t blocks = (disk->size + SNAPSHOT_FILE_BLOCK - 1) / SNAPSHOT_FILE_BLOCK;
        if ((disk->flags & SNAPSHOT_FILE_WRITTEN) != 0 &&
            memchr(image->disks[i].told, 0, blocks) != NULL) {
            return false;
        }
    }
    return true;
}

/* The last chunk is the digest of all before it. */
static bool check_end(struct reader *reader, const struct snapshot_image_in *image)
{
    uint64_t before = reader->at - CHUNK_HEAD - reader->chunk.stored;
    uint8_t digest[SHA256_DIGEST_SIZE];

    if (image->state == NULL || reader->chunk.size != SHA256_DIGEST_SIZE ||
        reader->chunk.offset != before) {
        return fail(reader, "it ends before its state");
    }
    if (!snapshot_file_digest(reader->file, before, digest) ||
        memcmp(digest, reader->bytes, SHA256_DIGEST_SIZE) != 0) {
        return fail(reader, "its digest is wrong");
    }
    return has_images(image) || fail(reader, "it has only a part of a disk");
}

static bool load(struct reader *reader, struct snapshot_image_in *image)
{
    if (!take_begin(reader, &image->head)) {
        return false;
    }
    if (!allocate_image(image)) {
        return fail(reader, "out of memory");
    }
    while (next_chunk(reader)) {
        bool good = true;
        switch (reader->chunk.kind) {
        case CHUNK_ROUND:
            break;
        case CHUNK_RAM:
            good = take_words(reader, image->ram, image->head.memory);
            break;
        case CHUNK_DISK:
            good = take_disk(reader, image);
            break;
        case CHUNK_STATE:
            good = take_state(reader, image);
            break;
        case CHUNK_END:
            return check_end(reader, image);
        default:
            good = fail(reader, "it begins twice");
            break;
        }
        if (!good) {
            return false;
        }
    }
    return false;
}

bool snapshot_file_load(struct snapshot_image_in *image, const char *path,
                        char error[SNAPSHOT_FILE_ERROR_SIZE])
{
    struct reader reader;

    memset(image, 0, sizeof(*image));
    bool good = open_reader(&reader, path) && load(&reader, image);
    if (!good) {
        (void)format_string(error, SNAPSHOT_FILE_ERROR_SIZE, "%s (behind byte %llu)",
                            reader.problem, (unsigned long long)reader.at);
        snapshot_file_free(image);
    }
    close_reader(&reader);
    return good;
}

void snapshot_file_free(struct snapshot_image_in *image)
{
    for (unsigned i = 0; i < image->head.disk_count; i++) {
        free(image->disks[i].bytes);
        free(image->disks[i].told);
    }
    free(image->ram);
    free(image->state);
    image->head.disk_count = 0;
    image->ram = NULL;
    image->state = NULL;
}
