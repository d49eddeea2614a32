/* SPDX-License-Identifier: BSD-2-Clause */
/* What a snapshot's file is made of: for snapshot_file.c, which writes it, and
 * snapshot_file_read.c. */
#ifndef POSTERN_TOOLS_HVCTL_SNAPSHOT_FILE_PARTS_H
#define POSTERN_TOOLS_HVCTL_SNAPSHOT_FILE_PARTS_H

#include <nettle/sha2.h>

#include "tools/hvctl/snapshot_file.h"

#define MAGIC       "POSTSNAP"
#define MAGIC_SIZE  8u
#define HEADER_SIZE 16u /* magic, version, zero */
#define CHUNK_HEAD  40u
#define STATE_MAX   (1u << 20)

/* Tokens are gathered up to so many bytes. */
#define GATHER_MAX            0x40000u
#define COVERED_MAX           (1ull << 30)
#define STORED_MAX            (2 * GATHER_MAX + STATE_MAX)
#define COMPRESS_LEVEL        6

#define VERSION_WITHOUT_DISKS 1u
#define VERSION_OVERLAYS      2u /* of each disk size and sum */

enum chunk_kind { CHUNK_BEGIN = 1, CHUNK_ROUND, CHUNK_RAM, CHUNK_STATE, CHUNK_END, CHUNK_DISK };

/* In front of each chunk's bytes: kind, how many bytes there are in the file, how many they are
 * decompressed, which disk's they are, the checksum of all that and the bytes, and two numbers
 * whose meaning the kind says. */
struct chunk {
    uint32_t kind;
    uint32_t stored, size;
    uint32_t disk;
    uint64_t offset, covered;
};

/* Of CHUNK_BEGIN; size, sum and, from version 3 on, flags of each disk follow. */
#define BEGIN_SIZE         (24u + SNAPSHOT_FILE_NAME_SIZE)
#define BEGIN_DISK_SIZE    24u
#define BEGIN_OVERLAY_SIZE 16u
#define BEGIN_SIZE_MAX     (BEGIN_SIZE + SNAPSHOT_FILE_DISKS_MAX * BEGIN_DISK_SIZE)

/* Bytes of each disk there. */
static inline uint32_t begin_disk_size(uint32_t version)
{
    return version == VERSION_WITHOUT_DISKS ? 0
           : version == VERSION_OVERLAYS    ? BEGIN_OVERLAY_SIZE
                                            : BEGIN_DISK_SIZE;
}

/* The checksum, which stands behind the head's other fields. */
uint32_t snapshot_file_checksum(const uint8_t head[CHUNK_HEAD], const uint8_t *bytes, size_t size);

/* Of the first `size` bytes of a file, which is left behind them. */
bool snapshot_file_digest(FILE *file, uint64_t size, uint8_t digest[SHA256_DIGEST_SIZE]);

/* Reads a file as far as it is whole, and can be gone on with: `*end` bytes of it. False: it does
 * not begin as one. */
bool snapshot_file_scan(const char *path, struct snapshot_file_head *head,
                        struct snapshot_file_place *place, uint64_t *end);

#endif
