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
#define QUEUE_SIZE       4u
#define BLOCK            4096u
#define SECTORS          (BLOCK / 512u)
/* Part of its disk: all of that may be in its overlay at once. */
#define FIRST     64u
#define BLOCKS    128u
#define IN_USE    112u /* of those, the others stay as they are */
#define LITERAL   32u  /* words of a block that differ */
#define WORDS     (BLOCK / sizeof(uint64_t))
#define NO_VECTOR 0xffffu /* VIRTIO_NO_VECTOR */

enum type { IN = 0, OUT = 1, DISCARD = 11 };

struct header {
    uint32_t type, zero;
    uint64_t sector;
};

/* What a discard has as its data. */
struct range {
    uint64_t sector;
    uint32_t sectors, flags;
};

static registers_t registers;
static struct queue_areas queue;
static struct {
    struct header header;
    struct range range;
    uint64_t data[WORDS];
    volatile uint8_t status;
} * request;
static uint16_t requests;

/* Of each block: what its words are made of, or that it is as it was. */
static struct {
    bool changed;
    uint64_t number; /* 0: zeros */
    uint64_t sum;    /* of what it was */
} blocks[BLOCKS];
static uint64_t writes, discards;
static bool still;

static void put_descriptor(unsigned index, const volatile void *at, uint32_t size, uint64_t flags)
{
    bool last = index == 2;

    queue.descriptors[2 * index] = (uint64_t)at;
    queue.descriptors[2 * index + 1] =
        size | (flags | (last ? 0 : VIRTQ_DESC_NEXT)) << 32 | (uint64_t)(index + 1) << 48;
}

/* Carries one request out: it is done when the notification is. */
static void carry_out(enum type type, uint64_t block)
{
    void *data = type == DISCARD ? (void *)&request->range : request->data;
    uint32_t size = type == DISCARD ? sizeof(request->range) : BLOCK;
    uint64_t sector = (FIRST + block) * SECTORS;

    request->header = (struct header){type, 0, type == DISCARD ? 0 : sector};
    request->range = (struct range){sector, SECTORS, 0};
    request->status = 0xff;
    put_descriptor(0, &request->header, sizeof(request->header), 0);
    put_descriptor(1, data, size, type == IN ? VIRTQ_DESC_WRITE : 0);
    put_descriptor(2, &request->status, 1, VIRTQ_DESC_WRITE);
    queue.available[2 + requests % QUEUE_SIZE] = 0;
    __asm__ volatile("" : : : "memory"); /* x86 stores in order */
    queue.available[1] = ++requests;
    set16(registers, VIRTIO_PCI_NOTIFY, 0);
    __asm__ volatile("" : : : "memory");
    if (queue.used[1] != requests || request->status != 0) {
        error("the disk did not carry a request out");
    }
}

static uint64_t sum_of_data(void)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < WORDS; i++) {
        sum = (sum + request->data[i]) * 0x9e3779b97f4a7c15ull;
    }
    return sum;
}

static uint64_t word_of(uint64_t number, unsigned index)
{
    return number != 0 ? number + (index < LITERAL ? index : 0) : 0;
}

/* Every fourth change is a discard. */
static void change_block(void)
{
    uint64_t number = writes + discards + 1, block = (number * 37 + number / IN_USE) % IN_USE;

    if (number % 4 == 0) {
        carry_out(DISCARD, block);
        discards++;
        number = 0;
    } else {
        for (unsigned i = 0; i < WORDS; i++) {
            request->data[i] = word_of(number, i);
        }
        carry_out(OUT, block);
        writes++;
    }
    blocks[block].changed = true;
    blocks[block].number = number;
}

static bool is_right(uint64_t block)
{
    uint64_t number = blocks[block].number;

    carry_out(IN, block);
    if (!blocks[block].changed) {
        return sum_of_data() == blocks[block].sum;
    }
    for (unsigned i = 0; i < WORDS; i++) {
        if (request->data[i] != word_of(number, i)) {
            return false;
        }
    }
    return true;
}

static void tick(struct frame *frame)
{
    (void)frame;
    if (!still) {
        change_block();
    }
    end_of_interrupt();
    wrmsr(MSR_IA32_TSC_DEADLINE, rdtsc() + TICK_US * tsc_per_ms() / 1000);
}

static void verify(void)
{
    unsigned long long wrong = 0, changed = 0;

    __asm__ volatile("cli");
    for (uint64_t i = 0; i < BLOCKS; i++) {
        wrong += !is_right(i);
        changed += blocks[i].changed;
    }
    unsigned long long written = writes, discarded = discards;
    __asm__ volatile("sti");
    print("wrong blocks: %llu; %llu changed, %llu writes, %llu discards\n", wrong, changed, written,
          discarded);
}

static void start(void)
{
    uint32_t address;

    registers = registers_find(BLK_ID, &address);
    registers_negotiate(registers, VIRTIO_F_VERSION_1 | F_DISCARD);
    queue = registers_start_queue(registers, 0, QUEUE_SIZE, NO_VECTOR);
    set8(registers, VIRTIO_COMMON_STATUS, REGISTERS_READY);
    request = ram_alloc(2 * SIZE_4K, SIZE_4K);
    for (uint64_t i = 0; i < BLOCKS; i++) {
        carry_out(IN, i);
        blocks[i].sum = sum_of_data();
    }
}

void disk_role(void)
{
    start();
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
