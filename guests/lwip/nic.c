/* SPDX-License-Identifier: BSD-2-Clause */
#include "guests/lwip/nic.h"

#include <lwip/etharp.h>
#include <lwip/priv/tcp_priv.h>
#include <string.h>

#include "guests/lwip/console.h"
#include "guests/lwip/interrupts.h"
#include "guests/lwip/offload.h"

#define MTU        1500u
#define BATCH      16u
#define PIECES_MAX 64u
/* lwIP makes these; those of TCP and UDP are left to the record's flags. */
#define CHECKSUMS                                                                \
    (NETIF_CHECKSUM_GEN_IP | NETIF_CHECKSUM_GEN_ICMP | NETIF_CHECKSUM_CHECK_IP | \
     NETIF_CHECKSUM_CHECK_ICMP)
#define CHECKSUMS_TRANSPORT (NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP)

static void ring(struct nic *nic, int64_t bits)
{
    if ((bits & POSTERN_GATE_DOORBELL) != 0) {
        nic->counters.doorbells++;
        port_doorbell(&nic->port);
    }
}

static void flush(struct nic *nic)
{
    if (nic->unflushed) {
        nic->unflushed = false;
        ring(nic, port_flush(&nic->port));
    }
}

/* Bytes of the ring at which it is worth while to send again. */
static uint64_t enough_room(const struct nic *nic)
{
    return nic->port.ring.data_size / 2;
}

/* Sending. */

/* lwIP's `linkoutput`. A packet without room goes back to lwIP: TCP keeps its segments, and
 * nic_poll() has it try again. */
static err_t transmit(struct netif *netif, struct pbuf *p)
{
    struct nic *nic = netif->state;
    struct postern_gate_piece pieces[PIECES_MAX];
    struct postern_gate_packet packet = {.pieces = pieces};
    bool sent;

    for (const struct pbuf *q = p; q != NULL && packet.piece_count < PIECES_MAX; q = q->next) {
        pieces[packet.piece_count++] = (struct postern_gate_piece){q->payload, q->len};
    }
    if (!offload_describe(p->payload, p->len, p->tot_len, &packet.meta) ||
        pbuf_clen(p) > PIECES_MAX || p->tot_len > nic->port.ring.max_payload) {
        nic->counters.tx_dropped++;
        return ERR_ARG;
    }
    ring(nic, port_send(&nic->port, &packet, &sent));
    if (!sent) {
        if (!port_works(&nic->port)) {
            nic->counters.tx_dropped++;
            return ERR_IF;
        }
        nic->counters.tx_full++;
        nic->out_of_room = true;
        return ERR_MEM;
    }
    nic->unflushed = true;
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
static void deliver(struct nic *nic, struct pbuf *p, const struct postern_ring_meta *meta)
{
    bool trusted = offload_trusts(meta);

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
static void receive(struct nic *nic, struct postern_gate_packet *packets, uint32_t found)
{
    struct postern_gate_piece pieces[BATCH];
    struct pbuf *buffers[BATCH];
    uint32_t taken;

    for (uint32_t i = 0; i < found; i++) {
        buffers[i] = expect(nic, &packets[i], &pieces[i]);
    }
    ring(nic, port_take(&nic->port, packets, found, &taken));
    for (uint32_t i = 0; i < found; i++) {
        if (buffers[i] == NULL) {
            continue;
        }
        if (i < taken && packets[i].meta.length == buffers[i]->tot_len) {
            deliver(nic, buffers[i], &packets[i].meta);
            continue;
        }
        nic->counters.rx_dropped++;
        pbuf_free(buffers[i]);
    }
}

/* The link. */

static void follow_link(struct nic *nic)
{
    bool up = port_works(&nic->port) && nic->peer_runs;

    if (up == (netif_is_link_up(&nic->netif) != 0)) {
        return;
    }
    if (up) {
        nic->counters.links_up++;
        print("postern-lwip: link up, the peer's MTU is %u\n", nic->port.ring.peer_mtu);
        netif_set_link_up(&nic->netif);
    } else {
        print("postern-lwip: link down\n");
        netif_set_link_down(&nic->netif);
    }
}

/* Says once for each generation of the peer that it broke the ring. */
static void report_fault(struct nic *nic)
{
    const struct postern_ring *r = &nic->port.ring;

    if (r->fault != POSTERN_FAULT_NONE && (nic->last_fault == POSTERN_FAULT_NONE ||
                                           nic->last_fault_generation != r->peer_generation)) {
        nic->counters.faults++;
        print("postern-lwip: the peer broke the ring: fault %u\n", r->fault);
    }
    nic->last_fault = r->fault;
    nic->last_fault_generation = r->peer_generation;
}

static void open_port(struct nic *nic)
{
    port_open(&nic->port, MTU);
    nic->unflushed = false;
    nic->out_of_room = false;
    nic->error_known = false;
    ring(nic, POSTERN_GATE_DOORBELL);
}

/* Says once for each time that a crossing failed: the peer has revoked its section. */
static void report_error(struct nic *nic)
{
    if (nic->port.error != 0 && !nic->error_known) {
        nic->error_known = true;
        nic->counters.gate_errors++;
        print("postern-lwip: a crossing failed: %ld\n", nic->port.error);
    }
}

static void read_link(struct nic *nic)
{
    uint64_t interrupts = interrupt_count(VECTOR_LINK);

    if (interrupts != nic->seen_link_interrupts) {
        nic->seen_link_interrupts = interrupts;
        nic->peer_runs = device_peer_runs(&nic->device);
    }
}

bool nic_poll(struct nic *nic)
{
    struct postern_gate_packet packets[BATCH];
    uint32_t found;

    read_link(nic);
    /* A crossing that failed may have ended anywhere, so the ring is opened again. */
    if (nic->error_known && port_revived(&nic->port)) {
        open_port(nic);
    }
    if ((port_look(&nic->port, packets, BATCH, &found) & POSTERN_GATE_SYNC) != 0) {
        /* What was found is the old generation's. */
        found = 0;
        ring(nic, port_sync(&nic->port));
        report_fault(nic);
    }
    report_error(nic);
    follow_link(nic);
    if (found > 0) {
        receive(nic, packets, found);
    }
    flush(nic);
    if (nic->out_of_room && port_works(&nic->port) && port_has_room(&nic->port, enough_room(nic))) {
        nic->out_of_room = false;
        tcp_txnow();
        flush(nic);
    }
    return found > 0;
}

/* Shows the peer what was sent. False: there is something to do already. */
static bool settle(struct nic *nic)
{
    flush(nic);
    return !nic->out_of_room || !port_works(&nic->port) ||
           port_wait_for_room(&nic->port, enough_room(nic));
}

/* Asks the peer to wake this guest. */
static bool may_halt(struct nic *nic)
{
    /* What fails here is to be reported first. */
    return port_wait_for_packets(&nic->port) && (nic->port.error == 0 || nic->error_known);
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
    if (nic->idle == IDLE_MWAIT && nic->port.error == 0) {
        set_alarm(ms);
        nic->waits += port_mwait(&nic->port) ? 1 : 0;
        take_interrupts();
    } else if (may_halt(nic)) {
        set_alarm(ms);
        nic->waits++;
        wait_for_interrupt();
    }
}

err_t nic_init(struct netif *netif)
{
    struct nic *nic = netif->state;

    if (!device_find(&nic->device)) {
        give_up("postern-lwip: this VM has no link\n");
    }
    port_init(&nic->port, &nic->device);
    nic->port.ring.polls = nic->idle == IDLE_POLL;
    netif->name[0] = 'e';
    netif->name[1] = 'n';
    netif->mtu = MTU;
    netif->hwaddr_len = ETH_HWADDR_LEN;
    memcpy(netif->hwaddr, nic->device.mac, ETH_HWADDR_LEN);
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
    netif->output = etharp_output;
    netif->linkoutput = transmit;
    NETIF_SET_CHECKSUM_CTRL(netif, CHECKSUMS | CHECKSUMS_TRANSPORT);
    open_port(nic);
    /* After MSI-X is on: a change between the two is not missed. */
    nic->peer_runs = device_peer_runs(&nic->device);
    return ERR_OK;
}
