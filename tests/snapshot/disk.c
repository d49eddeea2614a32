/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/snapshot/disk.h"

#include "tests/snapshot/registers.h"

#define UART_DATA        0x3f8u
#define UART_LINE_STATUS 0x3fdu
#define UART_RECEIVED    1u
#define TICK_VECTOR      0x60u
#define TICK_US          5000u
#define BLK_ID           2u
#define F_DISCARD        BIT(13)
#define F_WRITE_ZEROES   BIT(14)
#define QUEUE_SIZE       4u
#define BLOCK            4096u
#define SECTORS          (BLOCK / 512u)
#define BLOCKS_MAX       128u
#define LITERAL          32u /* words of a block that differ */
#define WORDS            (BLOCK / sizeof(uint64_t))
#define NO_VECTOR        0xffffu /* VIRTIO_NO_VECTOR */
/* The second one is written to so much more rarely. */
#define SECOND_IN 4u

enum type { IN = 0, OUT = 1, DISCARD = 11, WRITE_ZEROES = 13 };

struct header {
    uint32_t type, zero;
    uint64_t sector;
};

/* What a request for zeros has as its data. */
struct range {
    uint64_t sector;
    uint32_t sectors, flags;
};

struct request {
    struct header header;
    struct range range;
    uint64_t data[WORDS];
    volatile uint8_t status;
};

/* The first has an overlay: all of its part may be there at once. The second, if there is one, is
 * its VM's alone, and a discard would leave it as it is. */
static struct disk {
    const uint32_t first, count; /* blocks: a part of it, ... */
    const uint32_t in_use;       /* ... of which the others stay as they are */
    const enum type clear;
    uint16_t requests;
    registers_t registers;
    struct queue_areas queue;
    struct request *request;
    uint64_t changes;
    /* Of each block: what its words are made of, or that it is as it was. */
    struct {
        bool changed;
        uint64_t number; /* 0: zeros */
        uint64_t sum;    /* of what it was */
    } blocks[BLOCKS_MAX];
} disks[2] = {{.first = 64, .count = BLOCKS_MAX, .in_use = 112, .clear = DISCARD},
              {.first = 0, .count = 24, .in_use = 16, .clear = WRITE_ZEROES}};
static unsigned disk_count;
static uint64_t writes, discards, ticks;
static bool still;

static void put_descriptor(struct disk *disk, unsigned index, const volatile void *at,
                           uint32_t size, uint64_t flags)
{
    bool last = index == 2;

    disk->queue.descriptors[2 * index] = (uint64_t)at;
    disk->queue.descriptors[2 * index + 1] =
        size | (flags | (last ? 0 : VIRTQ_DESC_NEXT)) << 32 | (uint64_t)(index + 1) << 48;
}

/* Carries one request out: it is done when the notification is. */
static void carry_out(struct disk *disk, enum type type, uint64_t block)
{
    struct request *request = disk->request;
    bool clears = type == disk->clear;
    void *data = clears ? (void *)&request->range : request->data;
    uint32_t size = clears ? sizeof(request->range) : BLOCK;
    uint64_t sector = (disk->first + block) * SECTORS;

    request->header = (struct header){type, 0, clears ? 0 : sector};
    request->range = (struct range){sector, SECTORS, 0};
    request->status = 0xff;
    put_descriptor(disk, 0, &request->header, sizeof(request->header), 0);
    put_descriptor(disk, 1, data, size, type == IN ? VIRTQ_DESC_WRITE : 0);
    put_descriptor(disk, 2, &request->status, 1, VIRTQ_DESC_WRITE);
    disk->queue.available[2 + disk->requests % QUEUE_SIZE] = 0;
    __asm__ volatile("" : : : "memory"); /* x86 stores in order */
    disk->queue.available[1] = ++disk->requests;
    set16(disk->registers, VIRTIO_PCI_NOTIFY, 0);
    __asm__ volatile("" : : : "memory");
    if (disk->queue.used[1] != disk->requests || request->status != 0) {
        error("the disk did not carry a request out");
    }
}

static uint64_t sum_of_data(const struct disk *disk)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < WORDS; i++) {
        sum = (sum + disk->request->data[i]) * 0x9e3779b97f4a7c15ull;
    }
    return sum;
}

static uint64_t word_of(uint64_t number, unsigned index)
{
    return number != 0 ? number + (index < LITERAL ? index : 0) : 0;
}

/* Every fourth change has a block read as zeros. */
static void change_block(struct disk *disk)
{
    uint64_t change = ++disk->changes, number = writes + discards + 1;
    uint64_t block = (change * 37 + change / disk->in_use) % disk->in_use;

    if (change % 4 == 0) {
        carry_out(disk, disk->clear, block);
        discards++;
        number = 0;
    } else {
        for (unsigned i = 0; i < WORDS; i++) {
            disk->request->data[i] = word_of(number, i);
        }
        carry_out(disk, OUT, block);
        writes++;
    }
    disk->blocks[block].changed = true;
    disk->blocks[block].number = number;
}

static bool is_right(struct disk *disk, uint64_t block)
{
    uint64_t number = disk->blocks[block].number;

    carry_out(disk, IN, block);
    if (!disk->blocks[block].changed) {
        return sum_of_data(disk) == disk->blocks[block].sum;
    }
    for (unsigned i = 0; i < WORDS; i++) {
        if (disk->request->data[i] != word_of(number, i)) {
            return false;
        }
    }
    return true;
}

static void tick(struct frame *frame)
{
    (void)frame;
    if (!still) {
        change_block(&disks[0]);
        if (disk_count > 1 && ticks++ % SECOND_IN == 0) {
            change_block(&disks[1]);
        }
    }
    end_of_interrupt();
    wrmsr(MSR_IA32_TSC_DEADLINE, rdtsc() + TICK_US * tsc_per_ms() / 1000);
}

static void verify(void)
{
    unsigned long long wrong = 0, changed = 0;

    __asm__ volatile("cli");
    for (struct disk *disk = disks; disk < disks + disk_count; disk++) {
        for (uint64_t i = 0; i < disk->count; i++) {
            wrong += !is_right(disk, i);
            changed += disk->blocks[i].changed;
        }
    }
    unsigned long long written = writes, discarded = discards;
    __asm__ volatile("sti");
    print("wrong blocks: %llu; %llu changed, %llu writes, %llu discards\n", wrong, changed, written,
          discarded);
}

static void start(struct disk *disk)
{
    registers_negotiate(disk->registers,
                        VIRTIO_F_VERSION_1 | (disk->clear == DISCARD ? F_DISCARD : F_WRITE_ZEROES));
    disk->queue = registers_start_queue(disk->registers, 0, QUEUE_SIZE, NO_VECTOR);
    set8(disk->registers, VIRTIO_COMMON_STATUS, REGISTERS_READY);
    disk->request = ram_alloc(2 * SIZE_4K, SIZE_4K);
    for (uint64_t i = 0; i < disk->count; i++) {
        carry_out(disk, IN, i);
        disk->blocks[i].sum = sum_of_data(disk);
    }
}

static void start_all(void)
{
    while (disk_count < ARRAY_SIZE(disks) &&
           (disks[disk_count].registers = registers_find_next(BLK_ID, disk_count)) != NULL) {
        start(&disks[disk_count++]);
    }
    if (disk_count == 0) {
        error("this VM has no virtio disk");
    }
}

void disk_role(void)
{
    start_all();
    vector_handle(TICK_VECTOR, tick);
    wrmsr(MSR_X2APIC_LVT_TIMER, TIMER_DEADLINE | TICK_VECTOR);
    wrmsr(MSR_IA32_TSC_DEADLINE, rdtsc() + TICK_US * tsc_per_ms() / 1000);
    print("disk: ready\n");
    for (;;) {
        __asm__ volatile("sti; hlt");
        if ((inb(UART_LINE_STATUS) & UART_RECEIVED) == 0) {
            continue;
        }
        uint8_t typed = inb(UART_DATA);
        if (typed == 'v') {
            verify();
        } else if (typed == 'h') {
            still = !still;
            print("disk: %s\n", still ? "holds still" : "goes on");
        }
    }
}
