/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/snapshot_image.h"

#include "lib/bits.h"
#include "lib/format.h"
#include "lib/string.h"

#define ALIGNMENT 8u

const char *snapshot_type_name(uint32_t type)
{
    static const char *const names[SNAPSHOT_TYPES] = {
        [SNAPSHOT_VM] = "VM",     [SNAPSHOT_VCPU] = "vCPU",     [SNAPSHOT_XSAVE] = "XSAVE",
        [SNAPSHOT_UART] = "UART", [SNAPSHOT_RTC] = "RTC",       [SNAPSHOT_IOAPIC] = "I/O APIC",
        [SNAPSHOT_PCI] = "PCI",   [SNAPSHOT_VIRTIO] = "virtio", [SNAPSHOT_NET] = "virtio NIC",
        [SNAPSHOT_DISK] = "disk", [SNAPSHOT_PORT] = "NIC",      [SNAPSHOT_GATES] = "gate",
        [SNAPSHOT_VE] = "#VE",    [SNAPSHOT_VIEW] = "view",
    };

    return type < SNAPSHOT_TYPES && names[type] != NULL ? names[type] : "unknown";
}

void *snapshot_add(struct snapshot_writer *writer, const struct snapshot_wanted *record)
{
    size_t size = align_up(record->size, ALIGNMENT);
    size_t room = writer->room - writer->used;

    if (room < sizeof(struct snapshot_header) || room - sizeof(struct snapshot_header) < size) {
        return NULL;
    }
    struct snapshot_header header = {
        .type = (uint16_t)record->type,
        .version = record->version,
        .index = record->index,
        .size = record->size,
    };
    uint8_t *at = writer->bytes + writer->used;
    memcpy(at, &header, sizeof(header));
    memset(at + sizeof(header), 0, size);
    writer->used += sizeof(header) + size;
    return at + sizeof(header);
}

/* Takes the next record. False at the end, and where what is left is none: then `*at` is less than
 * `size`. */
static bool next(const uint8_t *bytes, size_t size, size_t *at, struct snapshot_header *header,
                 const uint8_t **payload)
{
    size_t left = size - *at;

    if (left < sizeof(*header)) {
        return false;
    }
    memcpy(header, bytes + *at, sizeof(*header));
    left -= sizeof(*header);
    size_t padded = align_up(header->size, ALIGNMENT);
    if (padded > left) {
        return false;
    }
    *payload = bytes + *at + sizeof(*header);
    *at += sizeof(*header) + padded;
    return true;
}

static const uint8_t *lookup(const void *bytes, size_t size, uint32_t type, uint32_t index,
                             struct snapshot_header *header)
{
    const uint8_t *payload;
    size_t at = 0;

    while (next(bytes, size, &at, header, &payload)) {
        if (header->type == type && header->index == index) {
            return payload;
        }
    }
    return NULL;
}

bool snapshot_is_valid(const void *bytes, size_t size, char error[SNAPSHOT_ERROR_SIZE])
{
    struct snapshot_header header, first;
    const uint8_t *payload;
    size_t at = 0, begin = 0;
    unsigned count = 0;

    while (next(bytes, size, &at, &header, &payload)) {
        if (++count > SNAPSHOT_RECORDS_MAX) {
            (void)format_string(error, SNAPSHOT_ERROR_SIZE, "the state has more than %u records",
                                SNAPSHOT_RECORDS_MAX);
            return false;
        }
        if (header.type == 0 || header.type >= SNAPSHOT_TYPES || header.zero != 0) {
            (void)format_string(error, SNAPSHOT_ERROR_SIZE,
                                "the state's record at byte %llu is of no known type (%u)",
                                (unsigned long long)begin, header.type);
            return false;
        }
        if (lookup(bytes, size, header.type, header.index, &first) != payload) {
            (void)format_string(error, SNAPSHOT_ERROR_SIZE, "there is more than one %s record %u",
                                snapshot_type_name(header.type), header.index);
            return false;
        }
        begin = at;
    }
    if (at != size) {
        (void)format_string(error, SNAPSHOT_ERROR_SIZE,
                            "the state's record at byte %llu is longer than the state",
                            (unsigned long long)at);
    }
    return at == size;
}

uint32_t snapshot_count(const void *bytes, size_t size, enum snapshot_type type)
{
    struct snapshot_header header;
    const uint8_t *payload;
    uint32_t count = 0;
    size_t at = 0;

    while (next(bytes, size, &at, &header, &payload)) {
        count += header.type == type;
    }
    return count;
}

bool snapshot_has(const void *bytes, size_t size, enum snapshot_type type, uint32_t index)
{
    struct snapshot_header header;

    return lookup(bytes, size, type, index, &header) != NULL;
}

const void *snapshot_find(const void *bytes, size_t size, const struct snapshot_wanted *wanted,
                          char error[SNAPSHOT_ERROR_SIZE])
{
    struct snapshot_header header;
    const char *name = snapshot_type_name(wanted->type);
    const uint8_t *payload = lookup(bytes, size, wanted->type, wanted->index, &header);

    if (payload == NULL) {
        (void)format_string(error, SNAPSHOT_ERROR_SIZE, "there is no %s record %u", name,
                            wanted->index);
        return NULL;
    }
    if (header.version != wanted->version) {
        (void)format_string(error, SNAPSHOT_ERROR_SIZE,
                            "%s record %u is of version %u, and this hypervisor's is %u", name,
                            wanted->index, header.version, wanted->version);
        return NULL;
    }
    if (header.size != wanted->size) {
        (void)format_string(error, SNAPSHOT_ERROR_SIZE,
                            "%s record %u has %u bytes, and this hypervisor's %u", name,
                            wanted->index, header.size, wanted->size);
        return NULL;
    }
    return payload;
}
