/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's state without its memory, as a row of records: what a snapshot keeps and a restore takes.
 * Each record is plain data of one thing, with a version. Pure logic over bytes; what is read may
 * come from anybody. docs/snapshot.md has the format.
 */
#ifndef POSTERN_CORE_SNAPSHOT_IMAGE_H
#define POSTERN_CORE_SNAPSHOT_IMAGE_H

#include "lib/status.h"

#define SNAPSHOT_STATE_MAX   KIB(512) /* bytes of all records */
#define SNAPSHOT_RECORDS_MAX 256u     /* each is looked for among all others */
#define SNAPSHOT_ERROR_SIZE  160u

enum snapshot_type {
    SNAPSHOT_VM = 1,
    SNAPSHOT_VCPU,
    SNAPSHOT_XSAVE,
    SNAPSHOT_UART,
    SNAPSHOT_RTC,
    SNAPSHOT_IOAPIC,
    SNAPSHOT_PCI,
    SNAPSHOT_VIRTIO,
    SNAPSHOT_NET,
    SNAPSHOT_DISK,
    SNAPSHOT_PORT,
    SNAPSHOT_GATES,
    SNAPSHOT_VE,
    SNAPSHOT_VIEW,
    SNAPSHOT_TYPES
};

/* In front of each record; behind it `size` bytes, and zeros up to the next multiple of 8. */
struct snapshot_header {
    uint16_t type; /* enum snapshot_type */
    uint16_t version;
    uint32_t index; /* of several of a type */
    uint32_t size;
    uint32_t zero;
};

struct snapshot_writer {
    uint8_t *bytes; /* aligned to 8 */
    size_t room, used;
};

/* What a record is to be. */
struct snapshot_wanted {
    enum snapshot_type type;
    uint16_t version;
    uint32_t index;
    uint32_t size;
};

/* Adds a record; where its zeroed bytes are, aligned to 8. NULL: there is no room. */
void *snapshot_add(struct snapshot_writer *writer, const struct snapshot_wanted *record);

/* Whether [bytes, bytes + size), aligned to 8, is a row of records of known types, each once, not
 * more than SNAPSHOT_RECORDS_MAX; else `error` says what is wrong. */
bool snapshot_is_valid(const void *bytes, size_t size, char error[SNAPSHOT_ERROR_SIZE]) MUST_CHECK;

/* How many records of a type there are in a valid row. */
uint32_t snapshot_count(const void *bytes, size_t size, enum snapshot_type type);

/* Whether a valid row has such a record, of whatever version. */
bool snapshot_has(const void *bytes, size_t size, enum snapshot_type type, uint32_t index);

/* A record of a valid row; NULL, and `error` says why, if there is none that is as it is wanted. */
const void *snapshot_find(const void *bytes, size_t size, const struct snapshot_wanted *wanted,
                          char error[SNAPSHOT_ERROR_SIZE]);

/* A word for a type, for messages. */
const char *snapshot_type_name(uint32_t type);

#endif
