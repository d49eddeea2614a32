/* SPDX-License-Identifier: BSD-2-Clause */
#define _DEFAULT_SOURCE
#include "tools/hvctl/snapshot_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <nettle/sha2.h>
#include <zlib.h>

#include "abi/monitor.h"
#include "lib/format.h"
#include "lib/types.h"
#include "lib/word_runs.h"

#define MAGIC       "POSTSNAP"
#define MAGIC_SIZE  8u
#define HEADER_SIZE 16u /* magic, version, zero */
#define CHUNK_HEAD  40u
#define WORD        8u
#define STATE_MAX   (1u << 20)
#define MEMORY_MAX  (1ull << 40)

/* Tokens are gathered up to so many bytes. */
#define GATHER_MAX     0x40000u
#define COVERED_MAX    (1ull << 30)
#define STORED_MAX     (2 * GATHER_MAX + STATE_MAX)
#define COMPRESS_LEVEL 6

enum chunk_kind { CHUNK_BEGIN = 1, CHUNK_ROUND, CHUNK_RAM, CHUNK_STATE, CHUNK_END };

/* In front of each chunk's bytes: kind, how many bytes there are in the file, how many they are
 * decompressed, the checksum of all that and the bytes, and two numbers whose meaning the kind
 * says. */
struct chunk {
    uint32_t kind;
    uint32_t stored, size;
    uint64_t offset, covered;
};

/* Of CHUNK_BEGIN. */
#define BEGIN_SIZE (24u + SNAPSHOT_FILE_NAME_SIZE)

static void put_head(uint8_t head[CHUNK_HEAD], const struct chunk *chunk)
{
    memset(head, 0, CHUNK_HEAD);
    monitor_put32(head, chunk->kind);
    monitor_put32(head + 4, chunk->stored);
    monitor_put32(head + 8, chunk->size);
    monitor_put64(head + 16, chunk->offset);
    monitor_put64(head + 24, chunk->covered);
}

/* The checksum stands behind the head's other fields. */
static uint32_t checksum(const uint8_t head[CHUNK_HEAD], const uint8_t *bytes, size_t size)
{
    uLong crc = crc32(0, head, CHUNK_HEAD - 8);

    return (uint32_t)(size != 0 ? crc32(crc, bytes, (uInt)size) : crc);
}

static void put_chunk(struct snapshot_file *out, struct chunk *chunk, const uint8_t *bytes)
{
    uint8_t head[CHUNK_HEAD];

    put_head(head, chunk);
    monitor_put32(head + CHUNK_HEAD - 8, checksum(head, bytes, chunk->stored));
    (void)fwrite(head, 1, sizeof(head), out->file);
    if (chunk->stored != 0) {
        (void)fwrite(bytes, 1, chunk->stored, out->file);
    }
    /* What came is there, should this program end. */
    (void)fflush(out->file);
    out->written += sizeof(head) + chunk->stored;
}

static void put_compressed(struct snapshot_file *out, struct chunk *chunk, const uint8_t *bytes,
                           size_t size)
{
    uLongf stored = compressBound((uLong)size);
    uint8_t *buffer = malloc(stored);

    if (buffer != NULL && compress2(buffer, &stored, bytes, (uLong)size, COMPRESS_LEVEL) == Z_OK) {
        chunk->size = (uint32_t)size;
        chunk->stored = (uint32_t)stored;
        put_chunk(out, chunk, buffer);
    } else {
        out->failed = true;
    }
    free(buffer);
}

static bool begin_writing(struct snapshot_file *out)
{
    out->tokens = malloc(GATHER_MAX);
    return out->tokens != NULL;
}

bool snapshot_file_create(struct snapshot_file *out, const char *path,
                          const struct snapshot_file_head *head)
{
    uint8_t header[HEADER_SIZE] = MAGIC, begin[BEGIN_SIZE] = {0};
    struct chunk chunk = {.kind = CHUNK_BEGIN, .stored = BEGIN_SIZE, .size = BEGIN_SIZE};

    memset(out, 0, sizeof(*out));
    out->file = fopen(path, "w+b");
    if (out->file == NULL || !begin_writing(out)) {
        return false;
    }
    monitor_put32(header + MAGIC_SIZE, SNAPSHOT_FILE_VERSION);
    (void)fwrite(header, 1, sizeof(header), out->file);
    out->written = sizeof(header);
    monitor_put64(begin, head->memory);
    monitor_put64(begin + 8, head->tracking);
    begin[16] = head->was_running;
    memcpy(begin + 24, head->name, strlen(head->name));
    put_chunk(out, &chunk, begin);
    return true;
}

static void flush_ram(struct snapshot_file *out)
{
    struct chunk chunk = {.kind = CHUNK_RAM, .offset = out->offset, .covered = out->covered};

    if (out->used != 0) {
        put_compressed(out, &chunk, out->tokens, out->used);
    }
    out->used = 0;
    out->covered = 0;
}

void snapshot_file_round(struct snapshot_file *out, uint64_t round)
{
    struct chunk chunk = {.kind = CHUNK_ROUND, .offset = round};

    flush_ram(out);
    put_chunk(out, &chunk, NULL);
}

void snapshot_file_ram(struct snapshot_file *out, uint64_t offset, uint64_t covered,
                       const uint8_t *tokens, size_t size)
{
    if (out->used + size > GATHER_MAX || out->covered + covered > COVERED_MAX ||
        out->offset + out->covered != offset) {
        flush_ram(out);
    }
    if (out->used == 0) {
        out->offset = offset;
    }
    memcpy(out->tokens + out->used, tokens, size);
    out->used += size;
    out->covered += covered;
}

void snapshot_file_state(struct snapshot_file *out, const uint8_t *state, size_t size)
{
    struct chunk chunk = {.kind = CHUNK_STATE};

    flush_ram(out);
    put_compressed(out, &chunk, state, size);
}

/* Of the first `size` bytes of a file, which is left behind them. */
static bool digest_of(FILE *file, uint64_t size, uint8_t digest[SHA256_DIGEST_SIZE])
{
    static uint8_t buffer[1 << 16];
    struct sha256_ctx hash;

    sha256_init(&hash);
    rewind(file);
    while (size > 0) {
        size_t wanted = size < sizeof(buffer) ? (size_t)size : sizeof(buffer);
        if (fread(buffer, 1, wanted, file) != wanted) {
            return false;
        }
        sha256_update(&hash, wanted, buffer);
        size -= wanted;
    }
    sha256_digest(&hash, SHA256_DIGEST_SIZE, digest);
    return true;
}

bool snapshot_file_close(struct snapshot_file *out, bool complete)
{
    struct chunk chunk = {
        .kind = CHUNK_END, .stored = SHA256_DIGEST_SIZE, .size = SHA256_DIGEST_SIZE, .offset = 0};
    uint8_t digest[SHA256_DIGEST_SIZE];

    flush_ram(out);
    bool good = !out->failed && ferror(out->file) == 0;
    if (good && complete) {
        chunk.offset = out->written;
        good = digest_of(out->file, out->written, digest) &&
               fseeko(out->file, (off_t)out->written, SEEK_SET) == 0;
        if (good) {
            put_chunk(out, &chunk, digest);
            good = ferror(out->file) == 0 && fsync(fileno(out->file)) == 0;
        }
    }
    free(out->tokens);
    return fclose(out->file) == 0 && good;
}

/* Reading. */

/* A file that is read chunk by chunk. */
struct reader {
    FILE *file;
    uint64_t at; /* of the chunk, in the file */
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
    if (monitor_get32(header + MAGIC_SIZE) != SNAPSHOT_FILE_VERSION) {
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

    if (chunk->kind != CHUNK_RAM && chunk->kind != CHUNK_STATE) {
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
                            .offset = monitor_get64(head + 16),
                            .covered = monitor_get64(head + 24)};
    if (chunk->kind < CHUNK_BEGIN || chunk->kind > CHUNK_END || chunk->stored > STORED_MAX ||
        chunk->size > STORED_MAX) {
        return fail(reader, "a chunk is of no known kind, or too large");
    }
    if (fread(reader->stored, 1, chunk->stored, reader->file) != chunk->stored) {
        return fail(reader, "it breaks off");
    }
    if (checksum(head, reader->stored, chunk->stored) != monitor_get32(head + CHUNK_HEAD - 8)) {
        return fail(reader, "a chunk's checksum is wrong");
    }
    reader->at += sizeof(head) + chunk->stored;
    return decompress(reader);
}

static bool take_begin(struct reader *reader, struct snapshot_file_head *head)
{
    const uint8_t *bytes = reader->bytes;

    if (!next_chunk(reader)) {
        return false;
    }
    if (reader->chunk.kind != CHUNK_BEGIN || reader->chunk.size != BEGIN_SIZE) {
        return fail(reader, "it does not begin as a snapshot");
    }
    head->memory = monitor_get64(bytes);
    head->tracking = monitor_get64(bytes + 8);
    head->was_running = bytes[16] != 0;
    memcpy(head->name, bytes + 24, sizeof(head->name));
    if (memchr(head->name, '\0', sizeof(head->name)) == NULL || head->memory == 0 ||
        head->memory % 4096 != 0 || head->memory > MEMORY_MAX) {
        return fail(reader, "it names no VM, or one of an impossible size");
    }
    return true;
}

bool snapshot_file_reopen(struct snapshot_file *out, const char *path,
                          struct snapshot_file_head *head, struct snapshot_file_place *place)
{
    struct reader reader;

    memset(out, 0, sizeof(*out));
    memset(place, 0, sizeof(*place));
    bool good = open_reader(&reader, path) && take_begin(&reader, head);
    while (good) {
        out->written = reader.at;
        if (!next_chunk(&reader)) {
            break;
        }
        if (reader.chunk.kind == CHUNK_ROUND) {
            place->round = reader.chunk.offset;
            place->offset = 0;
        } else if (reader.chunk.kind == CHUNK_RAM) {
            place->offset = reader.chunk.offset + reader.chunk.covered;
        } else {
            break; /* the state is fetched again */
        }
    }
    close_reader(&reader);
    if (!good) {
        return false;
    }
    out->file = fopen(path, "r+b");
    return out->file != NULL && begin_writing(out) &&
           ftruncate(fileno(out->file), (off_t)out->written) == 0 &&
           fseeko(out->file, (off_t)out->written, SEEK_SET) == 0;
}

/* Carries a chunk of RAM out. */
static bool take_ram(struct reader *reader, struct snapshot_image_in *image)
{
    const struct chunk *chunk = &reader->chunk;
    size_t told = 0;

    if (chunk->offset % WORD != 0 || chunk->offset > image->head.memory) {
        return fail(reader, "a chunk lies outside the VM's memory");
    }
    size_t room = (size_t)(image->head.memory - chunk->offset) / WORD;
    if (!word_runs_read(reader->bytes, chunk->size, image->ram + chunk->offset, room, &told) ||
        told * WORD != chunk->covered) {
        return fail(reader, "a chunk's tokens make no sense");
    }
    return true;
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

/* The last chunk is the digest of all before it. */
static bool check_end(struct reader *reader, const struct snapshot_image_in *image)
{
    uint64_t before = reader->at - CHUNK_HEAD - reader->chunk.stored;
    uint8_t digest[SHA256_DIGEST_SIZE];

    if (image->state == NULL || reader->chunk.size != SHA256_DIGEST_SIZE ||
        reader->chunk.offset != before) {
        return fail(reader, "it ends before its state");
    }
    if (!digest_of(reader->file, before, digest) ||
        memcmp(digest, reader->bytes, SHA256_DIGEST_SIZE) != 0) {
        return fail(reader, "its digest is wrong");
    }
    return true;
}

static bool load(struct reader *reader, struct snapshot_image_in *image)
{
    if (!take_begin(reader, &image->head)) {
        return false;
    }
    image->ram = calloc(1, image->head.memory);
    if (image->ram == NULL) {
        return fail(reader, "out of memory");
    }
    while (next_chunk(reader)) {
        bool good = true;
        switch (reader->chunk.kind) {
        case CHUNK_ROUND:
            break;
        case CHUNK_RAM:
            good = take_ram(reader, image);
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
    free(image->ram);
    free(image->state);
    image->ram = NULL;
    image->state = NULL;
}
