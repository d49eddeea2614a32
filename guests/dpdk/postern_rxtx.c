/* SPDX-License-Identifier: BSD-2-Clause */
/* Bursts: packets go straight between mbufs and the ring. */
#include <rte_ip.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>

#include "guests/dpdk/postern_pmd.h"

static struct rte_mbuf **slot_mbufs(const struct pmd_rx_queue *queue, unsigned slot)
{
    return &queue->mbufs[slot * queue->segments];
}

/* Has packets go to the mbuf of that number. */
static void set_room(struct pmd_rx_queue *queue, unsigned i)
{
    void *address = rte_pktmbuf_mtod(queue->mbufs[i], void *);

    if (queue->segments == 1) {
        queue->frames[i].address = address;
    } else {
        queue->pieces[i] = (struct postern_gate_piece){address, queue->room};
    }
}

/* Gives all packets of a burst somewhere to go. False: the pool is empty. */
static bool fill(struct pmd_rx_queue *queue)
{
    unsigned count = PMD_BURST * queue->segments;

    for (unsigned i = 0; i < count; i++) {
        if (queue->mbufs[i] != NULL) {
            continue;
        }
        queue->mbufs[i] = rte_pktmbuf_alloc(queue->pool);
        if (queue->mbufs[i] == NULL) {
            queue->no_mbuf++;
            return false;
        }
        set_room(queue, i);
    }
    queue->is_full = true;
    return true;
}

/* As fill, when each packet has one mbuf and the first `count` are gone. */
static bool fill_first(struct pmd_rx_queue *queue, unsigned count)
{
    if (rte_pktmbuf_alloc_bulk(queue->pool, queue->mbufs, count) != 0) {
        for (unsigned i = 0; i < count; i++) {
            queue->mbufs[i] = NULL;
        }
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        set_room(queue, i);
    }
    return true;
}

int pmd_rx_prepare(struct pmd_rx_queue *queue, uint32_t frame, int socket)
{
    unsigned segments = (frame + queue->room - 1) / queue->room;

    pmd_rx_empty(queue);
    queue->pieces =
        rte_zmalloc_socket(NULL, sizeof(*queue->pieces) * PMD_BURST * segments, 0, socket);
    queue->mbufs =
        rte_zmalloc_socket(NULL, sizeof(*queue->mbufs) * PMD_BURST * segments, 0, socket);
    if (queue->pieces == NULL || queue->mbufs == NULL) {
        pmd_rx_empty(queue);
        return -ENOMEM;
    }
    queue->segments = (uint16_t)segments;
    for (unsigned i = 0; i < PMD_BURST; i++) {
        queue->packets[i].pieces = &queue->pieces[i * segments];
        queue->packets[i].piece_count = segments;
    }
    return 0;
}

void pmd_rx_empty(struct pmd_rx_queue *queue)
{
    for (unsigned i = 0; queue->mbufs != NULL && i < PMD_BURST * queue->segments; i++) {
        rte_pktmbuf_free_seg(queue->mbufs[i]);
    }
    rte_free(queue->mbufs);
    rte_free(queue->pieces);
    queue->mbufs = NULL;
    queue->pieces = NULL;
    queue->is_full = false;
}

/* Takes the packet of that slot, `length` bytes, out of the queue, as a chain. */
static struct rte_mbuf *take_packet(struct pmd_rx_queue *queue, unsigned slot, uint32_t length)
{
    struct rte_mbuf **segments = slot_mbufs(queue, slot);
    struct rte_mbuf *first = segments[0];
    struct rte_mbuf **link = &first->next;

    first->pkt_len = length;
    first->port = queue->port_id;
    first->data_len = (uint16_t)RTE_MIN(length, queue->room);
    segments[0] = NULL;
    length -= first->data_len;
    for (unsigned i = 1; length != 0; i++) {
        struct rte_mbuf *next = segments[i];

        next->data_len = (uint16_t)RTE_MIN(length, queue->room);
        length -= next->data_len;
        segments[i] = NULL;
        *link = next;
        link = &next->next;
        first->nb_segs++;
    }
    return first;
}

/* Makes the checksum that the peer has left to be made. The record fits the length. */
static void finish_checksum(struct rte_mbuf *mbuf, const struct postern_record *record)
{
    uint32_t place = (uint32_t)record->csum_start + record->csum_offset;
    uint16_t sum;

    /* No header that anybody knows is split so far behind. */
    if (place + sizeof(sum) > mbuf->data_len ||
        rte_raw_cksum_mbuf(mbuf, record->csum_start, mbuf->pkt_len - record->csum_start, &sum) !=
            0) {
        return;
    }
    if (sum != 0xffff) {
        sum = (uint16_t)~sum; /* not 0: that is no checksum, of UDP */
    }
    memcpy(rte_pktmbuf_mtod_offset(mbuf, uint8_t *, place), &sum, sizeof(sum));
    mbuf->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
}

/* Of a packet that came: false, it is none for the application. */
static bool apply_record(struct pmd_rx_queue *queue, struct rte_mbuf *mbuf,
                         const struct postern_record *record)
{
    if (record->gso_type != POSTERN_GSO_NONE || record->length < RTE_ETHER_HDR_LEN) {
        queue->refused++;
        return false;
    }
    if ((record->flags & POSTERN_RECORD_CSUM) != 0) {
        finish_checksum(mbuf, record);
    } else if ((record->flags & POSTERN_RECORD_VALID) != 0) {
        mbuf->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
    }
    return true;
}

/* Receives into the mbufs; the frames' records say what. */
static unsigned receive(struct pmd_rx_queue *queue, unsigned count)
{
    unsigned taken;

    if (queue->segments == 1) {
        return postern_rx_burst(queue->queue, queue->frames, count, queue->room);
    }
    taken = postern_rx_pieces(queue->queue, queue->packets, count);
    for (unsigned i = 0; i < taken; i++) {
        /* A meta begins as a record. */
        memcpy(&queue->frames[i].record, &queue->packets[i].meta, sizeof(struct postern_record));
    }
    return taken;
}

uint16_t pmd_rx_burst(void *data, struct rte_mbuf **mbufs, uint16_t count)
{
    struct pmd_rx_queue *queue = data;
    unsigned taken;
    uint16_t given = 0;

    if (!queue->is_full && !fill(queue)) {
        return 0;
    }
    taken = receive(queue, RTE_MIN(count, PMD_BURST));
    for (unsigned i = 0; i < taken; i++) {
        const struct postern_record *record = &queue->frames[i].record;
        struct rte_mbuf *mbuf = take_packet(queue, i, record->length);

        if (likely(record->length != 0 && apply_record(queue, mbuf, record))) {
            mbufs[given++] = mbuf;
        } else {
            rte_pktmbuf_free(mbuf);
        }
    }
    if (taken != 0) {
        queue->is_full = queue->segments == 1 && fill_first(queue, taken);
    }
    return given;
}

/* Describes the first of the mbufs, up to one of several segments. */
static unsigned describe_frames(struct pmd_tx_queue *queue, struct rte_mbuf **mbufs, unsigned count)
{
    unsigned i;

    for (i = 0; i < count && mbufs[i]->nb_segs == 1; i++) {
        queue->frames[i].record = (struct postern_record){.length = mbufs[i]->pkt_len};
        queue->frames[i].address = rte_pktmbuf_mtod(mbufs[i], void *);
    }
    return i;
}

/* Describes the mbuf by `pieces`, of which there are enough. */
static void describe(struct postern_gate_packet *packet, const struct rte_mbuf *mbuf,
                     struct postern_gate_piece *pieces)
{
    unsigned count = 0;

    packet->meta = (struct postern_ring_meta){.length = mbuf->pkt_len};
    packet->pieces = pieces;
    for (const struct rte_mbuf *segment = mbuf; segment != NULL; segment = segment->next) {
        pieces[count++] =
            (struct postern_gate_piece){rte_pktmbuf_mtod(segment, void *), segment->data_len};
    }
    packet->piece_count = count;
}

/* Describes the first of the mbufs, as many as there are pieces for. */
static unsigned describe_packets(struct pmd_tx_queue *queue, struct rte_mbuf **mbufs,
                                 unsigned count)
{
    unsigned pieces = 0, i;

    for (i = 0; i < count; i++) {
        if (pieces + mbufs[i]->nb_segs > PMD_TX_PIECES) {
            break;
        }
        describe(&queue->packets[i], mbufs[i], &queue->pieces[pieces]);
        pieces += mbufs[i]->nb_segs;
    }
    return i;
}

/* Sends the first of the mbufs by one crossing. Returns how many are done with, and in `tried` how
 * many it has tried: 0 when the first one has too many segments. */
static unsigned send_some(struct pmd_tx_queue *queue, struct rte_mbuf **mbufs, unsigned count,
                          unsigned *tried)
{
    count = RTE_MIN(count, PMD_BURST);
    *tried = describe_frames(queue, mbufs, count);
    if (likely(*tried == count)) {
        return postern_tx_burst(queue->queue, queue->frames, count);
    }
    *tried = describe_packets(queue, mbufs, count);
    return *tried != 0 ? postern_tx_pieces(queue->queue, queue->packets, *tried) : 0;
}

uint16_t pmd_tx_burst(void *data, struct rte_mbuf **mbufs, uint16_t count)
{
    struct pmd_tx_queue *queue = data;
    unsigned done = 0;

    while (done < count) {
        unsigned tried, sent = send_some(queue, mbufs + done, count - done, &tried);

        if (unlikely(tried == 0)) {
            queue->refused++;
            rte_pktmbuf_free(mbufs[done++]);
            continue;
        }
        rte_pktmbuf_free_bulk(mbufs + done, sent);
        done += sent;
        if (sent < tried) {
            break;
        }
    }
    return (uint16_t)done;
}
