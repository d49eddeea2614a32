/* SPDX-License-Identifier: BSD-2-Clause */
/* Claims on networks: the direct way, the switch, and what each network's rules make of frames. The
 * claims are made by member SELF; the peers are peer.c's. */
#include "abi/gate_ring.h"
#include "abi/guest.h"
#include "tests/network/network.h"

#define ANSWER_MS  3000u
#define SILENCE_MS 300u
#define LIFE_MS    30000u
#define STATION    77u /* moves from member to member */
#define VECTOR     0x60u
#define BATCH      32u

static struct member member;

static void send(uint64_t to, uint16_t type, int *answer)
{
    uint8_t frame[FRAME];

    ether_frame(frame, FRAME, to, member.mac, ETHER_NO_TAG, type);
    *answer = member_send(&member, frame, FRAME);
}

static void command_frame(uint8_t *frame, uint64_t to, uint64_t from, enum command what,
                          uint32_t number)
{
    const struct order order = {what, number};

    ether_frame(frame, FRAME, to, from, ETHER_NO_TAG, TYPE_COMMAND);
    memcpy(frame + POSTERN_ETHERNET_HEADER, &order, sizeof(order));
}

static void command(uint32_t network, uint32_t to, enum command what, uint32_t number)
{
    uint8_t frame[FRAME];

    command_frame(frame, nic_mac(network, to), member.mac, what, number);
    (void)member_send(&member, frame, FRAME);
}

static void report_of(const uint8_t *frame, struct report *report)
{
    memcpy(report, frame + POSTERN_ETHERNET_HEADER, sizeof(*report));
}

/* Waits for a report of a frame of `type` by `from`, and whose frame it is; on which lane it came,
 * or NO_LANE. */
static uint32_t await(uint32_t from, uint16_t type, struct report *report, uint64_t ms)
{
    static uint8_t frame[FRAME_MAX];
    uint64_t end = rdtsc() + ms * tsc_per_ms();
    uint32_t lane;

    while (rdtsc() < end) {
        struct postern_fdb_frame parsed;
        uint32_t length = member_take(&member, frame, &lane);
        if (length < POSTERN_ETHERNET_HEADER + sizeof(*report)) {
            cpu_pause();
            continue;
        }
        report_of(frame, report);
        if (report->member == from && postern_fdb_parse(report->bytes, REPORTED, &parsed) &&
            parsed.source == member.mac && parsed.ethertype == type) {
            return lane;
        }
    }
    return NO_LANE;
}

/* Opens the network, and sends until `to` answers: it may have begun just now. */
static void meet(uint32_t network, uint32_t to)
{
    struct report report;
    int answer;

    for (unsigned i = 0; i < LIFE_MS / SILENCE_MS; i++) {
        send(nic_mac(network, to), ETHER_IPV4, &answer);
        if (await(to, ETHER_IPV4, &report, SILENCE_MS) != NO_LANE) {
            return;
        }
    }
    fail("member %u does not answer", to);
}

static void open_network(uint32_t network)
{
    member_open(&member, network);
    meet(network, BETA);
    meet(network, GAMMA);
}

static int lookup(uint64_t to, uint16_t type)
{
    const struct postern_fdb_frame frame = {
        .destination = to, .source = member.mac, .ethertype = type};

    return postern_fdb_lookup(&member.reader, &frame);
}

/* Sends to a member whose answer is wanted. */
static void exchange(uint32_t network, uint32_t to, uint16_t type, struct report *report)
{
    int answer;

    send(nic_mac(network, to), type, &answer);
    if (await(to, type, report, ANSWER_MS) == NO_LANE) {
        fail("no answer from member %u", to);
    }
}

CLAIM(network_registers,
      "a member's registers say which lanes there are, and which is the switch's")
{
    static const struct {
        uint32_t lanes, to_switch;
    } expected[NETWORKS] = {[LAN] = {0x7, SELF},
                            [VLANS] = {0x7, SELF},
                            [GUARDED] = {0x1, SELF},
                            [OWNED] = {0x6, BETA},
                            [FIXED] = {0x7, SELF}};

    for (uint32_t i = 0; i < NETWORKS; i++) {
        member_open(&member, i);
        CHECK_EQUAL(member.registers[POSTERN_REG_MAGIC / 4], POSTERN_NIC_MAGIC);
        CHECK_EQUAL(member.registers[POSTERN_REG_QUEUES / 4], LANES);
        CHECK_EQUAL(member.registers[POSTERN_REG_SECTION_SIZE / 4], SECTION_SIZE);
        CHECK_EQUAL(member.self, SELF);
        CHECK_EQUAL(member.lanes, expected[i].lanes);
        CHECK_EQUAL(member.switch_lane, expected[i].to_switch);
        CHECK_EQUAL(member.mac, nic_mac(i, SELF));
    }
}

static void write_byte(void *argument)
{
    *(volatile uint8_t *)argument = 1;
}

static void read_byte(void *argument)
{
    (void)*(volatile uint8_t *)argument;
}

CLAIM(network_memory,
      "the database and others' slices are read-only; slices of no lane are nothing")
{
    member_open(&member, LAN);
    CHECK_TRAP(trap_of(read_byte, member.fdb), TRAP_NONE, 0);
    CHECK_TRAP(trap_of(write_byte, member.fdb), EXCEPTION_GP, 0);
    for (uint32_t lane = 0; lane < MEMBERS; lane++) {
        uint8_t *other = member.window + SECTION_SIZE + lane * SLICE;
        CHECK_TRAP(trap_of(read_byte, other), TRAP_NONE, 0);
        CHECK_TRAP(trap_of(write_byte, other), EXCEPTION_GP, 0);
    }
    CHECK_TRAP(trap_of(read_byte, member.window + SECTION_SIZE + MEMBERS * SLICE), EXCEPTION_GP, 0);
    member_open(&member, GUARDED);
    CHECK_TRAP(trap_of(read_byte, member.window + SECTION_SIZE + BETA * SLICE), EXCEPTION_GP, 0);
    CHECK_EQUAL(hypercall(POSTERN_HC_DOORBELL, member.port, BETA, 0), POSTERN_ERR_PEER_DOWN);
    CHECK_EQUAL(hypercall(POSTERN_HC_DOORBELL, member.port, LANES, 0), POSTERN_ERR_ARGUMENT);
    CHECK_EQUAL(hypercall(POSTERN_HC_WINDOW_GRANT, member.port, 0, 0), POSTERN_ERR_MODE);
}

static void move_bar(uint32_t address, unsigned bar, uint64_t to)
{
    pci_write(address, 0x10 + 4 * bar, (uint32_t)to);
    pci_write(address, 0x14 + 4 * bar, (uint32_t)(to >> 32));
}

CLAIM(network_bars, "a BAR that is moved onto another shows nothing there, until it is moved away")
{
    static const unsigned bars[] = {POSTERN_BAR_FDB, POSTERN_BAR_WINDOW};
    struct member other;

    member_find(&other, VLANS);
    member_find(&member, LAN);
    volatile uint32_t *mark = (volatile uint32_t *)(other.window + POSTERN_SECTION_MIN / 4);
    *mark = 0x6d61726b;
    for (unsigned i = 0; i < 4; i++) {
        unsigned bar = bars[i % 2];
        uint64_t home = nic_bar(member.address, bar);
        move_bar(member.address, bar, nic_bar(other.address, bars[i / 2]));
        CHECK_EQUAL(*mark, 0x6d61726b);
        CHECK_EQUAL(POSTERN_LOAD(&other.fdb->flags), POSTERN_FDB_TAGS);
        CHECK_TRAP(trap_of(read_byte, bar == POSTERN_BAR_FDB ? (void *)member.fdb : member.window),
                   TRAP_NONE, 0); /* where nobody answers now: all ones */
        move_bar(member.address, bar, home);
        CHECK_EQUAL(POSTERN_LOAD(&member.fdb->magic), POSTERN_FDB_MAGIC);
        CHECK_EQUAL(POSTERN_LOAD(&member.fdb->flags), 0);
    }
    member_open(&member, LAN);
    meet(LAN, BETA);
}

static int64_t gate_ring(uint32_t view, uint32_t function, uint32_t lane)
{
    struct postern_gate_ring arguments = {.ring = &member.rings[lane], .mtu = 1500, .seed = 1};
    uint32_t pages;

    return postern_cross(postern_gate_home(&pages), view, function, &arguments);
}

CLAIM(network_gated,
      "in mode gated the lanes are in the port's view, the database is in all memory")
{
    uint8_t frame[FRAME];
    struct postern_gate_piece piece = {frame, FRAME};
    struct postern_gate_packet packet = {{.length = FRAME}, &piece, 1};
    struct postern_gate_batch batch = {.ring = &member.rings[SELF], .packets = &packet, .count = 1};
    uint64_t tail = 0;
    uint32_t pages;

    member_find(&member, SEALED);
    CHECK_TRAP(trap_of(read_byte, member.fdb), TRAP_NONE, 0);
    CHECK_TRAP(trap_of(read_byte, member.window), EXCEPTION_GP, 0);
    int64_t view = postern_view_open(member.port);
    CHECK(view > 0);
    CHECK_EQUAL(gate_ring((uint32_t)view, POSTERN_GATE_RING_OPEN, SELF), POSTERN_GATE_DOORBELL);
    for (unsigned i = 0; i < 2; i++) {
        (void)gate_ring((uint32_t)view, POSTERN_GATE_RING_SYNC, SELF);
        CHECK_EQUAL(hypercall(POSTERN_HC_DOORBELL, member.port, SELF, 0), 0);
    }
    CHECK(member.rings[SELF].up);
    ether_frame(frame, FRAME, ETHER_BROADCAST, member.mac, ETHER_NO_TAG, ETHER_IPV4);
    CHECK_EQUAL(
        postern_cross(postern_gate_home(&pages), (uint32_t)view, POSTERN_GATE_RING_SEND, &batch),
        POSTERN_GATE_DOORBELL);
    CHECK_EQUAL(hypercall(POSTERN_HC_DOORBELL, member.port, SELF, 0), 0);
    /* The switch has taken it: it is in its tail, and the address in the database. */
    CHECK_EQUAL(postern_gate_load(postern_gate_home(&pages), (uint32_t)view,
                                  (uint64_t)(&member.rings[SELF].peer->tail), &tail),
                0);
    CHECK_EQUAL(tail, member.rings[SELF].published_head);
    CHECK_EQUAL(postern_fdb_find(member.fdb, member.mac), SELF);
}

CLAIM(network_direct,
      "once two members know each other, frames pass on their lane, without an exit")
{
    struct report report;
    int answer;

    open_network(LAN);
    exchange(LAN, BETA, ETHER_IPV4, &report);
    CHECK_EQUAL(lookup(nic_mac(LAN, BETA), ETHER_IPV4), BETA);
    exchange(LAN, BETA, ETHER_IPV4, &report);
    CHECK_EQUAL(report.lane, SELF);
    int64_t before = hypercall(POSTERN_HC_EXITS, 0, 0, 0);
    for (unsigned i = 0; i < BATCH; i++) {
        send(nic_mac(LAN, BETA), ETHER_IPV4, &answer);
        CHECK_EQUAL(answer, BETA);
    }
    int64_t exits = hypercall(POSTERN_HC_EXITS, 0, 0, 0) - before;
    /* The counting itself is one; a slice's end and what follows it may fall in between. */
    CHECK(exits <= 1 + 4);
    for (unsigned i = 0; i < BATCH; i++) {
        CHECK_EQUAL(await(BETA, ETHER_IPV4, &report, ANSWER_MS), BETA);
        CHECK_EQUAL(report.lane, SELF);
    }
}

CLAIM(network_broadcast, "a broadcast goes by the switch, to all others and not back")
{
    struct report report;
    int answer;

    open_network(LAN);
    send(ETHER_BROADCAST, ETHER_IPV4, &answer);
    CHECK_EQUAL(answer, POSTERN_FDB_SWITCH);
    CHECK(await(BETA, ETHER_IPV4, &report, ANSWER_MS) != NO_LANE);
    CHECK_EQUAL(report.lane, BETA); /* the lane of its own number is the switch's */
    send(ETHER_BROADCAST, ETHER_IPV4, &answer);
    CHECK(await(GAMMA, ETHER_IPV4, &report, ANSWER_MS) != NO_LANE);
    CHECK_EQUAL(report.lane, GAMMA);
}

CLAIM(network_interrupt, "what comes by the switch interrupts a member that waits")
{
    int answer;

    open_network(LAN);
    (void)nic_enable_msix(member.address, VECTOR);
    for (uint32_t lane = 0; lane < MEMBERS; lane++) {
        while (!postern_ring_arm_rx(&member.rings[lane])) {
            uint8_t frame[FRAME_MAX];
            uint32_t from;
            (void)member_take(&member, frame, &from);
        }
    }
    /* Reports of a broadcast go back by the direct lanes, what a station says by the switch. */
    command(LAN, BETA, COMMAND_SPEAK, STATION + 1);
    CHECK(wait_for_vector(VECTOR + SELF, 1, ANSWER_MS));
    send(ETHER_BROADCAST, ETHER_IPV4, &answer);
    CHECK(wait_for_vector(VECTOR + BETA, 1, ANSWER_MS));
    CHECK(wait_for_vector(VECTOR + GAMMA, 1, ANSWER_MS));
}

/* Until the database has it so. */
static bool becomes(uint64_t to, int answer)
{
    uint64_t end = rdtsc() + ANSWER_MS * tsc_per_ms();

    while (lookup(to, ETHER_IPV4) != answer) {
        if (rdtsc() > end) {
            return false;
        }
        cpu_pause();
    }
    return true;
}

CLAIM(network_move, "an address that moves to another member is found there, without an exit")
{
    open_network(LAN);
    command(LAN, BETA, COMMAND_SPEAK, STATION);
    CHECK(becomes(ether_mac(STATION), BETA));
    uint64_t generation = member.fdb->generation;
    command(LAN, GAMMA, COMMAND_SPEAK, STATION);
    CHECK(becomes(ether_mac(STATION), GAMMA));
    CHECK(member.fdb->generation != generation);
}

CLAIM(network_drop, "a rule drops its frames on the direct way and at the switch, and no others")
{
    struct report report;
    uint8_t frame[FRAME];
    int answer;

    open_network(LAN);
    send(nic_mac(LAN, BETA), ETHER_IPV6, &answer);
    CHECK_EQUAL(answer, POSTERN_FDB_DROP);
    ether_frame(frame, FRAME, nic_mac(LAN, BETA), member.mac, ETHER_NO_TAG, ETHER_IPV6);
    CHECK(member_send_on(&member, member.switch_lane, frame, FRAME));
    CHECK(member_send_on(&member, BETA, frame, FRAME)); /* beta does not accept it */
    CHECK_EQUAL(await(BETA, ETHER_IPV6, &report, SILENCE_MS), NO_LANE);
    exchange(LAN, GAMMA, ETHER_IPV6, &report);
    exchange(LAN, BETA, ETHER_IPV4, &report);
}

/* Broadcasts of member `from` that come within `ms`. */
static unsigned floods_from(uint32_t network, uint32_t from, uint64_t ms)
{
    static uint8_t frame[FRAME_MAX];
    uint64_t end = rdtsc() + ms * tsc_per_ms();
    unsigned floods = 0;
    uint32_t lane;

    while (rdtsc() < end) {
        struct postern_fdb_frame parsed;
        uint32_t length = member_take(&member, frame, &lane);
        if (length != 0 && postern_fdb_parse(frame, length, &parsed) &&
            parsed.source == nic_mac(network, from) && parsed.destination == ETHER_BROADCAST) {
            floods++;
        }
    }
    return floods;
}

CLAIM(network_fixed, "with fixed addresses a frame from another's reaches nobody, on no lane")
{
    uint8_t frame[FRAME];

    open_network(FIXED);
    command_frame(frame, nic_mac(FIXED, BETA), nic_mac(FIXED, GAMMA), COMMAND_FLOOD, 1);
    CHECK(member_send_on(&member, BETA, frame, FRAME)); /* beta does not accept it */
    CHECK(member_send_on(&member, member.switch_lane, frame, FRAME));
    CHECK_EQUAL(floods_from(FIXED, BETA, SILENCE_MS), 0);
    command(FIXED, BETA, COMMAND_FLOOD, 1);
    CHECK_EQUAL(floods_from(FIXED, BETA, SILENCE_MS), 1);
}

CLAIM(network_vlan, "members of one VLAN meet, directly where neither needs a tag")
{
    static const uint8_t tag[] = {0x81, 0x00, 0x00, 0x0a};
    struct report report;
    int answer;

    open_network(VLANS);
    exchange(VLANS, BETA, ETHER_IPV4, &report);
    exchange(VLANS, BETA, ETHER_IPV4, &report);
    CHECK_EQUAL(report.lane, SELF);
    /* Gamma has the VLAN with tags. The switch puts the tag on, and takes it off the answer. */
    send(nic_mac(VLANS, GAMMA), ETHER_IPV4, &answer);
    CHECK_EQUAL(answer, POSTERN_FDB_SWITCH);
    CHECK_EQUAL(await(GAMMA, ETHER_IPV4, &report, ANSWER_MS), SELF);
    CHECK_EQUAL(report.lane, GAMMA);
    CHECK(memcmp(report.bytes + 12, tag, sizeof(tag)) == 0);
}

CLAIM(network_mirror, "what a mirrored member gets is shown to its mirror")
{
    struct report report;
    int answer;

    open_network(GUARDED);
    /* The limit's time, and answers to what open_network() has sent again meanwhile. */
    while (await(GAMMA, ETHER_IPV4, &report, SILENCE_MS) != NO_LANE) {
    }
    send(nic_mac(GUARDED, BETA), ETHER_IPV4, &answer);
    CHECK_EQUAL(answer, POSTERN_FDB_SWITCH);
    CHECK_EQUAL(await(GAMMA, ETHER_IPV4, &report, ANSWER_MS), SELF);
    CHECK_EQUAL(report.lane, GAMMA);
    CHECK_EQUAL(postern_fdb_mac(report.bytes), nic_mac(GUARDED, BETA));
}

CLAIM(network_limit, "a limited member sends no more than it may")
{
    static uint8_t frame[1000];
    struct report report;
    unsigned answers = 0;

    open_network(GUARDED);
    delay(2 * SILENCE_MS);
    ether_frame(frame, sizeof(frame), nic_mac(GUARDED, BETA), member.mac, ETHER_NO_TAG, ETHER_IPV4);
    uint64_t begin = rdtsc();
    for (unsigned i = 0; i < 200; i++) {
        (void)member_send_on(&member, member.switch_lane, frame, sizeof(frame));
    }
    while (await(BETA, ETHER_IPV4, &report, SILENCE_MS) != NO_LANE) {
        answers++;
    }
    /* 20 KiB in a second, 2 KiB at once and the frame that exceeds them. */
    uint64_t ms = (rdtsc() - begin) / tsc_per_ms();
    CHECK(answers >= 3);
    CHECK(answers <= 5 + ms * 20480 / 1000 / sizeof(frame));
}

CLAIM(network_flood, "a member that floods the switch takes no more of others than its limit")
{
    struct report report;

    open_network(LAN);
    command(LAN, BETA, COMMAND_FLOOD, 5000);
    uint64_t begin = rdtsc();
    unsigned floods = floods_from(LAN, BETA, ANSWER_MS);
    uint64_t ms = (rdtsc() - begin) / tsc_per_ms();
    CHECK(floods > 0);
    CHECK(floods <= 102 + ms);
    exchange(LAN, GAMMA, ETHER_IPV4, &report);
    exchange(LAN, BETA, ETHER_IPV4, &report);
}

CLAIM(network_broken, "a member whose lane to the switch is garbage is alone in it")
{
    struct report report;
    int answer;

    open_network(LAN);
    command(LAN, BETA, COMMAND_BREAK, 0);
    send(ETHER_BROADCAST, ETHER_IPV4, &answer);
    CHECK(await(GAMMA, ETHER_IPV4, &report, ANSWER_MS) != NO_LANE);
    meet(LAN, BETA);
    send(ETHER_BROADCAST, ETHER_IPV4, &answer);
    CHECK(await(BETA, ETHER_IPV4, &report, ANSWER_MS) != NO_LANE);
}

CLAIM(network_death, "a member that dies is forgotten, its lane closes, and it is welcome back")
{
    struct report report;

    open_network(LAN);
    (void)nic_enable_msix(member.address, VECTOR);
    CHECK_EQUAL(lookup(nic_mac(LAN, GAMMA), ETHER_IPV4), GAMMA);
    command(LAN, GAMMA, COMMAND_DIE, 0);
    CHECK(wait_for_vector(VECTOR + POSTERN_VECTOR_LINK(LANES), 2, LIFE_MS));
    exchange(LAN, BETA, ETHER_IPV4, &report);
    meet(LAN, GAMMA);
    exchange(LAN, GAMMA, ETHER_IPV4, &report);
    CHECK(becomes(nic_mac(LAN, GAMMA), GAMMA));
}

CLAIM(network_own_switch, "a member may be the switch: it fills the database, the others go by it")
{
    struct report report;
    int answer;

    open_network(OWNED);
    CHECK_TRAP(trap_of(write_byte, member.fdb), EXCEPTION_GP, 0);
    exchange(OWNED, GAMMA, ETHER_IPV4, &report);
    CHECK(becomes(nic_mac(OWNED, GAMMA), GAMMA));
    exchange(OWNED, GAMMA, ETHER_IPV4, &report);
    CHECK_EQUAL(report.lane, SELF);
    send(ETHER_BROADCAST, ETHER_IPV4, &answer);
    CHECK_EQUAL(answer, POSTERN_FDB_SWITCH);
    CHECK(await(GAMMA, ETHER_IPV4, &report, ANSWER_MS) != NO_LANE);
    CHECK_EQUAL(report.lane, BETA);
}
