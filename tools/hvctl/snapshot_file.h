/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A snapshot in a file: chunks one behind the other, in the order in which they came, each with a
 * checksum of its own, and at the end a digest of all. A file that breaks off has all that came
 * before; later chunks say what earlier ones said of the same memory anew. docs/snapshot.md has
 * each byte.
 */
#ifndef POSTERN_TOOLS_HVCTL_SNAPSHOT_FILE_H
#define POSTERN_TOOLS_HVCTL_SNAPSHOT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define SNAPSHOT_FILE_VERSION    3u /* that of a VM that writes to no image has 2, without disks 1 */
#define SNAPSHOT_FILE_ERROR_SIZE 160u
#define SNAPSHOT_FILE_NAME_SIZE  32u
#define SNAPSHOT_FILE_DISKS_MAX  32u

/* A disk that writes to its image. */
#define SNAPSHOT_FILE_WRITTEN 1u

struct snapshot_file_disk {
    uint64_t size;  /* bytes */
    uint64_t sum;   /* of its image; 0 of one that is written to */
    uint64_t flags; /* SNAPSHOT_FILE_WRITTEN */
};

/* What the file begins with. */
struct snapshot_file_head {
    uint64_t memory;   /* bytes of RAM */
    uint64_t tracking; /* in which it was made: a file of the same one can be gone on with */
    bool was_running;  /* before */
    char name[SNAPSHOT_FILE_NAME_SIZE];
    unsigned disk_count;
    struct snapshot_file_disk disks[SNAPSHOT_FILE_DISKS_MAX];
};

/* How far a file has come. */
struct snapshot_file_place {
    uint64_t round;  /* the last one that was begun */
    uint8_t section; /* POSTERN_SNAPSHOT_: RAM, or the disk that is there in part */
    uint64_t offset; /* up to where it is there */
};

/* Writing. A failure is told at the end, by snapshot_file_close(). */
struct snapshot_file {
    FILE *file;
    uint64_t written; /* bytes */
    uint8_t section;  /* RAM or a disk: which one is gathered, ... */
    uint64_t offset;  /* ... where that begins, ... */
    uint64_t covered; /* ... the bytes that it tells, ... */
    size_t used;      /* ... and its tokens' */
    uint8_t *tokens;
    bool failed; /* there was no memory */
};

/* Begins a file. False, and errno: it cannot be created. */
bool snapshot_file_create(struct snapshot_file *out, const char *path,
                          const struct snapshot_file_head *head);

/* Opens a file to go on behind what of it is whole. False if it is none: begin anew. */
bool snapshot_file_reopen(struct snapshot_file *out, const char *path,
                          struct snapshot_file_head *head, struct snapshot_file_place *place);

void snapshot_file_round(struct snapshot_file *out, uint64_t round);

/* Tokens of RAM or a disk from `offset` on; they go to the file when there are enough. */
void snapshot_file_piece(struct snapshot_file *out, uint8_t section, uint64_t offset,
                         uint64_t covered, const uint8_t *tokens, size_t size);

/* The records of its state; the last thing. */
void snapshot_file_state(struct snapshot_file *out, const uint8_t *state, size_t size);

/* Ends it, with the digest if it is complete. False, and errno: some of it was not written. */
bool snapshot_file_close(struct snapshot_file *out, bool complete);

/* What was told of a disk: its bytes, and which of its blocks they are. The others were not the
 * VM's; of an image that is written to there are none. */
#define SNAPSHOT_FILE_BLOCK 4096u

struct snapshot_disk_in {
    uint8_t *bytes;
    uint8_t *told; /* 0 or 1, of each block */
};

/* A file that was read whole. */
struct snapshot_image_in {
    struct snapshot_file_head head;
    uint8_t *ram;
    struct snapshot_disk_in disks[SNAPSHOT_FILE_DISKS_MAX]; /* head.disk_count of them */
    uint8_t *state;
    size_t state_size;
};

/* Reads a file and checks all of it; free the result by snapshot_file_free(). False: `error` says
 * what is wrong. */
bool snapshot_file_load(struct snapshot_image_in *image, const char *path,
                        char error[SNAPSHOT_FILE_ERROR_SIZE]);
void snapshot_file_free(struct snapshot_image_in *image);

#endif
