/* SPDX-License-Identifier: BSD-2-Clause */
/* The block device: requests that are right, requests that are not, and disks of each mode. What a
 * disk holds is compared with a plain array. */
#include "tests/unit/virtio_driver.h"

#include "tests/unit/random.h"
#include "virtio/blk.h"

#define SECTORS 61u /* the last block of the overlay is a short one */
#define BYTES   (SECTORS * DISK_SECTOR)
#define BLOCKS  8u
#define HEADER  DRIVER_DATA
#define STATUS  (DRIVER_DATA + 16)
#define DATA    (DRIVER_DATA + 32)

enum { IN, OUT, FLUSH = 4, GET_ID = 8, GET_LIFETIME = 10, DISCARD = 11, WRITE_ZEROES = 13 };
enum { OK, ERROR, UNSUPPORTED };

struct fixture {
    struct virtio_blk blk;
    struct disk disk;
    struct virtio_driver driver;
    uint8_t original[BYTES], expected[BYTES];
    uint32_t queue;
};

static struct fixture *start(enum disk_mode mode, uint32_t pool, bool packed, uint32_t queues)
{
    struct fixture *f = calloc(1, sizeof(*f));

    for (unsigned i = 0; i < BYTES; i++) {
        f->original[i] = (uint8_t)(i / 3 + i / DISK_SECTOR * 7 + 1);
    }
    memcpy(f->expected, f->original, BYTES);
    f->disk = (struct disk){.mode = mode, .image = malloc(BYTES), .size = BYTES};
    memcpy(f->disk.image, f->original, BYTES);
    assert_int_equal(disk_blocks(BYTES), BLOCKS);
    if (mode == DISK_OVERLAY) {
        f->disk.overlay = (struct disk_overlay){.map = calloc(BLOCKS, sizeof(uint32_t)),
                                                .pool = malloc((size_t)pool * DISK_BLOCK),
                                                .blocks = pool};
        memset(f->disk.overlay.pool, 0xee, (size_t)pool * DISK_BLOCK);
    }
    virtio_driver_start(&f->driver, &f->blk.device, queues + 1);
    virtio_blk_init(&f->blk, &f->driver.owner, VIRTIO_FEATURES | VIRTIO_F_RING_PACKED, queues,
                    &f->disk, "a-disk");
    virtio_driver_bring_up(&f->driver, packed, ~0ull, 16);
    return f;
}

static void stop(struct fixture *f)
{
    if (f->disk.mode == DISK_OVERLAY) {
        assert_memory_equal(f->disk.image, f->original, BYTES);
        free(f->disk.overlay.map);
        free(f->disk.overlay.pool);
    }
    free(f->disk.image);
    virtio_driver_stop(&f->driver);
    free(f);
}

/* A request with `size` bytes at DATA, in two pieces; its status. `*written` as the driver is told.
 */
static uint8_t request_at(struct fixture *f, uint32_t type, uint64_t sector, uint32_t size,
                          uint32_t *written)
{
    struct driver *ring = &f->driver.rings[f->queue];
    bool in = type == IN || type == GET_ID || type == GET_LIFETIME;
    uint32_t first = size / 3;
    struct driver_buffer buffers[4] = {{HEADER, 16, false}};
    unsigned count = 1;
    uint16_t id;

    driver_put(ring, HEADER, type, 4);
    driver_put(ring, HEADER + 8, sector, 8);
    driver_put(ring, STATUS, 0xff, 1);
    if (first > 0) {
        buffers[count++] = (struct driver_buffer){DATA, first, in};
    }
    if (size > 0) {
        buffers[count++] = (struct driver_buffer){DATA + first, size - first, in};
    }
    buffers[count++] = (struct driver_buffer){STATUS, 1, true};
    driver_add(ring, buffers, count);
    virtio_driver_notify(&f->driver, f->queue);
    assert_true(driver_take(ring, &id, written));
    return (uint8_t)driver_get(ring, STATUS, 1);
}

static uint8_t request(struct fixture *f, uint32_t type, uint64_t sector, uint32_t size)
{
    uint32_t written;

    return request_at(f, type, sector, size, &written);
}

static void check_read(struct fixture *f, uint32_t sector, uint32_t count)
{
    uint32_t size = count * DISK_SECTOR, written;

    assert_int_equal(request_at(f, IN, sector, size, &written), OK);
    assert_int_equal(written, size + 1);
    assert_memory_equal(f->driver.ram + DATA, f->expected + sector * DISK_SECTOR, size);
}

static uint8_t write_random(struct fixture *f, struct random *random, uint32_t sector,
                            uint32_t count)
{
    uint32_t size = count * DISK_SECTOR;

    for (uint32_t i = 0; i < size; i++) {
        f->driver.ram[DATA + i] = (uint8_t)random_next(random);
    }
    uint8_t status = request(f, OUT, sector, size);
    if (status == OK) {
        memcpy(f->expected + sector * DISK_SECTOR, f->driver.ram + DATA, size);
    }
    return status;
}

static uint8_t zero(struct fixture *f, uint32_t type, uint64_t sector, uint32_t sectors,
                    uint32_t flags)
{
    driver_put(&f->driver.rings[0], DATA, sector, 8);
    driver_put(&f->driver.rings[0], DATA + 8, sectors, 4);
    driver_put(&f->driver.rings[0], DATA + 12, flags, 4);
    return request(f, type, 0, 16);
}

static void test_random_requests(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 4; kind++) {
        enum disk_mode mode = kind < 2 ? DISK_READ_WRITE : DISK_OVERLAY;
        struct fixture *f = start(mode, BLOCKS, kind % 2, 1);
        struct random random = {kind + 5};
        for (unsigned i = 0; i < 2000; i++) {
            uint32_t sector = random_below(&random, SECTORS);
            uint32_t count =
                1 + random_below(&random, SECTORS - sector < 40 ? SECTORS - sector : 40);
            switch (random_below(&random, 4)) {
            case 0:
                assert_int_equal(write_random(f, &random, sector, count), OK);
                break;
            case 1:
                assert_int_equal(zero(f, WRITE_ZEROES, sector, count, random_below(&random, 2)),
                                 OK);
                memset(f->expected + sector * DISK_SECTOR, 0, count * DISK_SECTOR);
                break;
            case 2:
                assert_int_equal(zero(f, DISCARD, sector, count, 0), OK);
                if (mode == DISK_OVERLAY) {
                    memset(f->expected + sector * DISK_SECTOR, 0, count * DISK_SECTOR);
                }
                break;
            default:
                check_read(f, sector, count);
                break;
            }
        }
        check_read(f, 0, SECTORS);
        assert_int_equal(f->blk.errors, 0);
        stop(f);
    }
}

static void test_read_only(void **state)
{
    struct fixture *f = start(DISK_READ_ONLY, 0, true, 1);
    struct random random = {1};

    (void)state;
    assert_true((f->blk.device.offered & BIT(5)) != 0);
    assert_true((f->blk.device.offered & (BIT(13) | BIT(14))) == 0);
    assert_int_equal(write_random(f, &random, 3, 1), ERROR);
    assert_int_equal(zero(f, WRITE_ZEROES, 3, 1, 0), UNSUPPORTED);
    assert_int_equal(zero(f, DISCARD, 3, 1, 0), UNSUPPORTED);
    check_read(f, 0, SECTORS);
    stop(f);
}

/* A pool of two blocks. */
static void test_pool_used_up(void **state)
{
    struct fixture *f = start(DISK_OVERLAY, 2, false, 1);
    struct random random = {1};

    (void)state;
    assert_int_equal(write_random(f, &random, 0, 1), OK);
    assert_int_equal(write_random(f, &random, 17, 1), OK);
    assert_int_equal(write_random(f, &random, 24, 1), ERROR);
    assert_int_equal(f->disk.refused, 1);
    assert_int_equal(f->disk.overlay.used, 2);
    check_read(f, 0, SECTORS);
    /* Blocks that are there already can be written, and blocks can be given back. */
    assert_int_equal(write_random(f, &random, 18, 4), OK);
    assert_int_equal(zero(f, DISCARD, 0, 8, 0), OK);
    memset(f->expected, 0, DISK_BLOCK);
    assert_int_equal(f->disk.overlay.used, 1);
    assert_int_equal(write_random(f, &random, 24, 1), OK);
    assert_int_equal(write_random(f, &random, 0, 1), ERROR);
    check_read(f, 0, SECTORS);
    /* To zero whole blocks takes none; parts of one that reads as zeros already neither. */
    assert_int_equal(zero(f, WRITE_ZEROES, 0, 16, 0), OK);
    assert_int_equal(zero(f, WRITE_ZEROES, 4, 2, 0), OK);
    memset(f->expected, 0, 2 * DISK_BLOCK);
    assert_int_equal(zero(f, WRITE_ZEROES, 33, 2, 0), ERROR);
    check_read(f, 0, SECTORS);
    stop(f);
}

static void test_ranges(void **state)
{
    static const struct {
        uint32_t type;
        uint64_t sector;
        uint32_t size;
        uint8_t status;
    } cases[] = {
        {IN, SECTORS, 0, OK},           {IN, SECTORS - 1, 512, OK},
        {IN, SECTORS - 1, 1024, ERROR}, {IN, SECTORS, 512, ERROR},
        {IN, ~0ull, 512, ERROR},        {IN, ~0ull / 512, 512, ERROR},
        {IN, 1ull << 55, 512, ERROR},   {IN, 0, 511, ERROR},
        {OUT, 0, 513, ERROR},           {OUT, SECTORS - 1, 1024, ERROR},
        {OUT, ~0ull - 1, 1024, ERROR},  {FLUSH, 0, 0, OK},
        {FLUSH, ~0ull, 0, OK},          {GET_LIFETIME, 0, 24, UNSUPPORTED},
        {2, 0, 0, UNSUPPORTED},         {0xffffffff, 0, 512, UNSUPPORTED},
        {DISCARD, 0, 0, UNSUPPORTED},   {DISCARD, 0, 15, UNSUPPORTED},
        {DISCARD, 0, 32, UNSUPPORTED},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct fixture *f = start(DISK_READ_WRITE, 0, i % 2, 1);
        uint32_t written;
        uint8_t status = request_at(f, cases[i].type, cases[i].sector, cases[i].size, &written);
        assert_int_equal(status, cases[i].status);
        if (status != OK && cases[i].type == IN) {
            assert_int_equal(written, 0); /* no data that a driver could take for some */
        }
        check_read(f, 0, SECTORS);
        stop(f);
    }
}

static void test_zeroing_limits(void **state)
{
    static const struct {
        uint64_t sector;
        uint32_t sectors, flags;
        uint8_t discard, write_zeroes;
    } cases[] = {
        {0, 0, 0, OK, OK},
        {SECTORS, 0, 0, OK, OK},
        {SECTORS, 1, 0, ERROR, ERROR},
        {0, SECTORS + 1, 0, ERROR, ERROR},
        {1, SECTORS, 0, ERROR, ERROR},
        {0, 0xffffffff, 0, ERROR, ERROR},
        {~0ull, 2, 0, ERROR, ERROR},
        {0, 1, 1, UNSUPPORTED, OK},
        {0, 1, 2, UNSUPPORTED, UNSUPPORTED},
        {0, 1, 0x80000001, UNSUPPORTED, UNSUPPORTED},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct fixture *f = start(DISK_OVERLAY, BLOCKS, i % 2, 1);
        assert_int_equal(zero(f, DISCARD, cases[i].sector, cases[i].sectors, cases[i].flags),
                         cases[i].discard);
        assert_int_equal(zero(f, WRITE_ZEROES, cases[i].sector, cases[i].sectors, cases[i].flags),
                         cases[i].write_zeroes);
        stop(f);
    }
}

static void test_id(void **state)
{
    struct fixture *f = start(DISK_READ_ONLY, 0, false, 1);

    (void)state;
    memset(f->driver.ram + DATA, 0xee, 32);
    assert_int_equal(request(f, GET_ID, 0, 20), OK);
    assert_memory_equal(f->driver.ram + DATA, "a-disk\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xee", 21);
    memset(f->driver.ram + DATA, 0xee, 32);
    assert_int_equal(request(f, GET_ID, 0, 3), OK);
    assert_memory_equal(f->driver.ram + DATA, "a-d\xee", 4);
    virtio_blk_init(&f->blk, &f->driver.owner, VIRTIO_FEATURES, 1, &f->disk,
                    "a-name-of-more-than-20-characters");
    virtio_driver_bring_up(&f->driver, false, ~0ull, 16);
    assert_int_equal(request(f, GET_ID, 0, 20), OK);
    assert_memory_equal(f->driver.ram + DATA, "a-name-of-more-than-", 20);
    stop(f);
}

/* Header and data in pieces of other sizes than the request's parts. */
static void test_any_layout(void **state)
{
    struct fixture *f = start(DISK_READ_WRITE, 0, false, 1);
    struct driver *ring = &f->driver.rings[0];
    const struct driver_buffer out[] = {{HEADER, 7, false},
                                        {HEADER + 7, 9 + 16, false}, /* header and data */
                                        {DATA, 512 - 16, false},
                                        {STATUS, 1, true}};
    const struct driver_buffer in[] = {
        {HEADER, 16, false}, {DATA, 100, true}, {DATA + 100, 413, true}};
    uint32_t written;
    uint16_t id;

    (void)state;
    driver_put(ring, HEADER, OUT, 4);
    driver_put(ring, HEADER + 8, 5, 8);
    memset(f->driver.ram + HEADER + 16, 0xaa, 16);
    memset(f->driver.ram + DATA, 0xaa, 512);
    driver_add(ring, out, 4);
    virtio_driver_notify(&f->driver, 0);
    assert_true(driver_take(ring, &id, &written));
    assert_int_equal(written, 1);
    assert_int_equal(f->driver.ram[STATUS], OK);
    memset(f->expected + 5 * 512, 0xaa, 512);
    check_read(f, 0, SECTORS);
    /* The status is the last byte of a piece with data. */
    driver_put(ring, HEADER, IN, 4);
    driver_put(ring, HEADER + 8, 5, 8);
    memset(f->driver.ram + DATA, 0xee, 600);
    driver_add(ring, in, 3);
    virtio_driver_notify(&f->driver, 0);
    assert_true(driver_take(ring, &id, &written));
    assert_int_equal(written, 513);
    assert_memory_equal(f->driver.ram + DATA, f->expected + 5 * 512, 512);
    assert_int_equal(f->driver.ram[DATA + 512], OK);
    stop(f);
}

static void test_no_header_or_status(void **state)
{
    static const struct driver_buffer bad[][2] = {
        {{HEADER, 15, false}, {STATUS, 1, true}},
        {{HEADER, 8, false}, {DATA, 512, false}},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        struct fixture *f = start(DISK_READ_WRITE, 0, i % 2, 1);
        uint32_t written;
        uint16_t id;
        driver_add(&f->driver.rings[0], bad[i], 2);
        virtio_driver_notify(&f->driver, 0);
        assert_false(driver_take(&f->driver.rings[0], &id, &written));
        assert_int_equal(f->driver.failures, 1);
        virtio_driver_bring_up(&f->driver, false, ~0ull, 16);
        check_read(f, 0, SECTORS);
        stop(f);
    }
}

static void test_two_queues(void **state)
{
    struct fixture *f = start(DISK_READ_WRITE, 0, true, 2);
    struct random random = {3};

    (void)state;
    assert_true((f->blk.device.offered & BIT(12)) != 0);
    assert_int_equal(virtio_driver_read(&f->driver, VIRTIO_PCI_DEVICE + 34, 2), 2);
    for (unsigned i = 0; i < 10; i++) {
        f->queue = i % 2;
        assert_int_equal(write_random(f, &random, i, 2), OK);
        f->queue = !f->queue;
        check_read(f, 0, SECTORS);
    }
    assert_int_equal(f->driver.interrupts[0], 10);
    assert_int_equal(f->driver.interrupts[1], 10);
    stop(f);
}

static void test_configuration(void **state)
{
    struct fixture *f = start(DISK_OVERLAY, 2, true, 1);
    struct virtio_driver *d = &f->driver;

    (void)state;
    assert_int_equal(virtio_driver_read(d, VIRTIO_PCI_DEVICE, 8), SECTORS);
    assert_int_equal(virtio_driver_read(d, VIRTIO_PCI_DEVICE + 8, 4), VIRTIO_BLK_PIECE);
    assert_int_equal(virtio_driver_read(d, VIRTIO_PCI_DEVICE + 12, 4), VIRTIO_BLK_PIECES);
    assert_int_equal(virtio_driver_read(d, VIRTIO_PCI_DEVICE + 20, 4), 512);
    assert_int_equal(virtio_driver_read(d, VIRTIO_PCI_DEVICE + 24, 1), 3);
    assert_int_equal(virtio_driver_read(d, VIRTIO_PCI_DEVICE + 36, 4), 2048);
    assert_int_equal(virtio_driver_read(d, VIRTIO_PCI_DEVICE + 48, 4), 2048);
    assert_int_equal(virtio_driver_read(d, VIRTIO_PCI_DEVICE + 56, 1), 1);
    stop(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_requests), cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_pool_used_up),    cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_zeroing_limits),  cmocka_unit_test(test_id),
        cmocka_unit_test(test_any_layout),      cmocka_unit_test(test_no_header_or_status),
        cmocka_unit_test(test_two_queues),      cmocka_unit_test(test_configuration),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
