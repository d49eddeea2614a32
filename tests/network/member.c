/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/network/network.h"

#define PCI_COMMAND 0x04u
#define PCI_MEMORY  2u
#define MTU         1500u

uint64_t nic_mac(uint32_t network, uint32_t member)
{
    return 0x014f5002u | (uint64_t)network << 32 | (uint64_t)(member + 1) << 40;
}

/* PCI functions come in the order of the networks. */
static uint32_t find_port(uint32_t network)
{
    for (uint32_t i = 0; i < 32; i++) {
        if (pci_read(PCI_DEVICE(i), 0) == (POSTERN_PCI_MEMBER << 16 | POSTERN_PCI_VENDOR) &&
            network-- == 0) {
            return PCI_DEVICE(i);
        }
    }
    error("this VM is in no such network");
}

static void ring_doorbell(const struct member *member, uint32_t lane)
{
    (void)hypercall(POSTERN_HC_DOORBELL, member->port, lane, 0);
}

void member_find(struct member *member, uint32_t network)
{
    uint32_t address = find_port(network);

    memset(member, 0, sizeof(*member));
    member->address = address;
    pci_write(address, PCI_COMMAND, pci_read(address, PCI_COMMAND) | PCI_MEMORY);
    member->registers =
        map_physical(nic_bar(address, POSTERN_BAR_REGISTERS), POSTERN_BAR_REGISTERS_SIZE);
    member->fdb = map_physical(nic_bar(address, POSTERN_BAR_FDB), POSTERN_FDB_SIZE);
    member->window = map_physical(nic_bar(address, POSTERN_BAR_WINDOW), 2 * SECTION_SIZE);
    member->port = member->registers[POSTERN_REG_PORT / 4];
    member->self = member->registers[POSTERN_REG_END / 4];
    member->lanes = member->registers[POSTERN_REG_LANES / 4];
    member->switch_lane = member->registers[POSTERN_REG_SWITCH / 4];
    member->mac = (uint64_t)member->registers[POSTERN_REG_MAC_HIGH / 4] << 32 |
                  member->registers[POSTERN_REG_MAC_LOW / 4];
    if (!postern_fdb_init(&member->reader, member->fdb, member->self, member->lanes)) {
        error("no member of a network");
    }
    for (uint32_t lane = 0; lane < LANES; lane++) {
        uint8_t *own = member->window + lane * SLICE;
        if (!postern_ring_init(&member->rings[lane], own, own + SECTION_SIZE, SLICE)) {
            error("no size of a lane");
        }
    }
}

void member_open(struct member *member, uint32_t network)
{
    member_find(member, network);
    for (uint32_t lane = 0; lane < LANES; lane++) {
        if ((member->lanes >> lane & 1) != 0) {
            postern_ring_open(&member->rings[lane], MTU, (uint32_t)rdtsc());
            (void)postern_ring_sync(&member->rings[lane]);
            ring_doorbell(member, lane);
        }
    }
}

static void sync(struct member *member, uint32_t lane)
{
    struct postern_ring *ring = &member->rings[lane];

    if (postern_ring_sync_needed(ring) && postern_ring_sync(ring)) {
        ring_doorbell(member, lane);
    }
}

bool member_send_on(struct member *member, uint32_t lane, const uint8_t *frame, uint32_t length)
{
    const struct postern_ring_meta meta = {.length = length};
    struct postern_ring *ring = &member->rings[lane];

    sync(member, lane);
    void *to = postern_ring_reserve(ring, &meta);
    if (to == NULL) {
        return false;
    }
    memcpy(to, frame, length);
    postern_ring_commit(ring);
    if (postern_ring_publish(ring)) {
        ring_doorbell(member, lane);
    }
    return true;
}

int member_send(struct member *member, const uint8_t *frame, uint32_t length)
{
    struct postern_fdb_frame parsed;

    if (!postern_fdb_parse(frame, length, &parsed)) {
        error("no frame");
    }
    int answer = postern_fdb_lookup(&member->reader, &parsed);
    if (answer != POSTERN_FDB_DROP) {
        uint32_t lane = answer == POSTERN_FDB_SWITCH ? member->switch_lane : (uint32_t)answer;
        (void)member_send_on(member, lane, frame, length);
    }
    return answer;
}

static uint32_t take_from(struct member *member, uint32_t lane, uint8_t *frame)
{
    struct postern_ring *ring = &member->rings[lane];
    struct postern_ring_meta meta;

    sync(member, lane);
    const void *payload = postern_ring_peek(ring, &meta);
    if (payload == NULL) {
        return 0;
    }
    if (meta.length <= FRAME_MAX) {
        memcpy(frame, payload, meta.length);
    }
    postern_ring_consume(ring);
    if (postern_ring_release(ring)) {
        ring_doorbell(member, lane);
    }
    return meta.length <= FRAME_MAX ? meta.length : 0;
}

uint32_t member_take(struct member *member, uint8_t *frame, uint32_t *lane)
{
    for (*lane = 0; *lane < LANES; ++*lane) {
        uint32_t length = (member->lanes >> *lane & 1) != 0 ? take_from(member, *lane, frame) : 0;
        if (length != 0) {
            return length;
        }
    }
    return 0;
}
