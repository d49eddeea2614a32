/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/snapshot/nic.h"

#include "virtio/pci.h"
#include "virtio/spec.h"

#define NET_ID        1u
#define CFG_BAR0      0x10u
#define CFG_MSIX      0x40u
#define MSIX_ENABLE   BIT32(31)
#define PCI_ALL       7u /* I/O, memory, bus master */
#define MSI_TO_CPU    0xfee00000u
#define HEADER        12u
#define QUEUE_SIZE    32u
#define BUFFER        2048u
#define RECEIVES      0u
#define SENDS         1u
#define QUEUES        2u
#define STATUS_READY  (VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK)
#define FEATURES_HIGH ((uint32_t)(VIRTIO_F_VERSION_1 >> 32))
#define FEATURES_LOW  ((uint32_t)VIRTIO_F_EVENT_IDX)

/* Chain n is descriptor n alone, and has buffer n. */
struct queue {
    uint32_t number;
    volatile uint64_t *descriptors;
    volatile uint16_t *available; /* flags, index, ring, used_event */
    volatile uint16_t *used;      /* flags, index, ring of {u32 id, u32 length}, avail_event */
    uint8_t *buffers;
    uint16_t next; /* the index of the next chain that is made available */
    uint16_t seen; /* of the next one that the device uses */
};

struct nic_faults nic_faults;

static volatile uint8_t *registers; /* BAR 0 */
static struct queue queues[QUEUES];
static void (*take_frame)(const uint8_t *frame, uint32_t length);

static void set8(uint32_t offset, uint32_t value)
{
    registers[offset] = (uint8_t)value;
}

static void set16(uint32_t offset, uint32_t value)
{
    *(volatile uint16_t *)(registers + offset) = (uint16_t)value;
}

static void set32(uint32_t offset, uint32_t value)
{
    *(volatile uint32_t *)(registers + offset) = value;
}

static void set64(uint32_t offset, const volatile void *address)
{
    *(volatile uint64_t *)(registers + offset) = (uint64_t)address;
}

static void full_barrier(void)
{
    __asm__ volatile("mfence" : : : "memory");
}

/* Behind the ring: from which chain on the device is to interrupt. */
static void want_interrupt_at(struct queue *q, uint16_t index)
{
    q->available[2 + QUEUE_SIZE] = index;
}

/* Behind the ring: from which chain on it is to be notified. */
static uint16_t wants_notification_at(const struct queue *q)
{
    return q->used[2 + 4 * QUEUE_SIZE];
}

/* Makes the next chain available; the device is not told yet. */
static void make_available(struct queue *q)
{
    q->available[2 + q->next % QUEUE_SIZE] = q->next % QUEUE_SIZE;
    __asm__ volatile("" : : : "memory"); /* x86 stores in order */
    q->available[1] = ++q->next;
}

/* After `count` chains; only if it wants to know of one of them. */
static void notify(const struct queue *q, uint16_t count)
{
    full_barrier();
    if ((uint16_t)(q->next - wants_notification_at(q) - 1) < count) {
        set16(VIRTIO_PCI_NOTIFY + 4 * q->number, q->number);
    }
}

/* Whether the device has used one more; its length. */
static bool take_used(struct queue *q, uint32_t *length)
{
    uint16_t index = q->used[1];

    if (index == q->seen) {
        return false;
    }
    if ((uint16_t)(index - q->seen) > (uint16_t)(q->next - q->seen)) {
        nic_faults.index++;
        return false;
    }
    const volatile uint32_t *entry =
        (const volatile uint32_t *)(q->used + 2) + 2 * (q->seen % QUEUE_SIZE);
    nic_faults.chain += entry[0] != q->seen % QUEUE_SIZE;
    *length = entry[1];
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
            make_available(q);
            given++;
        }
        want_interrupt_at(q, q->seen);
        full_barrier();
    } while (q->used[1] != q->seen && nic_faults.index == 0);
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

    q->descriptors[2 * (q->next % QUEUE_SIZE) + 1] = HEADER + length;
    make_available(q);
    notify(q, 1);
}

void nic_address(uint8_t *address)
{
    for (unsigned i = 0; i < 6; i++) {
        address[i] = registers[VIRTIO_PCI_DEVICE + i];
    }
}

static uint32_t find(void)
{
    for (uint32_t i = 0; i < 32; i++) {
        if (pci_read(PCI_DEVICE(i), 0) ==
            ((VIRTIO_PCI_DEVICE_BASE + NET_ID) << 16 | VIRTIO_PCI_VENDOR)) {
            return PCI_DEVICE(i);
        }
    }
    error("this VM has no virtio NIC");
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
    uint8_t *ring = ram_alloc(3 * SIZE_4K, SIZE_4K);
    uint64_t flags = number == RECEIVES ? (uint64_t)VIRTQ_DESC_WRITE << 32 : 0;

    *q = (struct queue){.number = number,
                        .descriptors = (volatile uint64_t *)ring,
                        .available = (volatile uint16_t *)(ring + SIZE_4K),
                        .used = (volatile uint16_t *)(ring + 2 * SIZE_4K),
                        .buffers = ram_alloc(QUEUE_SIZE * BUFFER, SIZE_4K)};
    for (uint32_t i = 0; i < QUEUE_SIZE; i++) {
        q->descriptors[2 * i] = (uint64_t)(q->buffers + BUFFER * i);
        q->descriptors[2 * i + 1] = BUFFER | flags;
    }
    set16(VIRTIO_COMMON_QUEUE_SELECT, number);
    set16(VIRTIO_COMMON_QUEUE_SIZE, QUEUE_SIZE);
    set16(VIRTIO_COMMON_QUEUE_VECTOR, vector);
    set64(VIRTIO_COMMON_QUEUE_DESCRIPTORS, q->descriptors);
    set64(VIRTIO_COMMON_QUEUE_DRIVER, q->available);
    set64(VIRTIO_COMMON_QUEUE_DEVICE, q->used);
    set16(VIRTIO_COMMON_QUEUE_ENABLE, 1);
}

static void negotiate(void)
{
    set8(VIRTIO_COMMON_STATUS, 0);
    set8(VIRTIO_COMMON_STATUS, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    set32(VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 0);
    set32(VIRTIO_COMMON_DRIVER_FEATURE, FEATURES_LOW);
    set32(VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 1);
    set32(VIRTIO_COMMON_DRIVER_FEATURE, FEATURES_HIGH);
    set8(VIRTIO_COMMON_STATUS, STATUS_READY & ~VIRTIO_DRIVER_OK);
}

void nic_start(unsigned vector, void (*received)(const uint8_t *frame, uint32_t length))
{
    uint32_t address = find();

    take_frame = received;
    vector_handle(vector, receive);
    pci_write(address, 4, PCI_ALL);
    registers = (volatile uint8_t *)(uint64_t)(pci_read(address, CFG_BAR0) & ~0xfu);
    enable_msix(address, vector);
    negotiate();
    start_queue(RECEIVES, 0);
    start_queue(SENDS, 0xffff); /* VIRTIO_NO_VECTOR */
    set8(VIRTIO_COMMON_STATUS, STATUS_READY);
    if (registers[VIRTIO_COMMON_STATUS] != STATUS_READY) {
        error("the virtio NIC does not become ready");
    }
    for (uint32_t i = 0; i < QUEUE_SIZE; i++) {
        make_available(&queues[RECEIVES]);
    }
    notify(&queues[RECEIVES], QUEUE_SIZE);
}
