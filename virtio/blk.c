/* SPDX-License-Identifier: BSD-2-Clause */
#include "virtio/blk.h"

#include "lib/bits.h"
#include "lib/string.h"

#define BLK_ID            2u
#define BLK_QUEUE_SIZE    128u

#define F_SIZE_MAX        BIT(1)
#define F_SEG_MAX         BIT(2)
#define F_RO              BIT(5)
#define F_BLK_SIZE        BIT(6)
#define F_FLUSH           BIT(9)
#define F_TOPOLOGY        BIT(10)
#define F_MQ              BIT(12)
#define F_DISCARD         BIT(13)
#define F_WRITE_ZEROES    BIT(14)

#define TYPE_IN           0u
#define TYPE_OUT          1u
#define TYPE_FLUSH        4u
#define TYPE_GET_ID       8u
#define TYPE_DISCARD      11u
#define TYPE_WRITE_ZEROES 13u

#define BLK_OK            0u
#define BLK_ERROR         1u
#define BLK_UNSUPPORTED   2u

#define HEADER_SIZE       16u
#define FLAG_UNMAP        1u

struct header {
    uint32_t type, reserved;
    uint64_t sector;
};

/* What discard and write zeroes have as their data. */
struct range {
    uint64_t sector;
    uint32_t sectors, flags;
};

/* The configuration (VIRTIO 1.2, "Device configuration layout" of the block device). */
struct PACKED blk_config {
    uint64_t capacity; /* sectors, as all that is named so */
    uint32_t size_max, seg_max;
    uint8_t geometry[4];
    uint32_t blk_size;
    uint8_t physical_block_exp, alignment_offset;
    uint16_t min_io_size;
    uint32_t opt_io_size;
    uint8_t writeback, unused0;
    uint16_t num_queues;
    uint32_t max_discard_sectors, max_discard_seg, discard_sector_alignment;
    uint32_t max_write_zeroes_sectors, max_write_zeroes_seg;
    uint8_t write_zeroes_may_unmap, unused1[3];
};

_Static_assert(sizeof(struct blk_config) <= VIRTIO_CONFIG_MAX, "the configuration has room");
_Static_assert(VIRTIO_BLK_PIECES + 2 <= VIRTQ_PIECES_MAX, "and header and status");

/* Whether the disk has these bytes from that sector on, whole sectors. */
static bool is_inside(const struct disk *disk, uint64_t sector, uint64_t bytes)
{
    return bytes % DISK_SECTOR == 0 &&
           range_within(sector, bytes / DISK_SECTOR, 0, disk->size / DISK_SECTOR);
}

static uint8_t read_sectors(const struct virtio_blk *blk, uint64_t sector, uint32_t size,
                            struct virtq_cursor *out)
{
    uint64_t at = sector * DISK_SECTOR;
    uint8_t *bytes = NULL;

    if (size > VIRTIO_BLK_BYTES || !is_inside(blk->disk, sector, size)) {
        return BLK_ERROR;
    }
    for (uint32_t part; (part = virtq_take(out, size, &bytes)) != 0; size -= part, at += part) {
        disk_read(blk->disk, at, bytes, part);
    }
    return BLK_OK;
}

static uint8_t write_sectors(struct virtio_blk *blk, uint64_t sector, uint32_t size,
                             struct virtq_cursor *in)
{
    uint64_t at = sector * DISK_SECTOR;
    uint8_t *bytes = NULL;

    if (size > VIRTIO_BLK_BYTES || !is_inside(blk->disk, sector, size)) {
        return BLK_ERROR;
    }
    for (uint32_t part; (part = virtq_take(in, size, &bytes)) != 0; size -= part, at += part) {
        if (disk_write(blk->disk, at, bytes, part) != STATUS_OK) {
            return BLK_ERROR;
        }
    }
    return BLK_OK;
}

/* Both have the range read as zeros. A disk without an overlay gains nothing by a discard, which it
 * need not obey. */
static uint8_t zero_sectors(struct virtio_blk *blk, bool discard, uint32_t size,
                            struct virtq_cursor *in)
{
    struct range range;

    if ((blk->device.accepted & (discard ? F_DISCARD : F_WRITE_ZEROES)) == 0 ||
        size != sizeof(range) || virtq_copy_from(in, &range, sizeof(range)) != sizeof(range) ||
        (range.flags & ~(discard ? 0 : FLAG_UNMAP)) != 0) {
        return BLK_UNSUPPORTED;
    }
    uint64_t bytes = (uint64_t)range.sectors * DISK_SECTOR;
    if (bytes > VIRTIO_BLK_ZEROED || !is_inside(blk->disk, range.sector, bytes)) {
        return BLK_ERROR;
    }
    blk->device.work += bytes;
    if (discard && blk->disk->mode == DISK_READ_WRITE) {
        return BLK_OK;
    }
    if (disk_zero(blk->disk, range.sector * DISK_SECTOR, bytes) != STATUS_OK) {
        return BLK_ERROR;
    }
    return BLK_OK;
}

/* `in` is behind the header; the writable part has `size_in` bytes before the status. */
static uint8_t carry_out(struct virtio_blk *blk, const struct header *header, uint32_t size_out,
                         struct virtq_cursor *in, uint32_t size_in, struct virtq_cursor *out)
{
    switch (header->type) {
    case TYPE_IN:
        return read_sectors(blk, header->sector, size_in, out);
    case TYPE_OUT:
        return write_sectors(blk, header->sector, size_out, in);
    case TYPE_FLUSH:
        return BLK_OK; /* what was written is where it stays */
    case TYPE_GET_ID:
        (void)virtq_copy_to(out, blk->id,
                            size_in < VIRTIO_BLK_ID_SIZE ? size_in : VIRTIO_BLK_ID_SIZE);
        return BLK_OK;
    case TYPE_DISCARD:
    case TYPE_WRITE_ZEROES:
        return zero_sectors(blk, header->type == TYPE_DISCARD, size_out, in);
    default:
        return BLK_UNSUPPORTED;
    }
}

static uint32_t handle(struct virtio_device *device, uint32_t queue,
                       const struct virtq_chain *chain)
{
    struct virtio_blk *blk = (struct virtio_blk *)device;
    struct virtq_cursor in = virtq_readable(chain), out = virtq_writable(chain);
    struct header header;

    (void)queue;
    if (chain->writable_size == 0 || virtq_copy_from(&in, &header, HEADER_SIZE) != HEADER_SIZE) {
        virtio_fail(device, "a request without room for its header or its status");
        return 0;
    }
    uint32_t size_in = chain->writable_size - 1;
    const struct virtq_piece *last = &chain->pieces[chain->count - 1];
    uint8_t status =
        carry_out(blk, &header, chain->readable_size - HEADER_SIZE, &in, size_in, &out);
    last->bytes[last->size - 1] = status;
    blk->errors += status == BLK_ERROR;
    /* What counts is written from the beginning on: without its data a status does not. */
    return status == BLK_OK || size_in == 0 ? chain->writable_size : 0;
}

static void fill_config(struct virtio_blk *blk, uint32_t queues)
{
    const struct blk_config config = {
        .capacity = blk->disk->size / DISK_SECTOR,
        .size_max = VIRTIO_BLK_PIECE,
        .seg_max = VIRTIO_BLK_PIECES,
        .blk_size = DISK_SECTOR,
        .physical_block_exp = 3, /* of DISK_BLOCK in sectors */
        .min_io_size = DISK_BLOCK / DISK_SECTOR,
        .num_queues = (uint16_t)queues,
        .max_discard_sectors = VIRTIO_BLK_ZEROED / DISK_SECTOR,
        .max_discard_seg = 1,
        .discard_sector_alignment = DISK_BLOCK / DISK_SECTOR,
        .max_write_zeroes_sectors = VIRTIO_BLK_ZEROED / DISK_SECTOR,
        .max_write_zeroes_seg = 1,
        .write_zeroes_may_unmap = 1,
    };

    memcpy(blk->device.config, &config, sizeof(config));
}

void virtio_blk_init(struct virtio_blk *blk, const struct virtio_owner *owner, uint64_t features,
                     uint32_t queues, struct disk *disk, const char *id)
{
    static const struct virtio_model model = {.name = "blk", .id = BLK_ID, .handle = handle};
    uint64_t more = disk->mode == DISK_READ_ONLY ? F_RO : F_DISCARD | F_WRITE_ZEROES;

    features |=
        F_SIZE_MAX | F_SEG_MAX | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY | more | (queues > 1 ? F_MQ : 0);
    blk->disk = disk;
    blk->errors = 0;
    memset(blk->id, 0, sizeof(blk->id));
    memcpy(blk->id, id, strnlen(id, sizeof(blk->id)));
    virtio_init(&blk->device, &model, owner, features, queues, BLK_QUEUE_SIZE);
    fill_config(blk, queues);
}
