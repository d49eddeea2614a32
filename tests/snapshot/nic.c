/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/snapshot/nic.h"

#include "tests/snapshot/registers.h"

#define NET_ID      1u
#define CFG_MSIX    0x40u
#define MSIX_ENABLE BIT32(31)
#define MSI_TO_CPU  0xfee00000u
#define HEADER      12u
#define QUEUE_SIZE  32u
#define BUFFER      2048u
#define RECEIVES    0u
#define SENDS       1u
#define QUEUES      2u
#define FEATURES    (VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX)

/* Chain n is descriptor n alone, and has buffer n. */
struct queue {
    uint32_t number;
    struct queue_areas areas;
    uint8_t *buffers;
    uint16_t next; /* the index of the next chain that is made available */
    uint16_t seen; /* of the next one that the device uses */
};

struct nic_faults nic_faults;

static registers_t registers;
static bool packed;
static struct queue queues[QUEUES];
static void (*take_frame)(const uint8_t *frame, uint32_t length);

static void full_barrier(void)
{
    __asm__ volatile("mfence" : : : "memory");
}

/* Of a packed ring: 1 in the laps in which bits 7 and 15 of a descriptor's flags are set. */
static uint16_t wrap_of(uint16_t index)
{
    return (index / QUEUE_SIZE & 1) == 0;
}

/* From which chain on the device is to interrupt. Split: behind the ring. */
static void want_interrupt_at(struct queue *q, uint16_t index)
{
    if (packed) {
        *(volatile uint32_t *)q->areas.available =
            (index % QUEUE_SIZE) | (uint32_t)wrap_of(index) << 15 | VIRTQ_EVENT_DESC << 16;
    } else {
        q->areas.available[2 + QUEUE_SIZE] = index;
    }
}

/* Where a packed ring's device wants to be notified: in this lap, or in the last one. */
static uint16_t packed_event(const struct queue *q, uint32_t event)
{
    uint16_t lap = (uint16_t)(q->next - q->next % QUEUE_SIZE);
    bool last = (event >> 15 & 1) != wrap_of(q->next);

    return (uint16_t)(lap + (event & 0x7fff) - (last ? QUEUE_SIZE : 0));
}

/* Whether the device wants to be notified of one of the last `count` chains. */
static bool wants_notification(const struct queue *q, uint16_t count)
{
    uint32_t event = packed ? *(volatile uint32_t *)q->areas.used : VIRTQ_EVENT_DESC << 16;

    if (event >> 16 != VIRTQ_EVENT_DESC) {
        return event >> 16 == VIRTQ_EVENT_ENABLE;
    }
    uint16_t from = packed ? packed_event(q, event) : q->areas.used[2 + 4 * QUEUE_SIZE];
    return (uint16_t)(q->next - from - 1) < count;
}

/* Makes the next chain available, of so many bytes; the device is not told yet. */
static void make_available(struct queue *q, uint32_t length)
{
    uint16_t slot = q->next % QUEUE_SIZE;
    uint64_t flags = q->number == RECEIVES ? VIRTQ_DESC_WRITE : 0;
    volatile uint64_t *descriptor = q->areas.descriptors + 2 * slot;

    descriptor[0] = (uint64_t)(q->buffers + BUFFER * slot);
    if (packed) {
        flags |= wrap_of(q->next) != 0 ? VIRTQ_DESC_AVAIL : VIRTQ_DESC_USED;
        descriptor[1] = length | (uint64_t)slot << 32 | flags << 48;
        q->next++;
    } else {
        descriptor[1] = length | flags << 32;
        q->areas.available[2 + slot] = slot;
        __asm__ volatile("" : : : "memory"); /* x86 stores in order */
        q->areas.available[1] = ++q->next;
    }
}

/* After `count` chains; only if it wants to know of one of them. */
static void notify(const struct queue *q, uint16_t count)
{
    full_barrier();
    if (wants_notification(q, count)) {
        set16(registers, VIRTIO_PCI_NOTIFY + 4 * q->number, q->number);
    }
}

static bool has_used(const struct queue *q)
{
    uint16_t flags = (uint16_t)(q->areas.descriptors[2 * (q->seen % QUEUE_SIZE) + 1] >> 48);
    bool available = (flags & VIRTQ_DESC_AVAIL) != 0, used = (flags & VIRTQ_DESC_USED) != 0;

    return packed ? available == used && used == wrap_of(q->seen) : q->areas.used[1] != q->seen;
}

/* Whether the device has used one more; its length. */
static bool take_used(struct queue *q, uint32_t *length)
{
    uint16_t slot = q->seen % QUEUE_SIZE;

    if (!has_used(q)) {
        return false;
    }
    uint16_t used = packed ? 1 : (uint16_t)(q->areas.used[1] - q->seen);
    if (used > (uint16_t)(q->next - q->seen)) {
        nic_faults.index++;
        return false;
    }
    const volatile uint32_t *entry = (const volatile uint32_t *)(q->areas.used + 2) + 2 * slot;
    uint64_t descriptor = q->areas.descriptors[2 * slot + 1];
    nic_faults.chain += (packed ? (descriptor >> 32 & 0xffff) : entry[0]) != slot;
    *length = packed ? (uint32_t)descriptor : entry[1];
    q->seen++;
    return true;
}

/* Takes what has come, and asks for the next interrupt until nothing comes in between. */
static void receive(struct frame *frame)
{
    struct queue *q = &queues[RECEIVES];
    uint16_t given = 0;
    uint32_t length;

    (void)frame;
    do {
        while (take_used(q, &length)) {
            uint32_t chain = (uint16_t)(q->seen - 1) % QUEUE_SIZE;
            if (length < HEADER || length > HEADER + NIC_FRAME_MAX) {
                nic_faults.chain++;
            } else {
                take_frame(q->buffers + BUFFER * chain + HEADER, length - HEADER);
            }
            make_available(q, BUFFER);
            given++;
        }
        want_interrupt_at(q, q->seen);
        full_barrier();
    } while (has_used(q) && nic_faults.index == 0);
    notify(q, given);
    end_of_interrupt();
}

uint8_t *nic_room(void)
{
    struct queue *q = &queues[SENDS];
    uint32_t length;

    while (take_used(q, &length)) {
    }
    if ((uint16_t)(q->next - q->seen) == QUEUE_SIZE) {
        nic_faults.full++;
        return NULL;
    }
    return q->buffers + BUFFER * (q->next % QUEUE_SIZE) + HEADER;
}

void nic_send(uint32_t length)
{
    struct queue *q = &queues[SENDS];

    make_available(q, HEADER + length);
    notify(q, 1);
}

void nic_address(uint8_t *address)
{
    for (unsigned i = 0; i < 6; i++) {
        address[i] = registers[VIRTIO_PCI_DEVICE + i];
    }
}

/* Vector 0 of its table comes to this CPU. */
static void enable_msix(uint32_t address, unsigned vector)
{
    volatile uint32_t *entry = (volatile uint32_t *)(registers + VIRTIO_PCI_MSIX_TABLE);

    entry[0] = MSI_TO_CPU | (uint32_t)rdmsr(MSR_X2APIC_ID) << 12;
    entry[1] = 0;
    entry[2] = vector;
    entry[3] = 0;
    pci_write(address, CFG_MSIX, MSIX_ENABLE);
}

static void start_queue(uint32_t number, uint32_t vector)
{
    struct queue *q = &queues[number];

    *q = (struct queue){.number = number,
                        .areas = registers_start_queue(registers, number, QUEUE_SIZE, vector),
                        .buffers = ram_alloc(QUEUE_SIZE * BUFFER, SIZE_4K)};
    if (packed) {
        *(volatile uint32_t *)q->areas.available =
            (number == RECEIVES ? VIRTQ_EVENT_ENABLE : VIRTQ_EVENT_DISABLE) << 16;
    }
}

void nic_start(unsigned vector, bool in_packed_rings,
               void (*received)(const uint8_t *frame, uint32_t length))
{
    uint32_t address;

    packed = in_packed_rings;
    take_frame = received;
    vector_handle(vector, receive);
    registers = registers_find(NET_ID, &address);
    enable_msix(address, vector);
    registers_negotiate(registers, FEATURES | (packed ? VIRTIO_F_RING_PACKED : 0));
    start_queue(RECEIVES, 0);
    start_queue(SENDS, 0xffff); /* VIRTIO_NO_VECTOR */
    set8(registers, VIRTIO_COMMON_STATUS, REGISTERS_READY);
    if (registers[VIRTIO_COMMON_STATUS] != REGISTERS_READY) {
        error("the virtio NIC does not become ready");
    }
    for (uint32_t i = 0; i < QUEUE_SIZE; i++) {
        make_available(&queues[RECEIVES], BUFFER);
    }
    notify(&queues[RECEIVES], QUEUE_SIZE);
}
