/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/snapshot/port.h"

#include "abi/gate_ring_ops.h"
#include "abi/guest.h"
#include "tests/snapshot/nic.h"

#define NIC_ID(device) ((uint32_t)(device) << 16 | POSTERN_PCI_VENDOR)
#define LONG_COPY      0x20000u
#define POOL_PAGES     8u /* of the own pool, all of which the peer may write to */
/* What a crossing answers that could not be made: nothing to do, and no reason not to wait. */
#define NO_ANSWER (POSTERN_GATE_FULL | POSTERN_GATE_WAIT)

struct port_counts port_counts;

static struct {
    volatile uint32_t *registers;
    uint32_t number, lane;
    struct postern_ring ring;
    postern_gate_t gate; /* or what does the same without */
    bool gated;
    uint32_t view;
    bool broken; /* a crossing has failed since the last opening */
    uint32_t pool_size;
    uint8_t *pages;  /* of a port in mode direct: of its pool */
    uint32_t filled; /* by the peer, since the ring was opened */
    void (*received)(const uint8_t *frame, uint32_t length);
    uint8_t frame_out[NIC_FRAME_MAX], frame_in[NIC_FRAME_MAX];
} port;

static uint32_t read_register(uint32_t offset)
{
    return port.registers[offset / 4];
}

static int64_t call_directly(uint32_t view, uint32_t function, void *arguments)
{
    (void)view;
    return postern_gate_ring_function(function, arguments);
}

static int64_t cross(uint32_t function, void *arguments)
{
    if (port.broken) {
        return NO_ANSWER;
    }
    int64_t result = port.gate(port.view, function, arguments);
    if (result >= 0) {
        if ((result & POSTERN_GATE_DOORBELL) != 0) {
            (void)hypercall(POSTERN_HC_DOORBELL, port.number, port.lane, 0);
        }
        return result;
    }
    port.broken = true;
    port_counts.closed += result == POSTERN_ERR_NOT_OPEN ? 1 : 0;
    port_counts.lost += result == POSTERN_ERR_FAULT ? 1 : 0;
    port_counts.faults += result != POSTERN_ERR_NOT_OPEN && result != POSTERN_ERR_FAULT ? 1 : 0;
    return NO_ANSWER;
}

static int64_t call(uint32_t function)
{
    struct postern_gate_ring arguments = {
        .ring = &port.ring, .mtu = NIC_FRAME_MAX, .seed = (uint32_t)rdtsc()};

    return cross(function, &arguments);
}

/* Buffer number n that is posted in an opening is page n modulo POOL_PAGES. */
static void post(uint32_t first, uint32_t count)
{
    struct postern_posted buffers[POOL_PAGES];
    struct postern_gate_post arguments = {.ring = &port.ring, .buffers = buffers, .count = count};

    for (uint32_t i = 0; i < count; i++) {
        buffers[i] = (struct postern_posted){(first + i) % POOL_PAGES * SIZE_4K, SIZE_4K};
    }
    (void)cross(POSTERN_GATE_RING_POST, &arguments);
}

static void give_pages(void)
{
    for (uint32_t i = 0; i < POOL_PAGES; i++) {
        int64_t result = postern_pool_give(port.number, i, (uint64_t)port.pages + i * SIZE_4K, 1);
        if (result != 0) {
            error("page %u is not given: %lld", i, (long long)result);
        }
    }
}

/* Copies a frame out of the page that the peer has filled, and posts that again. */
static void take_posted(uint32_t length)
{
    memcpy(port.frame_in, port.pages + port.filled % POOL_PAGES * SIZE_4K, length);
    post(port.filled + POOL_PAGES, 1);
    port.filled++;
    port_counts.posted++;
}

/* One that was restored in the middle of this finds a ring in which its indices mean nothing. */
static void count_fault(void)
{
    if ((read_register(POSTERN_REG_LINK) & POSTERN_LINK_RESTORED) == 0) {
        port_counts.faults++;
    }
}

/* Takes a frame; false if there is none. */
static bool take(void)
{
    struct postern_gate_piece piece = {port.frame_in, sizeof(port.frame_in)};
    struct postern_gate_packet packet = {.pieces = &piece, .piece_count = 1};
    struct postern_gate_batch batch = {.ring = &port.ring, .packets = &packet, .count = 1};
    uint32_t fault = port.ring.fault;
    int64_t result = cross(POSTERN_GATE_RING_TAKE, &batch);

    if (port.broken) {
        return false;
    }
    if (port.ring.fault != fault && port.ring.fault != 0) {
        count_fault();
    }
    if (batch.done != 0) {
        if ((packet.meta.flags & POSTERN_RECORD_POSTED) != 0) {
            take_posted(packet.meta.length);
        }
        port.received(port.frame_in, packet.meta.length);
    }
    if ((result & POSTERN_GATE_SYNC) != 0) {
        (void)call(POSTERN_GATE_RING_SYNC);
    }
    return batch.done != 0;
}

static void work(void)
{
    do {
        while (take()) {
        }
    } while ((call(POSTERN_GATE_RING_ARM_RX) & POSTERN_GATE_WAIT) == 0);
}

static void open(void)
{
    uint32_t pages;

    port.gated = read_register(POSTERN_REG_MODE) != POSTERN_MODE_OPEN;
    port.gate = call_directly;
    if (port.gated) {
        int64_t view = postern_view_open(port.number);
        if (view <= 0) {
            error("port %u has no view: %lld", port.number, (long long)view);
        }
        port.view = (uint32_t)view;
        port.gate = (postern_gate_t)postern_gate_home(&pages);
    }
    port.broken = false;
    (void)call(POSTERN_GATE_RING_OPEN);
    if (port.pool_size != 0) {
        give_pages();
        port.filled = 0;
        post(0, POOL_PAGES);
    }
    (void)call(POSTERN_GATE_RING_SYNC);
}

/* Tried also where the view is gone. */
static void close(void)
{
    (void)call(POSTERN_GATE_RING_CLOSE);
    if (port.pool_size != 0) {
        (void)postern_pool_take(port.number, POSTERN_POOL_ALL);
    }
    if (port.gated) {
        (void)postern_view_close(port.number);
    }
}

/* A crossing that failed has left the ring half done, or the peer has taken pages back: it has
 * ended. When it is there again it interrupts. */
static void mend(void)
{
    if (port.broken) {
        close();
        open();
    }
}

static void ring_interrupt(struct frame *frame)
{
    (void)frame;
    mend();
    work();
    end_of_interrupt();
}

static void link_interrupt(struct frame *frame)
{
    uint32_t link = read_register(POSTERN_REG_LINK);
    bool member = read_register(POSTERN_REG_LANES) != 0;
    bool restored = (link & POSTERN_LINK_RESTORED) != 0;
    bool other_mode = !member && (link & POSTERN_LINK_OTHER_MODE) != 0;

    (void)frame;
    if (restored || other_mode) {
        close();
        if (restored) {
            port.registers[POSTERN_REG_LINK / 4] = 0;
        }
        if (other_mode) {
            port.registers[POSTERN_REG_MODE / 4] = 0;
        }
        open();
        port_counts.restored += restored ? 1 : 0;
        port_counts.modes += other_mode ? 1 : 0;
    }
    mend();
    work();
    end_of_interrupt();
}

/* The number among the VM's own ports is that among these functions: no link was deleted. */
static uint32_t find(uint32_t number)
{
    for (uint32_t i = 0; i < 32; i++) {
        uint32_t id = pci_read(PCI_DEVICE(i), 0);
        if ((id == NIC_ID(POSTERN_PCI_NIC) || id == NIC_ID(POSTERN_PCI_MEMBER)) && number-- == 0) {
            return PCI_DEVICE(i);
        }
    }
    error("this VM has no such port");
}

void port_start(uint32_t number, unsigned vector,
                void (*received)(const uint8_t *frame, uint32_t length))
{
    uint32_t device = find(number), queues, section, slice;

    if (port.registers != NULL) {
        close();
    }
    port.number = number;
    port.received = received;
    pci_write(device, 4, 2);
    port.registers = map_physical(nic_bar(device, 0), POSTERN_BAR_REGISTERS_SIZE);
    queues = read_register(POSTERN_REG_QUEUES);
    section = read_register(POSTERN_REG_SECTION_SIZE);
    slice = section / queues;
    port.lane = read_register(POSTERN_REG_LANES) != 0 ? read_register(POSTERN_REG_SWITCH) : 0;
    uint8_t *window = map_physical(nic_bar(device, POSTERN_BAR_WINDOW), 2 * section);
    uint8_t *own = window + port.lane * slice;
    if (!postern_ring_init(&port.ring, own, own + section, slice)) {
        error("port %u is of no use", number);
    }
    port.pool_size = read_register(POSTERN_REG_POOL_SIZE);
    if (port.pool_size != 0) {
        postern_ring_set_pool(&port.ring,
                              map_physical(nic_bar(device, POSTERN_BAR_POOL), port.pool_size),
                              port.pool_size);
        port.pages = port.pages != NULL ? port.pages : ram_alloc(POOL_PAGES * SIZE_4K, SIZE_4K);
    }
    vector_handle(vector + POSTERN_VECTOR_QUEUE(port.lane), ring_interrupt);
    vector_handle(vector + POSTERN_VECTOR_LINK(queues), link_interrupt);
    (void)nic_enable_msix(device, vector);
    open();
    work();
}

void port_address(uint8_t *address)
{
    uint64_t mac =
        (uint64_t)read_register(POSTERN_REG_MAC_HIGH) << 32 | read_register(POSTERN_REG_MAC_LOW);

    memcpy(address, &mac, 6);
}

uint8_t *port_room(void)
{
    return port.frame_out;
}

void port_send(uint32_t length)
{
    struct postern_gate_piece piece = {port.frame_out, length};
    struct postern_gate_packet packet = {{.length = length}, &piece, 1};
    struct postern_gate_batch batch = {.ring = &port.ring, .packets = &packet, .count = 1};

    (void)cross(POSTERN_GATE_RING_SEND, &batch);
    if (port.broken || batch.done == 0) {
        port_counts.full++;
    }
}

void port_cross_long(void)
{
    static uint8_t *bytes;

    if (bytes == NULL) {
        bytes = ram_alloc(LONG_COPY, SIZE_4K);
    }
    struct postern_gate_copy copy = {(uint64_t)bytes, (uint64_t)bytes, LONG_COPY};
    if (port.gated && !port.broken) {
        (void)cross(POSTERN_GATE_COPY, &copy);
    }
}
