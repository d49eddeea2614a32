/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DPDK's ring as a way for packets: one producer and one consumer on two cores, buffers of a shared
 * mempool, the payload copied into one by the sender and out of it by the receiver.
 * Usage: rte_ring [EAL's options] -- SIZE BURST MILLISECONDS. Prints "packets N nanoseconds N".
 */
#include <stdio.h>
#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#define BUFFERS     128u
#define BUFFER_SIZE 9280u
#define BURST_MAX   64u
#define RING_SIZE   1024u /* what memif and virtio have here */

static struct rte_ring *ring;
static struct rte_mempool *pool;
static unsigned size, burst, milliseconds;
static unsigned stop;
static uint8_t from[BUFFERS][BUFFER_SIZE], to[BUFFERS][BUFFER_SIZE];

static int send(void *unused)
{
    void *packets[BURST_MAX];
    uint64_t number = 0;

    (void)unused;
    for (uint64_t i = 0; i < BUFFERS; i++) {
        memcpy(from[i], &i, sizeof(i));
    }
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        if (rte_ring_free_count(ring) < burst ||
            rte_pktmbuf_alloc_bulk(pool, (struct rte_mbuf **)packets, burst) != 0) {
            continue;
        }
        for (unsigned i = 0; i < burst; i++, number++) {
            memcpy(rte_pktmbuf_mtod((struct rte_mbuf *)packets[i], void *), from[number % BUFFERS],
                   size);
        }
        (void)rte_ring_sp_enqueue_bulk(ring, packets, burst, NULL);
    }
    return 0;
}

static unsigned take(uint64_t *next)
{
    void *packets[BURST_MAX];
    unsigned count = rte_ring_sc_dequeue_burst(ring, packets, burst, NULL);

    for (unsigned i = 0; i < count; i++) {
        uint8_t *packet = to[*next % BUFFERS];
        uint64_t number;

        memcpy(packet, rte_pktmbuf_mtod((struct rte_mbuf *)packets[i], void *), size);
        memcpy(&number, packet, sizeof(number));
        if (number != (*next)++ % BUFFERS) {
            rte_exit(1, "packets were lost or wrong\n");
        }
    }
    rte_pktmbuf_free_bulk((struct rte_mbuf **)packets, count);
    return count;
}

static void receive(void)
{
    uint64_t hertz = rte_get_tsc_hz(), next = 0, packets = 0;
    uint64_t start = rte_rdtsc() + hertz / 20, end = start + hertz * milliseconds / 1000, time = 0;

    while (time < end) {
        for (unsigned i = 0; i < 64; i++) {
            packets += take(&next);
        }
        time = rte_rdtsc();
        if (time < start) {
            packets = 0;
        }
    }
    printf("packets %llu nanoseconds %llu\n", (unsigned long long)packets,
           (unsigned long long)((double)(time - start) * 1e9 / (double)hertz));
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
}

int main(int count, char **arguments)
{
    int used = rte_eal_init(count, arguments);

    if (used < 0 || count - used != 4) {
        rte_exit(1, "usage: rte_ring [EAL's options] -- SIZE BURST MILLISECONDS\n");
    }
    size = (unsigned)atoi(arguments[used + 1]);
    burst = (unsigned)atoi(arguments[used + 2]);
    milliseconds = (unsigned)atoi(arguments[used + 3]);
    if (size < 8 || size > BUFFER_SIZE || burst < 1 || burst > BURST_MAX) {
        rte_exit(1, "no such size or burst\n");
    }
    ring = rte_ring_create("ring", RING_SIZE, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
    pool = rte_pktmbuf_pool_create("pool", 4095, 256, 0,
                                   (uint16_t)(size <= 2048 ? 2176 : BUFFER_SIZE + 128), 0);
    if (ring == NULL || pool == NULL) {
        rte_exit(1, "no memory\n");
    }
    (void)rte_eal_remote_launch(send, NULL, rte_get_next_lcore((unsigned)-1, 1, 0));
    receive();
    rte_eal_mp_wait_lcore();
    return 0;
}
