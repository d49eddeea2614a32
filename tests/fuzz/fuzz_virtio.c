/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio devices under a driver that does anything. The input chooses a device, then steps:
 * accesses to its registers of any offset and size, bytes into the guest's memory, notifications,
 * input for a console, frames for a NIC. Half of the devices are brought up first, as a good driver
 * would.
 */
#include "tests/fuzz/fuzz.h"

#include "lib/bits.h"
#include "virtio/blk.h"
#include "net/offload.h"
#include "virtio/console.h"
#include "virtio/net.h"
#include "virtio/pci.h"
#include "virtio/rng.h"
#include "virtio/spec.h"

#define RAM     0x8000u
#define QUEUES  2u
#define VECTORS 4u
#define SIZE    8u
#define SECTORS 27u
#define BLOCKS  2u
#define AGAIN   1000u
#define FRAME   3000u

/* VIRTIO 1.2, "Device Types". */
#define NET_ID     1u
#define CONSOLE_ID 3u

static uint8_t *ram;
static struct virtio_pci pci;
static union {
    struct virtio_device device;
    struct virtio_rng rng;
    struct virtio_console console;
    struct virtio_blk blk;
    struct virtio_net net;
} models;
static struct virtio_net_batch batch;
static struct disk disk;
static uint8_t image[SECTORS * DISK_SECTOR];
static uint32_t map_entries[8];

static void *map(void *context, uint64_t gpa, uint64_t size, bool writable)
{
    (void)context;
    (void)writable;
    FUZZ_CHECK(size != 0);
    return range_within(gpa, size, 0, RAM) ? ram + gpa : NULL;
}

static void interrupt(void *context, uint32_t vector)
{
    (void)context;
    FUZZ_CHECK(vector < VECTORS);
}

static void failed(void *context, const char *why)
{
    (void)context;
    FUZZ_CHECK(why != NULL);
}

static bool count_up(uint64_t *bits)
{
    static uint64_t number;

    *bits = ++number;
    return number % 64 != 0;
}

static void print(void *context, const uint8_t *bytes, uint32_t size)
{
    (void)context;
    FUZZ_CHECK(bytes >= ram || size == 1); /* an emergency's byte is not the guest's memory */
}

static void make(uint8_t kind, const struct virtio_owner *owner)
{
    uint64_t features = VIRTIO_FEATURES | VIRTIO_F_RING_PACKED;

    if (kind % 6 == 0) {
        virtio_rng_init(&models.rng, owner, features, count_up);
    } else if (kind % 6 == 1) {
        virtio_console_init(&models.console, owner, features, print, NULL);
    } else if (kind % 6 == 5) {
        virtio_net_init(&models.net, owner, features, 1, 0x665544332202, 1500, &batch);
    } else {
        disk = (struct disk){
            .mode = (enum disk_mode)(kind % 6 - 2), .image = image, .size = sizeof(image)};
        memset(map_entries, 0, sizeof(map_entries));
        FUZZ_CHECK(disk_blocks(disk.size) <= ARRAY_SIZE(map_entries));
        disk.overlay = (struct disk_overlay){
            .map = map_entries, .pool = malloc(BLOCKS * DISK_BLOCK), .blocks = BLOCKS};
        virtio_blk_init(&models.blk, owner, features, QUEUES, &disk, "fuzz");
    }
}

static void write_register(uint64_t offset, unsigned size, uint64_t value)
{
    FUZZ_CHECK(!virtio_pci_write(&pci, VIRTIO_PCI_BAR, offset, size, value));
}

/* As a good driver: the descriptors at 0x1000 * queue, then the other two areas. */
static void bring_up(uint64_t features)
{
    write_register(20, 1, 3);
    for (uint32_t half = 0; half < 2; half++) {
        write_register(8, 4, half);
        write_register(12, 4, (uint32_t)((features & models.device.offered) >> 32 * half));
    }
    write_register(20, 1, 0xb);
    for (uint32_t queue = 0; queue < models.device.queue_count; queue++) {
        write_register(22, 2, queue);
        write_register(24, 2, SIZE);
        write_register(26, 2, queue);
        write_register(32, 8, 0x1000ull * queue);
        write_register(40, 8, 0x1000ull * queue + 0x400);
        write_register(48, 8, 0x1000ull * queue + 0x800);
        write_register(28, 2, 1);
    }
    write_register(20, 1, 0xf);
}

/* What a NIC's driver has sent is what may be switched, and cut. */
static void empty_batch(void)
{
    const uint8_t *end = batch.bytes + batch.used;

    FUZZ_CHECK(batch.count <= VIRTIO_NET_FRAMES && batch.used <= VIRTIO_NET_BATCH_BYTES);
    for (uint32_t i = 0; i < batch.count; i++) {
        const struct virtio_net_frame *frame = &batch.frames[i];
        struct offload_cut cut;
        FUZZ_CHECK(postern_ring_meta_valid(&frame->meta));
        FUZZ_CHECK(frame->bytes >= batch.bytes && frame->bytes + frame->meta.length <= end);
        if (frame->meta.gso_type != POSTERN_GSO_NONE &&
            offload_cut_begin(&cut, frame->bytes, &frame->meta)) {
            uint8_t *segment = malloc(offload_cut_size(&cut));
            struct postern_ring_meta meta;
            uint32_t count = 0;
            while (offload_cut_next(&cut, segment, &meta)) {
                offload_checksum(segment, &meta);
                FUZZ_CHECK(++count <= VIRTIO_NET_SEGMENTS);
            }
            free(segment);
        }
    }
    virtio_net_empty(&batch);
}

/* A frame for the driver, with what a switch may know of it. */
static void receive(struct fuzz_input *input)
{
    uint8_t kind = fuzz_byte(input);
    struct postern_ring_meta meta = {.length = 14 + (uint32_t)fuzz_number(input, 2) % FRAME};
    size_t size = fuzz_byte(input);
    const uint8_t *bytes = fuzz_bytes(input, &size);
    uint8_t *frame = calloc(1, meta.length);

    memcpy(frame, bytes, size < meta.length ? size : meta.length);
    if ((kind & 1) != 0 && meta.length > 60) {
        meta.flags = POSTERN_RECORD_CSUM;
        meta.csum_start = 34;
        meta.csum_offset = 16;
        meta.gso_type = (kind >> 1 & 3) % 3;
        meta.gso_size = meta.gso_type != 0 ? 500 : 0;
        meta.header_length = meta.gso_type != 0 ? 54 : 0;
    }
    if ((kind & 8) != 0) {
        virtio_net_set_link(&models.net, (kind & 16) != 0);
    }
    FUZZ_CHECK(postern_ring_meta_valid(&meta));
    if (virtio_net_takes(&models.net, &meta)) {
        (void)virtio_net_receive(&models.net, frame, &meta);
    }
    if ((kind & 32) != 0) {
        virtio_net_tell(&models.net);
    }
    free(frame);
}

/* Notifies as often as the device asks for it: not for ever. */
static void notify(uint64_t queue)
{
    unsigned rounds = 0;

    while (virtio_pci_write(&pci, VIRTIO_PCI_IO_BAR, 0, 2, queue)) {
        FUZZ_CHECK(++rounds < AGAIN);
        empty_batch();
    }
    empty_batch();
}

static void poke(struct fuzz_input *input)
{
    size_t size = fuzz_byte(input);
    uint32_t at = (uint32_t)fuzz_number(input, 2) % RAM;
    const uint8_t *bytes = fuzz_bytes(input, &size);

    memcpy(ram + at, bytes, size < RAM - at ? size : RAM - at);
}

static void access(struct fuzz_input *input, uint8_t kind)
{
    unsigned bar = (kind & 0x80) != 0 ? fuzz_byte(input) % 6 : VIRTIO_PCI_BAR;
    unsigned size = 1u << (kind >> 4 & 3);
    uint64_t offset = fuzz_number(input, 2) % VIRTIO_PCI_BAR_SIZE;

    if ((kind & 0x40) != 0) {
        (void)virtio_pci_read(&pci, bar, offset, size);
    } else {
        (void)!virtio_pci_write(&pci, bar, offset, size, fuzz_number(input, size));
        empty_batch();
    }
}

static void step(struct fuzz_input *input)
{
    uint8_t kind = fuzz_byte(input);

    switch (kind % 8) {
    case 0:
    case 1:
        poke(input);
        break;
    case 2:
    case 3:
        access(input, kind);
        break;
    case 4:
    case 5:
        notify(kind >> 3);
        break;
    case 6:
        bring_up(kind & 8 ? ~VIRTIO_F_RING_PACKED : ~0ull);
        break;
    default:
        if (models.device.model->id == NET_ID) {
            receive(input);
        } else if (models.device.model->id == CONSOLE_ID) {
            FUZZ_CHECK(virtio_console_type(&models.console, "typed by somebody", 17) <= 17);
        }
        break;
    }
    FUZZ_CHECK(models.device.status == 0 || (models.device.status & 0x30) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    const struct virtio_owner owner = {
        .interrupt = interrupt, .failed = failed, .memory = {.map = map}, .vectors = VECTORS};
    uint8_t kind = fuzz_byte(&input);

    ram = calloc(1, RAM);
    FUZZ_CHECK(ram != NULL);
    if (batch.bytes == NULL) {
        batch.bytes = malloc(VIRTIO_NET_BATCH_BYTES);
        FUZZ_CHECK(batch.bytes != NULL);
    }
    virtio_net_empty(&batch);
    disk.overlay.pool = NULL;
    make(kind, &owner);
    pci = (struct virtio_pci){.device = &models.device};
    virtio_pci_reset(&pci);
    if (kind >= 128) {
        bring_up((kind & 64) != 0 ? ~0ull : ~VIRTIO_F_RING_PACKED);
        FUZZ_CHECK(models.device.status == 0xf);
    }
    while (input.left > 0) {
        step(&input);
    }
    free(disk.overlay.pool);
    free(ram);
    return 0;
}
