/* SPDX-License-Identifier: BSD-2-Clause */
/* virtio devices with a driver that does anything: random words in configuration space, registers
 * and queues, buffers elsewhere, resets in the middle. */
#include "tests/attack/attack.h"
#include "virtio/pci.h"
#include "virtio/spec.h"

/* Of virtio_fuzz; "operations=" and "seed=" on the command line have other numbers. */
#define OPERATIONS    5000u /* on each device */
#define SEED          21u
#define FRESH_EACH    64u /* operations, after which a device is ready anew */
#define PROGRESS_EACH 5000u

#define FUNCTIONS_MAX 8u
#define QUEUE_ROUNDS  60u /* of each device */
#define RACE_RESETS   500u
#define RING_SIZE     16u
#define AREA_SIZE     (3 * SIZE_4K) /* of a queue: a page for each part of its ring */
#define RINGS_SIZE    (AREA_SIZE * VIRTIO_QUEUES_MAX)
#define CFG_MSIX      0x40u
#define CFG_BAR0      0x10u
#define CFG_IO_BAR    0x18u
#define PCI_ALL       7u          /* I/O, memory, bus master */
#define MSIX_MASK_ALL 0x40000000u /* in the word at CFG_MSIX */
#define BUFFERS       0x3000000u  /* RAM, of which the kit uses nothing */
#define BLK_ID        2u
#define CONSOLE_ID    3u
#define NET_ID        1u
#define NET_HEADER    12u
#define NET_FRAME     (NET_HEADER + 60)
#define NET_FRAMES    3000u
#define RNG_ID        4u
#define BLK_READ      0u
#define BLK_GET_ID    8u
#define BAR_FIRST     0xc0100000u
#define PORT_FIRST    0xc000u
#define PORT_STEP     0x10u

struct function {
    uint32_t address;
    uint32_t id;                 /* the kind of device */
    volatile uint8_t *registers; /* BAR 0 */
    uint32_t bar, io_bar;        /* as they are after a reset */
    uint16_t port;               /* BAR 2 */
    uint32_t queues;
};

static struct function functions[FUNCTIONS_MAX];
static unsigned function_count;

/* Where BARs are, MSI-X off: whatever is in its table interrupts nobody. */
static void restore(const struct function *f)
{
    pci_write(f->address, CFG_MSIX, 0);
    pci_write(f->address, CFG_BAR0, f->bar);
    pci_write(f->address, CFG_IO_BAR, f->io_bar);
    pci_write(f->address, 4, PCI_ALL);
}

static uint32_t queues_of(const struct function *f)
{
    return *(volatile uint16_t *)(f->registers + VIRTIO_COMMON_QUEUES);
}

static void find_functions(void)
{
    function_count = 0;
    for (uint32_t i = 0; i < 32 && function_count < FUNCTIONS_MAX; i++) {
        uint32_t id = pci_read(PCI_DEVICE(i), 0);
        if ((id & 0xffff) != VIRTIO_PCI_VENDOR) {
            continue;
        }
        struct function *f = &functions[function_count];
        *f = (struct function){.address = PCI_DEVICE(i),
                               .id = (id >> 16) - VIRTIO_PCI_DEVICE_BASE,
                               .bar = BAR_FIRST + function_count * VIRTIO_PCI_BAR_SIZE,
                               .io_bar = PORT_FIRST + function_count * PORT_STEP};
        function_count++;
        f->registers = (volatile uint8_t *)(uint64_t)f->bar;
        f->port = (uint16_t)f->io_bar;
        restore(f);
        f->queues = queues_of(f);
    }
    CHECK(function_count >= 3);
}

static void set(const struct function *f, uint64_t offset, unsigned size, uint64_t value)
{
    volatile uint8_t *at = f->registers + offset;

    switch (size) {
    case 1:
        *at = (uint8_t)value;
        break;
    case 2:
        *(volatile uint16_t *)at = (uint16_t)value;
        break;
    case 4:
        *(volatile uint32_t *)at = (uint32_t)value;
        break;
    default:
        *(volatile uint64_t *)at = value;
        break;
    }
}

static uint32_t get32(const struct function *f, uint64_t offset)
{
    return *(volatile uint32_t *)(f->registers + offset);
}

static uint8_t status_of(const struct function *f)
{
    return f->registers[VIRTIO_COMMON_STATUS];
}

static void notify(const struct function *f, uint32_t queue)
{
    outw(f->port, (uint16_t)queue);
}

/* From a reset to DRIVER_OK, with all features that are in `mask`; queue q's ring is in `rings`.
 * Another CPU may have the device fail at once. */
static void bring_up(const struct function *f, uint64_t mask, uint8_t *rings)
{
    set(f, VIRTIO_COMMON_STATUS, 1, 0);
    set(f, VIRTIO_COMMON_STATUS, 1, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    for (uint32_t half = 0; half < 2; half++) {
        set(f, VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 4, half);
        set(f, VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, half);
        set(f, VIRTIO_COMMON_DRIVER_FEATURE, 4,
            get32(f, VIRTIO_COMMON_DEVICE_FEATURE) & (uint32_t)(mask >> 32 * half));
    }
    set(f, VIRTIO_COMMON_STATUS, 1, 0xb);
    for (uint32_t queue = 0; queue < f->queues; queue++) {
        uint64_t at = (uint64_t)rings + AREA_SIZE * queue;
        set(f, VIRTIO_COMMON_QUEUE_SELECT, 2, queue);
        set(f, VIRTIO_COMMON_QUEUE_SIZE, 2, f->id == RNG_ID ? 8 : RING_SIZE);
        set(f, VIRTIO_COMMON_QUEUE_DESCRIPTORS, 8, at);
        set(f, VIRTIO_COMMON_QUEUE_DRIVER, 8, at + SIZE_4K);
        set(f, VIRTIO_COMMON_QUEUE_DEVICE, 8, at + 2 * SIZE_4K);
        set(f, VIRTIO_COMMON_QUEUE_ENABLE, 2, 1);
    }
    set(f, VIRTIO_COMMON_STATUS, 1, 0xf);
    CHECK_EQUAL(status_of(f) & ~VIRTIO_NEEDS_RESET, 0xf);
}

static uint8_t *alloc_rings(void)
{
    return ram_alloc(RINGS_SIZE, SIZE_4K);
}

struct piece {
    const volatile void *bytes;
    uint32_t size;
    bool writable;
};

/* Has a device that is up, with split queues, carry out a chain, the first since then. Returns how
 * many bytes it says that it wrote. */
static uint32_t carry_out(const struct function *f, uint8_t *rings, uint32_t queue,
                          const struct piece *pieces, unsigned count)
{
    uint8_t *ring = rings + AREA_SIZE * queue;
    uint64_t *descriptors = (uint64_t *)ring;
    volatile uint16_t *available = (volatile uint16_t *)(ring + SIZE_4K);
    volatile uint16_t *used = (volatile uint16_t *)(ring + 2 * SIZE_4K);

    for (uint64_t i = 0; i < count; i++) {
        uint64_t flags =
            (pieces[i].writable ? VIRTQ_DESC_WRITE : 0) | (i + 1 < count ? VIRTQ_DESC_NEXT : 0);
        descriptors[2 * i] = (uint64_t)pieces[i].bytes;
        descriptors[2 * i + 1] = pieces[i].size | flags << 32 | (i + 1) << 48;
    }
    available[1] = 1;
    notify(f, queue);
    CHECK_EQUAL(used[1], 1);
    return ((volatile uint32_t *)used)[2];
}

static void check_entropy(const struct function *f, uint8_t *rings)
{
    volatile uint64_t *bytes = ram_alloc(64, 64);
    const struct piece piece = {bytes, 64, true};

    CHECK_EQUAL(carry_out(f, rings, 0, &piece, 1), 64);
    CHECK(bytes[0] != 0 && bytes[7] != 0 && bytes[0] != bytes[7]);
}

static void check_console(const struct function *f, uint8_t *rings)
{
    const struct piece piece = {"it prints\r\n", 11, false};

    CHECK_EQUAL(carry_out(f, rings, 1, &piece, 1), 0);
}

/* Sends a frame to nobody. */
static void check_net(const struct function *f, uint8_t *rings)
{
    const struct piece piece = {ram_alloc(NET_FRAME, 64), NET_FRAME, false};

    CHECK_EQUAL(carry_out(f, rings, 1, &piece, 1), 0);
}

static void check_disk(const struct function *f, uint8_t *rings, uint64_t type, uint32_t size)
{
    volatile uint64_t *header = ram_alloc(16, 16);
    volatile uint8_t *data = ram_alloc(size + 1, 16);
    const struct piece pieces[] = {{header, 16, false}, {data, size, true}, {data + size, 1, true}};

    header[0] = type;
    data[size] = 0xff;
    CHECK_EQUAL(carry_out(f, rings, 0, pieces, ARRAY_SIZE(pieces)), size + 1);
    CHECK_EQUAL(data[size], 0);
    if (type == BLK_GET_ID) {
        CHECK(strncmp((const char *)data, "disk.img", size) == 0 ||
              strncmp((const char *)data, "scratch.img", size) == 0);
    }
}

/* Whether a device that was reset works as ever. */
static void check_device(const struct function *f, uint8_t *rings)
{
    memset(rings, 0, RINGS_SIZE);
    bring_up(f, VIRTIO_F_VERSION_1, rings);
    switch (f->id) {
    case RNG_ID:
        check_entropy(f, rings);
        break;
    case CONSOLE_ID:
        check_console(f, rings);
        break;
    case NET_ID:
        check_net(f, rings);
        break;
    case BLK_ID:
        check_disk(f, rings, BLK_GET_ID, 20);
        memset(rings, 0, RINGS_SIZE);
        bring_up(f, VIRTIO_F_VERSION_1, rings);
        check_disk(f, rings, BLK_READ, 512);
        break;
    default:
        break;
    }
}

static void restore_all(void)
{
    for (unsigned i = 0; i < function_count; i++) {
        restore(&functions[i]);
    }
}

/* All devices are reset, tried, and left as they are after a reset. */
static void finish(uint8_t *rings)
{
    restore_all();
    for (unsigned i = 0; i < function_count; i++) {
        set(&functions[i], VIRTIO_COMMON_STATUS, 1, 0);
        CHECK_EQUAL(status_of(&functions[i]), 0);
    }
    for (unsigned i = 0; i < function_count; i++) {
        check_device(&functions[i], rings);
        set(&functions[i], VIRTIO_COMMON_STATUS, 1, 0);
    }
}

/* The capability by which a driver reaches BARs through configuration space. */
static uint32_t find_window(const struct function *f)
{
    uint32_t at = pci_read(f->address, 0x34) & 0xfc;

    while (at != 0) {
        uint32_t word = pci_read(f->address, at);
        if ((word & 0xff) == 0x09 && word >> 24 == 5) {
            return at;
        }
        at = word >> 8 & 0xfc;
    }
    fail("a virtio device has no access capability");
}

static void set_window(const struct function *f, uint32_t window, uint32_t offset, uint32_t size)
{
    pci_write(f->address, window + VIRTIO_PCI_ACCESS_BAR, VIRTIO_PCI_BAR);
    pci_write(f->address, window + VIRTIO_PCI_ACCESS_OFFSET, offset);
    pci_write(f->address, window + VIRTIO_PCI_ACCESS_LENGTH, size);
}

/* It reads and writes what the BAR does. */
static void check_window(const struct function *f)
{
    uint32_t window = find_window(f), data = window + VIRTIO_PCI_ACCESS_DATA;

    set_window(f, window, VIRTIO_COMMON_QUEUES, 2);
    CHECK_EQUAL(pci_read(f->address, data), f->queues);
    set_window(f, window, VIRTIO_COMMON_STATUS, 1);
    pci_write(f->address, data, 0xffffff00);
    CHECK_EQUAL(status_of(f), 0);
    pci_write(f->address, data, VIRTIO_ACKNOWLEDGE);
    CHECK_EQUAL(status_of(f), VIRTIO_ACKNOWLEDGE);
    CHECK_EQUAL(pci_read(f->address, data), VIRTIO_ACKNOWLEDGE);
    /* Not aligned, beyond the BAR: no access. */
    set_window(f, window, VIRTIO_COMMON_QUEUES - 1, 2);
    pci_write(f->address, data, 0);
    set_window(f, window, VIRTIO_PCI_BAR_SIZE, 4);
    (void)pci_read(f->address, data);
    set_window(f, window, VIRTIO_COMMON_STATUS, 1);
    pci_write(f->address, data, 0);
    CHECK_EQUAL(status_of(f), 0);
}

CLAIM(virtio_window, "a virtio device's window in configuration space shows its BARs, and no more")
{
    uint8_t *rings = alloc_rings();

    find_functions();
    for (unsigned i = 0; i < function_count; i++) {
        check_window(&functions[i]);
    }
    finish(rings);
}

/* Random descriptors, most of a kind that may pass: small buffers in RAM, flags that there are. */
static void fill_randomly(uint8_t *rings, uint32_t bytes, bool packed)
{
    const uint64_t flags = VIRTQ_DESC_NEXT | VIRTQ_DESC_WRITE | VIRTQ_DESC_AVAIL | VIRTQ_DESC_USED;
    const uint64_t rest = packed ? flags << 48 | 0xfull << 32 : 0xfull << 48 | flags << 32;
    uint64_t *words = (uint64_t *)rings;

    for (uint32_t i = 0; i < bytes / 8; i++) {
        uint64_t word = random_next();
        if (word % 32 != 0) {
            word = i % 2 == 0 ? BUFFERS | (word >> 8 & 0xffff0) : word & (rest | 0x1fff);
        }
        words[i] = word;
    }
}

static void fill_queue(uint8_t *ring, bool packed)
{
    volatile uint16_t *area = (volatile uint16_t *)(ring + SIZE_4K);

    fill_randomly(ring, RING_SIZE * VIRTQ_DESC_SIZE, packed);
    for (unsigned entry = 0; entry < RING_SIZE + 3; entry++) {
        area[entry] = (uint16_t)(random_next() % (RING_SIZE + 1));
    }
}

/* A small number, an address of buffers, or anything. */
static uint64_t random_value(void)
{
    switch (random_next() % 4) {
    case 0:
        return random_next();
    case 1:
        return BUFFERS | (random_next() & 0xffff0);
    default:
        return random_next() & 0xf;
    }
}

/* Its messages stay pending: they could be any interrupt of this guest's own. */
static void fuzz_config(const struct function *f)
{
    uint32_t offset = (uint32_t)random_next() & 0xfc;
    uint32_t word = (uint32_t)random_next() >> (random_next() % 32);

    pci_write(f->address, offset, offset == CFG_MSIX ? word | MSIX_MASK_ALL : word);
}

/* Most of them in the common configuration. */
static void fuzz_register(const struct function *f)
{
    unsigned size = 1u << random_next() % 4;
    uint64_t range = random_next() % 4 == 0 ? VIRTIO_PCI_BAR_SIZE : VIRTIO_COMMON_SIZE;

    set(f, random_next() % range & ~(uint64_t)(size - 1), size, random_value());
}

static void fuzz_queue(const struct function *f, uint8_t *rings)
{
    uint32_t queue = (uint32_t)(random_next() % f->queues);

    fill_queue(rings + AREA_SIZE * queue, random_next() % 2 != 0);
    notify(f, queue);
}

static void fuzz(const struct function *f, uint8_t *rings)
{
    switch (random_next() % 8) {
    case 0:
        fuzz_config(f);
        break;
    case 1:
        (void)pci_read(f->address, (uint32_t)random_next() & 0xfc);
        (void)get32(f, random_next() % VIRTIO_PCI_BAR_SIZE & ~3ull);
        fuzz_config(f);
        break;
    case 2:
        fuzz_queue(f, rings);
        break;
    default:
        fuzz_register(f);
        break;
    }
}

static void bring_up_all(uint64_t mask, uint8_t *rings)
{
    restore_all();
    for (unsigned i = 0; i < function_count; i++) {
        bring_up(&functions[i], mask, rings);
    }
}

CLAIM(virtio_fuzz, "random values in configuration space, registers and queues of virtio devices")
{
    uint8_t *rings = alloc_rings();
    uint64_t operations = option_number("operations=", OPERATIONS);
    uint64_t seed = option_number("seed=", SEED);

    in_bochs_let_others_in();
    random_seed(seed);
    find_functions();
    print("virtio_fuzz: %u devices, %llu operations on each, seed %llu\n", function_count,
          (unsigned long long)operations, (unsigned long long)seed);
    for (uint64_t i = 0; i < operations; i++) {
        if (i % FRESH_EACH == 0) {
            bring_up_all((i & FRESH_EACH) != 0 ? ~0ull : ~VIRTIO_F_RING_PACKED, rings);
        }
        for (unsigned n = 0; n < function_count; n++) {
            fuzz(&functions[n], rings);
        }
        if (i % PROGRESS_EACH == PROGRESS_EACH - 1) {
            print("virtio_fuzz: %llu\n", (unsigned long long)i + 1);
        }
    }
    finish(rings);
}

CLAIM(virtio_queue_fuzz, "random bytes in virtqueues: a device works on them, or wants its reset")
{
    uint8_t *rings = alloc_rings();

    in_bochs_let_others_in();
    random_seed(23);
    find_functions();
    for (unsigned i = 0; i < function_count * QUEUE_ROUNDS; i++) {
        const struct function *f = &functions[i % function_count];
        bool packed = (i / function_count & 1) != 0;
        bring_up(f, packed ? ~0ull : ~VIRTIO_F_RING_PACKED, rings);
        for (uint32_t queue = 0; queue < f->queues; queue++) {
            fill_queue(rings + AREA_SIZE * queue, packed);
            notify(f, queue);
        }
        CHECK_EQUAL(status_of(f) & ~VIRTIO_NEEDS_RESET, 0xf);
    }
    finish(rings);
}

CLAIM(virtio_buffer_elsewhere,
      "a virtio device reaches the VM's RAM alone: no window, gate, device or memory beyond")
{
    uint8_t *rings = alloc_rings();
    uint64_t *descriptor = (uint64_t *)rings;
    volatile uint16_t *available = (volatile uint16_t *)(rings + SIZE_4K);
    const uint64_t places[] = {ram_size(),
                               ram_size() - 32,
                               0xc0000000,
                               0xfec00000,
                               GATE_BASE,
                               window_of(PORT_OPEN),
                               peer_section_of(PORT_OPEN),
                               peer_section_of(PORT_GATED),
                               0x100000000,
                               0x8000000000000000,
                               ~0ull - 31};

    find_functions();
    for (unsigned i = 0; i < function_count; i++) {
        const struct function *f = &functions[i];
        for (unsigned place = 0; f->id == RNG_ID && place < ARRAY_SIZE(places); place++) {
            memset(rings, 0, AREA_SIZE);
            descriptor[0] = places[place];
            descriptor[1] = 64 | (uint64_t)VIRTQ_DESC_WRITE << 32;
            bring_up(f, VIRTIO_F_VERSION_1, rings);
            available[1] = 1;
            notify(f, 0);
            CHECK_EQUAL(status_of(f), 0xf | VIRTIO_NEEDS_RESET);
            /* A ring there is none either. */
            set(f, VIRTIO_COMMON_STATUS, 1, 0);
            set(f, VIRTIO_COMMON_STATUS, 1, 3);
            set(f, VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, 1);
            set(f, VIRTIO_COMMON_DRIVER_FEATURE, 4, 1);
            set(f, VIRTIO_COMMON_STATUS, 1, 0xb);
            set(f, VIRTIO_COMMON_QUEUE_DEVICE, 8, places[place] & ~3ull);
            set(f, VIRTIO_COMMON_QUEUE_DRIVER, 8, (uint64_t)rings);
            set(f, VIRTIO_COMMON_QUEUE_DESCRIPTORS, 8, (uint64_t)rings);
            set(f, VIRTIO_COMMON_QUEUE_ENABLE, 2, 1);
            CHECK_EQUAL(status_of(f), 0xb | VIRTIO_NEEDS_RESET);
        }
    }
    finish(rings);
}

/* A frame of a random kind, mostly one that contradicts itself; its header is the first 12 bytes.
 */
static void fill_frame(uint8_t *frame, uint32_t size)
{
    uint16_t *words = (uint16_t *)frame;

    for (uint32_t i = 0; i < size / 2; i++) {
        words[i] = (uint16_t)random_next();
    }
    frame[0] = random_next() % 4 != 0;
    frame[1] = (uint8_t)(random_next() % 2 != 0 ? 1 : random_next());
    words[3] = (uint16_t)(random_next() % 64 == 0 ? random_next() : 34);
    words[4] = (uint16_t)(random_next() % 64 == 0 ? random_next() : 16);
    memset(frame + NET_HEADER, random_next() % 2 != 0 ? 0xff : 2, 6);
    frame[NET_HEADER + 12] = 8;
    frame[NET_HEADER + 13] = 0;
    frame[NET_HEADER + 14] = 0x45;
    frame[NET_HEADER + 23] = 6;
    frame[NET_HEADER + 46] = (uint8_t)(random_next() % 4 == 0 ? random_next() : 0x50);
}

CLAIM(virtio_net_headers, "frames with random headers: checksums and segments beyond their ends")
{
    uint8_t *rings = alloc_rings(), *frame = ram_alloc(SIZE_2M, SIZE_4K);
    uint8_t *sending = rings + AREA_SIZE;
    uint64_t *descriptor = (uint64_t *)sending;
    volatile uint16_t *available = (volatile uint16_t *)(sending + SIZE_4K);
    volatile uint16_t *used = (volatile uint16_t *)(sending + 2 * SIZE_4K);
    const struct function *net = NULL;

    in_bochs_let_others_in();
    random_seed(25);
    find_functions();
    for (unsigned i = 0; i < function_count; i++) {
        net = functions[i].id == NET_ID ? &functions[i] : net;
    }
    CHECK(net != NULL);
    memset(rings, 0, AREA_SIZE * VIRTIO_QUEUES_MAX);
    bring_up(net, ~(VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX), rings);
    for (uint32_t i = 1; i <= NET_FRAMES; i++) {
        uint32_t size = (uint32_t)random_next() % (i % 16 == 0 ? 70000 : 2000) + 1;
        fill_frame(frame, size < 256 ? 256 : 2000);
        descriptor[0] = (uint64_t)frame;
        descriptor[1] = size;
        available[1] = (uint16_t)i;
        notify(net, 1);
        CHECK_EQUAL(used[1], i & 0xffff);
        CHECK_EQUAL(status_of(net), 0xf);
    }
    finish(rings);
}

static volatile bool racing;

/* The other CPU: notifies all queues of all devices, with chains that never end. */
static void keep_notifying(void *argument)
{
    (void)argument;
    in_bochs_let_others_in();
    while (racing) {
        for (unsigned i = 0; i < function_count; i++) {
            notify(&functions[i], 0);
            notify(&functions[i], 1);
        }
    }
}

CLAIM(virtio_reset_race,
      "a virtio device is reset, and its queues, while the other CPU notifies it")
{
    uint8_t *rings = alloc_rings();

    need_cpu(1);
    random_seed(24);
    find_functions();
    in_bochs_let_others_in();
    racing = true;
    cpu_run(1, keep_notifying, NULL);
    for (unsigned i = 0; i < RACE_RESETS; i++) {
        const struct function *f = &functions[i % function_count];
        fill_randomly(rings, RING_SIZE * VIRTQ_DESC_SIZE, i % 2 != 0);
        bring_up(f, i % 2 != 0 ? ~0ull : ~VIRTIO_F_RING_PACKED, rings);
        set(f, VIRTIO_COMMON_QUEUE_SELECT, 2, i % 3);
        set(f, VIRTIO_COMMON_QUEUE_RESET, 2, 1);
        CHECK_EQUAL(get32(f, VIRTIO_COMMON_QUEUE_RESET - 2) >> 16 & 1, 0);
    }
    racing = false;
    CHECK_EQUAL(cpu_wait(1, 4000).vector, TRAP_NONE);
    finish(rings);
}
