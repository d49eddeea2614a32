/* SPDX-License-Identifier: BSD-2-Clause */
/* The peers' part: with the word "member" on its command line the guest is in all networks, answers
 * what it gets, and obeys. In the network that it owns it is the switch, too. */
#include "net/switch.h"
#include "tests/network/network.h"

#define BROKEN_HEAD 0x123456789ull

static struct member members[NETWORKS];
static struct switch_state owned;

static void speak(struct member *member, uint64_t mac)
{
    uint8_t frame[FRAME];

    ether_frame(frame, FRAME, ETHER_BROADCAST, mac, ETHER_NO_TAG, TYPE_REPORT);
    (void)member_send(member, frame, FRAME);
}

static void flood(struct member *member, uint32_t count)
{
    uint8_t frame[FRAME];

    ether_frame(frame, FRAME, ETHER_BROADCAST, member->mac, ETHER_NO_TAG, TYPE_REPORT);
    for (uint32_t i = 0; i < count; i++) {
        (void)member_send_on(member, member->switch_lane, frame, FRAME);
    }
}

static void break_lane(struct member *member)
{
    struct postern_ring *ring = &member->rings[member->switch_lane];

    POSTERN_STORE_RELEASE(&ring->own->head, BROKEN_HEAD * 16);
    for (unsigned i = 0; i < 100; i++) {
        (void)hypercall(POSTERN_HC_DOORBELL, member->port, member->switch_lane, 0);
    }
    postern_ring_open(ring, 0, (uint32_t)rdtsc());
    (void)hypercall(POSTERN_HC_DOORBELL, member->port, member->switch_lane, 0);
}

static void obey(struct member *member, const struct order *order)
{
    switch (order->command) {
    case COMMAND_SPEAK:
        speak(member, ether_mac(order->number));
        break;
    case COMMAND_DIE:
        /* No IDT: the first exception is a triple fault. */
        __asm__ volatile("push $0\n push $0\n lidt (%%rsp)\n ud2" : : : "memory");
        break;
    case COMMAND_FLOOD:
        flood(member, order->number);
        break;
    default:
        break_lane(member);
        break;
    }
}

static void answer(struct member *member, const uint8_t *frame, uint32_t length, uint32_t lane)
{
    struct report report = {.member = member->self, .lane = lane};
    uint8_t reply[POSTERN_ETHERNET_HEADER + POSTERN_VLAN_TAG + sizeof(report)];
    struct postern_fdb_frame parsed;

    if (!postern_fdb_parse(frame, length, &parsed) || parsed.ethertype == TYPE_REPORT) {
        return;
    }
    if (lane != member->switch_lane && !postern_fdb_accepts(&member->reader, lane, &parsed)) {
        return;
    }
    if (parsed.ethertype == TYPE_COMMAND) {
        struct order order;
        memcpy(&order, frame + POSTERN_ETHERNET_HEADER, sizeof(order));
        if (parsed.destination == member->mac) {
            obey(member, &order);
        }
        return;
    }
    memcpy(report.bytes, frame, length < REPORTED ? length : REPORTED);
    /* In the same VLAN. */
    size_t header = POSTERN_ETHERNET_HEADER + (parsed.tagged ? POSTERN_VLAN_TAG : 0);
    ether_frame(reply, sizeof(reply), parsed.source, member->mac,
                parsed.tagged ? parsed.vlan : ETHER_NO_TAG, TYPE_REPORT);
    memcpy(reply + header, &report, sizeof(report));
    (void)member_send(member, reply, (uint32_t)(header + sizeof(report)));
}

/* The switch in the member's own network: frames for others go on to them. Whether the frame is for
 * the member itself. */
static bool forward(struct member *member, const uint8_t *frame, uint32_t length, uint32_t lane)
{
    struct switch_output output;
    uint64_t now = rdtsc() / tsc_per_ms() * 1000000;

    if (!switch_forward(&owned, lane, frame, length, now, &output)) {
        return false;
    }
    for (uint32_t to = 0; to < MEMBERS; to++) {
        if (to != member->self && (output.ports >> to & 1) != 0) {
            (void)member_send_on(member, to, frame, length);
        }
    }
    return (output.ports >> member->self & 1) != 0;
}

/* Another member may have sent to this one directly, or for the switch: the database knows. */
static bool is_for_switch(const struct member *member, const uint8_t *frame, uint32_t length,
                          uint32_t lane)
{
    struct postern_fdb_frame parsed;

    return postern_fdb_parse(frame, length, &parsed) &&
           (parsed.destination != member->mac ||
            fdb_find(&owned.fdb, parsed.source, 0) != (int)lane);
}

static void begin_to_switch(const struct member *member)
{
    switch_init(&owned, member->fdb, MEMBERS);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        switch_set_up(&owned, i, true);
    }
    if (switch_fix(&owned, member->self, member->mac, 0) != STATUS_OK) {
        error("no room in an empty database");
    }
}

void guest_role(void)
{
    static uint8_t frame[FRAME_MAX];
    uint32_t lane;

    if (!has_word("member")) {
        return;
    }
    for (uint32_t i = 0; i < NETWORKS; i++) {
        member_open(&members[i], i);
    }
    if (members[OWNED].switch_lane == members[OWNED].self) {
        begin_to_switch(&members[OWNED]);
    }
    for (uint32_t i = 0;; i = (i + 1) % NETWORKS) {
        struct member *member = &members[i];
        uint32_t length = member_take(member, frame, &lane);
        if (length == 0) {
            cpu_pause();
        } else if (member->switch_lane != member->self || i != OWNED ||
                   !is_for_switch(member, frame, length, lane) ||
                   forward(member, frame, length, lane)) {
            answer(member, frame, length, lane);
        }
    }
}
