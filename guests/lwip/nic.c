/* SPDX-License-Identifier: BSD-2-Clause */
#include "guests/lwip/nic.h"

#include <lwip/etharp.h>
#include <lwip/priv/tcp_priv.h>
#include <string.h>

#include "guests/lwip/console.h"
#include "guests/lwip/interrupts.h"
#include "guests/lwip/offload.h"
#include "guests/lwip/paging.h"

#define BATCH      16u
#define PIECES_MAX 64u
/* lwIP makes these; those of TCP and UDP are left to the record's flags. */
#define CHECKSUMS                                                                \
    (NETIF_CHECKSUM_GEN_IP | NETIF_CHECKSUM_GEN_ICMP | NETIF_CHECKSUM_CHECK_IP | \
     NETIF_CHECKSUM_CHECK_ICMP)
#define CHECKSUMS_TRANSPORT (NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP)

/* The lane that a frame takes; NULL: the network's rules drop it. */
static struct lane *choose(struct nic *nic, const uint8_t *frame, uint32_t length)
{
    struct postern_fdb_frame parsed;
    int answer;

    if (!device_is_member(&nic->device)) {
        return &nic->lanes[0];
    }
    answer = postern_fdb_parse(frame, length, &parsed) ? postern_fdb_lookup(&nic->reader, &parsed)
                                                       : POSTERN_FDB_DROP;
    if (answer == POSTERN_FDB_DROP) {
        return NULL;
    }
    return answer >= 0 && nic->by_queue[answer]->up ? nic->by_queue[answer]
                                                    : nic->by_queue[nic->device.to_switch];
}

/* Would the network's switch have let the frame pass that came on this lane? */
static bool accepts(const struct nic *nic, const struct lane *lane, const struct pbuf *p)
{
    struct postern_fdb_frame parsed;

    if (!device_is_member(&nic->device) || lane->port.queue == nic->device.to_switch) {
        return true;
    }
    return postern_fdb_parse(p->payload, p->len, &parsed) &&
           postern_fdb_accepts(&nic->reader, lane->port.queue, &parsed);
}

/* Sending. */

/* lwIP's `linkoutput`. A packet without room goes back to lwIP: TCP keeps its segments, and
 * nic_poll() has it try again. */
static err_t transmit(struct netif *netif, struct pbuf *p)
{
    struct nic *nic = netif->state;
    struct postern_gate_piece pieces[PIECES_MAX];
    struct postern_gate_packet packet = {.pieces = pieces};
    struct lane *lane = choose(nic, p->payload, p->len);
    bool sent;

    if (lane == NULL) {
        /* Gone, as if the switch had dropped it. */
        nic->counters.tx_filtered++;
        return ERR_OK;
    }
    for (const struct pbuf *q = p; q != NULL && packet.piece_count < PIECES_MAX; q = q->next) {
        pieces[packet.piece_count++] = (struct postern_gate_piece){q->payload, q->len};
    }
    if (!offload_describe(p->payload, p->len, p->tot_len, &packet.meta) ||
        pbuf_clen(p) > PIECES_MAX || p->tot_len > lane->port.ring.max_payload) {
        nic->counters.tx_dropped++;
        return ERR_ARG;
    }
    lane_ring(lane, port_send(&lane->port, &packet, &sent));
    if (!sent) {
        if (!port_works(&lane->port)) {
            nic->counters.tx_dropped++;
            return ERR_IF;
        }
        nic->counters.tx_full++;
        lane->out_of_room = true;
        return ERR_MEM;
    }
    lane->unflushed = true;
    lane->tx_packets++;
    nic->counters.tx_packets++;
    nic->counters.tx_bytes += p->tot_len;
    return ERR_OK;
}

/* Receiving. */

/* Memory for a packet, all of it in a row; NULL if it is not to be had. */
static struct pbuf *expect(struct nic *nic, struct postern_gate_packet *packet,
                           struct postern_gate_piece *piece)
{
    uint32_t length = packet->meta.length;
    struct pbuf *p = NULL;

    if (length >= SIZEOF_ETH_HDR && length <= UINT16_MAX) {
        p = pbuf_alloc(PBUF_RAW, (u16_t)length, PBUF_RAM);
    }
    if (p == NULL) {
        nic->counters.rx_dropped++;
    }
    *piece = (struct postern_gate_piece){p != NULL ? p->payload : NULL, p != NULL ? length : 0};
    packet->pieces = piece;
    packet->piece_count = 1;
    return p;
}

/*
 * Gives a packet to lwIP. One with GSO is a TCP segment longer than the wire has them: to lwIP it
 * is a segment like any other, so it need not be cut. lwIP has no checksum state for each packet,
 * but one for the interface, and looks at it before input() returns.
 */
static void deliver(struct nic *nic, struct lane *lane, struct pbuf *p,
                    const struct postern_ring_meta *meta)
{
    bool trusted = offload_trusts(meta);

    if (!accepts(nic, lane, p)) {
        nic->counters.rx_filtered++;
        pbuf_free(p);
        return;
    }
    lane->rx_packets++;
    nic->counters.rx_packets++;
    nic->counters.rx_bytes += meta->length;
    nic->counters.rx_large += meta->gso_type != POSTERN_GSO_NONE ? 1 : 0;
    nic->counters.rx_unchecked += trusted ? 1 : 0;
    NETIF_SET_CHECKSUM_CTRL(&nic->netif, (u16_t)(CHECKSUMS | (trusted ? 0 : CHECKSUMS_TRANSPORT)));
    if (nic->netif.input(p, &nic->netif) != ERR_OK) {
        pbuf_free(p);
    }
}

/* Takes the packets that a look has found. What the peer has changed since then is dropped. */
static void receive(struct nic *nic, struct lane *lane, struct postern_gate_packet *packets,
                    uint32_t found)
{
    struct postern_gate_piece pieces[BATCH];
    struct pbuf *buffers[BATCH];
    uint32_t taken;

    for (uint32_t i = 0; i < found; i++) {
        buffers[i] = expect(nic, &packets[i], &pieces[i]);
    }
    lane_ring(lane, port_take(&lane->port, packets, found, &taken));
    for (uint32_t i = 0; i < found; i++) {
        if (buffers[i] == NULL) {
            continue;
        }
        if (i < taken && packets[i].meta.length == buffers[i]->tot_len) {
            deliver(nic, lane, buffers[i], &packets[i].meta);
            continue;
        }
        nic->counters.rx_dropped++;
        pbuf_free(buffers[i]);
    }
}

/* The link. */

static bool any_lane_up(const struct nic *nic)
{
    bool up = false;

    for (uint32_t i = 0; i < nic->lane_count; i++) {
        up = up || nic->lanes[i].up;
    }
    return up;
}

static void follow_link(struct nic *nic)
{
    bool up = any_lane_up(nic);

    if (up == (netif_is_link_up(&nic->netif) != 0)) {
        return;
    }
    if (up) {
        nic->counters.links_up++;
        print("postern-lwip: link up\n");
        netif_set_link_up(&nic->netif);
    } else {
        print("postern-lwip: link down\n");
        netif_set_link_down(&nic->netif);
    }
}

/* Gives a lane its port, over the NIC as it is now. */
static void prepare(struct nic *nic, struct lane *lane, uint32_t queue)
{
    port_init(&lane->port, &nic->device, queue);
    lane->port.ring.polls = nic->idle == IDLE_POLL;
}

/* Opens all lanes. A link that changes meanwhile is not missed: it is read behind that. */
static void open_lanes(struct nic *nic)
{
    for (uint32_t i = 0; i < nic->lane_count; i++) {
        lane_open(&nic->lanes[i]);
    }
    nic->link = device_link(&nic->device);
}

/* The link is to have another mode, or the VM was restored, and the peers know nothing of its
 * rings. What is in them is lost, and sent again by who cares. */
static void reopen(struct nic *nic)
{
    for (uint32_t i = 0; i < nic->lane_count; i++) {
        lane_close(&nic->lanes[i]);
    }
    port_close_view(&nic->lanes[0].port);
    follow_link(nic);
    device_follow(&nic->device, nic->link);
    for (uint32_t i = 0; i < nic->lane_count; i++) {
        prepare(nic, &nic->lanes[i], nic->lanes[i].port.queue);
    }
    open_lanes(nic);
}

static void read_link(struct nic *nic)
{
    uint64_t interrupts = interrupt_count(VECTOR_LINK);

    if (interrupts != nic->seen_link_interrupts) {
        nic->seen_link_interrupts = interrupts;
        nic->link = device_link(&nic->device);
    }
    if (device_wants_reopen(&nic->device, nic->link)) {
        reopen(nic);
    }
}

static void flush(struct nic *nic)
{
    for (uint32_t i = 0; i < nic->lane_count; i++) {
        lane_flush(&nic->lanes[i]);
    }
}

/* Has lwIP try again what found no room. */
static void go_on(struct nic *nic)
{
    bool any = false;

    for (uint32_t i = 0; i < nic->lane_count; i++) {
        any = lane_goes_on(&nic->lanes[i]) || any;
    }
    if (any) {
        tcp_txnow();
        flush(nic);
    }
}

bool nic_poll(struct nic *nic)
{
    struct postern_gate_packet packets[BATCH];
    bool any = false;

    read_link(nic);
    for (uint32_t i = 0; i < nic->lane_count; i++) {
        uint32_t found = lane_poll(&nic->lanes[i], nic->link, packets, BATCH);
        follow_link(nic);
        if (found > 0) {
            receive(nic, &nic->lanes[i], packets, found);
            any = true;
        }
    }
    flush(nic);
    go_on(nic);
    return any;
}

/* Shows the peers what was sent. False: there is something to do already. */
static bool settle(struct nic *nic)
{
    for (uint32_t i = 0; i < nic->lane_count; i++) {
        if (!lane_settle(&nic->lanes[i])) {
            return false;
        }
    }
    return true;
}

/* Asks the peers to wake this guest. */
static bool may_halt(struct nic *nic)
{
    for (uint32_t i = 0; i < nic->lane_count; i++) {
        if (!lane_may_halt(&nic->lanes[i])) {
            return false;
        }
    }
    return true;
}

void nic_wait(struct nic *nic, uint32_t ms)
{
    if (nic->idle == IDLE_POLL) {
        flush(nic);
        nic->waits++;
        take_interrupts();
        return;
    }
    if (!settle(nic)) {
        return;
    }
    /* With a port that fails only interrupts are left. */
    if (nic->idle == IDLE_MWAIT && nic->lanes[0].port.error == 0) {
        set_alarm(ms);
        nic->waits += port_mwait(&nic->lanes[0].port) ? 1 : 0;
        take_interrupts();
    } else if (may_halt(nic)) {
        set_alarm(ms);
        nic->waits++;
        wait_for_interrupt();
    }
}

/* Makes the database known. */
static void join(struct nic *nic)
{
    const struct device *device = &nic->device;
    const struct postern_fdb *fdb = map_memory(device->fdb, POSTERN_FDB_SIZE);

    if (fdb == NULL || !postern_fdb_init(&nic->reader, fdb, device->end, device->lanes) ||
        device->lanes >> device->queues != 0) {
        give_up("postern-lwip: no member %u has lanes 0x%x of %u, or a database at 0x%lx\n",
                device->end, device->lanes, device->queues, device->fdb);
    }
    if (device->to_switch >= device->queues || (device->lanes >> device->to_switch & 1) == 0) {
        give_up("postern-lwip: this VM is the network's switch, which lwIP cannot be\n");
    }
}

static void init_lanes(struct nic *nic)
{
    for (uint32_t queue = 0; queue < nic->device.queues; queue++) {
        struct lane *lane = &nic->lanes[nic->lane_count];
        if ((nic->device.lanes >> queue & 1) == 0) {
            continue;
        }
        lane->counters = &nic->counters.lanes;
        prepare(nic, lane, queue);
        nic->by_queue[queue] = lane;
        nic->lane_count++;
    }
}

err_t nic_init(struct netif *netif)
{
    struct nic *nic = netif->state;

    if (!device_find(&nic->device)) {
        give_up("postern-lwip: this VM has no link and is in no network\n");
    }
    if (device_is_member(&nic->device)) {
        join(nic);
    }
    if (nic->idle == IDLE_MWAIT && device_is_member(&nic->device)) {
        print("postern-lwip: several lanes cannot be watched by MWAIT: it halts\n");
        nic->idle = IDLE_HALT;
    }
    init_lanes(nic);
    netif->name[0] = 'e';
    netif->name[1] = 'n';
    netif->mtu = LANE_MTU;
    netif->hwaddr_len = ETH_HWADDR_LEN;
    memcpy(netif->hwaddr, nic->device.mac, ETH_HWADDR_LEN);
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
    netif->output = etharp_output;
    netif->linkoutput = transmit;
    NETIF_SET_CHECKSUM_CTRL(netif, CHECKSUMS | CHECKSUMS_TRANSPORT);
    open_lanes(nic);
    return ERR_OK;
}
