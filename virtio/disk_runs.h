/* SPDX-License-Identifier: BSD-2-Clause */
/* What a disk's overlay holds, or all of an image that is written to, on its way as a row of tokens
 * (lib/word_runs.h): words of the disk in their order, those of blocks that are the image's
 * skipped. */
#ifndef POSTERN_VIRTIO_DISK_RUNS_H
#define POSTERN_VIRTIO_DISK_RUNS_H

#include "lib/word_runs.h"
#include "virtio/disk.h"

/* Tells what is from byte `at` of the disk on, as far as there is room; `harvested`: only blocks of
 * the last harvest. `at` is a multiple of 8, and not behind the disk. */
void disk_runs_tell(const struct disk *disk, uint64_t at, bool harvested,
                    const struct word_runs_limits *limits, struct word_runs_writer *writer);

/* Writes what tokens from anybody tell from byte `at` on, `room` bytes at most, to the disk;
 * `*covered`: bytes, skipped ones too. STATUS_INVALID: they are malformed, or tell more;
 * STATUS_DENIED: the disk is read-only, and they tell something; what came before is written then.
 * STATUS_NO_MEMORY: the pool is used up; all of them is written for which there was room, so that
 * the same again goes through when there is more. */
status_t disk_runs_take(struct disk *disk, uint64_t at, uint64_t room, const uint8_t *tokens,
                        size_t size, uint64_t *covered) MUST_CHECK;

#endif
