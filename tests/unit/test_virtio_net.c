/* SPDX-License-Identifier: BSD-2-Clause */
/* The network device: what a driver sends, what it gets, and its control queue. */
#define DRIVER_QUEUES       5u
#define DRIVER_QUEUE_STRIDE 0x200u
#include "tests/unit/virtio_driver.h"

#include "tests/unit/ether.h"
#include "tests/unit/random.h"
#include "virtio/net.h"
#include "virtio/net_parts.h"

#define PAIRS     2u
#define CONTROL   (2 * PAIRS)
#define CONFIG    (PAIRS * 2 + 1) /* the configuration's vector */
#define HEADER    12u
#define FRAME     DRIVER_DATA
#define BUFFERS   (DRIVER_DATA + 0x4000)
#define BUFFER    0x400u /* how far they are apart */
#define SIZE      16u
#define MAC       ether_mac(1)
#define OTHER     ether_mac(2)
#define GROUP     (ether_mac(3) | 1)
#define OFFLOADED 54u /* Ethernet, IPv4 and TCP */

enum { RX = 0, MACS = 1, VLAN = 2, MQ = 4, OFFLOADS = 5 };

struct header {
    uint8_t flags, gso_type;
    uint16_t header_length, gso_size, csum_start, csum_offset, buffers;
};

struct fixture {
    struct virtio_net net;
    struct virtio_net_batch batch;
    struct virtio_driver driver;
    unsigned next_buffer;
};

static struct fixture *start(bool packed, uint64_t features)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->batch.bytes = malloc(VIRTIO_NET_BATCH_BYTES);
    virtio_driver_start(&f->driver, &f->net.device, virtio_net_queues(PAIRS) + 1);
    virtio_net_init(&f->net, &f->driver.owner, VIRTIO_FEATURES | VIRTIO_F_RING_PACKED, PAIRS, MAC,
                    1500, &f->batch);
    virtio_driver_bring_up(&f->driver, packed, features, SIZE);
    return f;
}

static void stop(struct fixture *f)
{
    virtio_driver_stop(&f->driver);
    free(f->batch.bytes);
    free(f);
}

/* Runs a test with either layout. */
static void both(uint64_t features, void (*test)(struct fixture *f))
{
    for (unsigned packed = 0; packed < 2; packed++) {
        struct fixture *f = start(packed != 0, features);
        test(f);
        stop(f);
    }
}

static struct driver *ring(struct fixture *f, uint32_t queue)
{
    return &f->driver.rings[queue];
}

/* The driver sends header and frame, `length` bytes that are at FRAME + HEADER, in two buffers. */
static void add_frame(struct fixture *f, uint32_t queue, const struct header *header,
                      uint32_t length)
{
    const struct driver_buffer buffers[] = {{FRAME, HEADER + 10, false},
                                            {FRAME + HEADER + 10, length - 10, false}};

    memcpy(f->driver.ram + FRAME, header, HEADER);
    driver_add(ring(f, queue), buffers, 2);
}

static bool notify(struct fixture *f, uint32_t queue)
{
    virtio_net_empty(&f->batch);
    return virtio_pci_write(&f->driver.pci, VIRTIO_PCI_IO_BAR, 0, 2, queue);
}

/* Sends one frame. What has come into the batch, or NULL. */
static const struct virtio_net_frame *send(struct fixture *f, uint32_t queue,
                                           const struct header *header, uint32_t length)
{
    uint16_t id;
    uint32_t written = 1;

    add_frame(f, queue, header, length);
    assert_false(notify(f, queue));
    assert_true(driver_take(ring(f, queue), &id, &written));
    assert_int_equal(written, 0);
    assert_true(f->batch.count <= 1);
    return f->batch.count == 1 ? &f->batch.frames[0] : NULL;
}

/* A frame to be sent, of TCP over IPv4 from port 1000 to 2000. */
static uint8_t *make_frame(struct fixture *f, uint32_t length)
{
    uint8_t *frame = f->driver.ram + FRAME + HEADER;

    ether_frame(frame, length, OTHER, MAC, ETHER_NO_TAG, ETHER_IPV4);
    frame[14] = 0x45;
    frame[20] = 0;
    frame[21] = 0;
    frame[23] = 6;
    frame[34] = 1000 >> 8;
    frame[35] = 1000 & 0xff;
    frame[36] = 2000 >> 8;
    frame[37] = 2000 & 0xff;
    frame[46] = 0x50;
    return frame;
}

/* Gives the driver's device `count` buffers of `size` bytes. */
static void add_buffers(struct fixture *f, uint32_t queue, unsigned count, uint32_t size)
{
    for (unsigned i = 0; i < count; i++, f->next_buffer++) {
        const struct driver_buffer buffer = {BUFFERS + (f->next_buffer % SIZE) * BUFFER, size,
                                             true};
        driver_add(ring(f, queue), &buffer, 1);
    }
}

static struct header header_at(const struct fixture *f, uint64_t at)
{
    struct header header;

    memcpy(&header, f->driver.ram + at, sizeof(header));
    return header;
}

static void sends(struct fixture *f)
{
    const struct header none = {0};

    for (uint32_t queue = 1; queue < CONTROL; queue += 2) {
        for (unsigned round = 0; round < 40; round++) {
            uint32_t length = 60 + round;
            const uint8_t *frame = make_frame(f, length);
            const struct virtio_net_frame *sent = send(f, queue, &none, length);
            assert_non_null(sent);
            assert_int_equal(sent->meta.length, length);
            assert_int_equal(sent->meta.flags | sent->meta.gso_type, 0);
            assert_memory_equal(sent->bytes, frame, length);
        }
        assert_int_equal(f->driver.interrupts[queue], 40);
    }
    assert_int_equal(f->net.sent, 80);
}

static void test_sends(void **state)
{
    (void)state;
    both(~0ull, sends);
}

/* A batch takes so many frames, then the driver is to notify again. */
static void full_batch(struct fixture *f)
{
    const struct header none = {0};
    uint32_t total = 0;

    make_frame(f, 60);
    for (unsigned i = 0; i < SIZE / 2; i++) {
        add_frame(f, 1, &none, 60);
    }
    f->batch.count = 0;
    virtio_net_empty(&f->batch);
    f->batch.work = VIRTIO_NET_FRAMES - 3;
    assert_true(virtio_pci_write(&f->driver.pci, VIRTIO_PCI_IO_BAR, 0, 2, 1));
    assert_int_equal(f->batch.count, 3);
    total += f->batch.count;
    assert_false(notify(f, 1));
    assert_int_equal(total + f->batch.count, SIZE / 2);
    virtio_net_empty(&f->batch);
    f->batch.used = (uint32_t)VIRTIO_NET_BATCH_BYTES - VIRTIO_NET_FRAME_MAX;
    add_frame(f, 1, &none, 60);
    add_frame(f, 1, &none, 60);
    assert_true(virtio_pci_write(&f->driver.pci, VIRTIO_PCI_IO_BAR, 0, 2, 1));
    assert_int_equal(f->batch.count, 1);
    assert_false(notify(f, 1));
    assert_int_equal(f->batch.count, 1);
    assert_int_equal(f->net.refused, 0);
}

static void test_full_batch(void **state)
{
    (void)state;
    both(~0ull, full_batch);
}

static void describes(struct fixture *f)
{
    struct header header = {.flags = 1, .csum_start = 34, .csum_offset = 16};
    const struct virtio_net_frame *sent;

    make_frame(f, 1000);
    sent = send(f, 1, &header, 1000);
    assert_non_null(sent);
    assert_int_equal(sent->meta.flags, POSTERN_RECORD_CSUM);
    assert_int_equal(sent->meta.csum_start, 34);
    assert_int_equal(sent->meta.csum_offset, 16);
    assert_int_equal(f->batch.work, 1);
    header.gso_type = 0x81;
    header.gso_size = 100;
    header.header_length = 7; /* only a hint */
    sent = send(f, 1, &header, 1000);
    assert_non_null(sent);
    assert_int_equal(sent->meta.flags, POSTERN_RECORD_CSUM | POSTERN_RECORD_ECN);
    assert_int_equal(sent->meta.gso_type, POSTERN_GSO_TCP4);
    assert_int_equal(sent->meta.gso_size, 100);
    assert_int_equal(sent->meta.header_length, OFFLOADED);
    assert_int_equal(f->batch.work, 11);
    header.gso_type = 4;
    sent = send(f, 1, &header, 1000);
    assert_non_null(sent);
    assert_int_equal(sent->meta.gso_type, POSTERN_GSO_TCP6);
}

static void test_describes(void **state)
{
    (void)state;
    both(~0ull, describes);
}

/* What no driver may send is dropped, and the device goes on. */
static void refuses(struct fixture *f)
{
    static const struct header wrong[] = {
        {.flags = 1, .csum_start = 34, .csum_offset = 965}, /* beyond the end */
        {.flags = 1, .csum_start = 13, .csum_offset = 16},  /* in the Ethernet header */
        {.flags = 1, .csum_start = 0xffff, .csum_offset = 0xffff},
        {.gso_type = 1, .gso_size = 100},                                 /* without a checksum */
        {.flags = 1, .csum_start = 34, .csum_offset = 16, .gso_type = 1}, /* segments of nothing */
        {.flags = 1, .csum_start = 34, .csum_offset = 16, .gso_type = 3, .gso_size = 100}, /* UDP */
        {.flags = 1, .csum_start = 34, .csum_offset = 6, .gso_type = 1, .gso_size = 100},
        {.flags = 1, .csum_start = 34, .csum_offset = 16, .gso_type = 1, .gso_size = 3}, /* many */
        {.flags = 1, .csum_start = 34, .csum_offset = 16, .gso_type = 0x80, .gso_size = 9},
    };
    const struct header none = {0};

    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        make_frame(f, 1000);
        assert_null(send(f, 1, &wrong[i], 1000));
        assert_int_equal(f->net.refused, i + 1);
    }
    assert_null(send(f, 1, &none, 13)); /* shorter than a frame is */
    /* A TCP header that does not end in the frame, and one that is too short. */
    const struct header gso = {
        .flags = 1, .csum_start = 34, .csum_offset = 16, .gso_type = 1, .gso_size = 100};
    make_frame(f, 60)[46] = 0xf0;
    assert_null(send(f, 1, &gso, 60));
    make_frame(f, 60)[46] = 0x40;
    assert_null(send(f, 1, &gso, 60));
    make_frame(f, 60);
    assert_non_null(send(f, 1, &gso, 60));
    assert_int_equal(virtio_driver_read(&f->driver, VIRTIO_COMMON_STATUS, 1), 0xf);
}

static void test_refuses(void **state)
{
    (void)state;
    both(~0ull, refuses);
}

/* A driver that did not negotiate an offload does not get it. */
static void test_refuses_what_was_not_negotiated(void **state)
{
    const struct header csum = {.flags = 1, .csum_start = 34, .csum_offset = 16};
    struct header gso = csum;
    struct fixture *f = start(false, ~NET_F_CSUM);

    (void)state;
    gso.gso_type = 1;
    gso.gso_size = 100;
    make_frame(f, 500);
    assert_null(send(f, 1, &csum, 500));
    stop(f);
    f = start(false, ~NET_F_HOST_TSO4);
    make_frame(f, 500);
    assert_non_null(send(f, 1, &csum, 500));
    assert_null(send(f, 1, &gso, 500));
    stop(f);
}

static void test_frame_of_any_length(void **state)
{
    struct fixture *f = start(false, ~0ull);
    const struct driver_buffer parts[] = {{0, DRIVER_RAM, false}, {0, 64 + HEADER, false}};
    const struct driver_buffer more[] = {parts[0], {0, 65 + HEADER, false}};

    (void)state;
    assert_int_equal(VIRTIO_NET_FRAME_MAX, DRIVER_RAM + 64);
    memset(f->driver.ram, 0, HEADER); /* all of RAM is the frame, its start the header, too */
    driver_add(ring(f, 1), parts, 2);
    assert_false(notify(f, 1));
    assert_int_equal(f->batch.count, 1);
    assert_int_equal(f->batch.frames[0].meta.length, VIRTIO_NET_FRAME_MAX);
    driver_add(ring(f, 1), more, 2);
    assert_false(notify(f, 1));
    assert_int_equal(f->batch.count, 0);
    stop(f);
}

static uint32_t take_used(struct fixture *f, uint32_t queue)
{
    uint16_t id;
    uint32_t written = 0;

    assert_true(driver_take(ring(f, queue), &id, &written));
    return written;
}

static bool receive(struct fixture *f, const uint8_t *frame, uint32_t length)
{
    const struct postern_ring_meta meta = {.length = length};

    return virtio_net_receive(&f->net, frame, &meta);
}

static void receives(struct fixture *f)
{
    uint8_t frame[1000];
    uint16_t id;
    uint32_t written;

    ether_frame(frame, sizeof(frame), MAC, OTHER, ETHER_NO_TAG, ETHER_IPV6);
    for (unsigned round = 0; round < 40; round++) {
        uint64_t at = BUFFERS + f->next_buffer % SIZE * BUFFER;
        add_buffers(f, 0, 1, BUFFER);
        assert_true(receive(f, frame, 60 + round * 20));
        assert_int_equal(f->driver.interrupts[0], round);
        virtio_net_tell(&f->net);
        virtio_net_tell(&f->net);
        assert_int_equal(f->driver.interrupts[0], round + 1);
        assert_int_equal(take_used(f, 0), HEADER + 60 + round * 20);
        const struct header header = header_at(f, at);
        assert_int_equal(header.buffers, 1);
        assert_int_equal(header.flags | header.gso_type | header.header_length, 0);
        assert_memory_equal(f->driver.ram + at + HEADER, frame, 60 + round * 20);
    }
    assert_false(receive(f, frame, 60));
    virtio_net_tell(&f->net);
    assert_false(driver_take(ring(f, 0), &id, &written));
    assert_int_equal(f->net.lost, 1);
    assert_int_equal(f->net.received, 40);
}

static void test_receives(void **state)
{
    (void)state;
    both(~NET_F_MRG_RXBUF, receives);
    both(~0ull, receives);
}

/* A long frame takes several buffers; with too few of them it takes none. */
static void merges(struct fixture *f)
{
    uint8_t frame[1000];

    ether_frame(frame, sizeof(frame), MAC, OTHER, ETHER_NO_TAG, ETHER_IPV6);
    for (unsigned i = 14; i < sizeof(frame); i++) {
        frame[i] = (uint8_t)i;
    }
    for (unsigned round = 0; round < 20; round++) {
        uint32_t first = f->next_buffer, at = 0;
        uint16_t id;
        uint32_t written;
        add_buffers(f, 0, 3, 300);
        assert_false(receive(f, frame, sizeof(frame)));
        assert_false(driver_take(ring(f, 0), &id, &written));
        add_buffers(f, 0, 1, 300);
        assert_true(receive(f, frame, sizeof(frame)));
        virtio_net_tell(&f->net);
        assert_int_equal(header_at(f, BUFFERS + first % SIZE * BUFFER).buffers, 4);
        for (unsigned i = 0; i < 4; i++) {
            uint32_t skip = i == 0 ? HEADER : 0, size = i < 3 ? 300 : HEADER + 1000 - 900;
            assert_int_equal(take_used(f, 0), size);
            assert_memory_equal(f->driver.ram + BUFFERS + (first + i) % SIZE * BUFFER + skip,
                                frame + at, size - skip);
            at += size - skip;
        }
        assert_int_equal(at, sizeof(frame));
    }
    assert_int_equal(f->net.lost, 20);
}

static void test_merges(void **state)
{
    (void)state;
    both(~0ull, merges);
}

/* Without MRG_RXBUF a frame is in one buffer or lost, and the buffer stays. */
static void one_buffer(struct fixture *f)
{
    uint8_t frame[1000];

    ether_frame(frame, sizeof(frame), MAC, OTHER, ETHER_NO_TAG, ETHER_IPV6);
    add_buffers(f, 0, 2, 300);
    assert_false(receive(f, frame, 289));
    assert_true(receive(f, frame, 288));
    assert_int_equal(take_used(f, 0), 300);
    assert_int_equal(f->net.lost, 1);
}

static void test_one_buffer(void **state)
{
    (void)state;
    both(~NET_F_MRG_RXBUF, one_buffer);
}

/* A buffer without room for a header: no driver may give that. */
static void small_buffer(struct fixture *f)
{
    uint8_t frame[60];

    ether_frame(frame, sizeof(frame), MAC, OTHER, ETHER_NO_TAG, ETHER_IPV6);
    add_buffers(f, 0, 1, HEADER - 1);
    assert_false(receive(f, frame, sizeof(frame)));
    assert_int_equal(virtio_driver_read(&f->driver, VIRTIO_COMMON_STATUS, 1),
                     0xf | VIRTIO_NEEDS_RESET);
    assert_false(receive(f, frame, sizeof(frame)));
    virtio_net_tell(&f->net);
    virtio_driver_bring_up(&f->driver, false, ~0ull, SIZE);
    add_buffers(f, 0, 1, BUFFER);
    assert_true(receive(f, frame, sizeof(frame)));
}

static void test_small_buffer(void **state)
{
    (void)state;
    both(~0ull, small_buffer);
}

/* The most buffers that a frame may take, of the least size. */
static void test_many_buffers(void **state)
{
    struct fixture *f = start(false, ~0ull);
    uint8_t frame[SIZE * HEADER];

    (void)state;
    ether_frame(frame, sizeof(frame), MAC, OTHER, ETHER_NO_TAG, ETHER_IPV6);
    add_buffers(f, 0, SIZE, HEADER);
    assert_false(receive(f, frame, sizeof(frame)));
    assert_true(receive(f, frame, sizeof(frame) - HEADER));
    assert_int_equal(header_at(f, BUFFERS).buffers, SIZE);
    stop(f);
}

static void test_metadata(void **state)
{
    struct fixture *f = start(false, ~0ull);
    uint8_t frame[500];
    struct postern_ring_meta meta = {.length = sizeof(frame),
                                     .flags = POSTERN_RECORD_CSUM | POSTERN_RECORD_ECN,
                                     .csum_start = 34,
                                     .csum_offset = 16,
                                     .gso_type = POSTERN_GSO_TCP6,
                                     .gso_size = 99,
                                     .header_length = OFFLOADED};

    (void)state;
    ether_frame(frame, sizeof(frame), MAC, OTHER, ETHER_NO_TAG, ETHER_IPV6);
    assert_true(virtio_net_takes(&f->net, &meta));
    add_buffers(f, 0, 2, BUFFER);
    assert_true(virtio_net_receive(&f->net, frame, &meta));
    const struct header header = header_at(f, BUFFERS);
    assert_int_equal(header.flags, 1);
    assert_int_equal(header.gso_type, 0x84);
    assert_int_equal(header.header_length, OFFLOADED);
    assert_int_equal(header.gso_size, 99);
    assert_int_equal(header.csum_start, 34);
    assert_int_equal(header.csum_offset, 16);
    meta = (struct postern_ring_meta){.length = 60, .flags = POSTERN_RECORD_VALID};
    assert_true(virtio_net_receive(&f->net, frame, &meta));
    assert_int_equal(header_at(f, BUFFERS + BUFFER).flags, 2);
    stop(f);
}

static void test_what_it_takes(void **state)
{
    static const struct {
        uint64_t without;
        bool csum, tcp4, tcp6, ecn;
    } cases[] = {{0, true, true, true, true},
                 {NET_F_GUEST_CSUM, false, false, false, false},
                 {NET_F_GUEST_TSO4, true, false, true, false},
                 {NET_F_GUEST_TSO6, true, true, false, true},
                 {NET_F_GUEST_ECN, true, true, true, false}};
    const struct postern_ring_meta none = {.length = 60, .flags = POSTERN_RECORD_VALID};
    const struct postern_ring_meta csum = {.flags = POSTERN_RECORD_CSUM};
    const struct postern_ring_meta tcp4 = {.flags = POSTERN_RECORD_CSUM,
                                           .gso_type = POSTERN_GSO_TCP4};
    const struct postern_ring_meta tcp6 = {.flags = POSTERN_RECORD_CSUM,
                                           .gso_type = POSTERN_GSO_TCP6};
    const struct postern_ring_meta ecn = {.flags = POSTERN_RECORD_CSUM | POSTERN_RECORD_ECN,
                                          .gso_type = POSTERN_GSO_TCP4};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct fixture *f = start(false, ~cases[i].without);
        assert_true(virtio_net_takes(&f->net, &none));
        assert_int_equal(virtio_net_takes(&f->net, &csum), cases[i].csum);
        assert_int_equal(virtio_net_takes(&f->net, &tcp4), cases[i].tcp4);
        assert_int_equal(virtio_net_takes(&f->net, &tcp6), cases[i].tcp6);
        assert_int_equal(virtio_net_takes(&f->net, &ecn), cases[i].ecn);
        stop(f);
    }
}

/* A command with `size` bytes behind its class and number; its answer. */
static uint8_t control(struct fixture *f, uint32_t queue, uint8_t class, uint8_t command,
                       const void *bytes, uint32_t size)
{
    const struct driver_buffer buffers[] = {
        {FRAME, 2, false}, {FRAME + 2, size, false}, {FRAME + 0x3000, 1, true}};

    f->driver.ram[FRAME] = class;
    f->driver.ram[FRAME + 1] = command;
    f->driver.ram[FRAME + 0x3000] = 0xee;
    memcpy(f->driver.ram + FRAME + 2, bytes, size);
    driver_add(ring(f, queue), buffers, 3);
    assert_false(notify(f, queue));
    assert_int_equal(take_used(f, queue), 1);
    return f->driver.ram[FRAME + 0x3000];
}

static uint8_t control8(struct fixture *f, uint8_t class, uint8_t command, uint8_t value)
{
    return control(f, CONTROL, class, command, &value, sizeof(value));
}

static uint8_t control16(struct fixture *f, uint8_t class, uint8_t command, uint16_t value)
{
    return control(f, CONTROL, class, command, &value, sizeof(value));
}

/* Whether the driver gets a frame to `to`; the device never loses one here. */
static bool gets(struct fixture *f, uint64_t to, int tag)
{
    uint8_t frame[64];
    uint64_t filtered = f->net.filtered;

    ether_frame(frame, sizeof(frame), to, OTHER, tag, ETHER_IPV6);
    add_buffers(f, 0, 1, BUFFER);
    assert_true(receive(f, frame, sizeof(frame)));
    if (f->net.filtered != filtered) {
        assert_true(receive(f, frame, sizeof(frame)));
        assert_int_equal(control8(f, RX, 0, 1), 0);
        assert_true(receive(f, frame, sizeof(frame))); /* uses the buffer up */
        assert_int_equal(control8(f, RX, 0, 0), 0);
        (void)take_used(f, 0);
        return false;
    }
    (void)take_used(f, 0);
    return true;
}

static void filters(struct fixture *f)
{
    assert_true(gets(f, OTHER, ETHER_NO_TAG) && gets(f, GROUP, 77)); /* all, at first */
    assert_int_equal(control8(f, RX, 0, 0), 0);
    assert_true(gets(f, MAC, ETHER_NO_TAG));
    assert_true(gets(f, ETHER_BROADCAST, ETHER_NO_TAG));
    assert_false(gets(f, OTHER, ETHER_NO_TAG));
    assert_false(gets(f, GROUP, ETHER_NO_TAG));
    assert_int_equal(control8(f, RX, 1, 1), 0);
    assert_true(gets(f, GROUP, ETHER_NO_TAG));
    assert_int_equal(control8(f, RX, 3, 1), 0);
    assert_false(gets(f, GROUP, ETHER_NO_TAG));
    assert_int_equal(control8(f, RX, 2, 1), 0);
    assert_true(gets(f, OTHER, ETHER_NO_TAG));
    assert_int_equal(control8(f, RX, 4, 1), 0);
    assert_false(gets(f, MAC, ETHER_NO_TAG));
    assert_int_equal(control8(f, RX, 5, 1), 0);
    assert_false(gets(f, ETHER_BROADCAST, ETHER_NO_TAG));
    assert_int_equal(control8(f, RX, 6, 1), 1);
    assert_int_equal(control8(f, 77, 0, 1), 1);
}

static void test_filters(void **state)
{
    (void)state;
    both(~0ull, filters);
}

static void filters_vlans(struct fixture *f)
{
    assert_int_equal(control8(f, RX, 0, 0), 0);
    assert_true(gets(f, MAC, 0)); /* a priority, no VLAN */
    assert_false(gets(f, MAC, 4095));
    assert_int_equal(control16(f, VLAN, 0, 4095), 0);
    assert_int_equal(control16(f, VLAN, 0, 64), 0);
    assert_true(gets(f, MAC, 4095) && gets(f, MAC, 64));
    assert_false(gets(f, MAC, 63));
    assert_int_equal(control16(f, VLAN, 1, 4095), 0);
    assert_false(gets(f, MAC, 4095));
    assert_int_equal(control16(f, VLAN, 0, 4096), 1);
    assert_int_equal(control16(f, VLAN, 2, 5), 1);
    assert_int_equal(control8(f, VLAN, 0, 5), 1);
}

static void test_filters_vlans(void **state)
{
    (void)state;
    both(~0ull, filters_vlans);
}

/* Two tables: `unicast` addresses from station 100 on, `multicast` from 200 on. */
static uint8_t set_table(struct fixture *f, uint32_t unicast, uint32_t multicast, uint32_t missing)
{
    uint8_t bytes[4096], *at = bytes;

    memcpy(at, &unicast, 4);
    at += 4;
    for (uint32_t i = 0; i < unicast; i++) {
        at = ether_put_mac(at, ether_mac(100 + i));
    }
    memcpy(at, &multicast, 4);
    at += 4;
    for (uint32_t i = 0; i < multicast; i++) {
        at = ether_put_mac(at, ether_mac(200 + i) | 1);
    }
    return control(f, CONTROL, MACS, 0, bytes, (uint32_t)(at - bytes) - missing);
}

static void address_tables(struct fixture *f)
{
    assert_int_equal(control8(f, RX, 0, 0), 0);
    assert_int_equal(set_table(f, VIRTIO_NET_MACS, 2, 0), 0);
    assert_true(gets(f, ether_mac(100), ETHER_NO_TAG) && gets(f, MAC, ETHER_NO_TAG));
    assert_true(gets(f, ether_mac(100 + VIRTIO_NET_MACS - 1), ETHER_NO_TAG));
    assert_false(gets(f, ether_mac(100 + VIRTIO_NET_MACS), ETHER_NO_TAG));
    assert_true(gets(f, ether_mac(201) | 1, ETHER_NO_TAG));
    assert_false(gets(f, ether_mac(202) | 1, ETHER_NO_TAG));
    /* What is not whole changes nothing. */
    assert_int_equal(set_table(f, 3, 3, 1), 1);
    assert_int_equal(set_table(f, 3, 0, 1), 1);
    assert_int_equal(set_table(f, 100, 0, 5), 1);
    assert_true(gets(f, ether_mac(110), ETHER_NO_TAG));
    /* Too many: all of that kind. */
    assert_int_equal(set_table(f, 1, VIRTIO_NET_MACS + 1, 0), 0);
    assert_true(gets(f, GROUP, ETHER_NO_TAG));
    assert_false(gets(f, OTHER, ETHER_NO_TAG));
    assert_int_equal(set_table(f, 400, 1, 0), 0);
    assert_true(gets(f, OTHER, ETHER_NO_TAG));
    assert_false(gets(f, GROUP, ETHER_NO_TAG));
    assert_int_equal(set_table(f, 0, 0, 0), 0);
    assert_false(gets(f, OTHER, ETHER_NO_TAG));
}

static void test_address_tables(void **state)
{
    (void)state;
    both(~0ull, address_tables);
}

static void own_address(struct fixture *f)
{
    uint8_t mac[6];

    assert_int_equal(control8(f, RX, 0, 0), 0);
    (void)ether_put_mac(mac, OTHER);
    assert_int_equal(control(f, CONTROL, MACS, 1, mac, 5), 1);
    assert_int_equal(control(f, CONTROL, MACS, 1, mac, 6), 0);
    assert_true(gets(f, OTHER, ETHER_NO_TAG));
    assert_false(gets(f, MAC, ETHER_NO_TAG));
    assert_memory_equal(f->net.device.config, mac, 6);
    virtio_driver_bring_up(&f->driver, false, ~0ull, SIZE);
    (void)ether_put_mac(mac, MAC);
    assert_memory_equal(f->net.device.config, mac, 6);
}

static void test_own_address(void **state)
{
    (void)state;
    both(~0ull, own_address);
}

static void changes_offloads(struct fixture *f)
{
    const struct postern_ring_meta csum = {.flags = POSTERN_RECORD_CSUM};
    uint64_t some = NET_F_GUEST_TSO4, foreign = NET_F_HOST_TSO4;

    assert_true(virtio_net_takes(&f->net, &csum));
    assert_int_equal(control(f, CONTROL, OFFLOADS, 0, &foreign, 8), 1);
    assert_int_equal(control(f, CONTROL, OFFLOADS, 1, &some, 8), 1);
    assert_int_equal(control(f, CONTROL, OFFLOADS, 0, &some, 7), 1);
    assert_true(virtio_net_takes(&f->net, &csum));
    assert_int_equal(control(f, CONTROL, OFFLOADS, 0, &some, 8), 0);
    assert_false(virtio_net_takes(&f->net, &csum));
    some = NET_F_GUEST_CSUM;
    assert_int_equal(control(f, CONTROL, OFFLOADS, 0, &some, 8), 0);
    assert_true(virtio_net_takes(&f->net, &csum));
}

static void test_changes_offloads(void **state)
{
    (void)state;
    both(~0ull, changes_offloads);
}

/* A flow comes by the pair by which the driver has sent of it, once that is in use. */
static void steers(struct fixture *f)
{
    const struct header none = {0};
    uint8_t reply[60];
    uint16_t id;
    uint32_t written;

    memcpy(reply, make_frame(f, 60), sizeof(reply));
    for (unsigned i = 0; i < 4; i++) { /* addresses are equal here; ports change places */
        reply[34 + i] = f->driver.ram[FRAME + HEADER + 34 + (i + 2) % 4];
    }
    assert_int_equal(control16(f, MQ, 0, 0), 1);
    assert_int_equal(control16(f, MQ, 0, PAIRS + 1), 1);
    assert_int_equal(control16(f, MQ, 0, PAIRS), 0);
    for (uint32_t round = 0; round < 6; round++) {
        uint32_t pair = round % PAIRS;
        make_frame(f, 60);
        assert_non_null(send(f, 2 * pair + 1, &none, 60));
        add_buffers(f, 2 * pair, 1, BUFFER);
        assert_true(receive(f, reply, sizeof(reply)));
        virtio_net_tell(&f->net);
        assert_int_equal(take_used(f, 2 * pair), HEADER + sizeof(reply));
        assert_false(driver_take(ring(f, 2 * (1 - pair)), &id, &written));
        assert_int_equal(f->driver.interrupts[2 * pair], round / PAIRS + 1);
    }
    assert_int_equal(control16(f, MQ, 0, 1), 0);
    add_buffers(f, 0, 1, BUFFER);
    assert_true(receive(f, reply, sizeof(reply)));
    (void)take_used(f, 0);
}

static void test_steers(void **state)
{
    (void)state;
    both(~0ull, steers);
}

/* Frames of all kinds have a flow, and no byte behind them is read for it. */
static void test_flows_of_short_frames(void **state)
{
    struct fixture *f = start(false, ~0ull);
    struct random random = {5};

    (void)state;
    assert_int_equal(control16(f, MQ, 0, PAIRS), 0);
    for (unsigned round = 0; round < 3000; round++) {
        static const uint16_t types[] = {0x0800, 0x86dd, 0x8100, 0x0806};
        uint32_t length = 14 + random_below(&random, 60);
        uint8_t *frame = malloc(length);
        for (uint32_t i = 0; i < length; i++) {
            frame[i] = (uint8_t)random_next(&random);
        }
        uint16_t type = types[random_below(&random, 4)];
        frame[12] = (uint8_t)(type >> 8);
        frame[13] = (uint8_t)type;
        assert_false(receive(f, frame, length));
        free(frame);
    }
    stop(f);
}

/* The control queue is the third one for a driver that knows nothing of several pairs. */
static void test_without_pairs(void **state)
{
    struct fixture *f = start(false, ~NET_F_MQ);
    uint8_t off = 0;
    uint16_t pairs = 2;

    (void)state;
    assert_int_equal(control(f, 2, RX, 0, &off, 1), 0);
    assert_false(f->net.filter.promiscuous);
    assert_int_equal(control(f, 2, MQ, 0, &pairs, 2), 1);
    make_frame(f, 60);
    add_frame(f, 3, &(struct header){0}, 60);
    assert_false(notify(f, 3));
    assert_int_equal(f->batch.count, 0);
    stop(f);
}

/* Each command needs its feature. */
static void test_without_features(void **state)
{
    struct fixture *f = start(false, VIRTIO_F_VERSION_1 | NET_F_MQ);
    uint8_t mac[6] = {2};
    uint64_t none = 0;

    (void)state;
    assert_int_equal(control8(f, RX, 0, 0), 1);
    assert_int_equal(set_table(f, 1, 1, 0), 1);
    assert_int_equal(control(f, CONTROL, MACS, 1, mac, 6), 1);
    assert_int_equal(control16(f, VLAN, 0, 5), 1);
    assert_int_equal(control(f, CONTROL, OFFLOADS, 0, &none, 8), 1);
    assert_true(f->net.filter.promiscuous);
    stop(f);
    f = start(false, ~NET_F_CTRL_RX_EXTRA);
    assert_int_equal(control8(f, RX, 1, 1), 0);
    assert_int_equal(control8(f, RX, 2, 1), 1);
    stop(f);
}

static void bad_command(struct fixture *f)
{
    const struct driver_buffer no_answer = {FRAME, 8, false};
    const struct driver_buffer no_header[] = {{FRAME, 1, false}, {FRAME + 0x3000, 1, true}};

    driver_add(ring(f, CONTROL), &no_answer, 1);
    assert_false(notify(f, CONTROL));
    assert_int_equal(f->driver.failures, 1);
    virtio_driver_bring_up(&f->driver, false, ~0ull, SIZE);
    driver_add(ring(f, CONTROL), no_header, 2);
    assert_false(notify(f, CONTROL));
    assert_int_equal(f->driver.failures, 2);
}

static void test_bad_command(void **state)
{
    (void)state;
    both(~0ull, bad_command);
}

static void test_configuration(void **state)
{
    struct fixture *f = start(false, ~0ull);
    struct virtio_driver *d = &f->driver;

    (void)state;
    assert_int_equal(virtio_driver_read(d, VIRTIO_PCI_DEVICE, 4), (uint32_t)MAC);
    assert_int_equal(virtio_driver_read(d, VIRTIO_PCI_DEVICE + 6, 2), 1);
    assert_int_equal(virtio_driver_read(d, VIRTIO_PCI_DEVICE + 8, 2), PAIRS);
    assert_int_equal(virtio_driver_read(d, VIRTIO_PCI_DEVICE + 10, 2), 1500);
    uint64_t generation = virtio_driver_read(d, VIRTIO_COMMON_CONFIG_GENERATION, 1);
    virtio_net_set_link(&f->net, false);
    assert_int_equal(virtio_driver_read(d, VIRTIO_PCI_DEVICE + 6, 2), 0);
    assert_int_not_equal(virtio_driver_read(d, VIRTIO_COMMON_CONFIG_GENERATION, 1), generation);
    assert_int_equal(d->interrupts[CONFIG], 1);
    assert_int_equal(virtio_driver_read(d, VIRTIO_PCI_ISR, 1), VIRTIO_ISR_CONFIG);
    virtio_driver_set(d, VIRTIO_COMMON_STATUS, 1, 0);
    virtio_net_set_link(&f->net, true);
    assert_int_equal(d->interrupts[CONFIG], 1); /* nobody is there */
    assert_int_equal(virtio_driver_read(d, VIRTIO_PCI_DEVICE + 6, 2), 1);
    stop(f);
}

/* Buffers to receive are no reason to notify. */
static void test_receive_queues_are_quiet(void **state)
{
    (void)state;
    for (unsigned packed = 0; packed < 2; packed++) {
        struct fixture *f = start(packed != 0, ~0ull);
        uint64_t at = packed != 0 ? DRIVER_USED + 2 : DRIVER_USED;
        assert_int_equal(driver_get(ring(f, 0), at, 2), 1);
        assert_int_equal(driver_get(ring(f, 0), at + DRIVER_QUEUE_STRIDE, 2), 0);
        assert_int_equal(driver_get(ring(f, 0), at + 2 * DRIVER_QUEUE_STRIDE, 2), 1);
        add_buffers(f, 0, 1, BUFFER);
        assert_false(notify(f, 0));
        assert_int_equal(f->net.device.chains, 0);
        stop(f);
    }
}

static void test_no_driver(void **state)
{
    struct fixture *f = start(false, ~0ull);
    uint8_t frame[60];

    (void)state;
    ether_frame(frame, sizeof(frame), MAC, OTHER, ETHER_NO_TAG, ETHER_IPV6);
    virtio_driver_set(&f->driver, VIRTIO_COMMON_STATUS, 1, 0);
    assert_false(receive(f, frame, sizeof(frame)));
    virtio_net_tell(&f->net);
    assert_int_equal(f->net.lost, 1);
    stop(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sends),
        cmocka_unit_test(test_full_batch),
        cmocka_unit_test(test_describes),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_refuses_what_was_not_negotiated),
        cmocka_unit_test(test_frame_of_any_length),
        cmocka_unit_test(test_receives),
        cmocka_unit_test(test_merges),
        cmocka_unit_test(test_one_buffer),
        cmocka_unit_test(test_small_buffer),
        cmocka_unit_test(test_many_buffers),
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_what_it_takes),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_filters_vlans),
        cmocka_unit_test(test_address_tables),
        cmocka_unit_test(test_own_address),
        cmocka_unit_test(test_changes_offloads),
        cmocka_unit_test(test_steers),
        cmocka_unit_test(test_flows_of_short_frames),
        cmocka_unit_test(test_without_pairs),
        cmocka_unit_test(test_without_features),
        cmocka_unit_test(test_bad_command),
        cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_receive_queues_are_quiet),
        cmocka_unit_test(test_no_driver),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
