/* SPDX-License-Identifier: BSD-2-Clause */
#define _DEFAULT_SOURCE
#include "tools/hvctl/snapshot_file_parts.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "abi/monitor.h"
#include "abi/snapshot.h"

static void put_head(uint8_t head[CHUNK_HEAD], const struct chunk *chunk)
{
    memset(head, 0, CHUNK_HEAD);
    monitor_put32(head, chunk->kind);
    monitor_put32(head + 4, chunk->stored);
    monitor_put32(head + 8, chunk->size);
    monitor_put32(head + 12, chunk->disk);
    monitor_put64(head + 16, chunk->offset);
    monitor_put64(head + 24, chunk->covered);
}

uint32_t snapshot_file_checksum(const uint8_t head[CHUNK_HEAD], const uint8_t *bytes, size_t size)
{
    uLong crc = crc32(0, head, CHUNK_HEAD - 8);

    return (uint32_t)(size != 0 ? crc32(crc, bytes, (uInt)size) : crc);
}

static void put_chunk(struct snapshot_file *out, struct chunk *chunk, const uint8_t *bytes)
{
    uint8_t head[CHUNK_HEAD];

    put_head(head, chunk);
    monitor_put32(head + CHUNK_HEAD - 8, snapshot_file_checksum(head, bytes, chunk->stored));
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

/* The first one that can tell of such disks: an earlier hvctl reads as much as it can. */
static uint32_t version_of(const struct snapshot_file_head *head)
{
    for (unsigned i = 0; i < head->disk_count; i++) {
        if (head->disks[i].flags != 0) {
            return SNAPSHOT_FILE_VERSION;
        }
    }
    return head->disk_count != 0 ? VERSION_OVERLAYS : VERSION_WITHOUT_DISKS;
}

static void put_begin(struct snapshot_file *out, const struct snapshot_file_head *head)
{
    uint32_t disk_size = begin_disk_size(version_of(head));
    uint32_t size = BEGIN_SIZE + head->disk_count * disk_size;
    struct chunk chunk = {.kind = CHUNK_BEGIN, .stored = size, .size = size};
    uint8_t begin[BEGIN_SIZE_MAX] = {0};

    monitor_put64(begin, head->memory);
    monitor_put64(begin + 8, head->tracking);
    begin[16] = head->was_running;
    memcpy(begin + 24, head->name, strlen(head->name));
    for (unsigned i = 0; i < head->disk_count; i++) {
        uint8_t *disk = begin + BEGIN_SIZE + i * disk_size;
        monitor_put64(disk, head->disks[i].size);
        monitor_put64(disk + 8, head->disks[i].sum);
        if (disk_size == BEGIN_DISK_SIZE) {
            monitor_put64(disk + 16, head->disks[i].flags);
        }
    }
    put_chunk(out, &chunk, begin);
}

bool snapshot_file_create(struct snapshot_file *out, const char *path,
                          const struct snapshot_file_head *head)
{
    uint8_t header[HEADER_SIZE] = MAGIC;

    memset(out, 0, sizeof(*out));
    out->file = fopen(path, "w+b");
    if (out->file == NULL || !begin_writing(out)) {
        return false;
    }
    monitor_put32(header + MAGIC_SIZE, version_of(head));
    (void)fwrite(header, 1, sizeof(header), out->file);
    out->written = sizeof(header);
    put_begin(out, head);
    return true;
}

static bool is_disk(uint8_t section)
{
    return section >= POSTERN_SNAPSHOT_DISK;
}

static void flush(struct snapshot_file *out)
{
    struct chunk chunk = {.kind = is_disk(out->section) ? CHUNK_DISK : CHUNK_RAM,
                          .disk = is_disk(out->section) ? out->section - POSTERN_SNAPSHOT_DISK : 0,
                          .offset = out->offset,
                          .covered = out->covered};

    if (out->used != 0) {
        put_compressed(out, &chunk, out->tokens, out->used);
    }
    out->used = 0;
    out->covered = 0;
}

void snapshot_file_round(struct snapshot_file *out, uint64_t round)
{
    struct chunk chunk = {.kind = CHUNK_ROUND, .offset = round};

    flush(out);
    put_chunk(out, &chunk, NULL);
}

void snapshot_file_piece(struct snapshot_file *out, uint8_t section, uint64_t offset,
                         uint64_t covered, const uint8_t *tokens, size_t size)
{
    if (out->used + size > GATHER_MAX || out->covered + covered > COVERED_MAX ||
        out->section != section || out->offset + out->covered != offset) {
        flush(out);
    }
    if (out->used == 0) {
        out->section = section;
        out->offset = offset;
    }
    memcpy(out->tokens + out->used, tokens, size);
    out->used += size;
    out->covered += covered;
}

void snapshot_file_state(struct snapshot_file *out, const uint8_t *state, size_t size)
{
    struct chunk chunk = {.kind = CHUNK_STATE};

    flush(out);
    put_compressed(out, &chunk, state, size);
}

bool snapshot_file_digest(FILE *file, uint64_t size, uint8_t digest[SHA256_DIGEST_SIZE])
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

    flush(out);
    bool good = !out->failed && ferror(out->file) == 0;
    if (good && complete) {
        chunk.offset = out->written;
        good = snapshot_file_digest(out->file, out->written, digest) &&
               fseeko(out->file, (off_t)out->written, SEEK_SET) == 0;
        if (good) {
            put_chunk(out, &chunk, digest);
            good = ferror(out->file) == 0 && fsync(fileno(out->file)) == 0;
        }
    }
    free(out->tokens);
    return fclose(out->file) == 0 && good;
}

bool snapshot_file_reopen(struct snapshot_file *out, const char *path,
                          struct snapshot_file_head *head, struct snapshot_file_place *place)
{
    memset(out, 0, sizeof(*out));
    if (!snapshot_file_scan(path, head, place, &out->written)) {
        return false;
    }
    out->file = fopen(path, "r+b");
    return out->file != NULL && begin_writing(out) &&
           ftruncate(fileno(out->file), (off_t)out->written) == 0 &&
           fseeko(out->file, (off_t)out->written, SEEK_SET) == 0;
}
