/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/neighbours/port.h"

#define BATCH       16u
#define IN_TURNS    64u /* packets of so many: */
#define IN_TURNS_OF 4096u
#define POLLS_MAX   20u
/* Packets that a ring holds, those in pools too, and a batch of which nobody knows whether it was
 * published. */
#define RING_HOLDS \
    (SECTION_SIZE / 2 / (POSTERN_RECORD_ALIGN + LENGTH_MIN) + POOL_POSTED + POOL_PLACES + BATCH)

static union {
    struct packet packet;
    uint8_t bytes[SECTION_SIZE / 8];
} buffers[BATCH];

static struct postern_gate_piece pieces[BATCH];
static struct postern_gate_packet packets[BATCH];
static postern_gate_t gate;

/* Crossings. */

static void note_fault(struct port *port);

static void ring_peer(const struct port *port)
{
    (void)hypercall(POSTERN_HC_DOORBELL, port->number, 0, 0);
}

int64_t port_cross(struct port *port, uint32_t function, void *arguments)
{
    uint32_t fault = port->ring.fault;
    int64_t result;

    if (port->broken) {
        return 0;
    }
    result = gate(port->view, function, arguments);
    if (result < 0) {
        port->broken = true;
        port->gate_errors++;
        return 0;
    }
    if (function >= POSTERN_GATE_RING_OPEN && (result & POSTERN_GATE_DOORBELL) != 0) {
        ring_peer(port);
    }
    if (port->ring.fault != fault && port->ring.fault != POSTERN_FAULT_NONE) {
        note_fault(port);
    }
    return result;
}

int64_t port_call(struct port *port, uint32_t function, uint64_t bytes)
{
    struct postern_gate_ring call = {
        .ring = &port->ring, .bytes = bytes, .mtu = LENGTH_MAX, .seed = (uint32_t)rdtsc()};

    return port_cross(port, function, &call);
}

static void copy(struct port *port, void *to, const void *from, size_t size)
{
    struct postern_gate_copy call = {.to = (uint64_t)to, .from = (uint64_t)from, .size = size};

    (void)port_cross(port, POSTERN_GATE_COPY, &call);
}

void port_put(struct port *port, size_t offset, const void *value, size_t size)
{
    copy(port, (uint8_t *)port->ring.own + offset, value, size);
}

void port_get(struct port *port, size_t offset, void *value, size_t size)
{
    copy(port, value, (const uint8_t *)port->ring.own + offset, size);
}

static void read_peer_note(struct port *port)
{
    copy(port, &port->peer, (const uint8_t *)port->ring.peer + NOTE_OFFSET, sizeof(port->peer));
}

/* Looked at after what is to be excused: who goes back to the truth does so in another generation.
 */
static bool excuses(struct port *port)
{
    if (port->lies) {
        return true;
    }
    if (port->peer_lies) {
        read_peer_note(port);
    }
    return port->peer_lies && (port->broken || port->peer.honest != port->ring.peer_generation);
}

static void complain(struct port *port, const char *what, uint64_t number)
{
    if (port->wrong++ == 0) {
        print("wrong: port %u, %s %llu\n", port->number, what, (unsigned long long)number);
    }
}

static void note_fault(struct port *port)
{
    uint32_t fault = port->ring.fault;

    port->faults[fault]++;
    if (!excuses(port)) {
        complain(port, "an honest peer is accused of fault", fault);
    }
}

/* The pool. */

/* Gives pages `first` to `last` - 1 to the peer. */
static void give(struct port *port, uint64_t first, uint64_t last, bool writable)
{
    for (uint64_t slot = first; slot < last; slot++) {
        uint64_t page = (uint64_t)port->pool.pages + slot * POOL_PAGE;
        int64_t result = hypercall(POSTERN_HC_POOL_GIVE, port->number, slot,
                                   page | (writable ? POSTERN_POOL_WRITE : 0));

        if (result < 0) {
            error("page %llu is not given: %lld", (unsigned long long)slot, (long long)result);
        }
    }
}

static void init_pool(struct port *port, uint32_t device)
{
    port->pool.pages = ram_alloc(POOL_PAGES * POOL_PAGE, POOL_PAGE);
    postern_ring_set_pool(&port->ring, map_physical(nic_bar(device, POSTERN_BAR_POOL), POOL_SIZE),
                          POOL_SIZE);
    give(port, 0, POOL_POSTED, true);
}

/* From page number `first` on, counted since the opening. */
static void post(struct port *port, uint64_t first, uint64_t count)
{
    struct postern_posted posted[POOL_POSTED];
    struct postern_gate_post call = {
        .ring = &port->ring, .buffers = posted, .count = (uint32_t)count};

    for (uint64_t i = 0; i < count; i++) {
        posted[i] = pool_buffer(first + i);
    }
    (void)port_cross(port, POSTERN_GATE_RING_POST, &call);
}

static void repost(struct port *port)
{
    struct pool *pool = &port->pool;

    if (pool->filled != pool->reposted) {
        post(port, pool->reposted, pool->filled - pool->reposted);
        pool->reposted = pool->filled;
    }
}

/* Where the packet is to be written if it is lent, else NULL. */
static void *lend(struct port *port, struct postern_gate_packet *packet)
{
    void *place = pool_lend(&port->pool, &port->ring, packet);

    if (place != NULL && !port->lends) {
        /* Not before the peer knows this opening: what it still has of a life before was lent from
         * pages that are gone. It then finds none, and no wrong ones. */
        port->lends = true;
        give(port, POOL_POSTED, POOL_PAGES, false);
    }
    return place;
}

/* Opening. */

void port_init(struct port *port, uint32_t number, unsigned own, struct account *account)
{
    uint32_t device = PCI_DEVICE(1 + number);
    uint8_t *window;
    int64_t view;

    pci_write(device, 4, 2);
    window = map_physical(nic_bar(device, POSTERN_BAR_WINDOW), 2 * SECTION_SIZE);
    (void)nic_enable_msix(device, RING_VECTOR + 2 * number);
    view = hypercall(POSTERN_HC_VIEW_OPEN, number, POSTERN_ALL_VCPUS, 0);
    gate = (postern_gate_t)align_down((uint64_t)hypercall(POSTERN_HC_GATE, 0, 0, 0), SIZE_4K);
    *port = (struct port){.account = account,
                          .number = number,
                          .view = (uint32_t)view,
                          .channel_in = 1 - own,
                          .channel_out = own,
                          .has_turn = own == 0};
    if (view <= 0 || !postern_ring_init(&port->ring, window, window + SECTION_SIZE, SECTION_SIZE)) {
        error("port %u is of no use", number);
    }
    init_pool(port, device);
}

void port_open(struct port *port)
{
    port->fresh = true;
    (void)port_call(port, POSTERN_GATE_RING_OPEN, 0);
    pool_begin(&port->pool);
    post(port, 0, POOL_POSTED);
}

/* A failed crossing has left the ring half done: opens anew once the peer's section is there. */
static bool mend(struct port *port)
{
    uint64_t errors = port->gate_errors;

    port->broken = false;
    read_peer_note(port);
    if (port->broken) {
        port->gate_errors = errors;
        return false;
    }
    port_open(port);
    return true;
}

void port_sync(struct port *port)
{
    uint32_t before = port->ring.peer_generation;

    /* Before it: a VM that dies behind it would not count the session. */
    port->account->sessions++;
    (void)port_call(port, POSTERN_GATE_RING_SYNC, 0);
    port->fresh = port->fresh || port->ring.peer_generation != before;
}

/* Receiving. */

static void check(struct port *port, const struct packet *packet,
                  const struct postern_ring_meta *meta)
{
    struct account *account = port->account;
    uint64_t taken = account->taken, gap = packet->sequence - TAKEN_NEXT(taken);
    bool right = meta->length >= LENGTH_MIN &&
                 packet_is_right(packet, meta, port->channel_in, port->ring.peer_generation);

    if (right &&
        (gap == 0 || (port->fresh && gap <= account->sessions * RING_HOLDS && !excuses(port)))) {
        account->taken = TAKEN(packet->sequence + 1, TAKEN_LOST(taken) + gap);
        account->sessions = 0;
        port->fresh = false;
        port->has_turn = true;
    } else if (excuses(port)) {
        port->from_liars++;
        account->sessions++; /* what this is in place of is lost, too */
    } else {
        complain(port, right ? "a whole packet, by gap" : "a wrong packet in place of",
                 right ? gap : TAKEN_NEXT(taken));
    }
}

/* A packet that was posted is still there; one that was lent is copied already. */
static void take_from_pool(struct port *port, uint32_t index)
{
    struct postern_ring_meta *meta = &packets[index].meta;

    if ((meta->flags & POSTERN_RECORD_POSTED) != 0) {
        pool_read(&port->pool, &buffers[index], meta->length);
        port->by_pages++;
    } else if ((meta->flags & POSTERN_RECORD_LENT) != 0) {
        port->lent++;
    }
    meta->flags &= (uint16_t)~POSTERN_RECORD_POOL;
}

bool port_receive(struct port *port)
{
    struct postern_gate_batch batch = {.ring = &port->ring, .packets = packets, .count = BATCH};
    int64_t result;

    for (uint32_t i = 0; i < BATCH; i++) {
        pieces[i] = (struct postern_gate_piece){&buffers[i], sizeof(buffers[i])};
        packets[i] = (struct postern_gate_packet){.pieces = &pieces[i], .piece_count = 1};
    }
    result = port_cross(port, POSTERN_GATE_RING_TAKE, &batch);
    if (port->broken) {
        return false; /* they are lost, or come to nobody */
    }
    for (uint32_t i = 0; i < batch.done; i++) {
        take_from_pool(port, i);
        check(port, &buffers[i].packet, &packets[i].meta);
    }
    repost(port);
    if ((result & POSTERN_GATE_SYNC) != 0) {
        port_sync(port);
    }
    return batch.done != 0;
}

/* Sending. */

static uint32_t send_batch(struct port *port, uint32_t count, bool more)
{
    struct account *account = port->account;
    uint64_t sequence = account->sent;
    struct postern_gate_batch batch = {
        .ring = &port->ring, .packets = packets, .count = count, .more = more ? 1 : 0};

    for (uint32_t i = 0; i < count; i++) {
        struct postern_ring_meta meta = packet_meta(port->channel_out, sequence + i);

        uint8_t *bytes;

        pieces[i] = (struct postern_gate_piece){&buffers[i], meta.length};
        packets[i] = (struct postern_gate_packet){meta, &pieces[i], 1};
        bytes = lend(port, &packets[i]);
        packet_write(bytes != NULL ? bytes : buffers[i].bytes, port->channel_out,
                     port->ring.generation, sequence + i, meta.length);
    }
    /* Of a crossing that does not come to its end nobody knows how many it has sent. */
    account->sent = sequence + count;
    (void)port_cross(port, POSTERN_GATE_RING_SEND, &batch);
    pool_sent(&port->pool, &port->ring);
    if (port->broken) {
        return 0;
    }
    account->sent = sequence + batch.done;
    return batch.done;
}

bool port_send(struct port *port, unsigned count, bool more)
{
    unsigned sent = 0;
    uint32_t now, done;

    if (!port->ring.up || port->broken) {
        return false;
    }
    do {
        now = count - sent < BATCH ? count - sent : BATCH;
        done = send_batch(port, now, more);
        sent += done;
    } while (sent < count && done == now);
    port->full = sent < count;
    if (sent != 0) {
        port->has_turn = false;
    }
    return sent != 0;
}

static unsigned wants(const struct port *port)
{
    if (port->ended || (!port->peer_lies && port->peer.ends != 0)) {
        return 0;
    }
    if (port->in_turns && port->account->sent % IN_TURNS_OF < IN_TURNS) {
        return port->has_turn ? 1 : 0;
    }
    return BATCH;
}

void port_publish(struct port *port)
{
    struct postern_gate_batch nothing = {.ring = &port->ring};

    (void)port_cross(port, POSTERN_GATE_RING_SEND, &nothing);
}

/* A round. */

bool port_work(struct port *port)
{
    unsigned count;
    bool busy;

    if (port->broken && !mend(port)) {
        return false;
    }
    read_peer_note(port);
    busy = port_receive(port);
    if (port->published != port->account->taken) {
        port->published = port->account->taken;
        port_put(port, NOTE_OFFSET + offsetof(struct note, taken), &port->published,
                 sizeof(port->published));
    }
    count = wants(port);
    return (count != 0 && port_send(port, count, false)) || busy;
}

static bool has_fault(const struct port *port)
{
    return port->ring.fault != POSTERN_FAULT_NONE;
}

bool port_rests(struct port *port)
{
    if (port->full && wants(port) != 0 && port->ring.up && !has_fault(port) &&
        (port_call(port, POSTERN_GATE_RING_ARM_TX, port->ring.data_size / 2) & POSTERN_GATE_WAIT) ==
            0) {
        return port->broken;
    }
    return (port_call(port, POSTERN_GATE_RING_ARM_RX, 0) & POSTERN_GATE_WAIT) != 0 || port->broken;
}

static void interrupts_on(void)
{
    __asm__ volatile("sti" : : : "memory");
}

static void wait(struct port *ports, unsigned count)
{
    bool rest = true;

    interrupts_off();
    for (unsigned i = 0; i < count; i++) {
        rest = port_rests(&ports[i]) && rest;
    }
    if (rest) {
        wait_for_interrupt();
    }
    interrupts_on();
}

void ports_work(struct port *ports, unsigned count, struct random *dice, bool (*enough)(void))
{
    uint32_t polls = 0;

    interrupts_on();
    while (!enough()) {
        bool busy = false;

        for (unsigned i = 0; i < count; i++) {
            busy = port_work(&ports[i]) || busy;
        }
        /* So that a wait may begin at the moment at which a packet comes. */
        if (busy) {
            polls = random_below(dice, POLLS_MAX);
        } else if (polls > 0) {
            polls--;
        } else {
            wait(ports, count);
        }
    }
}
